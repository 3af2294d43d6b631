//! SEEDS of three stages.

use burn::tensor::Tensor;

use super::Fresh;
use super::seeds::{Stages, phi_1, phi_2};
use super::within::within;
use crate::level::scale;
use crate::{Denoise, Level, Sampler};

/// The stochastic exponential solver of three stages. Three calls of the model a step and three draws of noise; one and
/// none in a step to a clean latent, one and one in a step from pure noise. `eta` is the strength of the noise; with 0 it is DPM-Solver++(3S), of
/// third order, and draws nothing.
///
/// A1111, diffusers: none. ComfyUI: "seeds_3". <https://arxiv.org/abs/2305.14267>, SEEDS-3, in the clean latent
#[derive(Debug, Clone)]
pub struct Seeds3 {
    fresh: Fresh,
    r_1: f64,
    r_2: f64,
}

impl Seeds3 {
    /// The solver whose stages go a third and two thirds of the way.
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: fresh.into(), r_1: 1.0 / 3.0, r_2: 2.0 / 3.0 }
    }

    /// The shares of the way to the stages in lambda, `0 < r_1 <= r_2 <= 1`.
    pub fn r(self, r_1: f64, r_2: f64) -> Self {
        let r_1 = r_1.clamp(1e-3, 1.0);
        Self { r_1, r_2: r_2.max(r_1).min(1.0), ..self }
    }
}

impl Sampler for Seeds3 {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() {
            return scale(x0, to.alpha);
        }
        let mut stages = Stages::new(x, from, &mut self.fresh);
        let whole = phi_1(stages.length(to));
        let (Some(one), Some(two)) = (within(from, to, self.r_1), within(from, to, self.r_2)) else {
            return stages.reach(to, scale(x0, whole));
        };
        let there = stages.reach(one, scale(x0.clone(), phi_1(stages.length(one))));
        let x0_one = denoise(there, one);
        let second = self.r_2 / self.r_1 * phi_2(stages.length(two));
        let first = phi_1(stages.length(two)) - second;
        let there = stages.reach(two, scale(x0.clone(), first) + scale(x0_one, second));
        let x0_two = denoise(there, two);
        let third = phi_2(stages.length(to)) / self.r_2;
        stages.reach(to, scale(x0, whole - third) + scale(x0_two, third))
    }
}
