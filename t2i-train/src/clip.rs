//! Gradients cut to a length.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Cuts gradients, all together as one vector, to the length `max`, as `torch.nn.utils.clip_grad_norm_`, and says
/// how long they were.
pub fn clip_global_norm<M: Module>(mut gradients: GradientsParams, module: &M, max: f64) -> (GradientsParams, f64) {
    let mut squares = Squares { gradients: &gradients, sum: None };
    module.visit(&mut squares);
    let norm = squares.sum.map_or(0.0, |sum| f64::from(sum.into_scalar::<f32>())).sqrt();
    let scale = max / (norm + 1e-6);
    if scale < 1.0 {
        module.visit(&mut Scale { gradients: &mut gradients, scale });
    }
    (gradients, norm)
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    scale: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.scale);
        }
    }
}
