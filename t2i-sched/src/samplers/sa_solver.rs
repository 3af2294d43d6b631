//! Stochastic Adams solver.

mod adams;

use std::sync::Arc;

use burn::tensor::Tensor;

use super::Fresh;
use super::exponential::{Caps, Variable};
use super::history::History;
use crate::level::scale;
use crate::{Denoise, Level, Memory, Noise, Sampler};

use adams::Adams;
pub use adams::SaSecondOrder;

/// How strong the noise of a step is, from its two levels: 0 is the ODE, 1 the usual SDE.
#[derive(Clone)]
struct Tau(Arc<dyn Fn(Level, Level) -> f64 + Send + Sync>);

/// When noise is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Draws {
    EveryStep,
    WhereTau,
}

/// A stochastic Adams predictor, and a corrector that mends each step with the model's answer at its end and the same
/// noise, which the next step needs anyway: one call of the model a step, two with [`pece`](Self::pece). It draws once
/// a step: in each as diffusers, or where there is noise as ComfyUI. A step to a clean latent ends at the answer.
///
/// A1111: none. ComfyUI: "sa_solver", "sa_solver_pece" ([`new`](Self::new)). diffusers: `SASolverScheduler`
/// ([`diffusers`](Self::diffusers)). <https://arxiv.org/abs/2309.05019>, eq. 15 and 18
#[derive(Debug, Clone)]
pub struct SaSolver {
    fresh: Fresh,
    draws: Draws,
    tau: Tau,
    adams: Adams,
    orders: (usize, usize),
    caps: (Caps, Caps),
    evaluations: usize,
    /// The variable at the levels done.
    history: History,
    /// Where the last step began, its latent and its noise.
    last: Option<(Level, (Tensor<4>, Option<Tensor<4>>))>,
    /// The strength of the last step's noise.
    last_tau: f64,
}

impl SaSolver {
    /// ComfyUI's: a predictor of order 3 and a corrector of order 4. `tau(from, to)` is the strength of the noise of a
    /// step; ComfyUI asks at `to`: 1 in the middle of the schedule, from 20 % to 80 % of it, and 0 elsewhere.
    pub fn new(fresh: impl Into<Fresh>, tau: impl Fn(Level, Level) -> f64 + Send + Sync + 'static) -> Self {
        Self {
            fresh: fresh.into(),
            draws: Draws::WhereTau,
            tau: Tau(Arc::new(tau)),
            adams: Adams { variable: Variable::Data, second: SaSecondOrder::Exact },
            orders: (3, 4),
            caps: (Caps::default(), Caps::default()),
            evaluations: 1,
            history: History::default(),
            last: None,
            last_tau: 0.0,
        }
    }

    /// diffusers': both of order 2. It asks at `from`: 1 for timesteps of 200 to 800, and 0 elsewhere.
    pub fn diffusers(fresh: impl Into<Fresh>, tau: impl Fn(Level, Level) -> f64 + Send + Sync + 'static) -> Self {
        let solver = Self::new(fresh, tau).second_order(SaSecondOrder::Simple);
        Self { draws: Draws::EveryStep, orders: (2, 2), ..solver }
    }

    /// The orders of predictor, 1 to 4, and corrector, 1 to 4, or 0 for none.
    pub fn orders(self, predictor: usize, corrector: usize) -> Self {
        Self { orders: (predictor.clamp(1, 4), corrector.min(4)), ..self }
    }

    /// The solver in the noise (`noise_prediction`).
    pub fn in_noise(self) -> Self {
        Self { adams: Adams { variable: Variable::Noise, ..self.adams }, ..self }
    }

    /// The weights of the second order.
    pub fn second_order(self, second: SaSecondOrder) -> Self {
        Self { adams: Adams { second, ..self.adams }, ..self }
    }

    /// Asks the model again after each correction: predict, evaluate, correct, evaluate.
    pub fn pece(self) -> Self {
        Self { evaluations: 2, ..self }
    }

