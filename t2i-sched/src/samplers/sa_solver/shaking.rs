//! The noise of stochastic Adams steps.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use burn::tensor::Tensor;

use super::adams::Adams;
use crate::level::scale;
use crate::samplers::Fresh;
use crate::{Level, Noise};

/// How strong the noise of a step is, from its two levels: 0 is the ODE, 1 the usual SDE.
#[derive(Clone)]
struct Tau(Arc<dyn Fn(Level, Level) -> f64 + Send + Sync>);

/// When noise is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Draws {
    EveryStep,
    WhereTau,
}

/// Fresh noise, and how much of it a step takes.
#[derive(Debug, Clone)]
pub(super) struct Shaking {
    fresh: Fresh,
    draws: Draws,
    tau: Tau,
}

impl Shaking {
    /// Draws where `tau` is not 0.
    pub(super) fn new(fresh: Fresh, tau: impl Fn(Level, Level) -> f64 + Send + Sync + 'static) -> Self {
        Self { fresh, draws: Draws::WhereTau, tau: Tau(Arc::new(tau)) }
    }

    /// Draws in every step, whether the noise is taken or not.
    pub(super) fn in_every_step(self) -> Self {
        Self { draws: Draws::EveryStep, ..self }
    }

    pub(super) fn tau(&self, from: Level, to: Level) -> f64 {
        (self.tau.0)(from, to)
    }

    /// The noise of a step, `None` if it takes none.
    pub(super) fn draw(&mut self, x: &Tensor<4>, from: Level, to: Level, tau: f64, adams: Adams) -> Option<Tensor<4>> {
        if self.draws == Draws::WhereTau && (tau == 0.0 || self.fresh.is_none()) {
            return None;
        }
        let noise = self.fresh.noise.between(from, to, x.dims(), &x.device());
        let deviation = self.fresh.scale * adams.deviation(from, to, tau);
        (deviation != 0.0).then(|| scale(noise, deviation))
    }
}

impl Debug for Tau {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tau")
    }
}
