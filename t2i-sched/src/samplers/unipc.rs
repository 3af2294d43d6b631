//! Unified predictor-corrector.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::exponential::{Caps, Integral, Variable};
use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler};

/// The function `B(h)` that normalises the coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniPcNorm {
    /// `B_1(h) = h` (`solver_type = bh1`).
    Bh1,
    /// `B_2(h) = e^h - 1` (`solver_type = bh2`).
    Bh2,
}

/// A multistep predictor, and a corrector that mends each step with the model's answer at its end, which the next
/// step needs anyway: one call of the model a step.
///
/// A1111: "UniPC". diffusers: `UniPCMultistepScheduler`. <https://arxiv.org/abs/2302.04867>, algorithms 1 and 2
#[derive(Debug, Clone)]
pub struct UniPc {
    variable: Variable,
    norm: UniPcNorm,
    order: usize,
    caps: Caps,
    uncorrected: Vec<Level>,
    /// The variable at the levels done, latest first.
    history: VecDeque<(Level, Tensor<4>)>,
    /// Where the last step began, and its order.
    last: Option<(Tensor<4>, usize)>,
}

impl UniPc {
    /// The solver of this order in the clean latent.
    pub fn new(norm: UniPcNorm, order: usize) -> Self {
        Self {
            variable: Variable::Data,
            norm,
            order: order.max(1),
            caps: Caps::default(),
            uncorrected: Vec::new(),
            history: VecDeque::new(),
            last: None,
        }
    }

    /// The solver of this order in the noise (`predict_x0 = false`).
    pub fn in_noise(norm: UniPcNorm, order: usize) -> Self {
        Self { variable: Variable::Noise, ..Self::new(norm, order) }
    }

    /// Limits the order of the steps from these levels.
    pub fn capped(self, caps: Vec<(Level, usize)>) -> Self {
        Self { caps: Caps(caps), ..self }
    }

    /// Leaves the steps that end at these levels uncorrected.
    pub fn uncorrected(self, levels: Vec<Level>) -> Self {
        Self { uncorrected: levels, ..self }
    }

    /// UniC: the last step again, now that the variable `m` at its end is known.
    fn correct(&self, x: Tensor<4>, m: &Tensor<4>, at: Level) -> Tensor<4> {
        let Some((start, order)) = self.last.clone() else {
            return x;
        };
        let Some((from, m0)) = self.history.front().cloned() else {
            return x;
        };
        if self.uncorrected.contains(&at) {
            return x;
        }
        let step = self.variable.integral(from, at);
        let rates = self.rates(from, at, order);
        let weights = match order {
            1 => vec![0.5],
            _ => self.weights(&rates, step.u, order),
        };
        let newest = scale(m.clone() - m0.clone(), weights[order - 1]);
        let residual = self.differences(&m0, &rates[..order - 1], &weights).map_or(newest.clone(), |d| d + newest);
        exact(start, m0, step) + scale(residual, step.gain * self.normaliser(step.u))
    }

    /// UniP: the step from the latest level.
    fn predict(&self, x: Tensor<4>, from: Level, to: Level, order: usize) -> Tensor<4> {
        let m0 = self.history[0].1.clone();
        let step = self.variable.integral(from, to);
        let moved = exact(x, m0.clone(), step);
        if order == 1 {
            return moved;
        }
        let rates = self.rates(from, to, order);
        let weights = match order {
            2 => vec![0.5],
            _ => self.weights(&rates[..order - 1], step.u, order - 1),
        };
        match self.differences(&m0, &rates[..order - 1], &weights) {
            Some(residual) => moved + scale(residual, step.gain * self.normaliser(step.u)),
            None => moved,
        }
    }

    /// Where the levels done lie on the step from `from` to `to`: `r_k`, and 1 for its end.
    fn rates(&self, from: Level, to: Level, order: usize) -> Vec<f64> {
        let h = from.h(to);
        let before = self.history.iter().skip(1).take(order - 1);
        before.map(|(level, _)| (level.lambda() - from.lambda()) / h).chain([1.0]).collect()
    }

    /// The sum of `weight * (m_k - m_0) / r_k` over the levels done before the latest.
    fn differences(&self, m0: &Tensor<4>, rates: &[f64], weights: &[f64]) -> Option<Tensor<4>> {
        let before = self.history.iter().skip(1).zip(rates.iter().zip(weights));
        let terms = before.map(|((_, m), (rate, weight))| scale(m.clone() - m0.clone(), weight / rate));
        terms.reduce(|sum, term| sum + term)
    }

    /// The solution of `sum_k weight_k * r_k^(i-1) = b_i` for `i` from 1 to `order`.
    /// <https://arxiv.org/abs/2302.04867>, eq. 6
    fn weights(&self, rates: &[f64], u: f64, order: usize) -> Vec<f64> {
        let rows = (0..order as i32).map(|i| rates.iter().map(|r| r.powi(i)).collect());
        let mut phi = u.exp_m1() / u - 1.0;
        let mut factorial = 1.0;
        let mut right = Vec::new();
        for i in 1..=order {
            right.push(phi * factorial / self.normaliser(u));
            factorial *= (i + 1) as f64;
            phi = phi / u - 1.0 / factorial;
        }
        solve(rows.collect(), right)
    }

    fn normaliser(&self, u: f64) -> f64 {
        match self.norm {
            UniPcNorm::Bh1 => u,
            UniPcNorm::Bh2 => u.exp_m1(),
        }
    }

    /// The order of a step: what is asked for, as far as history, caps and a finite `h` allow.
    fn order_of(&self, from: Level, to: Level) -> usize {
        let h = from.h(to);
        let regular = if h.is_finite() && h != 0.0 { usize::MAX } else { 1 };
        self.order.min(self.history.len()).min(self.caps.at(from)).min(regular)
    }
}

impl Sampler for UniPc {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let m = self.variable.of(x.clone(), x0, from);
        let x = self.correct(x, &m, from);
        self.history.push_front((from, m));
        self.history.truncate(self.order);
        let order = self.order_of(from, to);
        self.last = Some((x.clone(), order));
        self.predict(x, from, to, order)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("history", &mut self.history);
        memory.keep("last", &mut self.last);
    }
}

/// The step for a constant variable.
fn exact(x: Tensor<4>, m: Tensor<4>, step: Integral) -> Tensor<4> {
    scale(x, step.keep) + scale(m, step.whole)
}

/// Gauss's elimination with the largest pivot.
pub(super) fn solve(mut rows: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|a, b| rows[*a][k].abs().total_cmp(&rows[*b][k].abs())).unwrap_or(k);
        rows.swap(k, pivot);
        right.swap(k, pivot);
        for i in k + 1..n {
            let factor = rows[i][k] / rows[k][k];
            let pivot_row = rows[k].clone();
            rows[i].iter_mut().zip(pivot_row).for_each(|(value, pivot)| *value -= factor * pivot);
            right[i] -= factor * right[k];
        }
    }
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| rows[k][j] * right[j]).sum();
        right[k] = (right[k] - known) / rows[k][k];
    }
    right
}
