//! Mean and variance, safe from cancellation.

use pulp::Simd;

/// Numbers summed in f32, lane by lane, before they go to f64.
const CHUNK: usize = 1 << 12;

/// Mean and standard deviation of some numbers.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    /// The mean in two parts: a number minus the first is exact where they are near.
    mean: [f32; 2],
    /// `1 / sqrt(variance + eps)`.
    pub(super) rstd: f32,
}

impl Moments {
    /// The numbers are summed less one that is near their mean, so that nothing cancels: the mean of the first chunk.
    #[inline(always)]
    pub(super) fn of<S: Simd>(simd: S, x: &[f32], eps: f32) -> Self {
        let first = &x[..x.len().min(CHUNK)];
        let shift = (sums(simd, first, 0.0)[0] / first.len() as f64) as f32;
        let mut total = [0.0; 2];
        for chunk in x.chunks(CHUNK) {
            let [sum, squares] = sums(simd, chunk, shift);
            total = [total[0] + sum, total[1] + squares];
        }
        let n = x.len() as f64;
        let (mean, variance) = (total[0] / n, total[1] / n - total[0] * total[0] / (n * n));
        // Not `max`, which would drop NaN.
        let variance = if variance < 0.0 { 0.0 } else { variance };
        let exact = f64::from(shift) + mean;
        let rounded = exact as f32;
        let rstd = 1.0 / (variance + f64::from(eps)).sqrt();
        Self { mean: [rounded, (exact - f64::from(rounded)) as f32], rstd: rstd as f32 }
    }

    /// `(x - mean) * factor + offset`.
    #[inline(always)]
    pub(super) fn scaled<S: Simd>(self, simd: S, factor: f32, offset: f32) -> Scaled<S> {
        Scaled {
            mean: simd.splat_f32s(self.mean[0]),
            factor: simd.splat_f32s(factor),
            offset: simd.splat_f32s(offset - self.mean[1] * factor),
        }
    }

    /// `(x - mean) * rstd`.
    #[inline(always)]
    pub(super) fn normalised<S: Simd>(self, simd: S) -> Scaled<S> {
        self.scaled(simd, self.rstd, 0.0)
    }
}

/// A number less the mean, times a factor, plus an offset.
#[derive(Clone, Copy)]
pub(super) struct Scaled<S: Simd> {
    mean: S::f32s,
    factor: S::f32s,
    offset: S::f32s,
}

impl<S: Simd> Scaled<S> {
    #[inline(always)]
    pub(super) fn of(self, simd: S, x: S::f32s) -> S::f32s {
        simd.mul_add_e_f32s(simd.sub_f32s(x, self.mean), self.factor, self.offset)
    }
}

/// Sum and sum of squares of `x - shift`.
#[inline(always)]
fn sums<S: Simd>(simd: S, x: &[f32], shift: f32) -> [f64; 2] {
    let by = simd.splat_f32s(shift);
    let (vectors, end) = S::as_simd_f32s(x);
    let (fours, rest) = vectors.as_chunks::<4>();
    let mut sum = [simd.splat_f32s(0.0); 4];
    let mut squares = sum;
    for four in fours {
        for n in 0..4 {
            let d = simd.sub_f32s(four[n], by);
            sum[n] = simd.add_f32s(sum[n], d);
            squares[n] = simd.mul_add_e_f32s(d, d, squares[n]);
        }
    }
    for x in rest {
        let d = simd.sub_f32s(*x, by);
        sum[0] = simd.add_f32s(sum[0], d);
        squares[0] = simd.mul_add_e_f32s(d, d, squares[0]);
    }
    let mut totals = [f64::from(total(simd, sum)), f64::from(total(simd, squares))];
    for x in end {
        let d = f64::from(x - shift);
        totals = [totals[0] + d, totals[1] + d * d];
    }
    totals
}

/// The sum of all lanes of four vectors.
#[inline(always)]
fn total<S: Simd>(simd: S, x: [S::f32s; 4]) -> f32 {
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(x[0], x[1]), simd.add_f32s(x[2], x[3])))
}
