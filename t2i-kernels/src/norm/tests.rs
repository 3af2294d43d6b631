use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::arch::tests::each;

const EPS: f32 = 1e-5;

/// `(x - mean) / sqrt(variance + eps)` of some numbers.
fn normalised(x: &[f32]) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
    x.iter().map(|x| (f64::from(*x) - mean) / (variance + f64::from(EPS)).sqrt()).collect()
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn group_norm_f64(x: &[f32], [_, c, p]: [usize; 3], groups: usize, gamma: &[f32], beta: &[f32]) -> Vec<f64> {
    let y: Vec<f64> = x.chunks(c / groups * p).flat_map(normalised).collect();
    let affine = |(i, y): (usize, &f64)| y * f64::from(gamma[i / p % c]) + f64::from(beta[i / p % c]);
    y.iter().enumerate().map(affine).collect()
}

fn draw(rng: &mut ChaCha8Rng, n: usize, mean: f32, spread: f32) -> Vec<f32> {
    (0..n).map(|_| mean + spread * rng.random_range(-1.0..1.0)).collect()
}

fn assert_near(got: &[f32], expected: &[f64], what: &str) {
    let largest = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let error = |(got, expected): (&f32, &f64)| (f64::from(*got) - expected).abs();
    for (i, pair) in got.iter().zip(expected).enumerate() {
        assert!(error(pair) <= 1e-4 * largest, "{what} {i}: {pair:?} of {largest}");
    }
}

const SHAPES: [([usize; 3], usize); 7] = [
    ([1, 1, 1], 1),
    ([2, 6, 35], 3),
    ([1, 64, 64], 32),
    ([3, 4, 5000], 2),
    ([1, 2, 40_000], 1),
    ([2, 8, 1], 4),
    ([1, 5, 17], 5),
];

#[test]
fn groups() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for ((shape, groups), mean) in SHAPES.into_iter().flat_map(|s| [(s, 0.3), (s, 1e4)]) {
            let n = shape.iter().product();
            // Numbers near 1e4 differ by 0.001 at the least.
            let x = draw(&mut rng, n, mean, if mean > 1.0 { 0.1 } else { 2.0 });
            let (gamma, beta) = (draw(&mut rng, shape[1], 1.0, 0.5), draw(&mut rng, shape[1], 0.0, 1.0));
            let mut y = vec![f32::NAN; n];
            group_norm(&x, shape, groups, &gamma, &beta, EPS, &mut y);
            let expected = group_norm_f64(&x, shape, groups, &gamma, &beta);
            assert_near(&y, &expected, &format!("{shape:?} {mean}"));
            group_norm_silu(&x, shape, groups, &gamma, &beta, EPS, &mut y);
            let expected: Vec<f64> = expected.into_iter().map(silu).collect();
            assert_near(&y, &expected, &format!("{shape:?} {mean} SiLU"));
        }
    });
}

#[test]
fn layers() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for (rows, n, mean) in [(0, 4, 0.0), (1, 1, 0.0), (5, 16, 0.0), (300, 77, 1e4), (9, 320, -3.0), (2, 5000, 1e4)]
        {
            let x = draw(&mut rng, rows * n, mean, 0.1);
            let (gamma, beta) = (draw(&mut rng, n, 1.0, 0.5), draw(&mut rng, n, 0.0, 1.0));
            let mut y = vec![f32::NAN; rows * n];
            layer_norm(&x, &gamma, &beta, EPS, &mut y);
            let affine = |(i, y): (usize, f64)| y * f64::from(gamma[i % n]) + f64::from(beta[i % n]);
            let expected: Vec<f64> = x.chunks(n).flat_map(normalised).enumerate().map(affine).collect();
            assert_near(&y, &expected, &format!("{rows} rows of {n}"));
        }
    });
}

