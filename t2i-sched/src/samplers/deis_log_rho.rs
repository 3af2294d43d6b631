//! DEIS in the logarithm of rho.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::exponential::Caps;
use crate::level::scale;
use crate::numpy::ln;
use crate::{Denoise, Level, Memory, Sampler};

/// The exponential integrator on a polynomial through the noise at the last levels in the time `ln(rho)`, where
/// `rho = sigma / alpha`, of order 1 to 3, with lower orders in the first steps. One call of the model a step.
///
/// The weights are differences of large numbers, and diffusers takes them in single precision: at 50 steps a third order
/// shows it in the fifth digit. So does this.
///
/// A1111, ComfyUI: none. diffusers: `DEISMultistepScheduler`. <https://arxiv.org/abs/2204.13902>, eq. 15 and section 3.3
#[derive(Debug, Clone)]
pub struct DeisLogRho {
    order: usize,
    caps: Caps,
    /// The noise at the levels done, latest first.
    history: VecDeque<(Level, Tensor<4>)>,
}

impl DeisLogRho {
    /// The integrator of this order; orders above 3 are 3.
    pub fn new(order: usize) -> Self {
        Self { order: order.clamp(1, 3), caps: Caps::default(), history: VecDeque::new() }
    }

    /// Limits the order of the steps from these levels.
    pub fn capped(self, caps: Vec<(Level, usize)>) -> Self {
        Self { caps: Caps(caps), ..self }
    }

    /// The order of a step: what is asked for, as far as history, caps and finite logarithms allow.
    fn order_of(&self, from: Level, to: Level) -> usize {
        let regular = if to.is_clean() { 1 } else { self.order };
        let known = self.history.iter().take_while(|(level, _)| level.alpha > 0.0).count();
        regular.min(known.max(1)).min(self.caps.at(from))
    }

    /// The integral over the step, for the latest noise first.
    fn weights(&self, to: Level, order: usize) -> Vec<f32> {
        let nodes: Vec<f32> = self.history.iter().take(order).map(|(level, _)| rho(*level)).collect();
        let (start, end) = (nodes[0], rho(to));
        match nodes[..] {
            [a, b] => [[a, b], [b, a]].map(|n| second(end, n) - second(start, n)).to_vec(),
            [a, b, c] => [[a, b, c], [b, c, a], [c, a, b]].map(|n| third(end, n) - third(start, n)).to_vec(),
            _ => vec![end - start],
        }
    }
}

/// `alpha` and `sigma` of a flow level as the reference has them; `None` for another level, and for both ends.
fn flow(level: Level) -> Option<(f32, f32)> {
    let is_flow = (level.alpha + level.sigma - 1.0).abs() < 1e-9 && level.alpha > 0.0 && level.sigma > 0.0;
    is_flow.then_some((1.0 - level.sigma as f32, level.sigma as f32))
}

/// The first order between flow levels, in the reference's arithmetic: near pure noise it is a difference of large
/// numbers, too.
fn first(x: Tensor<4>, eps: Tensor<4>, from: (f32, f32), to: (f32, f32)) -> Tensor<4> {
    let nearest = |f: fn(f64) -> f64, x: f32| f(f64::from(x)) as f32; // torch's, and not numpy's
    let lambda = |(alpha, sigma): (f32, f32)| nearest(f64::ln, alpha) - nearest(f64::ln, sigma);
    let weight = to.1 * (nearest(f64::exp, lambda(to) - lambda(from)) - 1.0);
    scale(x, f64::from(to.0 / from.0)) - scale(eps, f64::from(weight))
}

/// `sigma / alpha` of the flow or variance-preserving level, as the reference finds it.
fn rho(level: Level) -> f32 {
    if let Some((alpha, sigma)) = flow(level) {
        return sigma / alpha;
    }
    let sigma = level.to_ve().sigma as f32;
    let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
    sigma * alpha / alpha
}

/// The antiderivative at `t` of the line in `ln(t)` that is 1 at `b` and 0 at `c`.
fn second(t: f32, [b, c]: [f32; 2]) -> f32 {
    t * (-ln(c) + ln(t) - 1.0) / (ln(b) - ln(c))
}

/// The antiderivative at `t` of the parabola in `ln(t)` that is 1 at `b` and 0 at `c` and `d`.
fn third(t: f32, [b, c, d]: [f32; 3]) -> f32 {
    let (ln_t, ln_b, ln_c, ln_d) = (ln(t), ln(b), ln(c), ln(d));
    let numerator = t * (ln_c * (ln_d - ln_t + 1.0) - ln_d * ln_t + ln_d + ln_t * ln_t - 2.0 * ln_t + 2.0);
    numerator / ((ln_b - ln_c) * (ln_b - ln_d))
}

impl Sampler for DeisLogRho {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if self.history.front().is_some_and(|(level, _)| *level == from) {
            self.history.pop_front(); // a level that comes twice in a row counts once
        }
        self.history.push_front((from, from.eps(x.clone(), x0.clone())));
        self.history.truncate(3);
        let order = self.order_of(from, to);
        if order == 1 {
            if let (Some(from), Some(to)) = (flow(from), flow(to)) {
                return first(x, self.history[0].1.clone(), from, to);
            }
            return to.mix(x0, self.history[0].1.clone());
        }
        let terms = self.weights(to, order).into_iter().zip(&self.history);
        let terms = terms.map(|(weight, (_, noise))| scale(noise.clone(), f64::from(weight)));
        let sum = terms.fold(x.div_scalar(from.alpha), |sum, term| sum + term);
        scale(sum, to.alpha)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("history", &mut self.history);
    }
}
