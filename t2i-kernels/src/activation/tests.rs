use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::arch::tests::each;

type Unary = (fn(&[f32], &mut [f32]), fn(&mut [f32]), fn(&[f32], &[f32], &mut [f32]), fn(f64) -> f64);

const ALL: [Unary; 4] = [
    (silu, silu_inplace, silu_backward, |x| x / (1.0 + (-x).exp())),
    (gelu, gelu_inplace, gelu_backward, gelu_f64),
    (gelu_tanh, gelu_tanh_inplace, gelu_tanh_backward, |x| {
        0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
    }),
    (gelu_quick, gelu_quick_inplace, gelu_quick_backward, |x| x / (1.0 + (-1.702 * x).exp())),
];

/// A series whose terms are all positive: <https://dlmf.nist.gov/7.6.E2>.
fn gelu_f64(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-18 * sum.abs() {
        n += 2.0;
        term *= x * x / n;
        sum += term;
    }
    x * (0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt())
}

fn slope(f: fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-5;
    (f(x + h) - f(x - h)) / (2.0 * h)
}

fn assert_near(got: &[f32], expected: impl Iterator<Item = f64>, tolerance: f64, what: &str) {
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "{what} {i}: {got} is not {expected}");
    }
}

#[test]
fn values_and_slopes() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (i, (f, inplace, backward, exact)) in ALL.into_iter().enumerate() {
            for n in [0, 1, 15, 16, 100, 1003, 70_001] {
                let x: Vec<f32> = (0..n).map(|_| rng.random_range(-12.0..12.0)).collect();
                let grad: Vec<f32> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
                let mut y = vec![f32::NAN; n];
                f(&x, &mut y);
                assert_near(&y, x.iter().map(|x| exact(f64::from(*x))), 4e-7, &format!("function {i}"));
                let mut z = x.clone();
                inplace(&mut z);
                assert_eq!(y, z);
                backward(&x, &grad, &mut y);
                let slopes = x.iter().zip(&grad).map(|(x, g)| f64::from(*g) * slope(exact, f64::from(*x)));
                assert_near(&y, slopes, 2e-6, &format!("gradient {i}"));
            }
        }
    });
}

#[test]
fn large_tiny_and_nan() {
    each(|| {
        let x = [1e4, -1e4, 1e-30, f32::NAN, 3e38, -3e38, f32::INFINITY, f32::from_bits(0x7fc0_1234), 0.0];
        for (i, (f, _, backward, _)) in ALL.into_iter().enumerate() {
            let mut y = x;
            f(&x, &mut y);
            assert_eq!([y[0], y[1], y[4], y[5], y[6], y[8]], [1e4, 0.0, 3e38, 0.0, f32::INFINITY, 0.0], "function {i}");
            assert!(y[3].is_nan() && y[7].is_nan() && (y[2] / 5e-31 - 1.0).abs() < 1e-6, "function {i}: {y:?}");
            backward(&x, &[1.0; 9], &mut y);
            assert_eq!([y[0], y[1], y[4], y[5]], [1.0, 0.0, 1.0, 0.0], "gradient {i}");
            assert!(y[3].is_nan() && y[7].is_nan() && (y[8] - 0.5).abs() < 1e-6, "gradient {i}: {y:?}");
        }
    });
}

#[test]
fn geglu_is_a_product() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for (rows, n) in [(0, 3), (1, 1), (7, 16), (5, 37), (300, 129)] {
            let x: Vec<f32> = (0..2 * rows * n).map(|_| rng.random_range(-5.0..5.0)).collect();
            let grad: Vec<f32> = (0..rows * n).map(|_| rng.random_range(-1.0..1.0)).collect();
            let at = |i: usize| (f64::from(x[i / n * 2 * n + i % n]), f64::from(x[i / n * 2 * n + n + i % n]));
            let mut y = vec![f32::NAN; rows * n];
            geglu(&x, n, &mut y);
            assert_near(&y, (0..rows * n).map(at).map(|(a, b)| a * gelu_f64(b)), 1e-6, "geglu");
            let mut dx = vec![f32::NAN; 2 * rows * n];
            geglu_backward(&x, n, &grad, &mut dx);
            let expected = (0..2 * rows * n).map(|i| {
                let (row, c) = (i / (2 * n), i % (2 * n));
                let ((a, b), g) = (at(row * n + c % n), f64::from(grad[row * n + c % n]));
                if c < n { g * gelu_f64(b) } else { g * a * slope(gelu_f64, b) }
            });
            assert_near(&dx, expected, 4e-6, "gradient of geglu");
        }
    });
}
