//! DPM-Solver with steps of its own choice.

mod control;

use burn::tensor::Tensor;

use super::Fresh;
use super::place::{Arithmetic, Place};
use super::single_step::SingleStep;
use crate::{Denoise, Level, Memory, Sampler};
use control::Controller;

pub use control::StepControl;

type Watcher = Box<dyn FnMut(Level, &Tensor<4>) + Send>;

/// DPM-Solver of order 2 or 3 with steps as long as its error allows. One step from a level to another is as many
/// of its own as that takes, of two or three model calls each: `[first, last]` is a list of levels that suits it.
///
/// An error that is not finite ends the step by one of first order to its end.
///
/// A1111: "DPM adaptive", ComfyUI: "dpm_adaptive", diffusers: none. <https://arxiv.org/abs/2206.00927>, appendix C
pub struct DpmAdaptive {
    control: StepControl,
    controller: Controller,
    fresh: Option<Fresh>,
    arithmetic: Arithmetic,
    watcher: Option<Watcher>,
}

impl DpmAdaptive {
    /// The deterministic sampler. The step size carries over from one step to the next.
    pub fn new(control: StepControl) -> Self {
        let control = StepControl { order: control.order.clamp(2, 3), ..control };
        let controller = Controller::new(control, control.order as f64);
        Self { control, controller, fresh: None, arithmetic: Arithmetic::Double, watcher: None }
    }

    /// The sampler with fresh noise in each of its steps, if `eta` is not 0. Rounds as `fresh` does, with noise or
    /// without: [`Fresh::in_f32`] shows in the first steps, chosen by errors that are the rounding of the latent.
    pub fn stochastic(control: StepControl, fresh: impl Into<Fresh>) -> Self {
        let fresh = fresh.into();
        let quiet = Self { arithmetic: fresh.arithmetic, ..Self::new(control) };
        if fresh.eta == 0.0 {
            return quiet;
        }
        Self { controller: Controller::new(control, 1.5), fresh: Some(fresh), ..quiet }
    }

    /// Shows every accepted step to `watcher`: its level and the latent there, `[batch, channels, height, width]`.
    pub fn watched(self, watcher: impl FnMut(Level, &Tensor<4>) + Send + 'static) -> Self {
        Self { watcher: Some(Box::new(watcher)), ..self }
    }

    /// The solution and, of one order less, what it is compared with.
    fn solve(&self, x: Tensor<4>, from: Place, to: Place, denoise: Denoise<'_>) -> (Tensor<4>, Tensor<4>) {
        let step = SingleStep::new(x, from, to, denoise);
        if self.control.order == 2 {
            let slope = step.slope(0.5, denoise);
            return (step.second(0.5, slope), step.first());
        }
        let slope = step.slope(1.0 / 3.0, denoise);
        (step.third(slope.clone(), denoise), step.second(1.0 / 3.0, slope))
    }

    /// The root of the mean square of the difference, in units of what is tolerated. It is summed on the host in f64, so
    /// that the steps are the same on every device.
    fn error(&self, high: &Tensor<4>, low: &Tensor<4>, before: &Tensor<4>) -> f64 {
        let size = low.clone().abs().max_pair(before.clone().abs());
        let tolerated = size.mul_scalar(self.control.rtol).clamp_min(self.control.atol);
        let ratio = ((low.clone() - high.clone()) / tolerated).into_data();
        let norm = ratio.iter::<f64>().map(|ratio| ratio * ratio).sum::<f64>().sqrt();
        let round = |number| self.arithmetic.of(low).round(number);
        round(round(norm) / round((ratio.num_elements() as f64).sqrt()))
    }
}

impl Sampler for DpmAdaptive {
    fn step(&mut self, mut x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let [mut at, to] = self.arithmetic.of(&x).places(from, to);
        let mut before = x.clone();
        while at.h(to).abs() > 1e-5 && at.h(to).is_finite() {
            let next = at.step(to, self.controller.h);
            let (below, deviation) = match &self.fresh {
                Some(fresh) => fresh.below_place(at, next, to),
                None => (next, 0.0),
            };
            let (high, low) = self.solve(x.clone(), at, below, denoise);
            let error = self.error(&high, &low, &before);
            if !error.is_finite() {
                break;
            }
            if self.controller.accepts(error) {
                x = match &mut self.fresh {
                    Some(fresh) => fresh.add(high, at.level(), next.level(), deviation),
                    None => high,
                };
                (at, before) = (next, low);
                if let Some(watcher) = &mut self.watcher {
                    watcher(at.level(), &x);
                }
            }
        }
        if at == to { x } else { SingleStep::new(x, at, to, denoise).first() }
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.part("controller", |memory| self.controller.remember(memory));
    }
}

impl std::fmt::Debug for DpmAdaptive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DpmAdaptive").field("control", &self.control).finish_non_exhaustive()
    }
}
