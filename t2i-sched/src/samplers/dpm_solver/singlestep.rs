//! DPM-Solver and DPM-Solver++, single-step.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::{DpmAlgorithm, DpmCorrection};
use crate::level::scale;
use crate::samplers::exponential::{Caps, Integral};
use crate::{Denoise, Level, Memory, Sampler};

/// The single-step exponential integrator of order 1 to 3 with its stages at levels of the run: a step of order 2 or 3
/// goes once more from where the last one of order 1 began, by way of all levels since. It asks the model once a step.
///
/// A1111, ComfyUI: none (their "DPM++ 2S a" has stages between the levels). diffusers: `DPMSolverSinglestepScheduler`.
/// <https://arxiv.org/abs/2206.00927>, algorithms 1, 2 and app. D; <https://arxiv.org/abs/2211.01095>, algorithm 1
#[derive(Debug, Clone)]
pub struct DpmSinglestep {
    algorithm: DpmAlgorithm,
    correction: DpmCorrection,
    orders: Caps,
    /// What the third order takes from `phi_2(u) / u`.
    half: f64,
    /// The variable at the levels since the beginning of the last step of order 1, latest first.
    stages: VecDeque<(Level, Tensor<4>)>,
    /// The latent at that beginning.
    start: Option<Tensor<4>>,
}

impl DpmSinglestep {
    /// The integrator whose steps from these levels are of these orders, as far as their stages are there, and of the
    /// first order from any other. The third order of the SDE is diffusers', which has a sign turned.
    pub fn new(algorithm: DpmAlgorithm, correction: DpmCorrection, orders: Vec<(Level, usize)>) -> Self {
        let half = if let DpmAlgorithm::DataSde(_) = algorithm { -0.5 } else { 0.5 };
        Self { algorithm, correction, orders: Caps(orders), half, stages: VecDeque::new(), start: None }
    }

    /// The order of a step, from 1 to 3.
    fn order_of(&self, from: Level, to: Level) -> usize {
        let wanted = self.orders.0.iter().find(|(level, _)| *level == from).map_or(1, |(_, order)| *order);
        let order = wanted.clamp(1, 3).min(self.stages.len());
        let first = self.stages[order - 1].0;
        let distinct = self.stages.iter().take(order).zip(self.stages.iter().skip(1)).all(|(a, b)| a.0 != b.0);
        if first.h(to).is_finite() && distinct { order } else { 1 }
    }

    /// The variable's integral over the step from the first of its `order` stages.
    fn weighted(&self, to: Level, step: Integral, order: usize) -> Tensor<4> {
        let Integral { gain, u, whole, .. } = step;
        let (first, m) = self.stages[order - 1].clone();
        if order == 1 {
            return scale(m, whole);
        }
        let share = |i: usize| first.h(self.stages[i].0) / first.h(to);
        let slope = |i: usize| scale(self.stages[i].1.clone() - m.clone(), 1.0 / share(i));
        let (phi_1, phi_2) = (u.exp_m1(), u.exp_m1() / u - 1.0);
        let constant = scale(m.clone(), whole);
        match (order, self.correction) {
            (2, DpmCorrection::Midpoint) => constant + scale(slope(0), gain * 0.5 * phi_1),
            (2, DpmCorrection::Heun) | (_, DpmCorrection::Midpoint) => constant + scale(slope(0), gain * phi_2),
            (_, DpmCorrection::Heun) => {
                let (r0, r1) = (share(0), share(1));
                let tangent = (scale(slope(1), r0) - scale(slope(0), r1)).div_scalar(r0 - r1);
                let bend = (slope(0) - slope(1)).mul_scalar(2.0).div_scalar(r0 - r1);
                let phi_3 = (phi_1 - u) / (u * u) - self.half;
                constant + scale(tangent, gain * phi_2) + scale(bend, gain * phi_3)
            }
        }
    }
}

impl Sampler for DpmSinglestep {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        self.stages.push_front((from, self.algorithm.variable().of(x.clone(), x0, from)));
        self.stages.truncate(3);
        let order = self.order_of(from, to);
        let start = match &self.start {
            Some(start) if order > 1 => start.clone(),
            _ => self.start.insert(x).clone(),
        };
        let first = self.stages[order - 1].0;
        let (step, deviation) = self.algorithm.integral(first, to);
        let moved = scale(start, step.keep) + self.weighted(to, step, order);
        self.algorithm.add_noise(moved, first, to, deviation)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("stages", &mut self.stages);
        memory.keep("start", &mut self.start);
    }
}
