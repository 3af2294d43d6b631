//! DPM-Solver-fast.

use burn::tensor::Tensor;

use super::Fresh;
use super::place::Place;
use super::single_step::SingleStep;
use crate::{Denoise, Level, Memory, Sampler};

/// As many single steps of third order as a number of model calls allows, and a shorter one at the end. A step asks the
/// model one to three times.
///
/// A1111: "DPM fast", ComfyUI: "dpm_fast", diffusers: none (`DPMSolverSinglestepScheduler` is similar).
/// <https://arxiv.org/abs/2206.00927>, section 3.4
///
/// ```
/// use t2i_sched::Level;
/// use t2i_sched::samplers::DpmFast;
///
/// let levels = DpmFast::levels(20, Level::ve(14.6), Level::ve(0.03));
/// assert_eq!(levels.len(), 8); // six steps of third order, and one of second: 20 calls
/// let sampler = DpmFast::new(20);
/// ```
#[derive(Debug, Clone)]
pub struct DpmFast {
    calls: usize,
    index: usize,
    fresh: Option<(Fresh, Level)>,
}

impl DpmFast {
    /// The deterministic sampler of so many model calls, for [`levels`](Self::levels) of as many.
    pub fn new(calls: usize) -> Self {
        Self { calls: calls.max(1), index: 0, fresh: None }
    }

    /// The sampler with fresh noise in each step. `end` is where the run ends: no step goes below it.
    pub fn stochastic(calls: usize, fresh: impl Into<Fresh>, end: Level) -> Self {
        Self { fresh: Some((fresh.into(), end)), ..Self::new(calls) }
    }

    /// The ends of the steps, equal in `lambda`. Neither may be clean or pure noise.
    pub fn levels(calls: usize, from: Level, to: Level) -> Vec<Level> {
        let steps = calls.max(1) / 3 + 1;
        let level = |i: usize| from.toward(to, i as f64 / steps as f64);
        std::iter::once(from).chain((1..steps).map(level)).chain([to]).collect()
    }

    fn order(&self) -> usize {
        let last = self.calls / 3;
        match (self.calls % 3, last.saturating_sub(self.index)) {
            (0, left @ 0..=1) => left + 1,
            (rest, 0) => rest,
            _ => 3,
        }
    }
}

impl Sampler for DpmFast {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let order = self.order();
        self.index += 1;
        let Some((fresh, end)) = &mut self.fresh else {
            return single_step(x, from, to, denoise).solve(order, denoise);
        };
        let (below, deviation) = fresh.below_until(from, to, *end);
        let x = single_step(x, from, below, denoise).solve(order, denoise);
        fresh.add(x, from, to, deviation)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("index", &mut self.index);
    }
}

fn single_step(x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> SingleStep {
    SingleStep::new(x, Place::Level(from), Place::Level(to), denoise)
}
