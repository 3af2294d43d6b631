//! The two products of a tile: `M` rows by `N` vectors that stay in registers.

use std::array::from_fn;

use pulp::Simd;

/// `out[r] = sum_c a[r][c] * b[c]` for each row of `a`, the rows `stride` apart.
///
/// # Shapes
///
/// - a: `[rows, d]`
/// - b: `[d]` times `N` vectors
/// - out: `[rows]` times `N` vectors
#[inline(always)]
pub(super) fn by_rows<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: &[f32],
    stride: usize,
    b: &[[S::f32s; N]],
    out: &mut [[S::f32s; N]],
) {
    let mut r = 0;
    while out.len() - r >= M {
        rows::<S, M, N>(simd, &a[r * stride..], stride, b, &mut out[r..]);
        r += M;
    }
    if out.len() - r >= 4 {
        rows::<S, 4, N>(simd, &a[r * stride..], stride, b, &mut out[r..]);
        r += 4;
    }
    if out.len() - r >= 2 {
        rows::<S, 2, N>(simd, &a[r * stride..], stride, b, &mut out[r..]);
        r += 2;
    }
    if out.len() > r {
        rows::<S, 1, N>(simd, &a[r * stride..], stride, b, &mut out[r..]);
    }
}

#[inline(always)]
fn rows<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: &[f32],
    stride: usize,
    b: &[[S::f32s; N]],
    out: &mut [[S::f32s; N]],
) {
    let a: [&[f32]; M] = from_fn(|r| &a[r * stride..][..b.len()]);
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    for (c, b) in b.iter().enumerate() {
        for r in 0..M {
            let a = simd.splat_f32s(a[r][c]);
            for n in 0..N {
                sums[r][n] = simd.mul_add_e_f32s(a, b[n], sums[r][n]);
            }
        }
    }
    out[..M].copy_from_slice(&sums);
}

/// `out[c] = factor * out[c] + sum_j a[j][c] * b[j]`, with `a` in groups of `M` columns as `pack::columns` leaves it.
///
/// # Shapes
///
/// - a: `[columns / M, len, M]`
/// - b: `[len]` times `N` vectors
/// - out: `[columns]` times `N` vectors
#[inline(always)]
pub(super) fn by_columns<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: &[f32],
    b: &[[S::f32s; N]],
    factor: [S::f32s; N],
    out: &mut [[S::f32s; N]],
) {
    let (len, mut c) = (b.len(), 0);
    while out.len() - c >= M {
        columns::<S, M, N>(simd, &a[c * len..], b, factor, &mut out[c..]);
        c += M;
    }
    if out.len() - c >= 4 {
        columns::<S, 4, N>(simd, &a[c * len..], b, factor, &mut out[c..]);
        c += 4;
    }
    if out.len() - c >= 2 {
        columns::<S, 2, N>(simd, &a[c * len..], b, factor, &mut out[c..]);
        c += 2;
    }
    if out.len() > c {
        columns::<S, 1, N>(simd, &a[c * len..], b, factor, &mut out[c..]);
    }
}

#[inline(always)]
fn columns<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: &[f32],
    b: &[[S::f32s; N]],
    factor: [S::f32s; N],
    out: &mut [[S::f32s; N]],
) {
    let out = &mut out[..M];
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    for r in 0..M {
        for n in 0..N {
            sums[r][n] = simd.mul_f32s(factor[n], out[r][n]);
        }
    }
    for (a, b) in a.as_chunks::<M>().0.iter().zip(b) {
        for r in 0..M {
            let a = simd.splat_f32s(a[r]);
            for n in 0..N {
                sums[r][n] = simd.mul_add_e_f32s(a, b[n], sums[r][n]);
            }
        }
    }
    out.copy_from_slice(&sums);
}
