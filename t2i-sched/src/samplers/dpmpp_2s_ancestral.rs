//! DPM-Solver++(2S) with fresh noise.

use burn::tensor::Tensor;

use super::Fresh;
use super::exponential::Variable;
use crate::{Denoise, Level, Sampler};

/// The single-step exponential integrator of second order to a level below the next one, and fresh noise up to it. It
/// asks the model twice a step, but once in a step to a clean latent.
///
/// A1111: "DPM++ 2S a", ComfyUI: "dpmpp_2s_ancestral", diffusers: none. <https://arxiv.org/abs/2211.01095>, algorithm 1
#[derive(Debug, Clone)]
pub struct Dpmpp2sAncestral {
    fresh: Fresh,
}

impl Dpmpp2sAncestral {
    /// The sampler, drawing from `fresh` once a step, but not in one to a clean latent.
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: fresh.into() }
    }
}

impl Sampler for Dpmpp2sAncestral {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let (below, deviation) = self.fresh.below(from, to);
        let x = second_order(x, from, below, denoise);
        if to.is_clean() { x } else { self.fresh.add(x, from, to, deviation) }
    }
}

/// The whole step with the model's answer half way in `lambda`.
fn second_order(x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
    let x0 = denoise(x.clone(), from);
    if to.is_clean() || from.alpha == 0.0 {
        return from.advance(x, x0, to);
    }
    let middle = from.toward(to, 0.5);
    let there = Variable::Data.integral(from, middle).exact(x.clone(), x0);
    let x0 = denoise(there, middle);
    Variable::Data.integral(from, to).exact(x, x0)
}
