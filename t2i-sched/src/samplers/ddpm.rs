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
    posterior: fn(Level, Level) -> Posterior,
}

/// The posterior of a step: its mean is `data * x0 + latent * x`, and `small` and `large` are the deviations of
/// [`Variance`].
#[derive(Debug, Clone, Copy)]
struct Posterior {
    data: f64,
    latent: f64,
    small: f64,
    large: f64,
}

impl Ddpm {
    /// The sampler, drawing from `noise` once a step, but not from level `cleanest` (that of timestep 0) down.
    pub fn new(noise: SharedNoise, variance: Variance, cleanest: Level) -> Self {
        Self { noise, variance, cleanest, posterior: exact }
    }

    /// The sampler with the posterior in single precision, as in diffusers, at variance-preserving levels. Between the
    /// last levels of a schedule, where `beta` is a difference of numbers near 1, nothing is right of it after the third
    /// digit.
    pub fn single_precision(self) -> Self {
        Self { posterior: single, ..self }
    }
}

/// <https://arxiv.org/abs/2006.11239>, eq. 7, in any coordinates.
fn exact(from: Level, to: Level) -> Posterior {
    let (kept, small) = split(from, to, 1.0);
    let latent = kept / from.sigma;
    let large = (1.0 - (from.alpha / to.alpha).powi(2)).max(0.0).sqrt();
    Posterior { data: to.alpha - latent * from.alpha, latent, small, large }
}

/// The same, each operation rounded to f32.
fn single(from: Level, to: Level) -> Posterior {
    let [alpha_bar, alpha_bar_to] = [from, to].map(alpha_cumprod);
    if alpha_bar_to == 0.0 || alpha_bar == 1.0 {
        return exact(from, to);
    }
    let (left, left_to) = (1.0 - alpha_bar, 1.0 - alpha_bar_to);
    let alpha = alpha_bar / alpha_bar_to;
    let beta = 1.0 - alpha;
    Posterior {
        data: f64::from(alpha_bar_to.sqrt() * beta / left),
        latent: f64::from(alpha.sqrt() * left_to / left),
        small: f64::from((left_to / left * beta).max(1e-20).sqrt()),
        large: f64::from(beta.max(1e-20).sqrt()),
    }
}

/// The number of the table that the level is of: from the smaller of its parts, which has more digits.
fn alpha_cumprod(level: Level) -> f32 {
    if level.sigma < level.alpha { (1.0 - level.sigma.powi(2)) as f32 } else { level.alpha.powi(2) as f32 }
}

impl Sampler for Ddpm {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if from.is_clean() {
            return scale(x, to.alpha / from.alpha);
        }
        let posterior = (self.posterior)(from, to);
        let mean = scale(x0, posterior.data) + scale(x, posterior.latent);
        if from.sigma <= self.cleanest.sigma {
            return mean;
        }
        let deviation = match self.variance {
            Variance::Small => posterior.small,
            Variance::Large => posterior.large,
        };
        let noise = self.noise.between(from, to, mean.dims(), &mean.device());
        mean + scale(noise, deviation)
    }
}
