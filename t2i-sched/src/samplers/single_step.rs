//! DPM-Solver's single steps, which DPM fast and DPM adaptive share.

use burn::tensor::Tensor;

use super::exponential::Variable;
use crate::level::scale;
use crate::{Denoise, Level};

/// A step in the noise, and what is known of it so far. <https://arxiv.org/abs/2206.00927>, algorithms 1 and 2
pub(super) struct SingleStep {
    x: Tensor<4>,
    x0: Tensor<4>,
    eps: Tensor<4>,
    from: Level,
    to: Level,
}

impl SingleStep {
    /// Asks the model at the start.
    pub(super) fn new(x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Self {
        let x0 = denoise(x.clone(), from);
        Self { eps: from.eps(x.clone(), x0.clone()), x, x0, from, to }
    }

    /// The solution of this order, 1 to 3. A step without a middle is of the first.
    pub(super) fn solve(&self, order: usize, denoise: Denoise<'_>) -> Tensor<4> {
        let h = self.from.h(self.to);
        match order {
            2.. if !h.is_finite() || h == 0.0 => self.first(self.to),
            1 => self.first(self.to),
            2 => {
                let slope = self.slope(0.5, denoise);
                self.second(0.5, slope)
            }
            _ => {
                let slope = self.slope(1.0 / 3.0, denoise);
                self.third(slope, denoise)
            }
        }
    }

    /// The exact solution for a constant direction.
    pub(super) fn first(&self, to: Level) -> Tensor<4> {
        if self.from.alpha == 0.0 {
            return to.mix(self.x0.clone(), self.eps.clone()); // pure noise is infinitely far away
        }
        Variable::Noise.integral(self.from, to).exact(self.x.clone(), self.eps.clone())
    }

    /// How the direction has changed at `share` of the way. Asks the model there.
    pub(super) fn slope(&self, share: f64, denoise: Denoise<'_>) -> Tensor<4> {
        let middle = self.from.toward(self.to, share);
        self.change(self.first(middle), middle, denoise)
    }

    /// The second order, from the change at `share` of the way.
    pub(super) fn second(&self, share: f64, slope: Tensor<4>) -> Tensor<4> {
        let step = Variable::Noise.integral(self.from, self.to);
        self.first(self.to) + scale(slope, step.gain * step.u.exp_m1() / (2.0 * share))
    }

    /// The third order, from the change at a third of the way. Asks the model at two thirds.
    pub(super) fn third(&self, slope: Tensor<4>, denoise: Denoise<'_>) -> Tensor<4> {
        let middle = self.from.toward(self.to, 2.0 / 3.0);
        let part = Variable::Noise.integral(self.from, middle);
        let there = self.first(middle) + scale(slope, part.gain * 2.0 * (part.u.exp_m1() / part.u - 1.0));
        let change = self.change(there, middle, denoise);
        let step = Variable::Noise.integral(self.from, self.to);
        self.first(self.to) + scale(change, step.gain * 1.5 * (step.u.exp_m1() / step.u - 1.0))
    }

    fn change(&self, there: Tensor<4>, middle: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(there.clone(), middle);
        middle.eps(there, x0) - self.eps.clone()
    }
}
