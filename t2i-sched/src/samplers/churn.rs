//! Noise before a step: the stochastic sampler of Karras et al.

use burn::tensor::Tensor;

use super::place::Arithmetic;
use super::single;
use crate::level::scale;
use crate::{Denoise, Level, Memory, Noise, Sampler, SharedNoise};

/// How much noise is added before each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Churn {
    /// The noise of the whole run (`s_churn`): each step raises `sigma / alpha` by the share `amount / steps`, at most
    /// by `sqrt(2) - 1`.
    pub amount: f64,
    /// The lowest `sigma / alpha` that is raised (`s_tmin`).
    pub min: f64,
    /// The highest `sigma / alpha` that is raised (`s_tmax`).
    pub max: f64,
    /// The deviation of the noise (`s_noise`), 1 by rights.
    pub noise_scale: f64,
    /// The steps of the whole run.
    pub steps: usize,
}

impl Churn {
    /// Churn at all levels of a run of so many steps.
    pub fn new(amount: f64, steps: usize) -> Self {
        Self { amount, min: 0.0, max: f64::INFINITY, noise_scale: 1.0, steps }
    }

    /// The share to raise `from` by.
    fn gamma(&self, from: Level) -> f64 {
        let sigma = from.to_ve().sigma;
        match sigma.is_finite() && (self.min..=self.max).contains(&sigma) {
            true => (self.amount / self.steps.max(1) as f64).min(std::f64::consts::SQRT_2 - 1.0),
            false => 0.0,
        }
    }
}

/// A sampler whose every step starts from a little more noise than the last one left: [`Euler`](super::Euler),
/// [`Heun`](super::Heun) and [`Dpm2`](super::Dpm2) with `s_churn`. It asks the model as often as they do.
///
/// A1111: "sigma churn" of those, ComfyUI: none, diffusers: `s_churn` of `EulerDiscreteScheduler.step`.
/// <https://arxiv.org/abs/2206.00364>, algorithm 2, lines 4 to 6
#[derive(Debug, Clone)]
pub struct Churned<S> {
    sampler: S,
    churn: Churn,
    noise: SharedNoise,
    arithmetic: Arithmetic,
}

impl<S> Churned<S> {
    /// Raises the level before each step of `sampler`. Draws from `noise` in every step, raised or not, as k-diffusion
    /// does; but not if there is no churn at all.
    pub fn new(sampler: S, churn: Churn, noise: SharedNoise) -> Self {
        Self { sampler, churn, noise, arithmetic: Arithmetic::Double }
    }

    /// Rounds at variance-exploding levels as k-diffusion does, whose levels are f32. One step to a clean latent is
    /// `x - (x - x0)`, and shows the last bit of `x`.
    pub fn in_f32(self) -> Self {
        Self { arithmetic: Arithmetic::Single, ..self }
    }

    /// The level to raise `from` to, and the deviation of the noise that leads there.
    fn raised(&self, from: Level) -> (Level, f64) {
        match self.churn.gamma(from) {
            gamma if gamma <= 0.0 => (from, 0.0),
            gamma if self.arithmetic.is_single(from, from) => single::raised(from, gamma),
            gamma => raised(from, gamma),
        }
    }
}

impl<S: Sampler> Sampler for Churned<S> {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        if self.churn.amount <= 0.0 {
            return self.sampler.step(x, from, to, denoise);
        }
        let (raised, added) = self.raised(from);
        let noise = self.noise.between(from, raised, x.dims(), &x.device());
        if raised == from {
            return self.sampler.step(x, from, to, denoise);
        }
        let noise = scale(scale(noise, self.churn.noise_scale), added);
        self.sampler.step(scale(x, raised.alpha / from.alpha) + noise, raised, to, denoise)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.sampler.remember(memory);
    }
}

/// The level that is higher than `from` by this share, and the deviation of the noise that leads there.
fn raised(from: Level, gamma: f64) -> (Level, f64) {
    let sigma = from.to_ve().sigma;
    let raised = from.in_coordinates(sigma * (gamma + 1.0));
    (raised, raised.alpha * (raised.to_ve().sigma.powi(2) - sigma.powi(2)).sqrt())
}
