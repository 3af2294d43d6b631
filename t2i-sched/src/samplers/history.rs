//! What multistep samplers remember.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use crate::{Level, Memory};

/// A value at each of the levels done, latest first. Their noise falls from the oldest to the latest: a run that goes
/// up again starts anew, and a level that comes twice counts once.
#[derive(Debug, Clone, Default)]
pub(super) struct History(VecDeque<(Level, Tensor<4>)>);

impl History {
    /// Adds the value at `level` and keeps the latest `len`.
    pub(super) fn push(&mut self, level: Level, value: Tensor<4>, len: usize) {
        self.0.retain(|(before, _)| before.lambda() < level.lambda());
        self.0.push_front((level, value));
        self.0.truncate(len);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The level of a value, from 0 for the latest.
    pub(super) fn level(&self, i: usize) -> Level {
        self.0[i].0
    }

    /// The level and value before `level`, where they are known and a finite distance away.
    pub(super) fn before(&self, level: Level) -> Option<(Level, Tensor<4>)> {
        let (before, value) = self.0.front()?;
        let known = before.h(level).is_finite() && before.lambda() < level.lambda();
        known.then(|| (*before, value.clone()))
    }

    /// `sum_i weights[i] * value(i)`. There must be at least one weight, and no more of them than values.
    pub(super) fn weighted(&self, weights: &[f64]) -> Tensor<4> {
        let terms = self.0.iter().zip(weights).skip(1);
        let latest = self.0[0].1.clone().mul_scalar(weights[0]);
        terms.fold(latest, |sum, ((_, value), weight)| sum + value.clone().mul_scalar(*weight))
    }

    pub(super) fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("history", &mut self.0);
    }
}
