//! DPM-Solver and DPM-Solver++, multistep.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::exponential::{Caps, Integral, Variable};
use crate::level::scale;
use crate::{Denoise, Level, Memory, Noise, Sampler, SharedNoise};

/// Which equation is solved.
#[derive(Debug, Clone)]
pub enum DpmAlgorithm {
    /// The ODE in the noise (`dpmsolver`). <https://arxiv.org/abs/2206.00927>
    Noise,
    /// The ODE in the clean latent (`dpmsolver++`). <https://arxiv.org/abs/2211.01095>
    Data,
    /// The SDE in the noise, drawing once a step (`sde-dpmsolver`).
    NoiseSde(SharedNoise),
    /// The SDE in the clean latent, drawing once a step (`sde-dpmsolver++`). <https://arxiv.org/abs/2211.01095>, app. D
    DataSde(SharedNoise),
}

/// How the second order corrects the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DpmCorrection {
    /// Half of the first order's weight (`solver_type = midpoint`).
    Midpoint,
    /// The exact integral of a straight line (`solver_type = heun`).
    Heun,
}

/// The multistep exponential integrator of order 1 to 3: one call of the model a step.
///
/// A step to a clean latent is of first order, which is exact there.
///
/// A1111: "DPM++ 2M" ([`plus_plus`](Self::plus_plus)), "DPM++ 2M SDE" ([`sde`](Self::sde)), "DPM++ 3M SDE".
/// diffusers: `DPMSolverMultistepScheduler`. <https://arxiv.org/abs/2211.01095>, algorithm 2
#[derive(Debug, Clone)]
pub struct DpmSolver {
    algorithm: DpmAlgorithm,
    correction: DpmCorrection,
    order: usize,
    caps: Caps,
    /// The variable at the levels done, latest first.
    history: VecDeque<(Level, Tensor<4>)>,
}

impl DpmSolver {
    /// DPM++ 2M.
    pub fn plus_plus() -> Self {
        Self::new(DpmAlgorithm::Data, DpmCorrection::Midpoint, 2)
    }

    /// DPM++ 2M SDE.
    pub fn sde(noise: SharedNoise) -> Self {
        Self::new(DpmAlgorithm::DataSde(noise), DpmCorrection::Midpoint, 2)
    }

    /// Any of the family; orders above 3 are 3.
    pub fn new(algorithm: DpmAlgorithm, correction: DpmCorrection, order: usize) -> Self {
        Self { algorithm, correction, order: order.clamp(1, 3), caps: Caps::default(), history: VecDeque::new() }
    }

    /// Limits the order of the steps from these levels.
    pub fn capped(self, caps: Vec<(Level, usize)>) -> Self {
        Self { caps: Caps(caps), ..self }
    }

    fn variable(&self) -> Variable {
        match self.algorithm {
            DpmAlgorithm::Data | DpmAlgorithm::DataSde(_) => Variable::Data,
            DpmAlgorithm::Noise | DpmAlgorithm::NoiseSde(_) => Variable::Noise,
        }
    }

    /// The coefficients of the exact solution for a constant variable, and the deviation of fresh noise.
    fn integral(&self, from: Level, to: Level) -> (Integral, f64) {
        let ode = self.variable().integral(from, to);
        let h = from.h(to);
        match self.algorithm {
            DpmAlgorithm::Data | DpmAlgorithm::Noise => (ode, 0.0),
            DpmAlgorithm::DataSde(_) => {
                let sde = Integral {
                    keep: ode.keep * (-h).exp(),
                    u: -2.0 * h,
                    whole: -to.alpha * (-2.0 * h).exp_m1(),
                    ..ode
                };
                (sde, to.sigma * (-(-2.0 * h).exp_m1()).sqrt())
            }
            DpmAlgorithm::NoiseSde(_) => {
                let sde = Integral { gain: 2.0 * ode.gain, whole: 2.0 * ode.whole, ..ode };
                let stretched = to.alpha / from.alpha * from.sigma; // to.sigma * exp(h), where that is finite too
                (sde, (stretched.powi(2) - to.sigma.powi(2)).max(0.0).sqrt())
            }
        }
    }

    /// The order of a step: what is asked for, as far as history, caps and a finite `h` allow.
    fn order_of(&self, from: Level, to: Level) -> usize {
        let h = from.h(to);
        let regular = if h.is_finite() && h != 0.0 { 3 } else { 1 };
        self.order.min(self.history.len()).min(self.caps.at(from)).min(regular)
    }

    /// The variable's integral over the step: `gain * (phi_1 * m + phi_2 * m' + phi_3 * m'')`.
    fn weighted(&self, from: Level, to: Level, step: Integral) -> Tensor<4> {
        let Integral { gain, u, whole, .. } = step;
        let m = |i: usize| self.history[i].1.clone();
        let lambda = |i: usize| self.history[i].0.lambda();
        let h = from.h(to);
        let phi_1 = u.exp_m1();
        let phi_2 = phi_1 / u - 1.0;
        let order = self.order_of(from, to);
        if order == 1 {
            return scale(m(0), whole);
        }
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
        scale(m(0), whole) + scale(first, gain * phi_2) + scale(second, gain * self.phi_3(u))
    }

    /// `(expm1(u) - u) / u^2 - 1/2`, but with the sign of the half turned for the SDE in the clean latent: the
    /// reference's third order has it so.
    fn phi_3(&self, u: f64) -> f64 {
        let half = if let DpmAlgorithm::DataSde(_) = self.algorithm { -0.5 } else { 0.5 };
        (u.exp_m1() - u) / (u * u) - half
    }
}

impl Sampler for DpmSolver {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        self.history.push_front((from, self.variable().of(x.clone(), x0, from)));
        self.history.truncate(3);
        let (step, deviation) = self.integral(from, to);
        let moved = scale(x, step.keep) + self.weighted(from, to, step);
        match &mut self.algorithm {
            DpmAlgorithm::DataSde(noise) | DpmAlgorithm::NoiseSde(noise) => {
                let noise = noise.between(from, to, moved.dims(), &moved.device());
                moved + scale(noise, deviation)
            }
            DpmAlgorithm::Data | DpmAlgorithm::Noise => moved,
        }
    }
    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("history", &mut self.history);
    }
}
