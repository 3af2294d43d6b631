//! SEEDS of two stages.

use burn::tensor::Tensor;

use super::seeds::{Stages, phi_1, phi_2};
use super::within::within;
use super::{DpmCorrection, Fresh};
use crate::level::scale;
use crate::{Denoise, Level, Sampler};

/// The stochastic exponential solver of two stages. Two calls of the model a step and two draws of noise; one and none
/// in a step to a clean latent, one and one in a step from pure noise. `eta` is the strength of the noise; with 0 it is the ODE's exponential solver
/// of second order and draws nothing.
///
/// A1111, diffusers: none. ComfyUI: "seeds_2"; "exp_heun_2_x0" and "exp_heun_2_x0_sde" ([`heun`](Self::heun)).
/// <https://arxiv.org/abs/2305.14267>, SEEDS-2, in the clean latent
#[derive(Debug, Clone)]
pub struct Seeds2 {
    fresh: Fresh,
    r: f64,
    weights: DpmCorrection,
}

impl Seeds2 {
    /// The solver whose first stage goes half the way.
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: fresh.into(), r: 0.5, weights: DpmCorrection::Midpoint }
    }

    /// The solver whose first stage goes all the way, with the exact integral of a straight line.
    pub fn heun(fresh: impl Into<Fresh>) -> Self {
        Self { r: 1.0, weights: DpmCorrection::Heun, ..Self::new(fresh) }
    }

    /// The share of the way to the first stage in lambda, in `(0, 1]`.
    pub fn r(self, r: f64) -> Self {
        Self { r: r.clamp(1e-3, 1.0), ..self }
    }

    /// How the second stage's answer is weighted: by half of the first order's weight (ComfyUI's "phi_1"), or exactly
    /// ("phi_2").
    pub fn weights(self, weights: DpmCorrection) -> Self {
        Self { weights, ..self }
    }
}

impl Sampler for Seeds2 {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() {
            return scale(x0, to.alpha);
        }
        let mut stages = Stages::new(x, from, &mut self.fresh);
        let whole = phi_1(stages.length(to));
        let Some(middle) = within(from, to, self.r) else {
            return stages.reach(to, scale(x0, whole));
        };
        let there = stages.reach(middle, scale(x0.clone(), phi_1(stages.length(middle))));
        let x0_there = denoise(there, middle);
        let second = match self.weights {
            DpmCorrection::Midpoint => 0.5 * whole / self.r,
            DpmCorrection::Heun => phi_2(stages.length(to)) / self.r,
        };
        stages.reach(to, scale(x0, whole - second) + scale(x0_there, second))
    }
}
