//! Walks through the parameters of a module.

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// Gives the parameters of a module their place in the walk as identity, and asks for their gradients.
///
/// Identities are random otherwise, and an optimiser's memory is filed under them: another process could not find it.
pub(crate) fn number_parameters<M: Module>(module: M) -> M {
    module.map(&mut Numberer { next: 0 })
}

/// The values of all float parameters, in the order of the walk, each as a vector, without autodiff.
pub(crate) fn values<M: Module>(module: &M) -> VecDeque<Tensor<1>> {
    let mut reader = Reader { values: VecDeque::new() };
    module.visit(&mut reader);
    reader.values
}

/// Puts `values`, in the order of the walk, into a module.
pub(crate) fn with_values<M: Module>(module: M, values: VecDeque<Tensor<1>>) -> M {
    module.map(&mut Writer { values })
}

struct Numberer {
    next: u64,
}

impl ModuleMapper for Numberer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.next += 1;
        let requires = param.is_require_grad();
        let (_, tensor, mapper) = param.consume();
        Param::from_mapped_value(ParamId::from(self.next), tensor.detach(), mapper).set_require_grad(requires)
    }
}

struct Reader {
    values: VecDeque<Tensor<1>>,
}

impl ModuleVisitor for Reader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let n = value.shape().num_elements();
        self.values.push_back(value.reshape([n]));
    }
}

struct Writer {
    values: VecDeque<Tensor<1>>,
}

impl ModuleMapper for Writer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.values.pop_front() else {
            return param;
        };
        let (shape, requires) = (param.lazy_shape(), param.is_require_grad());
        let param = param.map(|old| {
            let value = value.reshape(shape);
            if old.device().is_autodiff() { value.autodiff() } else { value }
        });
        if requires { param.set_require_grad(true) } else { param }
    }
}
