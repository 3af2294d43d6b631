//! Consistency models.

use burn::tensor::Tensor;

use super::Limit;
use crate::level::scale;
use crate::{Denoise, Level, Noise, Sampler, SharedNoise};

/// Multistep consistency sampling: the model's answer, held to the boundary condition, and fresh noise up to the next
/// level. The run ends at the model's cleanest level. It asks the model once a step.
///
/// The model's answer is that of EDM's preconditioning ([`Prediction::Edm`](crate::Prediction::Edm)).
///
/// A1111, ComfyUI: none. diffusers: `CMStochasticIterativeScheduler`. <https://arxiv.org/abs/2303.01469>, algorithm 1
/// and appendix C
#[derive(Debug, Clone)]
pub struct Consistency {
    sigma_min: f64,
    sigma_data: f64,
    limit: Option<Limit>,
    noise: Option<SharedNoise>,
    s_noise: f64,
}

impl Consistency {
    /// The sampler of a model with this cleanest `sigma / alpha` and this deviation of its data (0.002 and 0.5 in the
    /// published models), without noise: a single step needs none.
    pub fn new(sigma_min: f64, sigma_data: f64) -> Self {
        Self { sigma_min, sigma_data, limit: None, noise: None, s_noise: 1.0 }
    }

    /// Draws from `noise` once a step, for a run of several, and takes `s_noise` of it, 1 by rights.
    pub fn noisy(self, noise: SharedNoise, s_noise: f64) -> Self {
        Self { noise: Some(noise), s_noise, ..self }
    }

    /// Limits the answers that are held to the boundary condition (`clip_denoised`).
    pub fn limited(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// EDM's answer with the weights that make it `x` at the cleanest level.
    fn held(&self, x: Tensor<4>, x0: Tensor<4>, from: Level) -> Tensor<4> {
        let sigma = from.sigma / from.alpha;
        let data = self.sigma_data.powi(2);
        let above = sigma - self.sigma_min;
        let (skip, edm_skip) = (data / (above.powi(2) + data), data / (sigma.powi(2) + data));
        let out = above / sigma;
        let held = scale(x0, out) + scale(x, (skip - out * edm_skip) / from.alpha);
        self.limit.map_or(held.clone(), |limit| limit.apply(held))
    }

    /// The deviation of the noise at `to`, in f32: what is left of it at the cleanest level is the reference's.
    fn deviation(&self, to: Level) -> f64 {
        let sigma = (to.sigma / to.alpha).max(self.sigma_min) as f32;
        let variance = sigma * sigma - self.sigma_min.powi(2) as f32;
        f64::from(variance.max(0.0).sqrt()) * self.s_noise
    }
}

impl Sampler for Consistency {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let known = from.alpha != 0.0 && !from.is_clean();
        let clean = if known { self.held(x, x0, from) } else { x0 };
        if to.alpha == 0.0 {
            return clean.zeros_like();
        }
        let deviation = self.deviation(to);
        let x = match &mut self.noise {
            Some(noise) => {
                let noise = noise.between(from, to, clean.dims(), &clean.device());
                clean + scale(noise, deviation)
            }
            None => clean,
        };
        scale(x, to.alpha)
    }
}
