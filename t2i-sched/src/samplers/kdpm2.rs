//! DPM2 and DPM2 a in single precision.

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Denoise, Level, Noise, Sampler, SharedNoise};

/// [`Dpm2`](super::Dpm2) and [`Dpm2Ancestral`](super::Dpm2Ancestral) with all sigmas in single precision, for
/// variance-exploding levels. It asks the model as often as they do.
///
/// In long steps that rounding shows: a level a thousandth of the one before is a difference of squares of which nothing
/// is right, and a step down from a sigma in the thousands is its middle's last digit.
///
/// A1111, ComfyUI: none. diffusers: `KDPM2DiscreteScheduler`, `KDPM2AncestralDiscreteScheduler`.
/// <https://arxiv.org/abs/2206.00364>, algorithm 2 with the middle of <https://arxiv.org/abs/2206.00927>, algorithm 1
#[derive(Debug, Clone, Default)]
pub struct Kdpm2 {
    noise: Option<SharedNoise>,
}

impl Kdpm2 {
    /// DPM2.
    pub fn new() -> Self {
        Self::default()
    }

    /// DPM2 a, drawing from `noise` once a step, but not in one to a clean latent.
    pub fn ancestral(noise: SharedNoise) -> Self {
        Self { noise: Some(noise) }
    }

    /// The sigma that the step goes down to, and that of the fresh noise.
    fn split(&self, from: f32, to: f32) -> (f32, f32) {
        if self.noise.is_none() {
            return (to, 0.0);
        }
        let up = (to * to * (from * from - to * to) / (from * from)).max(0.0).sqrt();
        ((to * to - up * up).max(0.0).sqrt(), up)
    }

    /// The geometric mean, by logarithms; 0 if the step ends there. The reference's classes go opposite ways.
    fn middle(&self, from: f32, to: f32) -> f32 {
        let (start, end) = if self.noise.is_some() { (from.ln(), to.ln()) } else { (to.ln(), from.ln()) };
        if to == 0.0 { 0.0 } else { (end - (end - start) * 0.5).exp() }
    }
}

impl Sampler for Kdpm2 {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let (from, to) = (from.to_ve(), to.to_ve());
        let (down, up) = self.split(from.sigma as f32, to.sigma as f32);
        let x0 = denoise(x.clone(), from);
        let middle = self.middle(from.sigma as f32, down);
        if middle == 0.0 || !from.sigma.is_finite() {
            return from.advance(x, x0, to);
        }
        // A hair off the next level, where the network may be told another timestep.
        let middle = Level::ve(f64::from(middle) * (1.0 - f64::EPSILON));
        let there = from.advance(x.clone(), x0, middle);
        let x0 = denoise(there.clone(), middle);
        let x = from.transfer(x, middle.eps(there, x0), Level::ve(f64::from(down)));
        match &mut self.noise {
            Some(noise) => {
                let fresh = noise.between(from, to, x.dims(), &x.device());
                x + scale(fresh, f64::from(up))
            }
            None => x,
        }
    }
}
