//! Extended reverse-time SDE solver.

use burn::tensor::Tensor;

use super::Fresh;
use super::history::History;
use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler};

/// An exponential integrator whose noise is set by a function `phi` of `kappa = sigma / alpha`, up to Taylor's third
/// term in `kappa`: one call of the model a step, one draw of noise in each but one to a clean latent.
///
/// Both higher stages are of second order where there is no noise ([`ode`](Self::ode)): the third stage's slope is not
/// moved to the latest level.
///
/// A1111, diffusers: none. ComfyUI: "er_sde". <https://arxiv.org/abs/2309.06169>, ER-SDE-Solver-1 to -3; integrals are sums
/// over the left ends of equal parts there, 100 in the paper's code, 200 in ComfyUI's and here.
#[derive(Debug, Clone)]
pub struct ErSde {
    fresh: Option<Fresh>,
    phi: fn(f64) -> f64,
    max_stage: usize,
    points: usize,
    answers: History,
    /// The differences of the answers, each at the later of its two levels.
    slopes: History,
}

impl ErSde {
    /// The solver of the third stage with the paper's function "ER SDE 5", which sets the share of fresh noise.
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: Some(fresh.into()), ..Self::with(|kappa| kappa * (kappa.powf(0.3).exp() + 10.0)) }
    }

    /// The solver of the third stage without noise, where `phi` is the identity.
    pub fn ode() -> Self {
        Self::with(|kappa| kappa)
    }

    fn with(phi: fn(f64) -> f64) -> Self {
        Self { fresh: None, phi, max_stage: 3, points: 200, answers: History::default(), slopes: History::default() }
    }

    /// Another function of `kappa = sigma / alpha`. It must grow at least as fast as `kappa` does.
    pub fn phi(self, phi: fn(f64) -> f64) -> Self {
        Self { phi, ..self }
    }

    /// The highest stage, 1 to 3.
    pub fn max_stage(self, max_stage: usize) -> Self {
        Self { max_stage: max_stage.clamp(1, 3), ..self }
    }

    /// The number of parts of the integrals, 200 unless said otherwise.
    pub fn points(self, points: usize) -> Self {
        Self { points: points.max(1), ..self }
    }

    /// The integrals of `phi(end) / phi(kappa)` and of `(kappa - start) * phi(end) / phi(kappa)` from `end` to `start`.
    fn integrals(&self, start: f64, end: f64) -> (f64, f64) {
        let width = (start - end) / self.points as f64;
        let part = |i: usize| {
            let kappa = end + i as f64 * width;
            let weight = width * (self.phi)(end) / (self.phi)(kappa);
            (weight, weight * (kappa - start))
        };
        (0..self.points).map(part).fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    /// The second and third terms of the step, where history allows, in units of `x0`.
    fn higher(&mut self, x0: &Tensor<4>, from: Level, to: Level) -> Option<Tensor<4>> {
        let kappa = |level: Level| level.sigma / level.alpha;
        let (start, end) = (kappa(from), kappa(to));
        let (before, answer) = self.answers.before(from)?;
        let slope = scale(x0.clone() - answer, 1.0 / (start - kappa(before)));
        let bend = match (self.slopes.before(from), self.answers.len()) {
            (Some((_, last)), 2) if self.max_stage == 3 => {
                let apart = (start - kappa(self.answers.level(1))) / 2.0;
                Some(scale(slope.clone() - last, 1.0 / apart))
            }
            _ => None,
        };
        self.slopes.push(from, slope.clone(), 1);
        let (first, second) = self.integrals(start, end);
        let length = end - start;
        let moved = scale(slope, length + first);
        Some(match bend {
            Some(bend) => moved + scale(bend, length * length / 2.0 + second),
            None => moved,
        })
    }
}

impl Sampler for ErSde {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() {
            return scale(x0, to.alpha);
        }
        let (start, end) = (from.sigma / from.alpha, to.sigma / to.alpha);
        let ratio = if start.is_finite() { (self.phi)(end) / (self.phi)(start) } else { 0.0 };
        let first = scale(x0.clone(), to.alpha * (1.0 - ratio));
        let moved = if ratio == 0.0 { first } else { first + scale(x, to.alpha / from.alpha * ratio) };
        let higher = if self.max_stage > 1 && start.is_finite() { self.higher(&x0, from, to) } else { None };
        self.answers.push(from, x0, 2);
        let moved = higher.map_or(moved.clone(), |higher| moved + scale(higher, to.alpha));
        let old = if ratio == 0.0 { 0.0 } else { start * ratio };
        let deviation = to.alpha * (end.powi(2) - old.powi(2)).max(0.0).sqrt();
        match &mut self.fresh {
            Some(fresh) => fresh.add_if_any(moved, from, to, deviation),
            None => moved,
        }
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.part("answers", |memory| self.answers.remember(memory));
        memory.part("slopes", |memory| self.slopes.remember(memory));
    }
}
