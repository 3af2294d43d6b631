//! Softmax over the last axis.

use pulp::{Simd, WithSimd};

use crate::{
    arch::dispatch,
    math::exp,
    parallel::{for_pieces, piece},
};

/// `e^x / sum(e^x)` of each row.
///
/// A row of `-inf` alone, or with NaN, gives NaN.
///
/// # Shapes
///
/// x and out: `[rows, n]`
///
/// # Panics
///
/// If the lengths differ, or `n` is 0 or does not divide them.
pub fn softmax(x: &[f32], n: usize, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "softmax: x and out differ in length");
    let size = n * rows(x.len(), n);
    for_pieces(out, size, |at, out| {
        for (x, out) in x[at..].chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            out.copy_from_slice(x);
            dispatch(Row(out));
        }
    });
}

/// [`softmax`] in place.
///
/// # Panics
///
/// If `n` is 0 or does not divide the length.
pub fn softmax_inplace(x: &mut [f32], n: usize) {
    let size = n * rows(x.len(), n);
    for_pieces(x, size, |_, x| x.chunks_exact_mut(n).for_each(|x| dispatch(Row(x))));
}

/// The gradient of [`softmax`] of which `y` is the result: `y (grad - sum(y grad))`.
///
/// # Shapes
///
/// y, grad and out: `[rows, n]`
///
/// # Panics
///
/// If the lengths differ, or `n` is 0 or does not divide them.
pub fn softmax_backward(y: &[f32], n: usize, grad: &[f32], out: &mut [f32]) {
    assert_eq!([y.len(), grad.len()], [out.len(); 2], "softmax: y, grad and out differ in length");
    let size = n * rows(y.len(), n);
    for_pieces(out, size, |at, out| {
        let rows = y[at..].chunks_exact(n).zip(grad[at..].chunks_exact(n));
        for ((y, grad), out) in rows.zip(out.chunks_exact_mut(n)) {
            dispatch(RowGradient { y, grad, out });
        }
    });
}

/// Rows of a piece of work.
fn rows(len: usize, n: usize) -> usize {
    assert!(n > 0 && len.is_multiple_of(n), "softmax: rows of {n} numbers do not fill {len}");
    piece(len / n, n)
}

struct Row<'a>(&'a mut [f32]);

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let max = max(simd, self.0);
        let base = simd.splat_f32s(max);
        let (x, end) = S::as_mut_simd_f32s(self.0);
        let mut sums = simd.splat_f32s(0.0);
        for x in x {
            *x = exp(simd, simd.sub_f32s(*x, base));
            sums = simd.add_f32s(sums, *x);
        }
        simd.partial_store_f32s(end, exp(simd, simd.sub_f32s(simd.partial_load_f32s(end), base)));
        let sum = simd.reduce_sum_f32s(sums) + end.iter().sum::<f32>();
        let inverse = 1.0 / sum;
        for x in self.0 {
            *x *= inverse;
        }
    }
}

/// The largest number of a row. Where there is NaN it may be any: the sum will be NaN.
#[inline(always)]
fn max<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let (x, end) = S::as_simd_f32s(x);
    let mut max = simd.splat_f32s(f32::NEG_INFINITY);
    for x in x {
        max = simd.max_f32s(*x, max);
    }
    let mut max = simd.reduce_max_f32s(max);
    for x in end {
        max = max.max(*x);
    }
    max
}

struct RowGradient<'a> {
    y: &'a [f32],
    grad: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for RowGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((y, y_end), (grad, grad_end)) = (S::as_simd_f32s(self.y), S::as_simd_f32s(self.grad));
        let mut sums = simd.mul_f32s(simd.partial_load_f32s(y_end), simd.partial_load_f32s(grad_end));
        for (y, grad) in y.iter().zip(grad) {
            sums = simd.mul_add_e_f32s(*y, *grad, sums);
        }
        let sum = simd.reduce_sum_f32s(sums);
        for ((y, grad), out) in self.y.iter().zip(self.grad).zip(self.out) {
            *out = y * (grad - sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::arch::tests::each;

    fn softmax_f64(x: &[f32]) -> Vec<f64> {
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let y: Vec<f64> = x.iter().map(|x| f64::from(x - max).exp()).collect();
        let sum: f64 = y.iter().sum();
        y.into_iter().map(|y| y / sum).collect()
    }

    #[test]
    fn rows_and_their_gradient() {
        each(|| {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            for (rows, n) in [(0, 2), (1, 1), (3, 16), (50, 77), (4, 1025), (700, 200)] {
                let mut draw =
                    |spread: f32| -> Vec<f32> { (0..rows * n).map(|_| rng.random_range(-spread..spread)).collect() };
                let (x, grad) = (draw(30.0), draw(1.0));
                let mut y = vec![f32::NAN; rows * n];
                softmax(&x, n, &mut y);
                let mut z = x.clone();
                softmax_inplace(&mut z, n);
                assert_eq!(y, z);
                let mut dx = y.clone();
                softmax_backward(&y, n, &grad, &mut dx);
                for (i, x) in x.chunks(n).enumerate() {
                    let part = i * n..(i + 1) * n;
                    let (expected, grad) = (softmax_f64(x), &grad[part.clone()]);
                    let dot: f64 = expected.iter().zip(grad).map(|(y, g)| y * f64::from(*g)).sum();
                    for (j, i) in part.enumerate() {
                        assert!((f64::from(y[i]) - expected[j]).abs() < 1e-6);
                        assert!((f64::from(dx[i]) - expected[j] * (f64::from(grad[j]) - dot)).abs() < 1e-6);
                    }
                }
            }
        });
    }

    #[test]
    fn large_hidden_and_nan() {
        each(|| {
            let mut x = vec![1e4; 40];
            x[20] = f32::NEG_INFINITY;
            x[39] = f32::NAN;
            softmax_inplace(&mut x, 20);
            assert!(x[..20].iter().all(|y| (y - 0.05).abs() < 1e-6));
            assert!(x[20..].iter().all(|y| y.is_nan()));
            let mut x = [f32::NEG_INFINITY, 3.0, f32::NEG_INFINITY];
            softmax_inplace(&mut x, 3);
            assert_eq!(x, [0.0, 1.0, 0.0]);
        });
    }
}
