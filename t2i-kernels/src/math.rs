//! Exponential and error function of vectors, as polynomials.
//!
//! The coefficients are minimax fits made for this crate. NaN goes in and comes out; nothing traps.

use pulp::Simd;

/// `1.5 * 2^23 + 127`: added to a small number it leaves, in the lowest bits, the nearest integer with the bias of an
/// exponent.
const ROUND: f32 = 12_583_039.0;

/// `2^f - 1 = f * (c1 + c2 f + ...)` for `|f| <= 1/2`, relative error 9e-8, highest power first.
#[allow(clippy::approx_constant)] // a fit, that is not quite ln(2)
const EXP2: [f32; 5] = [0.001_326_471_4, 0.009_671_514, 0.055_507_34, 0.240_222_42, 0.693_147];
/// `e^f - 1 = f * (c1 + c2 f + ...)` for `|f| <= ln(2) / 2`, relative error 9e-8, highest power first.
const EXP: [f32; 5] = [0.008_290_307, 0.041_897_934, 0.166_676_36, 0.499_991_5, 0.999_999_7];
/// `log2(P(N > t))` for `t` in `[0, 5.7]`, highest power first. Beyond it falls steadily: to -1184 at 14.
const LOG2_TAIL: [f32; 9] = [
    -2.334_913_2e-6,
    3.373_742_6e-5,
    -0.000_161_292_3,
    -0.000_191_706_12,
    0.007_126_866_6,
    -0.052_533_615,
    -0.459_198_18,
    -1.151_106,
    -1.0,
];
/// ln(2) in two parts, the first with few bits: its product with an integer is exact.
const LN2: [f32; 2] = [0.693_359_4, -0.000_212_194_44];

/// `2^x` for `x` of 127 at most, relative error below 1e-6. 0 below about -126.5.
#[inline(always)]
pub(crate) fn exp2_negative<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = at_least(simd, -127.0, x);
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

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::arch::{dispatch, tests::each};

    struct Of<'a, const F: usize>(&'a mut [f32]);

    impl<const F: usize> WithSimd for Of<'_, F> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for x in S::as_mut_simd_f32s(self.0).0 {
                *x = match F {
                    0 => exp(simd, *x),
                    1 => exp2_negative(simd, *x),
                    2 => normal_tail(simd, *x),
                    _ => sigmoid(simd, *x),
                };
            }
        }
    }

    fn of<const F: usize>(x: &[f32]) -> Vec<f32> {
        let mut y = x.to_vec();
        y.resize(x.len().next_multiple_of(16), 0.0);
        dispatch(Of::<F>(&mut y));
        y.truncate(x.len());
        y
    }

    fn sweep(from: f32, to: f32) -> Vec<f32> {
        (0..200_000).map(|i| from + (to - from) * i as f32 / 200_000.0).collect()
    }

    fn worst(x: &[f32], y: &[f32], f: impl Fn(f64) -> f64, relative: bool) -> f64 {
        let error = |(x, y): (&f32, &f32)| {
            let expected = f(f64::from(*x));
            (f64::from(*y) - expected).abs() / if relative { expected } else { 1.0 }
        };
        assert!(y.iter().all(|y| y.is_finite()));
        x.iter().zip(y).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn exponentials() {
        each(|| {
            let x = sweep(-87.0, 88.0);
            assert!(worst(&x, &of::<0>(&x), f64::exp, true) < 1e-6);
            let x = sweep(-126.0, 1.0);
            assert!(worst(&x, &of::<1>(&x), f64::exp2, true) < 1e-6);
            let x = sweep(-20.0, 20.0);
            assert!(worst(&x, &of::<3>(&x), |x| 1.0 / (1.0 + (-x).exp()), true) < 1e-6);
        });
    }

    #[test]
    fn ends_and_nan() {
        each(|| {
            let x = [f32::NEG_INFINITY, f32::INFINITY, f32::NAN, f32::from_bits(0xffc0_0001), 0.0, -1e4];
            let y = of::<0>(&x);
            assert_eq!((y[0], y[1], y[4], y[5]), (0.0, f32::INFINITY, 1.0, 0.0));
            assert!(y[2].is_nan() && y[3].is_nan());
            let y = of::<1>(&x);
            assert_eq!((y[0], y[4], y[5]), (0.0, 1.0, 0.0));
            assert!(y[2].is_nan() && y[3].is_nan());
            let y = of::<2>(&x);
            assert_eq!((y[0], y[1], y[4], y[5]), (0.0, 0.0, 0.5, 0.0));
            assert!(y[2].is_nan() && y[3].is_nan());
        });
    }

    #[test]
    fn tail_of_the_normal_distribution() {
        each(|| {
            let x = sweep(-7.0, 7.0);
            assert!(worst(&x, &of::<2>(&x), |x| 1.0 - normal_below(x.abs()), false) < 1e-7);
        });
    }

    /// `P(N < x)` for `x >= 0`, from a series whose terms are all positive:
    /// <https://dlmf.nist.gov/7.6.E2>.
    fn normal_below(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while term > 1e-18 * sum {
            n += 2.0;
            term *= x * x / n;
            sum += term;
        }
        0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
    }
}