#[test]
fn nan_spoils_its_group_alone() {
    each(|| {
        let mut x = draw(&mut ChaCha8Rng::seed_from_u64(3), 4 * 50, 0.0, 1.0);
        x[120] = f32::NAN;
        let mut y = x.clone();
        group_norm_silu(&x, [1, 4, 50], 2, &[1.0; 4], &[0.0; 4], EPS, &mut y);
        assert!(y.iter().enumerate().all(|(i, y)| y.is_nan() == (i >= 100)));
        layer_norm(&x, &[1.0; 50], &[0.0; 50], EPS, &mut y);
        assert!(y.iter().enumerate().all(|(i, y)| y.is_nan() == (100..150).contains(&i)));
    });
}

/// The slope of `sum(grad * f(x))` along `dx`.
fn along(f: impl Fn(&[f32]) -> Vec<f64>, x: &[f32], dx: &[f32], grad: &[f32]) -> f64 {
    let h = 1.0 / 256.0;
    let at = |h: f32| {
        let x: Vec<f32> = x.iter().zip(dx).map(|(x, d)| x + h * d).collect();
        f(&x).iter().zip(grad).map(|(y, g)| y * f64::from(*g)).sum::<f64>()
    };
    (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * f64::from(h))
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn assert_slope(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= 1e-3 * expected.abs().max(0.1), "{what}: {got} is not {expected}");
}

#[test]
fn gradients_of_groups() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for (shape, groups) in [([2, 6, 35], 3), ([1, 4, 100], 1), ([3, 5, 16], 5)] {
            let (n, c) = (shape.iter().product(), shape[1]);
            let [x, dx, grad] = [0.5, 0.0, 0.0].map(|mean| draw(&mut rng, n, mean, 1.0));
            let [gamma, beta, dw] = [1.0, 0.0, 0.0].map(|mean| draw(&mut rng, c, mean, 0.5));
            for with_silu in [false, true] {
                let after = |y: Vec<f64>| if with_silu { y.into_iter().map(silu).collect() } else { y };
                let mut out = vec![f32::NAN; n];
                let got = if with_silu {
                    group_norm_silu_backward(&x, shape, groups, &gamma, &beta, EPS, &grad, &mut out)
                } else {
                    group_norm_backward(&x, shape, groups, &gamma, EPS, &grad, &mut out)
                };
                let f = |x: &[f32]| after(group_norm_f64(x, shape, groups, &gamma, &beta));
                assert_slope(dot(&out, &dx), along(f, &x, &dx, &grad), "x");
                let f = |gamma: &[f32]| after(group_norm_f64(&x, shape, groups, gamma, &beta));
                assert_slope(dot(&got.gamma, &dw), along(f, &gamma, &dw, &grad), "gamma");
                let f = |beta: &[f32]| after(group_norm_f64(&x, shape, groups, &gamma, beta));
                assert_slope(dot(&got.beta, &dw), along(f, &beta, &dw, &grad), "beta");
            }
        }
    });
}

#[test]
fn gradients_of_layers() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for (rows, n) in [(1, 3), (7, 16), (40, 37)] {
            let [x, dx, grad] = [0.5, 0.0, 0.0].map(|mean| draw(&mut rng, rows * n, mean, 1.0));
            let [gamma, beta, dw] = [1.0, 0.0, 0.0].map(|mean| draw(&mut rng, n, mean, 0.5));
            let of = |x: &[f32], gamma: &[f32], beta: &[f32]| -> Vec<f64> {
                let affine = |(i, y): (usize, f64)| y * f64::from(gamma[i % n]) + f64::from(beta[i % n]);
                x.chunks(n).flat_map(normalised).enumerate().map(affine).collect()
            };
            let mut out = vec![f32::NAN; rows * n];
            let got = layer_norm_backward(&x, &gamma, EPS, &grad, &mut out);
            assert_slope(dot(&out, &dx), along(|x| of(x, &gamma, &beta), &x, &dx, &grad), "x");
            assert_slope(dot(&got.gamma, &dw), along(|w| of(&x, w, &beta), &gamma, &dw, &grad), "gamma");
            assert_slope(dot(&got.beta, &dw), along(|w| of(&x, &gamma, w), &beta, &dw, &grad), "beta");
        }
    });
}
