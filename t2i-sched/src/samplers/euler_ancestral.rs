//! Euler's method with fresh noise.

use burn::tensor::Tensor;

use super::Fresh;
use crate::{Denoise, Level, Sampler};

/// Euler's method to a level below the next one, and fresh noise up to it. It asks the model once a step.
///
/// A1111: "Euler a", ComfyUI: "euler_ancestral", diffusers: `EulerAncestralDiscreteScheduler`.
/// <https://github.com/crowsonkb/k-diffusion/blob/master/k_diffusion/sampling.py>, `sample_euler_ancestral`
#[derive(Debug, Clone)]
pub struct EulerAncestral {
    fresh: Fresh,
}

impl EulerAncestral {
    /// The sampler, drawing from `fresh` once a step (also in the last one, as diffusers does).
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: fresh.into() }
    }
}

impl Sampler for EulerAncestral {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let (below, deviation) = self.fresh.below(from, to);
        self.fresh.add(from.advance(x, x0, below), from, to, deviation)
    }
}
