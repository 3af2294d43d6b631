//! Attention against plain loops in f64.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Heads, Inputs, Layout, Mask, Saved, attention, attention_backward, attention_saving};
use crate::arch::tests::each;

/// Sizes of a case: batch, heads, queries, keys, width of queries and keys, width of values.
type Sizes = [usize; 6];

struct Case {
    sizes: Sizes,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    scale: f32,
}

impl Case {
    fn new(rng: &mut ChaCha8Rng, sizes: Sizes) -> Self {
        let [b, h, lq, lk, d, dv] = sizes;
        let mut draw = |n: usize| (0..n).map(|_| rng.random_range(-2.0..2.0)).collect();
        let (q, k, v) = (draw(b * h * lq * d), draw(b * h * lk * d), draw(b * h * lk * dv));
        Self { sizes, q, k, v, scale: 1.0 / (d as f32).sqrt() }
    }

    fn run(&self, mask: Mask<'_>, layout: Layout) -> Vec<f32> {
        let [b, h, lq, lk, d, dv] = self.sizes;
        let mut out = vec![f32::NAN; b * h * lq * dv];
        let (q, k) = (Heads::new(&self.q, [b, h, lq, d], layout), Heads::new(&self.k, [b, h, lk, d], layout));
        attention(q, k, Heads::new(&self.v, [b, h, lk, dv], layout), mask, self.scale, layout, &mut out);
        out
    }

    /// The weights of one query of one head of one example.
    fn weights(&self, mask: Mask<'_>, layout: Layout, [b, i, t]: [usize; 3]) -> Vec<f64> {
        let [_, h, lq, lk, d, _] = self.sizes;
        let at = |n: usize, w: usize, t: usize, c: usize| match layout {
            Layout::Heads => ((b * h + i) * n + t) * w + c,
            Layout::Tokens => ((b * n + t) * h + i) * w + c,
        };
        let score = |j: usize| {
            let dot: f64 =
                (0..d).map(|c| f64::from(self.q[at(lq, d, t, c)]) * f64::from(self.k[at(lk, d, j, c)])).sum();
            dot * f64::from(self.scale)
                + match mask {
                    Mask::None => 0.0,
                    Mask::Causal => [0.0, f64::NEG_INFINITY][usize::from(j > t)],
                    Mask::Scores(m) => f64::from(m[t * lk + j]),
                    Mask::Keys(m) => f64::from(m[b * lk + j]),
                }
        };
        let scores: Vec<f64> = (0..lk).map(score).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let p: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
        let sum: f64 = p.iter().sum();
        p.into_iter().map(|p| p / sum).collect()
    }

    fn expected(&self, mask: Mask<'_>, layout: Layout) -> Vec<f32> {
        let [b, h, lq, lk, _, dv] = self.sizes;
        let at = |n: usize, w: usize, b: usize, i: usize, t: usize, c: usize| match layout {
            Layout::Heads => ((b * h + i) * n + t) * w + c,
            Layout::Tokens => ((b * n + t) * h + i) * w + c,
        };
        let mut out = vec![0.0; b * h * lq * dv];
        for (b, i, t) in (0..b).flat_map(|b| (0..h).flat_map(move |i| (0..lq).map(move |t| (b, i, t)))) {
            let p = self.weights(mask, layout, [b, i, t]);
            for c in 0..dv {
                let dot: f64 = (0..lk).map(|j| p[j] * f64::from(self.v[at(lk, dv, b, i, j, c)])).sum();
                out[at(lq, dv, b, i, t, c)] = dot as f32;
            }
        }
        out
    }
}

fn assert_near(got: &[f32], expected: &[f32], what: &str) {
    let largest = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0f32, |m, e| if e >= m { e } else { m });
    assert!(got.iter().all(|x| x.is_finite()) && worst <= 1e-4 * largest, "{what}: {worst} of {largest}");
}

#[test]
fn random_shapes() {
    each(random_shapes_now);
}

