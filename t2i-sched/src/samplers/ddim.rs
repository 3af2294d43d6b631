//! Denoising diffusion implicit models.

use burn::tensor::Tensor;

use super::{Limit, ancestral::split};
use crate::level::scale;
use crate::{Denoise, Level, Noise, Sampler, SharedNoise};

/// DDIM: keep the share of the noise that `eta` leaves, draw the rest anew. `eta = 0` is Euler's method at
/// variance-preserving levels, `eta = 1` is DDPM.
///
/// A1111: "DDIM". diffusers: `DDIMScheduler`. <https://arxiv.org/abs/2010.02502>, eq. 12
#[derive(Debug, Clone, Default)]
pub struct Ddim {
    stochastic: Option<(f64, SharedNoise)>,
    limit: Option<Limit>,
}

impl Ddim {
    /// The deterministic sampler.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sampler with `eta > 0`, drawing from `noise` once a step.
    pub fn stochastic(eta: f64, noise: SharedNoise) -> Self {
        Self { stochastic: Some((eta, noise)), limit: None }
    }

    /// Limits `x0`, while the direction stays that of the unlimited one, as the reference does.
    pub fn limited(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

impl Sampler for Ddim {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let raw = denoise(x.clone(), from);
        let eps = from.eps(x, raw.clone());
        let x0 = match self.limit {
            Some(limit) => limit.apply(raw),
            None => raw,
        };
        let Some((eta, noise)) = &mut self.stochastic else {
            return to.mix(x0, eps);
        };
        let (kept, fresh) = split(from, to, *eta);
        let noise = noise.between(from, to, x0.dims(), &x0.device());
        scale(x0, to.alpha) + scale(eps, kept) + scale(noise, fresh)
    }
}
