//! DPM-Solver and DPM-Solver++, multistep.

mod algorithm;
mod singlestep;

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::Fresh;
use super::exponential::{Caps, Integral};
use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler};

use algorithm::Scalars;
pub use algorithm::{DpmAlgorithm, DpmCorrection};
pub use singlestep::DpmSinglestep;

/// The multistep exponential integrator of order 1 to 3. It asks the model once a step.
///
/// A step to a clean latent is of first order, which is exact there.
///
/// A1111: "DPM++ 2M" ([`plus_plus`](Self::plus_plus)), "DPM++ 2M SDE" ([`sde`](Self::sde)), "DPM++ 3M SDE"
/// ([`sde_3m`](Self::sde_3m)). ComfyUI: "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde". diffusers:
/// `DPMSolverMultistepScheduler`. <https://arxiv.org/abs/2211.01095>, algorithm 2
#[derive(Debug, Clone)]
pub struct DpmSolver {
    algorithm: DpmAlgorithm,
    correction: DpmCorrection,
    scalars: Scalars,
    order: usize,
    caps: Caps,
    /// What the third order takes from `phi_2(u) / u`.
    half: f64,
    /// The variable at the levels done, latest first.
    history: VecDeque<(Level, Tensor<4>)>,
}

impl DpmSolver {
    /// DPM++ 2M.
    pub fn plus_plus() -> Self {
        Self::new(DpmAlgorithm::Data, DpmCorrection::Midpoint, 2)
    }

    /// DPM++ 2M SDE.
    pub fn sde(fresh: impl Into<Fresh>) -> Self {
        Self::new(DpmAlgorithm::DataSde(fresh.into()), DpmCorrection::Midpoint, 2)
    }

    /// DPM++ 3M SDE as k-diffusion has it.
    pub fn sde_3m(fresh: impl Into<Fresh>) -> Self {
        Self { half: 0.5, ..Self::new(DpmAlgorithm::DataSde(fresh.into()), DpmCorrection::Heun, 3) }
    }

    /// Any of the family; orders above 3 are 3. The third order of the SDE in the clean latent is diffusers', which
    /// has a sign turned: [`sde_3m`](Self::sde_3m) has it right.
    pub fn new(algorithm: DpmAlgorithm, correction: DpmCorrection, order: usize) -> Self {
        let half = if let DpmAlgorithm::DataSde(_) = algorithm { -0.5 } else { 0.5 };
        let order = order.clamp(1, 3);
        let (scalars, caps, history) = (Scalars::Double, Caps::default(), VecDeque::new());
        Self { algorithm, correction, scalars, order, caps, half, history }
    }

    /// The ODE with the reference's f32 scalars, whose rounding grows in long steps up to more noise.
    pub fn in_single_precision(self) -> Self {
        Self { scalars: Scalars::Single, ..self }
    }

    /// Limits the order of the steps from these levels.
    pub fn capped(self, caps: Vec<(Level, usize)>) -> Self {
        Self { caps: Caps(caps), ..self }
    }

    /// The variable's integral over the step: `gain * (phi_1 * m + phi_2 * m' + phi_3 * m'')`.
    fn weighted(&self, from: Level, to: Level, step: Integral) -> Tensor<4> {
        let Integral { gain, u, whole, .. } = step;
        let m = |i: usize| self.history[i].1.clone();
        let lambda = |i: usize| self.history[i].0.lambda();
        let order = self.order.min(self.history.len()).min(self.caps.order(from, to));
        if order == 1 {
            return scale(m(0), whole);
        }
        let h = from.h(to);
        let (phi_1, phi_2) = (u.exp_m1(), u.exp_m1() / u - 1.0);
        let r0 = (lambda(0) - lambda(1)) / h;
        let slope = scale(m(0) - m(1), 1.0 / r0);
        if order == 2 {
            let weight = match self.correction {
                DpmCorrection::Midpoint => 0.5 * phi_1,
                DpmCorrection::Heun => phi_2,
            };
            return scale(m(0), whole) + scale(slope, gain * weight);
        }
        let r1 = (lambda(1) - lambda(2)) / h;
        let bend = slope.clone() - scale(m(1) - m(2), 1.0 / r1);
        let first = slope + scale(bend.clone(), r0 / (r0 + r1));
        let second = scale(bend, 1.0 / (r0 + r1));
        let phi_3 = (phi_1 - u) / (u * u) - self.half;
        scale(m(0), whole) + scale(first, gain * phi_2) + scale(second, gain * phi_3)
    }
}

impl Sampler for DpmSolver {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if self.history.front().is_some_and(|(level, _)| *level == from) {
            self.history.pop_front(); // a level that comes twice in a row counts once
        }
        self.history.push_front((from, self.algorithm.variable().of(x.clone(), x0, from)));
        self.history.truncate(3);
        let (step, deviation) = self.algorithm.integral_in(self.scalars, from, to);
        let moved = scale(x, step.keep) + self.weighted(from, to, step);
        self.algorithm.add_noise(moved, from, to, deviation)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("history", &mut self.history);
    }
}
