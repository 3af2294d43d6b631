//! The levels that UniPC has done.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Level, Memory};

/// The variable at the levels done, latest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Past(VecDeque<(Level, Tensor<4>)>);

impl Past {
    /// Adds the variable `m` at `level` and keeps the latest `len`. A level that comes twice in a row counts once.
    pub(super) fn push(&mut self, level: Level, m: Tensor<4>, len: usize) {
        self.0.pop_front_if(|(latest, _)| *latest == level);
        self.0.push_front((level, m));
        self.0.truncate(len);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The latest level and the variable there.
    pub(super) fn latest(&self) -> Option<(Level, Tensor<4>)> {
        self.0.front().cloned()
    }

    /// Where the levels done lie on the step from `from` to `to`: `r_k`, and 1 for its end.
    pub(super) fn rates(&self, from: Level, to: Level, order: usize) -> Vec<f64> {
        let h = from.h(to);
        let before = self.0.iter().skip(1).take(order - 1);
        before.map(|(level, _)| (level.lambda() - from.lambda()) / h).chain([1.0]).collect()
    }

    /// The sum of `weight * (m_k - m_0) / r_k` over the levels done before the latest.
    pub(super) fn differences(&self, m0: &Tensor<4>, rates: &[f64], weights: &[f64]) -> Option<Tensor<4>> {
        let before = self.0.iter().skip(1).zip(rates.iter().zip(weights));
        let terms = before.map(|((_, m), (rate, weight))| scale(m.clone() - m0.clone(), weight / rate));
        terms.reduce(|sum, term| sum + term)
    }

    pub(super) fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("history", &mut self.0);
    }
}
