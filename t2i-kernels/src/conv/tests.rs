//! Convolutions against plain loops in f64.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Conv2d, Window,
    arch::tests::{best, each},
    conv3x3_weight_gradient,
    expect::{error, numbers},
};

/// The plain sums: `[batch, o, h, w]`.
fn plain(x: &[f32], w: &[f32], bias: &[f32], [b, c, h, wd, o]: [usize; 5], window: Window) -> Vec<f64> {
    let ([oh, ow], [kh, kw]) = (window.output([h, wd]), window.kernel);
    let mut out = vec![];
    for i in 0..b * o * oh * ow {
        let (b, o, y0, x0) = (i / (o * oh * ow), i / (oh * ow) % o, i / ow % oh, i % ow);
        let mut sum = f64::from(bias[o]);
        for c0 in 0..c {
            for k in 0..kh * kw {
                let y = (y0 * window.stride[0] + k / kw).wrapping_sub(window.padding[0][0]);
                let x1 = (x0 * window.stride[1] + k % kw).wrapping_sub(window.padding[1][0]);
                if y < h && x1 < wd {
                    sum += f64::from(x[((b * c + c0) * h + y) * wd + x1]) * f64::from(w[(o * c + c0) * kh * kw + k]);
                }
            }
        }
        out.push(sum);
    }
    out
}

#[test]
fn winograd_is_the_plain_sum() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut worst = 0.0f64;
        for i in 0..60 {
            let [b, c, h, w, o] = match i {
                0 => [1, 1, 1, 1, 1],
                1 => [2, 321, 8, 8, 3],
                2 => [1, 40, 32, 32, 85],
                3 => [1, 700, 16, 16, 13],
                4 => [1, 3, 2, 131, 5],
                // many tiles
                5 => [1, 5, 64, 64, 13],
                6 => [2, 600, 46, 70, 7],
                7 => [1, 3, 9, 1100, 2],
                _ => [
                    rng.random_range(1..4),
                    rng.random_range(1..9),
                    rng.random_range(1..24),
                    rng.random_range(1..40),
                    rng.random_range(1..30),
                ],
            };
            let (x, weight, bias) =
                (numbers(&mut rng, b * c * h * w), numbers(&mut rng, o * c * 9), numbers(&mut rng, o));
            let mut out = vec![f32::NAN; b * o * h * w];
            Conv2d::new(&weight, [o, c], Window::square(3, 1, 1)).forward(&x, [h, w], Some(&bias), &mut out);
            let e = error(&out, &plain(&x, &weight, &bias, [b, c, h, w, o], Window::square(3, 1, 1)));
            assert!(e < 1e-4, "{b} {c} {h} {w} {o}: {e}");
            worst = worst.max(e);
        }
        eprintln!("worst {worst:e}");
    });
}

#[test]
fn kernels_of_many_outputs_come_in_parts() {
    best(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let ([c, o, s], window) = ([700, 700, 64], Window::square(3, 1, 1));
        let (x, weight, bias) = (numbers(&mut rng, c * s * s), numbers(&mut rng, o * c * 9), numbers(&mut rng, o));
        let mut all = vec![f32::NAN; o * s * s];
        Conv2d::new(&weight, [o, c], window).forward(&x, [s, s], Some(&bias), &mut all);
        for some in [0..5, 300..400, 693..700] {
            let mut out = vec![f32::NAN; some.len() * s * s];
            let weight = &weight[some.start * c * 9..some.end * c * 9];
            Conv2d::new(weight, [some.len(), c], window).forward(&x, [s, s], Some(&bias[some.clone()]), &mut out);
            assert_eq!(out, all[some.start * s * s..some.end * s * s]);
        }
    });
}

#[test]
fn any_window_is_the_plain_sum() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for i in 0..80 {
            let [b, c, h, w, o] = match i {
                0 => [1, 1, 1, 1, 1],
                1 => [1, 321, 8, 8, 300],
                2 => [2, 130, 5, 50, 13],
                // many inputs of many pixels
                30 => [1, 600, 46, 70, 7],
                _ => [1..4, 1..9, 1..24, 1..40, 1..30].map(|range| rng.random_range(range)),
            };
            let window = match i {
                0 => Window::square(1, 1, 0),
                3 => Window::square(7, 2, 9),
                4..20 => Window::square(1, 1, 0),
                20..30 => Window { padding: [[0, 1], [0, 1]], ..Window::square(3, 2, 0) },
                30..40 => Window::square(3, 2, 1),
                1 | 2 => Window::square(3, 1, 1),
                _ => Window {
                    kernel: [rng.random_range(1..=h.min(5)), rng.random_range(1..=w.min(5))],
                    stride: [rng.random_range(1..4), rng.random_range(1..4)],
                    padding: [[0; 2]; 2].map(|pair| pair.map(|_: usize| rng.random_range(0..4))),
                },
            };
            if (20..30).contains(&i) && h.min(w) < 2 {
                continue;
            }
            let [oh, ow] = window.output([h, w]);
            let [kh, kw] = window.kernel;
            let (x, weight, bias) =
                (numbers(&mut rng, b * c * h * w), numbers(&mut rng, o * c * kh * kw), numbers(&mut rng, o));
            let mut out = vec![f32::NAN; b * o * oh * ow];
            Conv2d::new(&weight, [o, c], window).forward(&x, [h, w], Some(&bias), &mut out);
            let e = error(&out, &plain(&x, &weight, &bias, [b, c, h, w, o], window));
            assert!(e < 1e-5, "{b} {c} {h} {w} {o} {window:?}: {e}");
        }
    });
}

