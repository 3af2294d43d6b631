//! Improved pseudo numerical methods.

use burn::tensor::Tensor;

use super::adams_bashforth;
use super::history::History;
use crate::{Denoise, Level, Memory, Sampler};

/// Which weights the directions get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weights {
    Equal,
    Variable,
}

/// How steps from pure noise and to a clean latent are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Euler,
    Multistep,
}

/// Adams-Bashforth's linear multistep of order 1 to 4 along the noise in `sigma / alpha`, with lower orders in the first
/// steps. One call of the model a step.
///
/// [`new`](Self::new) has the weights for equal steps whatever the steps are, and is of its order only where they are
/// equal. [`variable`](Self::variable) has weights for the steps that there are; those of order 3 and 4 are the ones that
/// ComfyUI and the published code have, where a bracket, a sign and a ratio are misplaced: they leave third order where
/// the steps change smoothly, and second order elsewhere. The right ones are those of [`Deis::rho`](super::Deis::rho).
///
/// A1111: none. ComfyUI: "ipndm", "ipndm_v", of order 4. diffusers: `IPNDMScheduler` ([`diffusers`](Self::diffusers)).
/// <https://arxiv.org/abs/2204.13902>, iPNDM; <https://github.com/zju-pi/diff-sampler>, `ipndm_sampler`, `ipndm_v_sampler`
#[derive(Debug, Clone)]
pub struct Ipndm {
    weights: Weights,
    ends: Ends,
    order: usize,
    /// The noise at the levels done.
    history: History,
}

impl Ipndm {
    /// The weights for equal steps; `order` is 1 to 4.
    pub fn new(order: usize) -> Self {
        Self { weights: Weights::Equal, ends: Ends::Euler, order: order.clamp(1, 4), history: History::default() }
    }

    /// diffusers': of order 4, also in the step to a clean latent. From pure noise it ignores the model's answer: the
    /// clean latent there is 0.
    pub fn diffusers() -> Self {
        Self { ends: Ends::Multistep, ..Self::new(4) }
    }

    /// The weights for the steps that there are; `order` is 1 to 4.
    pub fn variable(order: usize) -> Self {
        Self { weights: Weights::Variable, ..Self::new(order) }
    }

    /// The weights of the directions, latest first.
    fn weights(&self, to: Level) -> Vec<f64> {
        let kappa = |i: usize| self.history.level(i).sigma / self.history.level(i).alpha;
        let order = self.history.len();
        match self.weights {
            Weights::Equal => adams_bashforth::weights(order).to_vec(),
            Weights::Variable => {
                let h = to.sigma / to.alpha - kappa(0);
                let lengths = (1..order).map(|i| kappa(i - 1) - kappa(i));
                // A step up has nothing to extrapolate from.
                variable(h, &lengths.take_while(|_| h <= 0.0).collect::<Vec<_>>())
            }
        }
    }
}

impl Sampler for Ipndm {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if self.ends == Ends::Euler && (to.is_clean() || from.alpha == 0.0) {
            return from.advance(x, x0, to); // pure noise is at no finite `sigma / alpha`
        }
        let eps = if from.is_clean() { x.zeros_like() } else { from.eps(x.clone(), x0) };
        self.history.push(from, eps, self.order);
        if from.alpha == 0.0 {
            return x.mul_scalar(to.sigma / from.sigma);
        }
        from.transfer(x, self.history.weighted(&self.weights(to)), to)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.history.remember(memory);
    }
}

/// The weights for a step of length `h` after steps of these lengths, latest first. Each further order adds a multiple of
/// the next divided difference of the directions.
fn variable(h: f64, lengths: &[f64]) -> Vec<f64> {
    let mut weights = vec![1.0];
    let &[h_1, ref rest @ ..] = lengths else { return weights };
    let slope = h / h_1 / 2.0;
    add(&mut weights, slope, &[1.0, -1.0]);
    let &[h_2, ref rest @ ..] = rest else { return weights };
    let (p, q) = (h_1 / h_2, h + h_1);
    // The bracket of the published code: `(1 - a * b) / 2`, where Adams' formula has `(1 - a) * b / 2`.
    let bend = (1.0 - h / (3.0 * q) * (h * q) / (h_1 * (h_1 + h_2))) / 2.0;
    add(&mut weights, bend, &[1.0, -(1.0 + p), p]);
    let &[h_3, ..] = rest else { return weights };
    let (s, r) = (h_1 + h_2, h_1 * (h_1 + h_2) / (h_2 * (h_2 + h_3)));
    // Adams' formula subtracts the second product.
    let third = ((1.0 - h / (3.0 * q)) / 2.0 + (1.0 - h / (2.0 * q)) * h / (6.0 * (q + h_2))) * (h * q * (q + h_2))
        / (h_1 * s * (s + h_3));
    // The last part of the published code: `p`, where Adams' formula has `h_2 / h_3`.
    add(&mut weights, third, &[1.0, -(1.0 + p + r), p + r * (1.0 + h_2 / h_3), -r * p]);
    weights
}

/// Adds `factor * difference` to the weights, which grow to its length.
fn add(weights: &mut Vec<f64>, factor: f64, difference: &[f64]) {
    weights.resize(difference.len(), 0.0);
    weights.iter_mut().zip(difference).for_each(|(weight, part)| *weight += factor * part);
}
