//! Euler's method.

use burn::tensor::Tensor;

use crate::{Denoise, Level, Sampler};

/// Euler's method on the probability-flow ODE: keep the direction `eps`, change the level. At variance-exploding
/// levels it is k-diffusion's Euler, at variance-preserving ones DDIM, at flow levels flow matching's Euler.
///
/// A1111: "Euler". diffusers: `EulerDiscreteScheduler`. <https://arxiv.org/abs/2206.00364>, algorithm 1 without its
/// lines 6 to 8.
#[derive(Debug, Clone, Copy, Default)]
pub struct Euler;

impl Sampler for Euler {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        from.advance(x, x0, to)
    }
}
