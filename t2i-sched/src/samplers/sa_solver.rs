//! Stochastic Adams solver.

mod adams;
mod orders;
mod past;
mod shaking;

use burn::tensor::Tensor;

use super::Fresh;
use super::exponential::Variable;
use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler};

use adams::Adams;
pub use adams::SaSecondOrder;
use orders::Orders;
use past::Past;
use shaking::Shaking;

/// A stochastic Adams predictor, and a corrector that mends each step with the model's answer at its end and the same
/// noise, which the next step needs anyway: one call of the model a step, two with [`pece`](Self::pece). It draws once
/// a step: in each as diffusers, or where there is noise as ComfyUI. A step to a clean latent ends at the answer.
///
/// A1111: none. ComfyUI: "sa_solver", "sa_solver_pece" ([`new`](Self::new)). diffusers: `SASolverScheduler`
/// ([`diffusers`](Self::diffusers)). <https://arxiv.org/abs/2309.05019>, eq. 15 and 18
#[derive(Debug, Clone)]
pub struct SaSolver {
    shaking: Shaking,
    adams: Adams,
    orders: Orders,
    evaluations: usize,
    past: Past,
}

impl SaSolver {
    /// ComfyUI's: a predictor of order 3 and a corrector of order 4. `tau(from, to)` is the strength of the noise of a
    /// step; ComfyUI asks at `to`: 1 in the middle of the schedule, from 20 % to 80 % of it, and 0 elsewhere.
    pub fn new(fresh: impl Into<Fresh>, tau: impl Fn(Level, Level) -> f64 + Send + Sync + 'static) -> Self {
        Self {
            shaking: Shaking::new(fresh.into(), tau),
            adams: Adams { variable: Variable::Data, second: SaSecondOrder::Exact },
            orders: Orders::new(3, 4),
            evaluations: 1,
            past: Past::default(),
        }
    }

    /// diffusers': both of order 2. It asks at `from`: 1 for timesteps of 200 to 800, and 0 elsewhere.
    pub fn diffusers(fresh: impl Into<Fresh>, tau: impl Fn(Level, Level) -> f64 + Send + Sync + 'static) -> Self {
        let solver = Self::new(fresh, tau).second_order(SaSecondOrder::Simple);
        Self { shaking: solver.shaking.in_every_step(), orders: Orders::new(2, 2), ..solver }
    }

    /// The orders of predictor, 1 to 4, and corrector, 1 to 4, or 0 for none.
    pub fn orders(self, predictor: usize, corrector: usize) -> Self {
        Self { orders: Orders::new(predictor.clamp(1, 4), corrector.min(4)), ..self }
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
        Self { orders: self.orders.capped(predictor, corrector), ..self }
    }

    /// Lowers the orders near the end of these levels, those of the run. The references agree on the predictor. Where
    /// the end is not clean the corrector's orders are diffusers', where it is they are ComfyUI's, one lower.
    pub fn lower_order_final(self, levels: &[Level]) -> Self {
        Self { orders: self.orders.lower_at_the_end(levels), ..self }
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
        if let Some(corrected) = self.past.correct(self.adams, from, &m, self.orders.corrector(from)) {
            x = corrected;
            if self.evaluations == 2 {
                x0 = denoise(x.clone(), from);
                m = self.adams.variable.of(x.clone(), x0.clone(), from);
            }
        }
        if to.is_clean() {
            return scale(x0, to.alpha);
        }
        self.past.push(from, m, self.orders.remembered());
        let tau = self.shaking.tau(from, to);
        let noise = self.shaking.draw(&x, from, to, tau, self.adams);
        self.past.begin(from, x.clone(), noise.clone(), tau);
        let moved = self.past.predict(self.adams, to, x, tau, self.orders.predictor(from));
        noise.map_or(moved.clone(), |noise| moved + noise)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.past.remember(memory);
    }
}
