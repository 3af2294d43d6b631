//! Trajectory consistency distillation.

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Denoise, Level, Noise, Sampler, Schedule, SharedNoise};

/// Strategic stochastic sampling: the model's answer takes the latent along its trajectory to the share `1 - gamma` of
/// the next timestep, and fresh noise up to the next. `gamma = 0` is DDIM. It asks the model once a step.
///
/// A1111: "TCD", ComfyUI: none, diffusers: `TCDScheduler`. <https://arxiv.org/abs/2402.19159>, algorithm 4
#[derive(Debug, Clone)]
pub struct Tcd {
    noise: SharedNoise,
    schedule: Schedule,
    gamma: f64,
    last: Option<Level>,
}

impl Tcd {
    /// The sampler with this `gamma`, in [0, 1]; above 0 it draws from `noise` once a step, but not in one to a clean
    /// latent.
    pub fn new(noise: SharedNoise, schedule: Schedule, gamma: f64) -> Self {
        Self { noise, schedule, gamma, last: None }
    }

    /// Nor in the step from this level.
    pub fn last(self, level: Option<Level>) -> Self {
        Self { last: level, ..self }
    }

    /// The level to which the latent goes by itself; the reference takes its timestep in single precision.
    fn below(&self, to: Level) -> Level {
        let timestep = self.schedule.timestep(to).round() as f32;
        let below = self.schedule.level(((1.0 - self.gamma) as f32 * timestep).floor().max(0.0) as usize);
        let kept = to.in_coordinates(below.sigma / below.alpha);
        if self.gamma > 0.0 && kept.sigma < to.sigma { kept } else { to }
    }
}

impl Sampler for Tcd {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() {
            return x0;
        }
        let below = self.below(to);
        let moved = below.mix(x0.clone(), from.eps(x, x0));
        if self.gamma == 0.0 || self.last == Some(from) {
            return moved;
        }
        let ratio = to.alpha / below.alpha;
        let deviation = (to.sigma.powi(2) - (ratio * below.sigma).powi(2)).max(0.0).sqrt();
        let noise = self.noise.between(from, to, moved.dims(), &moved.device());
        scale(moved, ratio) + scale(noise, deviation)
    }
}
