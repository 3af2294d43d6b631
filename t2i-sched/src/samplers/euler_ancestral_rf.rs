//! Euler's method with fresh noise, for flow matching.

use burn::tensor::Tensor;

use super::Fresh;
use crate::level::scale;
use crate::{Denoise, Level, Sampler};

/// Euler's method to a level below the next one on the straight line, and as much fresh noise as makes it the next one
/// once the image is scaled down to it: [`EulerAncestral`](super::EulerAncestral) for flow levels. It asks the model
/// once a step.
///
/// A1111: none. ComfyUI: "euler_ancestral" of flow models. diffusers: `LTXEulerAncestralRFScheduler`.
/// <https://github.com/huggingface/diffusers/blob/main/src/diffusers/schedulers/scheduling_ltx_euler_ancestral_rf.py>
#[derive(Debug, Clone)]
pub struct EulerAncestralRf {
    fresh: Fresh,
}

impl EulerAncestralRf {
    /// The sampler, drawing from `fresh` in each step but the one to a clean latent, if there is any noise to take.
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: fresh.into() }
    }

    /// The level that the latent's own noise goes down to: with `eta` = 1, `to.sigma^2 / from.sigma`.
    fn below(&self, from: Level, to: Level) -> Level {
        let sigma = to.sigma * (1.0 + (to.sigma / from.sigma - 1.0) * self.fresh.eta);
        let way = to.sigma - from.sigma;
        let share = if way == 0.0 { 1.0 } else { (sigma - from.sigma) / way };
        Level { alpha: from.alpha + share * (to.alpha - from.alpha), sigma }
    }
}

impl Sampler for EulerAncestralRf {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() {
            return scale(x0, to.alpha);
        }
        let below = self.below(from, to);
        let x = from.advance(x, x0, below);
        if self.fresh.is_none() {
            return x; // without noise, but with an eta, the reference stays below, and so does this
        }
        let ratio = to.alpha / (below.alpha + 1e-12); // of pure noise twice, the second is all fresh
        let deviation = (to.sigma.powi(2) - (ratio * below.sigma).powi(2)).max(0.0).sqrt();
        self.fresh.add(scale(x, ratio), from, to, deviation)
    }
}
