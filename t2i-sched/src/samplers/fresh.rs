//! How stochastic samplers draw.

use burn::tensor::Tensor;

use crate::{Level, Noise, SharedNoise};

/// A source of noise and how much of it a sampler takes.
#[derive(Debug, Clone)]
pub(super) struct Fresh {
    pub(super) noise: SharedNoise,
    /// The share of a step's noise that is drawn anew: 0 is the ODE.
    pub(super) eta: f64,
    /// The standard deviation of the noise.
    pub(super) s_noise: f64,
}

impl Fresh {
    pub(super) fn new(noise: SharedNoise) -> Self {
        Self { noise, eta: 1.0, s_noise: 1.0 }
    }

    /// Negative shares are 0.
    pub(super) fn eta(self, eta: f64) -> Self {
        Self { eta: eta.max(0.0), ..self }
    }

    pub(super) fn s_noise(self, s_noise: f64) -> Self {
        Self { s_noise, ..self }
    }

    /// Draws the noise of a step and adds it to `x` with this deviation. Without any share nothing is drawn.
    pub(super) fn add(&mut self, x: Tensor<4>, from: Level, to: Level, deviation: f64) -> Tensor<4> {
        if self.eta == 0.0 || self.s_noise == 0.0 {
            return x;
        }
        let noise = self.noise.between(from, to, x.dims(), &x.device());
        if deviation == 0.0 { x } else { x + noise.mul_scalar(deviation * self.s_noise) }
    }
}
