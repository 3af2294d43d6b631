//! DPM-Solver++ 2M with CFG++.

use burn::tensor::Tensor;

use super::history::History;
use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler, Unconditional};

/// DPM++ 2M to the guided `x0` along the unconditional noise, corrected by the difference between the guided answer and
/// the unconditional one before. One call of the model a step; unguided it is DPM++ 2M.
///
/// A1111, diffusers: none. ComfyUI: "dpmpp_2m_cfg_pp". <https://arxiv.org/abs/2406.08070>, its form of DPM-Solver++ 2M
#[derive(Debug, Clone)]
pub struct DpmPlusPlus2mCfgPp {
    unconditional: Unconditional,
    history: History,
}

impl DpmPlusPlus2mCfgPp {
    /// The sampler that finds the unconditional answers in this slot.
    pub fn new(unconditional: Unconditional) -> Self {
        Self { unconditional, history: History::default() }
    }
}

impl Sampler for DpmPlusPlus2mCfgPp {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let uncond = Unconditional::of(Some(&self.unconditional), &x0);
        let moved = to.mix(x0.clone(), from.eps(x, uncond.clone()));
        let before = self.history.before(from);
        self.history.push(from, uncond, 1);
        let h = from.h(to);
        match before {
            Some((level, before)) if h.is_finite() => {
                let r = level.h(from) / h;
                moved + scale(x0 - before, -to.alpha * (-h).exp_m1() / (2.0 * r))
            }
            _ => moved,
        }
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.history.remember(memory);
    }
}
