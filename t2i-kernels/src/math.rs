//! Exponential and error function of vectors, as polynomials.
//!
//! The coefficients are minimax fits made for this crate. NaN goes in and comes out; nothing traps.

use pulp::Simd;

/// `1.5 * 2^23 + 127`: added to a small number it leaves, in the lowest bits, the nearest integer with the bias of an
/// exponent.
const ROUND: f32 = 12_583_039.0;

/// `2^f - 1 = f * (c1 + c2 f + ...)` for `|f| <= 1/2`, relative error 9e-8, highest power first.
const EXP2: [f32; 5] = [0.001_326_471_4, 0.009_671_514, 0.055_507_338, 0.240_222_42, 0.693_147];
/// `e^f - 1 = f * (c1 + c2 f + ...)` for `|f| <= ln(2) / 2`, relative error 9e-8, highest power first.
const EXP: [f32; 5] = [0.008_290_307, 0.041_897_934, 0.166_676_36, 0.499_991_5, 0.999_999_7];
/// `log2(P(N > t))` for `t` in `[0, 5.7]`, highest power first. Beyond it falls steadily: to -1184 at 14.
const LOG2_TAIL: [f32; 9] = [
    -2.334_913_2e-6,
    3.373_742_6e-5,
    -0.000_161_292_3,
    -0.000_191_706_12,
    0.007_126_866_6,
    -0.052_533_613,
    -0.459_198_18,
    -1.151_106,
    -1.0,
];
/// ln(2) in two parts, the first with few bits: its product with an integer is exact.
const LN2: [f32; 2] = [0.693_359_4, -0.000_212_194_44];

/// `2^x`, relative error below 1e-6. 0 below about -126.5, infinite above 127.5.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = at_most(simd, 128.0, at_least(simd, -127.0, x));
    exp2_small(simd, x)
}

/// As [`exp2`], for `x` of 127 at most.
#[inline(always)]
pub(crate) fn exp2_negative<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    exp2_small(simd, at_least(simd, -127.0, x))
}

#[inline(always)]
fn exp2_small<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let biased = simd.add_f32s(x, simd.splat_f32s(ROUND));
    let f = simd.sub_f32s(x, simd.sub_f32s(biased, simd.splat_f32s(ROUND)));
    times_power(simd, one_plus(simd, f, EXP2), biased)
}

/// `e^x`, relative error below 1e-6. 0 below about -87.7, infinite above 88.4.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = at_most(simd, 89.0, at_least(simd, -88.0, x));
    let biased = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(ROUND));
    let n = simd.sub_f32s(biased, simd.splat_f32s(ROUND));
    let mut f = x;
    for part in LN2 {
        f = simd.negate_mul_add_e_f32s(n, simd.splat_f32s(part), f);
    }
    times_power(simd, one_plus(simd, f, EXP), biased)
}

/// `y * 2^n` where `biased` is `n + ROUND`: its lowest 9 bits are the sign and exponent of `2^n`.
#[inline(always)]
fn times_power<S: Simd>(simd: S, y: S::f32s, biased: S::f32s) -> S::f32s {
    let power = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(biased), simd.splat_u32s(23));
    simd.mul_f32s(y, simd.transmute_f32s_u32s(power))
}

/// `1 + f * polynomial(f)`.
#[inline(always)]
fn one_plus<S: Simd, const N: usize>(simd: S, f: S::f32s, coefficients: [f32; N]) -> S::f32s {
    simd.mul_add_e_f32s(polynomial(simd, f, coefficients), f, simd.splat_f32s(1.0))
}

/// Horner's scheme, the highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut y = simd.splat_f32s(coefficients[0]);
    for &c in &coefficients[1..] {
        y = simd.mul_add_e_f32s(y, x, simd.splat_f32s(c));
    }
    y
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// `x / (1 + e^-y)`.
#[inline(always)]
pub(crate) fn gated<S: Simd>(simd: S, x: S::f32s, y: S::f32s) -> S::f32s {
    simd.div_f32s(x, simd.add_f32s(simd.splat_f32s(1.0), exp(simd, simd.neg_f32s(y))))
}

/// The chance that a normal number is above `|x|`, absolute error below 1e-7: `erfc(|x| / sqrt(2)) / 2`.
///
/// A polynomial for the logarithm serves, since that is nearly a parabola.
#[inline(always)]
pub(crate) fn normal_tail<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let t = at_most(simd, 14.0, simd.abs_f32s(x));
    exp2_negative(simd, polynomial(simd, t, LOG2_TAIL))
}

/// `max(x, low)`, NaN where `x` is NaN.
#[inline(always)]
pub(crate) fn at_least<S: Simd>(simd: S, low: f32, x: S::f32s) -> S::f32s {
    let low = simd.splat_f32s(low);
    if S::IS_SCALAR {
        // The maximum of std drops NaN; that of the vector units keeps it in second place.
        return simd.select_f32s(simd.less_than_f32s(x, low), low, x);
    }
    simd.max_f32s(low, x)
}

/// `min(x, high)`, NaN where `x` is NaN.
#[inline(always)]
pub(crate) fn at_most<S: Simd>(simd: S, high: f32, x: S::f32s) -> S::f32s {
    let high = simd.splat_f32s(high);
    if S::IS_SCALAR {
        return simd.select_f32s(simd.greater_than_f32s(x, high), high, x);
    }
    simd.min_f32s(high, x)
}