fn random_shapes_now() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for i in 0..60 {
        let mut draw = |low: usize, high: usize| rng.random_range(low..=high);
        let sizes = [draw(1, 2), draw(1, 3), draw(1, 260), draw(1, 300), draw(1, 90), draw(1, 90)];
        let case = Case::new(&mut rng, sizes);
        let [b, _, lq, lk, ..] = sizes;
        let scores: Vec<f32> = (0..lq * lk).map(|_| rng.random_range(-3.0..3.0)).collect();
        let keys: Vec<f32> =
            (0..b * lk).map(|j| if j % lk > 0 && rng.random() { f32::NEG_INFINITY } else { 0.5 }).collect();
        let mask = [Mask::None, Mask::Causal, Mask::Scores(&scores), Mask::Keys(&keys)][i % 4];
        let layout = [Layout::Heads, Layout::Tokens][i / 4 % 2];
        assert_near(&case.run(mask, layout), &case.expected(mask, layout), &format!("{sizes:?} {mask:.0?} {layout:?}"));
    }
}

#[test]
fn shapes_of_models() {
    each(shapes_of_models_now);
}

fn shapes_of_models_now() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for sizes in [
        [1, 2, 256, 77, 160, 160],
        [1, 8, 1, 77, 64, 64],
        [1, 1, 100, 64, 512, 512],
        [2, 8, 64, 64, 40, 40],
        [1, 3, 1, 1, 1, 1],
        [1, 2, 200, 300, 80, 80],
    ] {
        let case = Case::new(&mut rng, sizes);
        assert_near(
            &case.run(Mask::None, Layout::Tokens),
            &case.expected(Mask::None, Layout::Tokens),
            &format!("{sizes:?}"),
        );
    }
}

#[test]
fn one_thread_gives_the_same() {
    let case = Case::new(&mut ChaCha8Rng::seed_from_u64(3), [1, 2, 150, 200, 40, 40]);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let got = one.install(|| case.run(Mask::Causal, Layout::Tokens));
    assert_near(&got, &case.run(Mask::Causal, Layout::Tokens), "one thread");
}

#[test]
fn large_scores_and_hidden_rows() {
    each(large_scores_and_hidden_rows_now);
}

fn large_scores_and_hidden_rows_now() {
    let mut case = Case::new(&mut ChaCha8Rng::seed_from_u64(4), [1, 1, 50, 140, 8, 8]);
    case.q.iter_mut().for_each(|x| *x *= 100.0);
    case.k.iter_mut().for_each(|x| *x *= 100.0);
    let got = case.run(Mask::None, Layout::Heads);
    assert!(got.iter().all(|x| x.abs() <= 2.0));
    let hidden = vec![f32::NEG_INFINITY; 140];
    assert!(case.run(Mask::Keys(&hidden), Layout::Heads).iter().all(|&x| x == 0.0));
}

#[test]
fn nan_stays_where_it_is() {
    each(nan_stays_where_it_is_now);
}

fn nan_stays_where_it_is_now() {
    let mut case = Case::new(&mut ChaCha8Rng::seed_from_u64(5), [1, 1, 70, 150, 24, 10]);
    case.q[33 * 24 + 5] = f32::NAN;
    let got = case.run(Mask::None, Layout::Heads);
    for (i, row) in got.chunks(10).enumerate() {
        assert!(row.iter().all(|x| x.is_nan() == (i == 33)), "row {i}");
    }
    case.q[33 * 24 + 5] = 0.0;
    case.k[140 * 24] = f32::from_bits(0x7fc0_0001);
    assert!(case.run(Mask::None, Layout::Heads).iter().all(|x| x.is_nan()));
    let causal = case.run(Mask::Causal, Layout::Heads);
    assert!(causal.iter().all(|x| !x.is_nan()));
    case.k[140 * 24] = 0.0;
    case.v[100 * 10 + 3] = f32::NAN;
    let got = case.run(Mask::None, Layout::Heads);
    assert!(got.iter().enumerate().all(|(i, x)| x.is_nan() == (i % 10 == 3)));
}

impl Case {
    /// The gradients of q, k and v.
    fn gradients(&self, mask: Mask<'_>, layout: Layout, grad: &[f32]) -> [Vec<f32>; 3] {
        let [b, h, lq, lk, d, dv] = self.sizes;
        let heads = |x, n, w| Heads::new(x, [b, h, n, w], layout);
        let (q, k, v) = (heads(&self.q, lq, d), heads(&self.k, lk, d), heads(&self.v, lk, dv));
        let inputs = Inputs { q, k, v, mask, scale: self.scale };
        let (mut out, mut log_sums) = (vec![f32::NAN; b * h * lq * dv], vec![f32::NAN; b * h * lq]);
        attention_saving(inputs, layout, &mut out, &mut log_sums);
        assert_eq!(out, self.run(mask, layout));
        let saved = Saved { out: heads(&out, lq, dv), log_sums: &log_sums };
        let mut grads = [self.q.clone(), self.k.clone(), self.v.clone()];
        attention_backward(inputs, saved, heads(grad, lq, dv), layout, grads.each_mut().map(|x| x.as_mut_slice()));
        grads
    }

