//! A LoRA's changes, added to the weights of a module.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

use super::change::Change;
use crate::weights::ModulePath;

/// A change with the factor that it is added by.
pub(super) struct Scaled<'a> {
    pub(super) change: &'a Change,
    pub(super) factor: f64,
}

/// Adds changes to the weights of the layers at their paths. In f32, whatever the type of the weights.
pub(super) fn add<M: Module>(module: M, changes: BTreeMap<String, Scaled<'_>>) -> M {
    module.map(&mut Merger { path: ModulePath::default(), changes })
}

struct Merger<'a> {
    path: ModulePath,
    changes: BTreeMap<String, Scaled<'a>>,
}

impl ModuleMapper for Merger<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(scaled) = name.strip_suffix(".weight").and_then(|path| self.changes.get(path)) else {
            return param;
        };
        let weight = param.val().inner();
        let (dtype, shape) = (weight.dtype(), weight.shape());
        let change = scaled.change.product(&weight.device()) * scaled.factor;
        let change = if self.path.is_transposed(D) { change.swap_dims(0, 1) } else { change };
        let weight = (weight.cast(DType::F32) + change.reshape(shape)).cast(dtype);
        let id = param.id;
        param.transform_for_load(weight, id)
    }
}
