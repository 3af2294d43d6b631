//! Changes of layers, added to the weights of a module.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};

use crate::weights::ModulePath;

/// Adds to the weights of the layers at these paths what `change` makes for a path and a device, `[out, in]`, and gives
/// weights like the old ones: leaves of the graph, where there is one. In f32, whatever the type of the weights.
pub(super) fn add<M: Module>(module: M, change: impl FnMut(&str, &Device) -> Option<Tensor<2>>) -> M {
    module.map(&mut Adder { path: ModulePath::default(), change, result: Sum::Weight })
}

/// A module whose weights at these paths are sums of what they were and a change, `[out, in]` and behind each input its
/// kernel. Gradients flow to the changes: so something learns beside a module whose weights stay.
///
/// # Panics
/// If a change has another shape than the weight.
pub fn with_changes<M: Module>(module: M, changes: &BTreeMap<String, Tensor<2>>) -> M {
    let change = |path: &str, _: &Device| changes.get(path).cloned();
    module.map(&mut Adder { path: ModulePath::default(), change, result: Sum::Graph })
}

/// What becomes of a sum.
enum Sum {
    /// A weight as any other.
    Weight,
    /// A value that remembers what it is the sum of.
    Graph,
}

struct Adder<F> {
    path: ModulePath,
    change: F,
    result: Sum,
}

impl<F: FnMut(&str, &Device) -> Option<Tensor<2>>> ModuleMapper for Adder<F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let device = param.lazy_device();
        let change = name.strip_suffix(".weight").and_then(|path| (self.change)(path, &device));
        let Some(change) = change else {
            return param;
        };
        let change = if self.path.is_transposed(D) { change.swap_dims(0, 1) } else { change };
        let sum = |weight: Tensor<D>| {
            let (dtype, shape) = (weight.dtype(), weight.shape());
            (weight.cast(DType::F32) + change.reshape(shape)).cast(dtype)
        };
        match self.result {
            Sum::Graph => param.map(sum),
            Sum::Weight => {
                let (weight, id) = (sum(param.val()).detach(), param.id);
                param.transform_for_load(weight, id)
            }
        }
    }
}
