//! Linear multistep.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler};

/// The Adams-Bashforth method for steps of any length: the integral of the polynomial through the directions at the
/// latest levels. It asks the model once a step.
///
/// It integrates over `sigma / alpha`, which is `sigma` at variance-exploding levels.
///
/// A1111: "LMS", ComfyUI: "lms", diffusers: `LMSDiscreteScheduler`.
/// <https://github.com/crowsonkb/k-diffusion/blob/master/k_diffusion/sampling.py>, `sample_lms`
#[derive(Debug, Clone)]
pub struct Lms {
    order: usize,
    /// `sigma / alpha` at the levels done, latest first.
    sigmas: VecDeque<f64>,
    /// The directions at the levels done, latest first.
    directions: VecDeque<Tensor<4>>,
}

impl Lms {
    /// The method of this order, 4 by custom. The first steps are of the order that their history allows.
    pub fn new(order: usize) -> Self {
        Self { order: order.max(1), sigmas: VecDeque::new(), directions: VecDeque::new() }
    }

    /// The method for a run that starts after these levels, noisiest first. As in diffusers' image-to-image, their
    /// directions are missing from the sum whose weights count them in.
    pub fn after(mut self, levels: &[Level]) -> Self {
        levels.iter().for_each(|level| self.visit(*level));
        self
    }

    /// A level that comes twice in a row counts once.
    fn visit(&mut self, level: Level) {
        let sigma = level.to_ve().sigma;
        if self.sigmas.front() == Some(&sigma) {
            self.directions.pop_front();
        } else {
            self.sigmas.push_front(sigma);
        }
        self.sigmas.truncate(self.order);
    }
}

impl Sampler for Lms {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        if from.alpha == 0.0 {
            return from.advance(x, x0, to); // pure noise is infinitely far away
        }
        self.visit(from);
        self.directions.push_front(from.eps(x.clone(), x0));
        self.directions.truncate(self.order);
        let (nodes, end) = (self.sigmas.make_contiguous(), to.to_ve().sigma);
        let weight = |j: usize| to.alpha * coefficient(nodes, j, end);
        let terms = self.directions.iter().enumerate().map(|(j, direction)| scale(direction.clone(), weight(j)));
        let start = scale(x, to.alpha / from.alpha);
        match terms.reduce(|sum, term| sum + term) {
            Some(way) => start + way, // in this order, whose rounding is all that one sees of a step from high up
            None => start,
        }
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("sigmas", &mut self.sigmas);
        memory.keep("directions", &mut self.directions);
    }
}

/// The integral from `nodes[0]` to `end` of the polynomial that is 1 at node `j` and 0 at the others.
fn coefficient(nodes: &[f64], j: usize, end: f64) -> f64 {
    let mut polynomial = vec![1.0]; // in powers of the distance from the first node, the lowest first
    for other in nodes.iter().enumerate().filter(|(k, _)| *k != j).map(|(_, node)| node) {
        let (root, span) = (other - nodes[0], nodes[j] - other);
        let mut product = vec![0.0; polynomial.len() + 1];
        for (power, factor) in polynomial.iter().enumerate() {
            product[power] -= factor * root / span;
            product[power + 1] += factor / span;
        }
        polynomial = product;
    }
    let h = end - nodes[0];
    polynomial.iter().rev().zip((1..=polynomial.len()).rev()).fold(0.0, |sum, (c, n)| (sum + c / n as f64) * h)
}

#[cfg(test)]
mod tests {
    use super::coefficient;

    #[test]
    fn equal_steps_give_the_weights_of_adams_and_bashforth() {
        let nodes = [3.0, 2.0, 1.0, 0.0];
        let found: Vec<f64> = (0..4).map(|j| 24.0 * coefficient(&nodes, j, 4.0)).collect();
        for (found, expected) in found.iter().zip([55.0, -59.0, 37.0, -9.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        }
    }
}
