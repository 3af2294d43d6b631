//! The midpoint rule in `lambda`.

use burn::tensor::Tensor;

use crate::{Denoise, Level, Sampler};

/// The midpoint rule: an Euler step half way in `lambda`, then the whole step along the direction found there. It asks
/// the model twice a step, but once in a step to a clean latent (or from pure noise at `alpha = 0`), which is Euler's.
///
/// A1111: "DPM2", ComfyUI: "dpm_2", diffusers: `KDPM2DiscreteScheduler`. <https://arxiv.org/abs/2206.00364>, algorithm 2
/// with the middle of <https://arxiv.org/abs/2206.00927>, algorithm 1
#[derive(Debug, Clone, Copy, Default)]
pub struct Dpm2;

impl Sampler for Dpm2 {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() || from.alpha == 0.0 {
            return from.advance(x, x0, to);
        }
        let middle = from.toward(to, 0.5);
        let there = from.advance(x.clone(), x0, middle);
        let x0 = denoise(there.clone(), middle);
        from.transfer(x, middle.eps(there, x0), to)
    }
}
