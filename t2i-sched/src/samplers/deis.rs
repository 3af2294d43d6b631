//! Diffusion exponential integrator sampler.

use burn::tensor::Tensor;

use super::history::History;
use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler};

/// In which time the noise is a polynomial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    /// `t` of the linear variance-preserving schedule.
    Linear,
    /// `rho = sigma / alpha` itself.
    Rho,
}

/// The exponential integrator on a polynomial through the noise at the last levels, of order 1 to 4, with lower orders in
/// the first steps. One call of the model a step.
///
/// Its integrals are taken over `rho = sigma / alpha`, so that the polynomial is all that is approximated. ComfyUI adds
/// 10 000 values up for [`tab`](Self::tab), both ends included, and so does this; ComfyUI does it in single precision,
/// which moves its weights by up to 1e-4.
///
/// A1111: none. ComfyUI: "deis" (`tab` of order 3). diffusers: `DEISMultistepScheduler` is another one, in lambda.
/// <https://arxiv.org/abs/2204.13902>, eq. 15
#[derive(Debug, Clone)]
pub struct Deis {
    time: Time,
    order: usize,
    /// The noise at the levels done.
    history: History,
}

impl Deis {
    /// tAB-DEIS: a polynomial in the time of the linear schedule.
    pub fn tab(order: usize) -> Self {
        Self { time: Time::Linear, order: order.clamp(1, 4), history: History::default() }
    }

    /// rhoAB-DEIS: a polynomial in `rho = sigma / alpha`, which is Adams-Bashforth's method for unequal steps.
    pub fn rho(order: usize) -> Self {
        Self { time: Time::Rho, ..Self::tab(order) }
    }

    /// The integrals of the polynomials that are 1 at one of the last levels and 0 at the others, latest first.
    fn weights(&self, to: Level) -> Vec<f64> {
        let end = to.sigma / to.alpha;
        let nodes: Vec<f64> =
            (0..self.history.len()).map(|i| self.history.level(i).sigma / self.history.level(i).alpha).collect();
        match self.time {
            _ if nodes.len() == 1 => vec![end - nodes[0]],
            Time::Rho => over_rho(&nodes, end),
            Time::Linear => over_time(&nodes.iter().map(|rho| time(*rho)).collect::<Vec<_>>(), time(end)),
        }
    }
}

impl Sampler for Deis {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if to.is_clean() || from.alpha == 0.0 {
            return from.advance(x, x0, to); // pure noise is at no finite rho
        }
        self.history.push(from, from.eps(x.clone(), x0), self.order);
        let direction = self.history.weighted(&self.weights(to));
        scale(x, to.alpha / from.alpha) + scale(direction, to.alpha)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.history.remember(memory);
    }
}

/// `beta_0` and slope of the linear schedule with rho = 80 at time 1 and rho = 0.002 at time 0.001.
/// <https://github.com/zju-pi/diff-sampler>, `edm2t`
fn schedule() -> (f64, f64) {
    let (low, high) = (0.002f64.powi(2).ln_1p(), 80.0f64.powi(2).ln_1p());
    let slope = 2.0 * (low / 1e-3 - high) / (1e-3 - 1.0);
    (high - 0.5 * slope, slope)
}

/// The time of the linear schedule at which `sigma / alpha` is `rho`.
fn time(rho: f64) -> f64 {
    let (start, slope) = schedule();
    ((start * start + 2.0 * slope * rho.powi(2).ln_1p()).sqrt() - start) / slope
}

/// The derivative of rho in that time.
fn speed(t: f64) -> f64 {
    let (start, slope) = schedule();
    let alpha_cumprod = (-0.5 * slope * t * t - start * t).exp();
    0.5 * (slope * t + start) / (alpha_cumprod * (1.0 - alpha_cumprod)).sqrt()
}

/// The polynomial that is 1 at node `j` and 0 at the others.
fn lagrange(nodes: &[f64], j: usize, at: f64) -> f64 {
    let others = nodes.iter().enumerate().filter(|(k, _)| *k != j);
    others.map(|(_, node)| (at - node) / (nodes[j] - node)).product()
}

fn over_time(nodes: &[f64], end: f64) -> Vec<f64> {
    const POINTS: usize = 10_000;
    let length = end - nodes[0];
    let mut weights = vec![0.0; nodes.len()];
    for i in 0..POINTS {
        let t = nodes[0] + length * i as f64 / (POINTS - 1) as f64;
        let part = speed(t) * length / POINTS as f64;
        weights.iter_mut().enumerate().for_each(|(j, weight)| *weight += part * lagrange(nodes, j, t));
    }
    weights
}

/// Gauss's rule of two points is exact here: the polynomials are of third degree at most.
fn over_rho(nodes: &[f64], end: f64) -> Vec<f64> {
    let (middle, half) = ((nodes[0] + end) / 2.0, (end - nodes[0]) / 2.0);
    let offset = half / 3.0f64.sqrt();
    let weight = |j| half * (lagrange(nodes, j, middle - offset) + lagrange(nodes, j, middle + offset));
    (0..nodes.len()).map(weight).collect()
}
