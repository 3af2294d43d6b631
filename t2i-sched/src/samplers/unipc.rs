//! Unified predictor-corrector.

mod norm;
mod past;

use burn::tensor::Tensor;

use super::exponential::{Caps, Variable};
use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler};

pub use norm::UniPcNorm;
use past::Past;

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
    past: Past,
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
            past: Past::default(),
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
        let Some((from, m0)) = self.past.latest() else {
            return x;
        };
        if self.uncorrected.contains(&at) {
            return x;
        }
        let step = self.variable.integral(from, at);
        let norm = self.norm.of(step.u);
        if norm == 0.0 || !norm.is_finite() {
            return x; // a step of no length, or an infinite one
        }
        let rates = self.past.rates(from, at, order);
        let weights = match order {
            1 => vec![0.5],
            _ => self.norm.weights(&rates, step.u, order),
        };
        let newest = scale(m.clone() - m0.clone(), weights[order - 1]);
        let residual = self.past.differences(&m0, &rates[..order - 1], &weights).map_or(newest.clone(), |d| d + newest);
        step.exact(start, m0) + scale(residual, step.gain * norm)
    }

    /// UniP: the step from the latest level, where the variable is `m0`.
    fn predict(&self, x: Tensor<4>, m0: Tensor<4>, from: Level, to: Level, order: usize) -> Tensor<4> {
        let step = self.variable.integral(from, to);
        let moved = step.exact(x, m0.clone());
        if order == 1 {
            return moved;
        }
        let rates = self.past.rates(from, to, order);
        let weights = match order {
            2 => vec![0.5],
            _ => self.norm.weights(&rates[..order - 1], step.u, order - 1),
        };
        match self.past.differences(&m0, &rates[..order - 1], &weights) {
            Some(residual) => moved + scale(residual, step.gain * self.norm.of(step.u)),
            None => moved,
        }
    }
}

impl Sampler for UniPc {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let m = self.variable.of(x.clone(), x0, from);
        let x = self.correct(x, &m, from);
        self.past.push(from, m.clone(), self.order);
        let order = self.order.min(self.past.len()).min(self.caps.order(from, to));
        self.last = Some((x.clone(), order));
        self.predict(x, m, from, to, order)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.past.remember(memory);
        memory.keep("last", &mut self.last);
    }
}
