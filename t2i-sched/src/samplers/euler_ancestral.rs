//! Euler's method with fresh noise.

use burn::tensor::Tensor;

use super::ancestral::split;
use crate::level::scale;
use crate::{Denoise, Level, Noise, Sampler, SharedNoise};

/// Euler's method to a level below the next one, and fresh noise up to it.
///
/// A1111: "Euler a". diffusers: `EulerAncestralDiscreteScheduler`.
/// <https://github.com/crowsonkb/k-diffusion/blob/master/k_diffusion/sampling.py>, `sample_euler_ancestral`
#[derive(Debug, Clone)]
pub struct EulerAncestral {
    noise: SharedNoise,
}

impl EulerAncestral {
    /// The sampler, drawing from `noise` once a step (also in the last one, as the reference does).
    pub fn new(noise: SharedNoise) -> Self {
        Self { noise }
    }
}

impl Sampler for EulerAncestral {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let (kept, fresh) = split(from, to, 1.0);
        let noise = self.noise.between(from, to, x0.dims(), &x0.device());
        let below = Level { sigma: kept, ..to };
        from.advance(x, x0, below) + scale(noise, fresh)
    }
}
