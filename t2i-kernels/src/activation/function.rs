//! The functions, of a vector.

use pulp::Simd;

use crate::math::{at_least, at_most, exp, gated, normal_tail, sigmoid};

/// A function of a number and its slope.
pub(crate) trait Function: Copy + Send + Sync {
    /// `f(x)`.
    fn of<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s;
    /// `f'(x)`.
    fn slope<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s;
}

/// `x`.
#[derive(Clone, Copy)]
pub(crate) struct Identity;

impl Function for Identity {
    #[inline(always)]
    fn of<S: Simd>(self, _: S, x: S::f32s) -> S::f32s {
        x
    }

    #[inline(always)]
    fn slope<S: Simd>(self, simd: S, _: S::f32s) -> S::f32s {
        simd.splat_f32s(1.0)
    }
}

/// `x sigmoid(x)`.
#[derive(Clone, Copy)]
pub(crate) struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        gated(simd, x, x)
    }

    #[inline(always)]
    fn slope<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        slope_of_gated(simd, x, x, simd.splat_f32s(1.0))
    }
}

/// `x P(N < x)`, as `max(x, 0) - |x| P(N > |x|)`: nothing cancels, so that the far side is exact too.
#[derive(Clone, Copy)]
pub(crate) struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        // Beyond 14 the tail is 0, and infinity times 0 would be NaN.
        let near = at_most(simd, 14.0, simd.abs_f32s(x));
        simd.negate_mul_add_e_f32s(near, normal_tail(simd, x), at_least(simd, 0.0, x))
    }

    #[inline(always)]
    fn slope<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let tail = normal_tail(simd, x);
        let positive = simd.greater_than_f32s(x, simd.splat_f32s(0.0));
        let below = simd.select_f32s(positive, simd.sub_f32s(simd.splat_f32s(1.0), tail), tail);
        // The density, e^(-x^2 / 2) / sqrt(2 pi).
        let near = at_most(simd, 14.0, at_least(simd, -14.0, x));
        let density = exp(simd, simd.mul_f32s(simd.splat_f32s(-0.5), simd.mul_f32s(near, near)));
        simd.mul_add_e_f32s(simd.mul_f32s(simd.splat_f32s(0.398_942_3), near), density, below)
    }
}

/// `x sigmoid(2 u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
#[derive(Clone, Copy)]
pub(crate) struct GeluTanh;

/// `2 sqrt(2 / pi)`.
const TANH: f32 = 1.595_769_2;
/// The same times 0.044715.
const TANH_CUBE: f32 = 0.071_354_814;

impl Function for GeluTanh {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let square = simd.mul_f32s(x, x);
        let per_x = simd.mul_add_e_f32s(square, simd.splat_f32s(TANH_CUBE), simd.splat_f32s(TANH));
        gated(simd, x, simd.mul_f32s(x, per_x))
    }

    #[inline(always)]
    fn slope<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        // Beyond 14 the slope is 0 or 1, and the square might overflow.
        let x = at_most(simd, 14.0, at_least(simd, -14.0, x));
        let square = simd.mul_f32s(x, x);
        let per_x = simd.mul_add_e_f32s(square, simd.splat_f32s(TANH_CUBE), simd.splat_f32s(TANH));
        let slope = simd.mul_add_e_f32s(square, simd.splat_f32s(3.0 * TANH_CUBE), simd.splat_f32s(TANH));
        slope_of_gated(simd, x, simd.mul_f32s(x, per_x), slope)
    }
}

/// `x sigmoid(1.702 x)`.
#[derive(Clone, Copy)]
pub(crate) struct GeluQuick;

impl Function for GeluQuick {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        gated(simd, x, simd.mul_f32s(x, simd.splat_f32s(1.702)))
    }

    #[inline(always)]
    fn slope<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let c = simd.splat_f32s(1.702);
        slope_of_gated(simd, x, simd.mul_f32s(x, c), c)
    }
}

/// The slope of `x s(y)` where `y` rises by `dy`: `s (1 + x dy (1 - s))` for the sigmoid `s`.
#[inline(always)]
fn slope_of_gated<S: Simd>(simd: S, x: S::f32s, y: S::f32s, dy: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let s = sigmoid(simd, y);
    // Beyond 100 the slope is 0 or 1, and infinity times 0 would be NaN.
    let x = at_most(simd, 100.0, at_least(simd, -100.0, x));
    let rest = simd.sub_f32s(one, s);
    simd.mul_f32s(s, simd.mul_add_e_f32s(simd.mul_f32s(x, dy), rest, one))
}
