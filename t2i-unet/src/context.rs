//! The text, and what is computed of it alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use burn::module::ParamId;
use burn::nn::Linear;
use burn::tensor::Tensor;
use t2i_kernels::ops::linear;

/// What cross-attention looks at. Its keys and values are the same in every step of a run, and are computed once.
#[derive(Debug)]
pub(crate) struct Context {
    states: Tensor<3>,
    /// By the weight that they are computed with.
    projected: Mutex<HashMap<ParamId, Tensor<3>>>,
}

impl Context {
    /// Of encoded text, `[batch, tokens, dim]`, in the type in which the network computes.
    pub(crate) fn new(states: Tensor<3>) -> Self {
        Self { states, projected: Mutex::default() }
    }

    /// What `projection` makes of the text: of one network only, whose weights do not change meanwhile.
    ///
    /// # Shapes
    /// - output: `[batch, tokens, outputs]`
    pub(crate) fn through(&self, projection: &Linear) -> Tensor<3> {
        let projected = || self.projected.lock().unwrap_or_else(PoisonError::into_inner);
        let id = projection.weight.id;
        let known = projected().get(&id).cloned();
        // Not computed under the lock: this thread may meanwhile take work of another that waits for it.
        known.unwrap_or_else(|| {
            let output = linear(projection, self.states.clone());
            projected().insert(id, output.clone());
            output
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn each_projection_is_remembered_as_its_own() {
        let device = Device::flex();
        let [one, other] = [3, 4].map(|outputs| LinearConfig::new(2, outputs).with_bias(false).init(&device));
        let states = Tensor::<3>::random([1, 5, 2], Distribution::Default, &device);
        let context = Context::new(states.clone());
        for projection in [&one, &other, &one] {
            assert_eq!(context.through(projection).into_data(), linear(projection, states.clone()).into_data());
        }
    }
}
