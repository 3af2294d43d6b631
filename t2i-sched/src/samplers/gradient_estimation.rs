//! Gradient estimation.

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler, Unconditional};

/// Euler's method along an estimate of the direction that is better than the latest one: `gamma` times the latest, and
/// `1 - gamma` times the one before. One call of the model a step. Of first order; with `gamma = 1.5` and levels at
/// equal distances in sigma it is Adams-Bashforth's of second order.
///
/// A1111, diffusers: none. ComfyUI: "gradient_estimation", and "gradient_estimation_cfg_pp"
/// ([`cfg_pp`](Self::cfg_pp)). <https://openreview.net/forum?id=o2ND9v0CeK>, the gradient-estimation sampler, whose `gamma` is 2
#[derive(Debug, Clone)]
pub struct GradientEstimation {
    gamma: f64,
    unconditional: Option<Unconditional>,
    /// The direction before.
    before: Option<Tensor<4>>,
}

impl GradientEstimation {
    /// The sampler with this `gamma`; 1 is Euler's method.
    pub fn new(gamma: f64) -> Self {
        Self { gamma, unconditional: None, before: None }
    }

    /// Takes the directions from the unconditional answers, and keeps the guided `x0` (CFG++).
    pub fn cfg_pp(self, unconditional: Unconditional) -> Self {
        Self { unconditional: Some(unconditional), ..self }
    }
}

impl Default for GradientEstimation {
    fn default() -> Self {
        Self::new(2.0)
    }
}

impl Sampler for GradientEstimation {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let uncond = Unconditional::of(self.unconditional.as_ref(), &x0);
        let eps = from.eps(x, uncond);
        let before = self.before.replace(eps.clone());
        let moved = to.mix(x0, eps.clone());
        match before {
            Some(before) if !to.is_clean() && from.alpha > 0.0 => {
                let length = to.sigma - to.alpha / from.alpha * from.sigma;
                moved + scale(eps - before, (self.gamma - 1.0) * length)
            }
            _ => moved,
        }
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("before", &mut self.before);
    }
}
