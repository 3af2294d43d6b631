//! Denoising diffusion probabilistic models.

use burn::tensor::Tensor;

use super::ancestral::split;
use crate::level::scale;
use crate::{Denoise, Level, Noise, Sampler, SharedNoise};

/// The variance of the noise that DDPM adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variance {
    /// That of the posterior, `beta~` (`fixed_small`; diffusers' `fixed_small_log` is the same number).
    Small,
    /// That of the forward process, `beta` (`fixed_large`).
    Large,
}

/// The posterior mean, and noise around it.
///
/// A1111 has no name for it. diffusers: `DDPMScheduler`. <https://arxiv.org/abs/2006.11239>, eq. 7 and algorithm 2
#[derive(Debug, Clone)]
pub struct Ddpm {
    noise: SharedNoise,
    variance: Variance,
    cleanest: Level,
}

impl Ddpm {
    /// The sampler, drawing from `noise` once a step, but not from level `cleanest` (that of timestep 0) down.
    pub fn new(noise: SharedNoise, variance: Variance, cleanest: Level) -> Self {
        Self { noise, variance, cleanest }
    }
}

impl Sampler for Ddpm {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let eps = from.eps(x, x0.clone());
        let (kept, fresh) = split(from, to, 1.0);
        let mean = scale(x0, to.alpha) + scale(eps, kept);
        if from.sigma <= self.cleanest.sigma {
            return mean;
        }
        let deviation = match self.variance {
            Variance::Small => fresh,
            Variance::Large => (1.0 - (from.alpha / to.alpha).powi(2)).sqrt(),
        };
        let noise = self.noise.between(from, to, mean.dims(), &mean.device());
        mean + scale(noise, deviation)
    }
}
