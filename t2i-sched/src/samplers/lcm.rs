//! Latent consistency models.

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Denoise, Level, Noise, Sampler, Schedule, SharedNoise};

/// Multistep consistency sampling: the model's answer, held to the boundary condition, and fresh noise up to the next
/// level.
///
/// A1111: "LCM". diffusers: `LCMScheduler`. <https://arxiv.org/abs/2310.04378>, algorithm 3
#[derive(Debug, Clone)]
pub struct Lcm {
    noise: SharedNoise,
    schedule: Schedule,
    timestep_scaling: f64,
}

impl Lcm {
    /// The sampler, drawing from `noise` in each step but the one to a clean latent. The boundary condition is a
    /// function of `timestep_scaling` (10 in the published models) times the schedule's timestep.
    pub fn new(noise: SharedNoise, schedule: Schedule, timestep_scaling: f64) -> Self {
        Self { noise, schedule, timestep_scaling }
    }

    /// `(c_skip, c_out)`, which are `(1, 0)` at timestep 0. <https://arxiv.org/abs/2310.04378>, eq. 9, and its
    /// <https://github.com/luosiallen/latent-consistency-model> for `sigma_data = 0.5`
    fn boundary(&self, level: Level) -> (f64, f64) {
        let data = 0.5f64.powi(2);
        let scaled = self.schedule.timestep(level).round() * self.timestep_scaling;
        let sum = scaled.powi(2) + data;
        (data / sum, scaled / sum.sqrt())
    }
}

impl Sampler for Lcm {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let (skip, out) = self.boundary(from);
        let clean = scale(x0, out) + scale(x, skip);
        if to.is_clean() {
            return clean;
        }
        let noise = self.noise.between(from, to, clean.dims(), &clean.device());
        to.mix(clean, noise)
    }
}
