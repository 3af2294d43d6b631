//! The parameters of a module, or their gradients, on the host: named and laid out as in torch.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

/// By name, in torch's order of elements.
pub(crate) type Values = BTreeMap<String, Vec<f64>>;

/// The parameters of `module`.
pub(crate) fn parameters<M: Module>(module: &M) -> Values {
    collect(module, None)
}

/// The gradients that there are for parameters of `module`.
pub(crate) fn gradients<M: Module>(module: &M, gradients: &GradientsParams) -> Values {
    collect(module, Some(gradients))
}

fn collect<M: Module>(module: &M, gradients: Option<&GradientsParams>) -> Values {
    let mut collector = Collector { gradients, path: Vec::new(), containers: Vec::new(), values: Values::new() };
    module.visit(&mut collector);
    collector.values
}

struct Collector<'a> {
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    containers: Vec<String>,
    values: Values,
}

impl Collector<'_> {
    /// The name in the weight file: the inverse of what `Weights::load` does.
    fn name(&self) -> String {
        let norm = matches!(self.container(), "Struct:GroupNorm" | "Struct:LayerNorm");
        let names = self.path.iter().map(|name| match name.as_str() {
            "gamma" if norm => "weight",
            "beta" if norm => "bias",
            other => other,
        });
        names.collect::<Vec<_>>().join(".")
    }

    fn container(&self) -> &str {
        self.containers.last().map(String::as_str).unwrap_or_default()
    }
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.containers.push(container.to_owned());
        if !container.starts_with("Enum:") {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.containers.pop();
        if !container.starts_with("Enum:") {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.val()),
        };
        let Some(value) = value else { return };
        assert_eq!(value.dims(), param.val().dims(), "{}", self.name());
        let transposed = D == 2 && self.container() == "Struct:Linear";
        let value = if transposed { value.swap_dims(0, 1) } else { value };
        let values: Vec<f64> = value.cast(DType::F64).into_data().try_to_vec().expect("f64");
        self.values.insert(self.name(), values);
    }
}
