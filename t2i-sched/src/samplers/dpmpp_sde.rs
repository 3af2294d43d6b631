//! DPM-Solver++ of the SDE, single-step.

use burn::tensor::Tensor;

use super::Fresh;
use super::exponential::Variable;
use crate::level::scale;
use crate::{Denoise, Level, Sampler};

/// The single-step exponential integrator of second order with fresh noise in both of its stages, which fits a
/// [`Brownian`](crate::Brownian) path. It asks the model twice a step, but once in a step to a clean latent.
///
/// A1111: "DPM++ SDE", ComfyUI: "dpmpp_sde", diffusers: `DPMSolverSDEScheduler`. <https://arxiv.org/abs/2211.01095>,
/// algorithm 1, with the noise of <https://github.com/crowsonkb/k-diffusion/blob/master/k_diffusion/sampling.py>,
/// `sample_dpmpp_sde`
#[derive(Debug, Clone)]
pub struct DpmppSde {
    fresh: Fresh,
    ratio: f64,
}

impl DpmppSde {
    /// The sampler, drawing from `fresh` twice a step, but not in one to a clean latent.
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: fresh.into(), ratio: 0.5 }
    }

    /// Puts the second call of the model at this share of the step in `lambda` (`r`), in (0, 1].
    pub fn ratio(self, ratio: f64) -> Self {
        Self { ratio, ..self }
    }

    /// The exact step for a constant `x0`, and fresh noise.
    fn jump(&mut self, x: Tensor<4>, x0: Tensor<4>, from: Level, to: Level) -> Tensor<4> {
        let (below, deviation) = self.fresh.below(from, to);
        let moved = Variable::Data.integral(from, below).exact(x, x0);
        self.fresh.add(moved, from, to, deviation)
    }
}

impl Sampler for DpmppSde {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() {
            return from.advance(x, x0, to);
        }
        if from.alpha == 0.0 {
            return self.jump(x, x0, from, to); // there is no middle on an infinite way
        }
        let [start, middle, end] = self.fresh.stages(from, to, self.ratio);
        let there = self.jump(x.clone(), x0.clone(), start, middle);
        let x0_there = denoise(there, middle);
        let weight = 1.0 / (2.0 * self.ratio);
        let mean = scale(x0, 1.0 - weight) + scale(x0_there, weight);
        self.jump(x, mean, start, end)
    }
}
