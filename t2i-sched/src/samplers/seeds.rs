//! What the SEEDS solvers share: a step of several stages under one path of noise.

use burn::tensor::Tensor;

use super::Fresh;
use crate::level::scale;
use crate::{Level, Noise};

/// A step that looks at the model on its way. All its stages start from one latent and see one path of noise.
/// <https://arxiv.org/abs/2305.14267>
pub(super) struct Stages<'a> {
    x: Tensor<4>,
    from: Level,
    fresh: &'a mut Fresh,
    /// The noise so far, in units of sigma, and the level that it belongs to.
    path: Option<Tensor<4>>,
    at: Level,
}

impl<'a> Stages<'a> {
    pub(super) fn new(x: Tensor<4>, from: Level, fresh: &'a mut Fresh) -> Self {
        Self { x, from, fresh, path: None, at: from }
    }

    /// The length of the way to `to` in the solver's time, `(1 + eta) * h`.
    pub(super) fn length(&self, to: Level) -> f64 {
        (1.0 + self.fresh.eta) * self.from.h(to)
    }

    /// The latent at `to`, if `x0` is the weighted sum of the answers on the way there.
    pub(super) fn reach(&mut self, to: Level, x0: Tensor<4>) -> Tensor<4> {
        let keep = to.sigma / self.from.sigma * decay(self.fresh.eta, self.from.h(to));
        self.walk(to);
        let moved = scale(self.x.clone(), keep) + scale(x0, to.alpha);
        match self.path.clone() {
            Some(path) => moved + scale(path, to.sigma * self.fresh.scale),
            None => moved,
        }
    }

    /// Continues the path of noise, an Ornstein-Uhlenbeck process in lambda.
    fn walk(&mut self, to: Level) {
        if self.fresh.is_none() {
            return;
        }
        let noise = self.fresh.noise.between(self.at, to, self.x.dims(), &self.x.device());
        let kept = decay(self.fresh.eta, self.at.h(to));
        let drawn = (1.0 - kept * kept).max(0.0).sqrt();
        let old = self.path.take().map(|path| scale(path, kept));
        self.path = match old {
            Some(old) if drawn == 0.0 => Some(old), // the noise of no way at all may be anything
            Some(old) => Some(old + scale(noise, drawn)),
            None => Some(scale(noise, drawn)),
        };
        self.at = to;
    }
}

/// `exp(-eta * h)`, and 1 without noise however long the way.
pub(super) fn decay(eta: f64, h: f64) -> f64 {
    if eta == 0.0 { 1.0 } else { (-eta * h).exp() }
}

/// The integral of the exponential weight over a way of this length: that of a constant.
pub(super) fn phi_1(length: f64) -> f64 {
    -(-length).exp_m1()
}

/// The same for a straight line from 0 to 1.
pub(super) fn phi_2(length: f64) -> f64 {
    1.0 + (-length).exp_m1() / length
}
