//! The softmax of a block of scores, with what came before it: a query in each lane.

use pulp::Simd;

use super::Mask;
use crate::math::exp2_negative;

/// Takes scores to `2^(score - max)`, with the running maximum and sum of each query. Returns the factor by which all
/// that was summed under the old maximum has to shrink.
///
/// # Shapes
///
/// `N` vectors of queries: scores `[keys]` of them, max and sum one
#[inline(always)]
pub(super) fn online<S: Simd, const N: usize>(
    simd: S,
    scores: &mut [[S::f32s; N]],
    max: &mut [S::f32s; N],
    sum: &mut [S::f32s; N],
) -> [S::f32s; N] {
    let old = *max;
    for row in scores.iter() {
        for n in 0..N {
            max[n] = simd.max_f32s(row[n], max[n]);
        }
    }
    let (mut base, mut block) = (*max, [simd.splat_f32s(0.0); N]);
    for base in &mut base {
        *base = finite(simd, *base);
    }
    for row in scores.iter_mut() {
        for n in 0..N {
            row[n] = exp2_negative(simd, simd.sub_f32s(row[n], base[n]));
            block[n] = simd.add_f32s(block[n], row[n]);
        }
    }
    let mut factor = old;
    for n in 0..N {
        factor[n] = exp2_negative(simd, simd.sub_f32s(old[n], base[n]));
        sum[n] = simd.mul_add_e_f32s(sum[n], factor[n], block[n]);
    }
    factor
}

/// 0 for a query that has seen no key: `-inf - -inf` would be NaN.
#[inline(always)]
fn finite<S: Simd>(simd: S, max: S::f32s) -> S::f32s {
    let none = simd.equal_f32s(max, simd.splat_f32s(f32::NEG_INFINITY));
    simd.select_f32s(none, simd.splat_f32s(0.0), max)
}

/// `1 / sum`, and 0 for a query that saw no key.
#[inline(always)]
pub(super) fn inverse<S: Simd>(simd: S, sum: S::f32s) -> S::f32s {
    let none = simd.equal_f32s(sum, simd.splat_f32s(0.0));
    let inverse = simd.div_f32s(simd.splat_f32s(1.0), sum);
    simd.select_f32s(none, simd.splat_f32s(0.0), inverse)
}

/// Adds the mask to the scores of a tile.
///
/// `query` and `key` are the first of the tile, `len` is how many queries it has, `lk` how many keys there are in all.
/// Scores are in units of `ln(2)`.
#[inline(always)]
pub(super) fn add_mask<S: Simd>(
    simd: S,
    mask: Mask<'_>,
    scores: &mut [f32],
    [query, key]: [usize; 2],
    [len, lk]: [usize; 2],
    lanes: usize,
) {
    let log2_e = std::f32::consts::LOG2_E;
    match mask {
        Mask::None => {}
        Mask::Causal => {
            for (j, row) in (key..).zip(scores.chunks_exact_mut(lanes)) {
                row[..j.saturating_sub(query).min(lanes)].fill(f32::NEG_INFINITY);
            }
        }
        Mask::Keys(m) => {
            for (m, row) in m[key..].iter().zip(scores.chunks_exact_mut(lanes)) {
                let m = simd.splat_f32s(m * log2_e);
                for x in S::as_mut_simd_f32s(row).0 {
                    *x = simd.add_f32s(*x, m);
                }
            }
        }
        Mask::Scores(m) => {
            for lane in 0..len {
                let m = &m[(query + lane) * lk + key..];
                scores.chunks_exact_mut(lanes).zip(m).for_each(|(row, m)| row[lane] += m * log2_e);
            }
        }
    }
}
