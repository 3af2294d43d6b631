//! Convolutions against plain loops in f64.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use t2i_kernels::*;

/// Numbers of about the size of a normal distribution's.
fn numbers(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| (0..4).map(|_| rng.random_range(-0.87f32..0.87)).sum()).collect()
}

/// The plain sums: `[batch, o, h, w]`.
fn plain(x: &[f32], w: &[f32], bias: &[f32], [b, c, h, wd, o]: [usize; 5]) -> Vec<f64> {
    let mut out = vec![];
    for i in 0..b * o * h * wd {
        let (b, o, y0, x0) = (i / (o * h * wd), i / (h * wd) % o, i / wd % h, i % wd);
        let mut sum = f64::from(bias[o]);
        for c0 in 0..c {
            for k in 0..9 {
                let (y, x1) = ((y0 + k / 3).wrapping_sub(1), (x0 + k % 3).wrapping_sub(1));
                if y < h && x1 < wd {
                    sum += f64::from(x[((b * c + c0) * h + y) * wd + x1]) * f64::from(w[(o * c + c0) * 9 + k]);
                }
            }
        }
        out.push(sum);
    }
    out
}

fn error(got: &[f32], want: &[f64]) -> f64 {
    let largest = want.iter().fold(1e-30f64, |m, x| m.max(x.abs()));
    got.iter().zip(want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn winograd_is_the_plain_sum() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut worst = 0.0f64;
    for i in 0..60 {
        let [b, c, h, w, o] = match i {
            0 => [1, 1, 1, 1, 1],
            1 => [2, 321, 8, 8, 3],
            2 => [1, 40, 32, 32, 85],
            3 => [1, 700, 16, 16, 13],
            4 => [1, 3, 2, 131, 5],
            _ => [rng.random_range(1..4), rng.random_range(1..9), rng.random_range(1..24), rng.random_range(1..40), rng.random_range(1..30)],
        };
        let (x, weight, bias) = (numbers(&mut rng, b * c * h * w), numbers(&mut rng, o * c * 9), numbers(&mut rng, o));
        let mut out = vec![0.0; b * o * h * w];
        Winograd::new(&weight, o, c).forward(&x, [h, w], Some(&bias), &mut out);
        let e = error(&out, &plain(&x, &weight, &bias, [b, c, h, w, o]));
        assert!(e < 1e-4, "{b} {c} {h} {w} {o}: {e}");
        worst = worst.max(e);
    }
    eprintln!("worst {worst:e}");
}