    /// Limits the orders of the predictor's steps from, and of the corrector's to, these levels.
    pub fn capped(self, predictor: Vec<(Level, usize)>, corrector: Vec<(Level, usize)>) -> Self {
        Self { caps: (Caps(predictor), Caps(corrector)), ..self }
    }

    /// Lowers the orders near the end of these levels, those of the run. The references agree on the predictor. Where
    /// the end is not clean the corrector's orders are diffusers', where it is they are ComfyUI's, one lower.
    pub fn lower_order_final(self, levels: &[Level]) -> Self {
        let clean = usize::from(levels.last().is_some_and(|level| level.is_clean()));
        let left = |i: usize| levels.len() - 1 - i;
        let capped = |cap: &dyn Fn(usize) -> usize| (0..left(0)).map(|i| (levels[i], cap(left(i)).max(1))).collect();
        if levels.is_empty() {
            return self;
        }
        self.capped(capped(&|left| left - clean), capped(&|left| left + 2 - 2 * clean))
    }

    fn draw(&mut self, x: &Tensor<4>, from: Level, to: Level, tau: f64) -> Option<Tensor<4>> {
        if self.draws == Draws::WhereTau && (tau == 0.0 || self.fresh.is_none()) {
            return None;
        }
        let noise = self.fresh.noise.between(from, to, x.dims(), &x.device());
        let deviation = self.fresh.scale * self.adams.deviation(from, to, tau);
        (deviation != 0.0).then(|| scale(noise, deviation))
    }

    /// The last step again, now that the variable `m` at its end is known.
    fn correct(&self, m: &Tensor<4>, at: Level) -> Option<Tensor<4>> {
        let (from, (x, noise)) = self.last.clone()?;
        let order = self.orders.1.min(self.caps.1.at(at)).min(self.history.len() + 1);
        if order == 0 || !from.h(at).is_normal() || from.h(at) < 0.0 {
            return None;
        }
        let nodes: Vec<Level> = std::iter::once(at).chain((0..order - 1).map(|i| self.history.level(i))).collect();
        let (keep, weights) = self.adams.weights(from, at, self.last_tau, &nodes);
        let moved = scale(x, keep) + scale(m.clone(), weights[0]);
        let moved = if order == 1 { moved } else { moved + self.history.weighted(&weights[1..]) };
        Some(noise.map_or(moved.clone(), |noise| moved + noise))
    }

    /// The step from the latest level.
    fn predict(&mut self, x: Tensor<4>, from: Level, to: Level) -> Tensor<4> {
        let tau = (self.tau.0)(from, to);
        let order = self.orders.0.min(self.caps.0.at(from)).min(self.history.len());
        let nodes: Vec<Level> = (0..order).map(|i| self.history.level(i)).collect();
        let (keep, weights) = self.adams.weights(from, to, tau, &nodes);
        let noise = self.draw(&x, from, to, tau);
        self.last = Some((from, (x.clone(), noise.clone())));
        self.last_tau = tau;
        let moved = scale(x, keep) + self.history.weighted(&weights);
        noise.map_or(moved.clone(), |noise| moved + noise)
    }
}

impl Sampler for SaSolver {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let mut x0 = denoise(x.clone(), from);
        if from.alpha == 0.0 {
            return from.advance(x, x0, to); // pure noise is infinitely far away in lambda
        }
        let mut m = self.adams.variable.of(x.clone(), x0.clone(), from);
        let mut x = x;
        if let Some(corrected) = self.correct(&m, from) {
            x = corrected;
            if self.evaluations == 2 {
                x0 = denoise(x.clone(), from);
                m = self.adams.variable.of(x.clone(), x0.clone(), from);
            }
        }
        if to.is_clean() {
            return scale(x0, to.alpha);
        }
        self.history.push(from, m, self.orders.0.max(self.orders.1.saturating_sub(1)));
        self.predict(x, from, to)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.history.remember(memory);
        memory.keep("last", &mut self.last);
        memory.keep("last_tau", &mut self.last_tau);
    }
}

impl std::fmt::Debug for Tau {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tau")
    }
}
