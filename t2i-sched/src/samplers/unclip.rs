//! DDPM as DALL-E 2's line of models has it.

use burn::tensor::Tensor;

use super::Ladder;
use crate::level::scale;
use crate::{Denoise, Level, Noise, Sampler, Schedule, SharedNoise};

/// DDPM's posterior mean and noise around it, with the scalars of the reference: they are f32 and made of the betas, so
/// that a step from the noisiest level forgets its latent, and the last step ends a little beside the model's answer
/// (5e-4 with the cosine's betas). It asks the model once a step.
///
/// A1111, ComfyUI: none. diffusers: `UnCLIPScheduler` (`fixed_small_log`). <https://arxiv.org/abs/2006.11239>, eq. 7 and
/// algorithm 2
#[derive(Debug, Clone)]
pub struct UnClip {
    noise: SharedNoise,
    betas: Vec<f32>,
    /// Every level of the schedule, and the clean one.
    ladder: Ladder,
}

/// What a step takes of the clean latent, the latent and fresh noise.
#[derive(Debug, Clone, Copy)]
struct Shares {
    x0: f32,
    x: f32,
    noise: f32,
}

impl UnClip {
    /// The sampler of a model with these betas, which draws from `noise` in each step but the one from the cleanest
    /// level of the schedule.
    ///
    /// # Panics
    /// If `betas` is empty.
    pub fn new(noise: SharedNoise, betas: Vec<f32>) -> Self {
        let schedule = Schedule::from_betas(&betas);
        let steps = schedule.len();
        Self { noise, betas, ladder: Ladder::new(schedule, steps, Level::CLEAN) }
    }

    fn shares(&self, from: Level, to: Level) -> Shares {
        let image = |level: Level| (level.alpha / level.norm()).powi(2) as f32;
        let (at, next) = (image(from), image(to));
        let neighbours = self.ladder.below(from) == Some(to);
        let beta = match self.ladder.timestep(from) {
            Some(t) if neighbours => self.betas[t as usize],
            _ if at == next => 0.0,
            _ => 1.0 - at / next,
        };
        let noise = (1.0 - next) / (1.0 - at) * beta;
        Shares {
            x0: next.sqrt() * beta / (1.0 - at),
            x: (1.0 - beta).max(0.0).sqrt() * (1.0 - next) / (1.0 - at),
            noise: noise.max(1e-20).sqrt(),
        }
    }
}

impl Sampler for UnClip {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if from.is_clean() || (to.alpha == 0.0 && from.alpha > 0.0) {
            return from.transfer(x, x0.zeros_like(), to);
        }
        let shares = self.shares(from, to);
        let mean = scale(x0, f64::from(shares.x0)) + scale(x, f64::from(shares.x) / from.norm());
        if self.ladder.timestep(from) == Some(0) || to.is_clean() {
            return scale(mean, to.norm());
        }
        let noise = self.noise.between(from, to, mean.dims(), &mean.device());
        scale(mean + scale(noise, f64::from(shares.noise)), to.norm())
    }
}
