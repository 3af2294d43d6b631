//! Heun's method.

use burn::tensor::Tensor;

use crate::{Denoise, Level, Sampler};

/// Heun's method: an Euler step, then the step again along the mean of the directions at both ends. It asks the model
/// twice a step, but once in a step to a clean latent (or from pure noise at `alpha = 0`), which is Euler's.
///
/// A1111: "Heun". diffusers: `HeunDiscreteScheduler`. <https://arxiv.org/abs/2206.00364>, algorithm 1
#[derive(Debug, Clone, Copy, Default)]
pub struct Heun;

impl Sampler for Heun {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let eps = from.eps(x.clone(), x0.clone());
        let there = from.advance(x.clone(), x0, to);
        if to.is_clean() || from.alpha == 0.0 {
            return there;
        }
        let x0_there = denoise(there.clone(), to);
        let eps_there = to.eps(there, x0_there);
        from.transfer(x, (eps + eps_there).mul_scalar(0.5), to)
    }
}
