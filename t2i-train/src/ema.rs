//! The running mean of a model's weights.

use std::collections::VecDeque;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::parameters::{values, with_values};

/// The exponential moving average of a model's weights, `mean = decay * mean + (1 - decay) * weight`: it paints
/// better than the last weights, which jump about. [Ho et al. 2020](https://arxiv.org/abs/2006.11239), appendix B
#[derive(Debug, Clone)]
pub struct Ema {
    means: VecDeque<Tensor<1>>,
}

impl Ema {
    /// Starts at the weights of `model`.
    pub fn of<M: Module>(model: &M) -> Self {
        Self { means: values(model) }
    }

    /// Goes on to the weights that `model` has now.
    pub fn update<M: Module>(&mut self, model: &M, decay: f64) {
        let means = std::mem::take(&mut self.means);
        let mean = |(mean, value): (Tensor<1>, Tensor<1>)| mean.clone() + (value - mean) * (1.0 - decay);
        self.means = means.into_iter().zip(values(model)).map(mean).collect();
    }

    /// `model` with the means for weights.
    pub fn put_into<M: Module>(&self, model: M) -> M {
        with_values(model, self.means.clone())
    }
}
