//! DPM-Solver++(2S) with fresh noise and CFG++.

use burn::tensor::Tensor;

use super::Fresh;
use super::within::within;
use crate::level::scale;
use crate::{Denoise, Level, Sampler, Unconditional};

/// The singlestep solver of second order through unconditional answers to a level below the next one, then fresh noise
/// and the first answer's guidance. Two calls of the model a step, one in a step to a clean latent or from pure noise;
/// one draw of noise in each but one to a clean latent.
///
/// A1111, diffusers: none. ComfyUI: "dpmpp_2s_ancestral_cfg_pp", whose rule for flow levels differs.
/// <https://arxiv.org/abs/2211.01095>, algorithm 1 with `r = 1/2`; <https://arxiv.org/abs/2406.08070>
#[derive(Debug, Clone)]
pub struct DpmPlusPlus2sAncestralCfgPp {
    fresh: Fresh,
    unconditional: Unconditional,
}

impl DpmPlusPlus2sAncestralCfgPp {
    /// The sampler that finds the unconditional answers in this slot.
    pub fn new(fresh: impl Into<Fresh>, unconditional: Unconditional) -> Self {
        Self { fresh: fresh.into(), unconditional }
    }
}

impl Sampler for DpmPlusPlus2sAncestralCfgPp {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() {
            return scale(x0, to.alpha);
        }
        let uncond = Unconditional::of(Some(&self.unconditional), &x0);
        let (below, deviation) = self.fresh.below(from, to);
        let there = match within(from, below, 0.5) {
            Some(middle) => {
                let there = middle.mix(uncond.clone(), from.eps(x.clone(), uncond.clone()));
                let x0_there = denoise(there, middle);
                Unconditional::of(Some(&self.unconditional), &x0_there)
            }
            None => uncond.clone(),
        };
        let moved = below.mix(there.clone(), from.eps(x, there)) + scale(x0 - uncond, to.alpha);
        self.fresh.add_if_any(moved, from, to, deviation)
    }
}
