//! The polynomials with which torch's AVX2 kernels take logarithms, sines and cosines: Cephes' in f32.
//! <https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/cpu/avx_mathfun.h>
//!
//! The compiler of torch's binaries fuses each product with the sum after it, so each is a `mul_add` here.

#![allow(clippy::excessive_precision, reason = "the constants as Cephes prints them")]

/// `ln(x)` for normal `x > 0` (`log256_ps`).
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    let bits = x.max(f32::MIN_POSITIVE).to_bits();
    let mut exponent = (bits >> 23) as f32 - 126.0;
    let mut mantissa = f32::from_bits(bits & 0x807f_ffff | 0.5f32.to_bits()); // in [0.5, 1)
    if mantissa < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1.0;
        mantissa += mantissa - 1.0;
    } else {
        mantissa -= 1.0;
    }
    let x = mantissa;
    let z = x * x;
    let y = polynomial(x, &LN) * x;
    let y = y.mul_add(z, exponent * -2.121_944_4e-4);
    let y = z.mul_add(-0.5, y);
    exponent.mul_add(0.693_359_375, x + y)
}

/// `(sin(x), cos(x))` for `x` in `[0, 2 pi]` (`sincos256_ps`).
#[inline(always)]
pub(super) fn sin_cos(x: f32) -> (f32, f32) {
    let octant = ((x * FOUR_OVER_PI) as i32 + 1) & !1;
    let y = octant as f32;
    // Reduces to [-pi / 4, pi / 4] by three parts of pi / 4.
    let x = y.mul_add(-0.785_156_25, x);
    let x = y.mul_add(-2.418_756_5e-4, x);
    let x = y.mul_add(-3.774_895e-8, x);
    let z = x * x;
    let cos = (polynomial(z, &COS) * z).mul_add(z, z * -0.5) + 1.0;
    let sin = (polynomial(z, &SIN) * z).mul_add(x, x);
    let (sin, cos) = if octant & 2 == 0 { (sin, cos) } else { (cos, sin) };
    let sin = if octant & 4 == 0 { sin } else { -sin };
    let cos = if (octant - 2) & 4 == 0 { -cos } else { cos };
    (sin, cos)
}

/// Horner's scheme, the highest power first.
#[inline(always)]
fn polynomial(x: f32, coefficients: &[f32]) -> f32 {
    coefficients.iter().copied().reduce(|y, c| y.mul_add(x, c)).unwrap_or(0.0)
}

const FOUR_OVER_PI: f32 = 4.0 / std::f32::consts::PI;

const LN: [f32; 9] = [
    7.037_683_6e-2,
    -1.151_461e-1,
    1.167_699_87e-1,
    -1.242_014_1e-1,
    1.424_932_3e-1,
    -1.666_805_7e-1,
    2.000_071_48e-1,
    -2.499_999_4e-1,
    3.333_333_1e-1,
];
const COS: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
const SIN: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
