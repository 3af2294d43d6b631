//! Functions whose last digit is numpy's.

use std::f32::consts::{FRAC_1_SQRT_2, LN_2};

/// `numpy.log` of a positive number in f32, bit for bit, as its vector loops compute it: a quotient of polynomials of
/// the mantissa. Zero has minus infinity.
/// <https://github.com/numpy/numpy/blob/main/numpy/_core/src/umath/loops_exponent_log.dispatch.c.src>
pub(crate) fn ln(x: f32) -> f32 {
    if !(x.is_normal() && x > 0.0) {
        return x.ln();
    }
    let (mantissa, exponent) = split(x);
    let r = mantissa - 1.0;
    let quotient = polynomial(r, NUMERATOR) / polynomial(r, DENOMINATOR);
    exponent.mul_add(LN_2, quotient)
}

/// Highest power first.
const NUMERATOR: [f32; 6] = [0.025_899_792, 0.380_883_78, 1.480_000_6, 2.112_677_6, 1.0, 0.0];
const DENOMINATOR: [f32; 6] = [0.005_875_095_4, 0.154_647_64, 0.986_494_3, 2.453_006, 2.612_677_6, 1.0];

fn polynomial(x: f32, coefficients: [f32; 6]) -> f32 {
    coefficients.into_iter().reduce(|sum, c| sum.mul_add(x, c)).unwrap_or(0.0)
}

/// `x = mantissa * 2^exponent`, with the mantissa from `sqrt(1/2)` to `sqrt(2)`.
fn split(x: f32) -> (f32, f32) {
    let bits = x.to_bits();
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000); // in [1/2, 1)
    let exponent = (bits >> 23) as f32 - 126.0;
    if mantissa < FRAC_1_SQRT_2 { (mantissa * 2.0, exponent - 1.0) } else { (mantissa, exponent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // numpy 2, `np.log(np.float32(x))`: x and its logarithm as bits, mostly where the nearest float is another.
    const KNOWN: &[(u32, u32)] = &[
        (0x3fa37db1, 0x3e7a99de),
        (0x40a58eaf, 0x3fd260e4),
        (0x3f387bf9, 0xbea7bcec),
        (0x43e9aba6, 0x40c4b4b6),
        (0x41c93878, 0x404e65c0),
        (0x3dbdf211, 0xc0182f35),
        (0x41b787f3, 0x40488220),
        (0x3e14c450, 0xbff6ec78),
        (0x45356108, 0x40ff2446),
        (0x3f596cda, 0xbe273e08),
        (0x44f3be20, 0x40f26af2),
        (0x44577f0c, 0x40d84bae),
        (0x41bd9af2, 0x404a9799),
        (0x462c0507, 0x4114e764),
        (0x3e0d222e, 0xbffdaa7e),
        (0x4627b498, 0x41147f5b),
    ];

    #[test]
    fn its_last_digit_is_that_of_numpy() {
        for (x, expected) in KNOWN {
            assert_eq!(ln(f32::from_bits(*x)).to_bits(), *expected);
        }
        assert_eq!(ln(0.0), f32::NEG_INFINITY);
    }
}
