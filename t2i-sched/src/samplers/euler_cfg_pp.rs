//! Euler's method with CFG++.

use burn::tensor::Tensor;

use super::Fresh;
use crate::{Denoise, Level, Sampler, Unconditional};

/// Euler's method to the guided `x0` along the unconditional noise, so that guidance does not leave the data: scales of
/// guidance are those of interpolation, 0 to 1. One call of the model a step; unguided it is [`Euler`](super::Euler).
///
/// A1111, diffusers: none. ComfyUI: "euler_cfg_pp".
/// <https://arxiv.org/abs/2406.08070>, algorithm 2
#[derive(Debug, Clone)]
pub struct EulerCfgPp {
    unconditional: Unconditional,
}

impl EulerCfgPp {
    /// The sampler that finds the unconditional answers in this slot.
    pub fn new(unconditional: Unconditional) -> Self {
        Self { unconditional }
    }
}

impl Sampler for EulerCfgPp {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let uncond = Unconditional::of(Some(&self.unconditional), &x0);
        to.mix(x0, from.eps(x, uncond))
    }
}

/// [`EulerCfgPp`] to a level below the next one, and fresh noise up to it. One call of the model a step, one draw of
/// noise in each but one to a clean latent.
///
/// A1111, diffusers: none. ComfyUI: "euler_ancestral_cfg_pp". <https://arxiv.org/abs/2406.08070>, algorithm 2, with the
/// noise of <https://arxiv.org/abs/2010.02502>, eq. 16
#[derive(Debug, Clone)]
pub struct EulerAncestralCfgPp {
    fresh: Fresh,
    unconditional: Unconditional,
}

impl EulerAncestralCfgPp {
    /// The sampler that finds the unconditional answers in this slot.
    pub fn new(fresh: impl Into<Fresh>, unconditional: Unconditional) -> Self {
        Self { fresh: fresh.into(), unconditional }
    }
}

impl Sampler for EulerAncestralCfgPp {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let uncond = Unconditional::of(Some(&self.unconditional), &x0);
        let (below, deviation) = self.fresh.below(from, to);
        let moved = below.mix(x0, from.eps(x, uncond));
        if to.is_clean() { moved } else { self.fresh.add_if_any(moved, from, to, deviation) }
    }
}
