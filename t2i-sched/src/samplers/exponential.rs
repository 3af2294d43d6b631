//! What the exponential integrators (DPM-Solver, UniPC) share.

use burn::tensor::Tensor;

use crate::Level;
use crate::level::scale;

/// Which of the two the integrator takes for slowly varying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    /// The clean latent `x0`.
    Data,
    /// The noise `eps`.
    Noise,
}

impl Variable {
    /// The variable at `level`. `[batch, channels, height, width]`
    pub(super) fn of(self, x: Tensor<4>, x0: Tensor<4>, level: Level) -> Tensor<4> {
        match self {
            Self::Data => x0,
            Self::Noise => level.eps(x, x0),
        }
    }

    /// The exact solution for a constant variable `m`: `x' = keep * x + whole * m`, where `whole = gain * expm1(u)`.
    /// <https://arxiv.org/abs/2211.01095>, eq. 9; <https://arxiv.org/abs/2206.00927>, eq. 3.4
    pub(super) fn integral(self, from: Level, to: Level) -> Integral {
        let h = from.h(to);
        match self {
            Self::Data => {
                Integral { keep: to.sigma / from.sigma, gain: -to.alpha, u: -h, whole: -to.alpha * (-h).exp_m1() }
            }
            Self::Noise => Integral {
                keep: to.alpha / from.alpha,
                gain: -to.sigma,
                u: h,
                whole: to.sigma - to.alpha / from.alpha * from.sigma, // finite where `expm1(h)` is not
            },
        }
    }
}

/// The coefficients of [`Variable::integral`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Integral {
    pub(super) keep: f64,
    pub(super) gain: f64,
    pub(super) u: f64,
    pub(super) whole: f64,
}

impl Integral {
    /// The solution for the constant variable `m`.
    pub(super) fn exact(self, x: Tensor<4>, m: Tensor<4>) -> Tensor<4> {
        scale(x, self.keep) + scale(m, self.whole)
    }
}

/// The highest order at some levels: near the end of a short run the solvers fall back to lower ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Caps(pub(super) Vec<(Level, usize)>);

impl Caps {
    pub(super) fn at(&self, level: Level) -> usize {
        self.0.iter().find(|(capped, _)| *capped == level).map_or(usize::MAX, |(_, order)| *order)
    }

    /// The highest order of a step: 1 if it has no finite length, or none at all.
    pub(super) fn order(&self, from: Level, to: Level) -> usize {
        let h = from.h(to);
        if h.is_finite() && h != 0.0 { self.at(from) } else { 1 }
    }
}