#[test]
fn nan_stays_nan() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let ([c, o, s], window) = ([5, 7, 9], Window::square(3, 1, 1));
        let (mut x, weight) = (numbers(&mut rng, c * s * s), numbers(&mut rng, o * c * 9));
        x[2 * s * s + 4 * s + 3] = f32::NAN;
        let mut out = vec![0.0; o * s * s];
        Conv2d::new(&weight, [o, c], window).forward(&x, [s, s], None, &mut out);
        for (i, value) in out.iter().enumerate() {
            let (y, x) = (i / s % s, i % s);
            assert!(value.is_nan() || y.abs_diff(4) > 1 || x.abs_diff(3) > 1, "{y} {x}");
            assert!(value.is_finite() || (y < 8 && x < 8), "{y} {x}");
        }
    });
}

/// The gradient of `sum(out * dout)` with respect to the weight and to the picture.
fn plain_gradients(
    x: &[f32],
    weight: &[f32],
    dout: &[f32],
    [b, c, h, wd, o]: [usize; 5],
    window: Window,
) -> [Vec<f64>; 2] {
    let ([oh, ow], [kh, kw]) = (window.output([h, wd]), window.kernel);
    let (mut dw, mut dx) = (vec![0.0; weight.len()], vec![0.0; x.len()]);
    assert_eq!(dout.len(), b * o * oh * ow);
    for (i, d) in dout.iter().enumerate() {
        let (b, o, y0, x0) = (i / (o * oh * ow), i / (oh * ow) % o, i / ow % oh, i % ow);
        for c0 in 0..c {
            for k in 0..kh * kw {
                let y = (y0 * window.stride[0] + k / kw).wrapping_sub(window.padding[0][0]);
                let x1 = (x0 * window.stride[1] + k % kw).wrapping_sub(window.padding[1][0]);
                if y < h && x1 < wd {
                    let (at, to) = (((b * c + c0) * h + y) * wd + x1, (o * c + c0) * kh * kw + k);
                    dw[to] += f64::from(x[at]) * f64::from(*d);
                    dx[at] += f64::from(weight[to]) * f64::from(*d);
                }
            }
        }
    }
    [dw, dx]
}

#[test]
fn gradients_are_the_plain_sums() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for i in 0..60 {
            let [b, c, h, w, o] = match i {
                0 => [1, 1, 1, 1, 1],
                1 => [2, 330, 9, 8, 3],
                2 => [1, 3, 50, 51, 85],
                3 => [5, 33, 16, 16, 13],
                _ => [1..4, 1..9, 1..24, 1..40, 1..30].map(|range| rng.random_range(range)),
            };
            let window = match i {
                0..30 => Window::square(3, 1, 1),
                _ => {
                    let kernel = [rng.random_range(1..=h.min(5)), rng.random_range(1..=w.min(5))];
                    let padding = kernel.map(|k| [0; 2].map(|_: usize| rng.random_range(0..k)));
                    Window { kernel, stride: [1; 2], padding }
                }
            };
            let [oh, ow] = window.output([h, w]);
            let (x, weight) =
                (numbers(&mut rng, b * c * h * w), numbers(&mut rng, o * c * window.kernel[0] * window.kernel[1]));
            let dout = numbers(&mut rng, b * o * oh * ow);
            let [dw, dx] = plain_gradients(&x, &weight, &dout, [b, c, h, w, o], window);
            let mut got = vec![f32::NAN; x.len()];
            Conv2d::backward(&weight, [o, c], window).forward(&dout, [oh, ow], None, &mut got);
            assert!(error(&got, &dx) < 1e-5, "{b} {c} {h} {w} {o} {window:?}: {}", error(&got, &dx));
            if window == Window::square(3, 1, 1) {
                let mut got = vec![f32::NAN; dw.len()];
                conv3x3_weight_gradient(&x, &dout, [o, c], [h, w], &mut got);
                assert!(error(&got, &dw) < 1e-5, "{b} {c} {h} {w} {o}: {}", error(&got, &dw));
            }
        }
    });
}
