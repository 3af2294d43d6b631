//! What the stochastic Adams solver has done.

use burn::tensor::Tensor;

use super::adams::Adams;
use crate::level::scale;
use crate::samplers::history::History;
use crate::{Level, Memory};

/// The levels done, and the step that led to the latest.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// The variable at the levels done.
    history: History,
    /// Where the last step began, its latent and its noise.
    last: Option<(Level, (Tensor<4>, Option<Tensor<4>>))>,
    /// The strength of the last step's noise.
    last_tau: f64,
}

impl Past {
    /// Adds the variable `m` at `level` and keeps the latest `len`.
    pub(super) fn push(&mut self, level: Level, m: Tensor<4>, len: usize) {
        self.history.push(level, m, len);
    }

    /// A step begins at `level`, with the latent `x`, and takes this noise.
    pub(super) fn begin(&mut self, level: Level, x: Tensor<4>, noise: Option<Tensor<4>>, tau: f64) {
        self.last = Some((level, (x, noise)));
        self.last_tau = tau;
    }

    /// The step from the latest level, of this order where enough levels are done, without its noise.
    pub(super) fn predict(&self, adams: Adams, to: Level, x: Tensor<4>, tau: f64, order: usize) -> Tensor<4> {
        let nodes: Vec<Level> = (0..order.min(self.history.len())).map(|i| self.history.level(i)).collect();
        let (keep, weights) = adams.weights(nodes[0], to, tau, &nodes);
        scale(x, keep) + self.history.weighted(&weights)
    }

    /// The last step again, now that the variable `m` at its end is known.
    pub(super) fn correct(&self, adams: Adams, at: Level, m: &Tensor<4>, order: usize) -> Option<Tensor<4>> {
        let (from, (x, noise)) = self.last.clone()?;
        let order = order.min(self.history.len() + 1);
        if order == 0 || !from.h(at).is_normal() || from.h(at) < 0.0 {
            return None;
        }
        let nodes: Vec<Level> = std::iter::once(at).chain((0..order - 1).map(|i| self.history.level(i))).collect();
        let (keep, weights) = adams.weights(from, at, self.last_tau, &nodes);
        let moved = scale(x, keep) + scale(m.clone(), weights[0]);
        let moved = if order == 1 { moved } else { moved + self.history.weighted(&weights[1..]) };
        Some(noise.map_or(moved.clone(), |noise| moved + noise))
    }

    pub(super) fn remember(&mut self, memory: &mut Memory<'_>) {
        self.history.remember(memory);
        memory.keep("last", &mut self.last);
        memory.keep("last_tau", &mut self.last_tau);
    }
}
