//! DPM-Solver++(2S) with fresh noise and CFG++.

use burn::tensor::Tensor;

use super::ancestral::split;
use super::fresh::Fresh;
use super::within::within;
use crate::level::scale;
use crate::{Denoise, Level, Sampler, SharedNoise, Unconditional};

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
    /// The sampler that finds the unconditional answers in this slot and renews all the noise it can.
    pub fn new(noise: SharedNoise, unconditional: Unconditional) -> Self {
        Self { fresh: Fresh::new(noise), unconditional }
    }

    /// The share of the noise that is renewed, in `[0, 1]`.
    pub fn eta(self, eta: f64) -> Self {
        Self { fresh: self.fresh.eta(eta), ..self }
    }

    /// The standard deviation of the noise, 1 unless said otherwise.
    pub fn s_noise(self, s_noise: f64) -> Self {
        Self { fresh: self.fresh.s_noise(s_noise), ..self }
    }
}

impl Sampler for DpmPlusPlus2sAncestralCfgPp {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() {
            return scale(x0, to.alpha);
        }
        let uncond = Unconditional::of(Some(&self.unconditional), &x0);
        let (kept, fresh) = split(from, to, self.fresh.eta);
        let below = Level { sigma: kept, ..to };
        let there = match within(from, below, 0.5) {
            Some(middle) => {
                let there = middle.mix(uncond.clone(), from.eps(x.clone(), uncond.clone()));
                let x0_there = denoise(there, middle);
                Unconditional::of(Some(&self.unconditional), &x0_there)
            }
            None => uncond.clone(),
        };
        let moved = below.mix(there.clone(), from.eps(x, there)) + scale(x0 - uncond, to.alpha);
        self.fresh.add(moved, from, to, fresh)
    }
}