    /// The slope of `sum(grad * attention)` for each number of q, k and v, from the weights in f64.
    fn expected_gradients(&self, mask: Mask<'_>, layout: Layout, grad: &[f32]) -> [Vec<f32>; 3] {
        let [b, h, lq, lk, d, dv] = self.sizes;
        let at = |n: usize, w: usize, b: usize, i: usize, t: usize, c: usize| match layout {
            Layout::Heads => ((b * h + i) * n + t) * w + c,
            Layout::Tokens => ((b * n + t) * h + i) * w + c,
        };
        let mut grads = [&self.q, &self.k, &self.v].map(|x| vec![0.0f64; x.len()]);
        for (b, i, t) in (0..b).flat_map(|b| (0..h).flat_map(move |i| (0..lq).map(move |t| (b, i, t)))) {
            let p = self.weights(mask, layout, [b, i, t]);
            let dp = |j: usize| -> f64 {
                (0..dv)
                    .map(|c| f64::from(grad[at(lq, dv, b, i, t, c)]) * f64::from(self.v[at(lk, dv, b, i, j, c)]))
                    .sum()
            };
            let dp: Vec<f64> = (0..lk).map(dp).collect();
            let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
            for j in 0..lk {
                let ds = p[j] * (dp[j] - mean) * f64::from(self.scale);
                for c in 0..d {
                    grads[0][at(lq, d, b, i, t, c)] += ds * f64::from(self.k[at(lk, d, b, i, j, c)]);
                    grads[1][at(lk, d, b, i, j, c)] += ds * f64::from(self.q[at(lq, d, b, i, t, c)]);
                }
                for c in 0..dv {
                    grads[2][at(lk, dv, b, i, j, c)] += p[j] * f64::from(grad[at(lq, dv, b, i, t, c)]);
                }
            }
        }
        grads.map(|x| x.into_iter().map(|x| x as f32).collect())
    }
}

#[test]
fn gradients() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        for i in 0..24 {
            let mut draw = |low: usize, high: usize| rng.random_range(low..=high);
            let sizes = match i {
                0 => [1, 1, 1, 1, 1, 1],
                1 => [1, 2, 500, 77, 40, 40],
                2 => [1, 1, 60, 150, 256, 256],
                _ => [draw(1, 2), draw(1, 3), draw(1, 220), draw(1, 300), draw(1, 90), draw(1, 90)],
            };
            let case = Case::new(&mut rng, sizes);
            let [b, h, lq, lk, _, dv] = sizes;
            let grad: Vec<f32> = (0..b * h * lq * dv).map(|_| rng.random_range(-1.0..1.0)).collect();
            let scores: Vec<f32> = (0..lq * lk).map(|_| rng.random_range(-3.0..3.0)).collect();
            let keys: Vec<f32> =
                (0..b * lk).map(|j| if j % lk > 0 && rng.random() { f32::NEG_INFINITY } else { 0.5 }).collect();
            let mask = [Mask::None, Mask::Causal, Mask::Scores(&scores), Mask::Keys(&keys)][i % 4];
            let layout = [Layout::Heads, Layout::Tokens][i / 4 % 2];
            let (got, expected) = (case.gradients(mask, layout, &grad), case.expected_gradients(mask, layout, &grad));
            for ((got, expected), of) in got.iter().zip(&expected).zip(["q", "k", "v"]) {
                // Of one key the gradient is 0 but for rounding.
                let floor = [1e-5];
                let expected: Vec<f32> = expected.iter().chain(&floor).copied().collect();
                let got: Vec<f32> = got.iter().chain(&floor).copied().collect();
                assert_near(&got, &expected, &format!("{of} of {sizes:?} {layout:?} {i}"));
            }
        }
    });
}

#[test]
fn hidden_rows_have_no_gradient() {
    each(|| {
        let case = Case::new(&mut ChaCha8Rng::seed_from_u64(7), [1, 1, 20, 140, 8, 8]);
        let hidden = vec![f32::NEG_INFINITY; 140];
        for x in case.gradients(Mask::Keys(&hidden), Layout::Heads, &[1.0; 160]) {
            assert!(x.iter().all(|&x| x == 0.0));
        }
    });
}
