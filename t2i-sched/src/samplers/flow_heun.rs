//! Heun's method for flow matching.

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Denoise, Level, Sampler};

/// Heun's method along the straight line between two levels: an Euler step, then the step again along the mean of the
/// directions at both ends. At flow levels the direction is the velocity, at variance-exploding ones it is the noise,
/// as [`Heun`](super::Heun)'s is at all levels. It asks the model twice a step, but once in a step to a clean latent,
/// which is Euler's.
///
/// A1111: none. ComfyUI: "heun" of flow models. diffusers: `FlowMatchHeunDiscreteScheduler`.
/// <https://arxiv.org/abs/2206.00364>, algorithm 1 with the velocity of <https://arxiv.org/abs/2210.02747> for `d`
#[derive(Debug, Clone, Copy, Default)]
pub struct FlowHeun;

impl Sampler for FlowHeun {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let (pole, h) = (pole(from, to), to.sigma - from.sigma);
        let x0 = denoise(x.clone(), from);
        let start = (x.clone() - scale(x0, pole)).div_scalar(from.sigma);
        let there = x.clone() + start.clone().mul_scalar(h);
        if to.is_clean() {
            return there;
        }
        let x0 = denoise(there.clone(), to);
        let end = (there - scale(x0, pole)).div_scalar(to.sigma);
        x + (start + end).mul_scalar(0.5 * h)
    }
}

/// The share of the image where the straight line through the levels meets `sigma = 0`, so that the line's direction is
/// `(x - pole * x0) / sigma` at both of them. It is 1 for flow and for variance-exploding levels.
fn pole(from: Level, to: Level) -> f64 {
    let slope = if from.sigma == to.sigma { 0.0 } else { (to.alpha - from.alpha) / (to.sigma - from.sigma) };
    let pole = from.alpha - slope * from.sigma;
    if (pole - 1.0).abs() < 1e-12 { 1.0 } else { pole }
}
