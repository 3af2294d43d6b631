//! The products of a tile: `M` rows by `N` vectors that stay in registers.

use pulp::Simd;

/// Steps of a sum whose place in memory is found at once.
const STEPS: usize = 8;

/// Calls a function of `M` rows from row `$r` for all of `$len`: for 4, 2 and 1 at the end.
macro_rules! in_groups {
    ($len:expr, $function:ident::<$s:ident, $m:ident, $n:ident>, |$r:ident| $arguments:tt) => {
        let mut $r = 0;
        while $len - $r >= $m {
            $function::<$s, $m, $n> $arguments;
            $r += $m;
        }
        if $len - $r >= 4 {
            $function::<$s, 4, $n> $arguments;
            $r += 4;
        }
        if $len - $r >= 2 {
            $function::<$s, 2, $n> $arguments;
            $r += 2;
        }
        if $len > $r {
            $function::<$s, 1, $n> $arguments;
        }
    };
}

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
    in_groups!(out.len(), rows::<S, M, N>, |r| (simd, &a[r * stride..], stride, b, &mut out[r..]));
}

/// As [`by_rows`], added to what is in `out`.
#[inline(always)]
pub(super) fn add_by_rows<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: &[f32],
    stride: usize,
    b: &[[S::f32s; N]],
    out: &mut [[S::f32s; N]],
) {
    in_groups!(out.len(), add_rows::<S, M, N>, |r| (simd, &a[r * stride..], stride, b, &mut out[r..]));
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
    in_groups!(out.len(), columns::<S, M, N>, |c| (simd, &a[c * b.len()..], b, factor, &mut out[c..]));
}

#[inline(always)]
fn rows<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: &[f32],
    stride: usize,
    b: &[[S::f32s; N]],
    out: &mut [[S::f32s; N]],
) {
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    multiply_rows(simd, a, stride, b, &mut sums);
    out[..M].copy_from_slice(&sums);
}

#[inline(always)]
fn add_rows<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: &[f32],
    stride: usize,
    b: &[[S::f32s; N]],
    out: &mut [[S::f32s; N]],
) {
    let out = &mut out[..M];
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    sums.copy_from_slice(out);
    multiply_rows(simd, a, stride, b, &mut sums);
    out.copy_from_slice(&sums);
}

#[inline(always)]
fn multiply_rows<S: Simd, const M: usize, const N: usize>(
    simd: S,
    a: &[f32],
    stride: usize,
    b: &[[S::f32s; N]],
    sums: &mut [[S::f32s; N]; M],
) {
    // No closures: they would be compiled without the vector instructions of their caller.
    let mut rows: [(&[[f32; STEPS]], &[f32]); M] = [(&[], &[]); M];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = a[r * stride..][..b.len()].as_chunks();
    }
    let (steps, rest) = b.as_chunks::<STEPS>();
    for (i, b) in steps.iter().enumerate() {
        let mut a = [&[0.0; STEPS]; M];
        for (to, (steps, _)) in a.iter_mut().zip(&rows) {
            *to = &steps[i];
        }
        for (c, b) in b.iter().enumerate() {
            for (sums, a) in sums.iter_mut().zip(a) {
                add_products(simd, a[c], b, sums);
            }
        }
    }
    for (c, b) in rest.iter().enumerate() {
        for (sums, (_, rest)) in sums.iter_mut().zip(&rows) {
            add_products(simd, rest[c], b, sums);
        }
    }
}

#[inline(always)]
fn add_products<S: Simd, const N: usize>(simd: S, a: f32, b: &[S::f32s; N], sums: &mut [S::f32s; N]) {
    let a = simd.splat_f32s(a);
    for (sum, b) in sums.iter_mut().zip(b) {
        *sum = simd.mul_add_e_f32s(a, *b, *sum);
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
        for (sums, a) in sums.iter_mut().zip(a) {
            add_products(simd, *a, b, sums);
        }
    }
    out.copy_from_slice(&sums);
}
