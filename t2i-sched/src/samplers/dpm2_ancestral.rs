//! The midpoint rule in `lambda`, with fresh noise.

use burn::tensor::Tensor;

use super::{Dpm2, Fresh};
use crate::{Denoise, Level, Sampler};

/// [`Dpm2`] to a level below the next one, and fresh noise up to it. It asks the model twice a step, but once in a step
/// to a clean latent.
///
/// A1111: "DPM2 a", ComfyUI: "dpm_2_ancestral", diffusers: `KDPM2AncestralDiscreteScheduler`.
/// <https://github.com/crowsonkb/k-diffusion/blob/master/k_diffusion/sampling.py>, `sample_dpm_2_ancestral`
#[derive(Debug, Clone)]
pub struct Dpm2Ancestral {
    fresh: Fresh,
}

impl Dpm2Ancestral {
    /// The sampler, drawing from `fresh` once a step, but not in one to a clean latent.
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: fresh.into() }
    }
}

impl Sampler for Dpm2Ancestral {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let (below, deviation) = self.fresh.below(from, to);
        let x = Dpm2.step(x, from, below, denoise);
        if self.fresh.takes_noise(from, below, to) { self.fresh.add(x, from, to, deviation) } else { x }
    }
}
