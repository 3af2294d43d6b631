//! DPM-Solver's single steps, which DPM fast and DPM adaptive share.

use burn::tensor::Tensor;

use super::exponential::Integral;
use super::place::Place;
use crate::Denoise;
use crate::level::scale;

/// A step in the noise, and what is known of it so far. <https://arxiv.org/abs/2206.00927>, algorithms 1 and 2
pub(super) struct SingleStep {
    x: Tensor<4>,
    x0: Tensor<4>,
    eps: Tensor<4>,
    from: Place,
    to: Place,
}

impl SingleStep {
    /// Asks the model at the start.
    pub(super) fn new(x: Tensor<4>, from: Place, to: Place, denoise: Denoise<'_>) -> Self {
        let level = from.level();
        let x0 = denoise(x.clone(), level);
        Self { eps: level.eps(x.clone(), x0.clone()), x, x0, from, to }
    }

    /// The solution of this order, 1 to 3. A step without a middle is of the first.
    pub(super) fn solve(&self, order: usize, denoise: Denoise<'_>) -> Tensor<4> {
        let h = self.from.h(self.to);
        match order {
            2.. if !h.is_finite() || h == 0.0 => self.first(),
            1 => self.first(),
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
    pub(super) fn first(&self) -> Tensor<4> {
        self.straight(self.to, self.from.integral(self.to))
    }

    /// How the direction has changed at `share` of the way. Asks the model there.
    pub(super) fn slope(&self, share: f64, denoise: Denoise<'_>) -> Tensor<4> {
        let (middle, part) = self.from.toward(self.to, share);
        self.change(self.straight(middle, part), middle, denoise)
    }

    /// The second order, from the change at `share` of the way.
    pub(super) fn second(&self, share: f64, slope: Tensor<4>) -> Tensor<4> {
        let step = self.from.integral(self.to);
        let gain = self.round(step.gain / self.round(2.0 * share));
        self.first() + scale(slope, gain * self.round(step.u.exp_m1()))
    }

    /// The third order, from the change at a third of the way. Asks the model at two thirds.
    pub(super) fn third(&self, slope: Tensor<4>, denoise: Denoise<'_>) -> Tensor<4> {
        let share = 2.0 / 3.0;
        let (middle, part) = self.from.toward(self.to, share);
        let there = self.straight(middle, part) + scale(slope, part.gain * 2.0 * self.bend(part.u));
        let change = self.change(there, middle, denoise);
        let step = self.from.integral(self.to);
        let gain = self.round(step.gain / self.round(share));
        self.first() + scale(change, gain * self.bend(step.u))
    }

    /// How far the solution for a direction that changes evenly is from that for a constant one: `expm1(u) / u - 1`.
    fn bend(&self, u: f64) -> f64 {
        let mean = self.round(self.round(u.exp_m1()) / u);
        self.round(mean - 1.0)
    }

    /// A number as it is in the arithmetic of this step. The last product of a factor is rounded where the latent takes
    /// it.
    fn round(&self, number: f64) -> f64 {
        self.from.arithmetic().round(number)
    }

    fn straight(&self, to: Place, way: Integral) -> Tensor<4> {
        if self.from.level().alpha == 0.0 {
            return to.level().mix(self.x0.clone(), self.eps.clone()); // pure noise is infinitely far away
        }
        way.exact(self.x.clone(), self.eps.clone())
    }

    fn change(&self, there: Tensor<4>, middle: Place, denoise: Denoise<'_>) -> Tensor<4> {
        let level = middle.level();
        let x0 = denoise(there.clone(), level);
        level.eps(there, x0) - self.eps.clone()
    }
}
