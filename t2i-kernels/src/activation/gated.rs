//! GEGLU: one half of a row times GELU of the other.

use pulp::{Simd, WithSimd};

use super::function::{Function, Gelu};
use crate::{
    arch::dispatch,
    parallel::{for_pieces, piece},
};

/// The first half of each row times the GELU (the exact form) of the second half.
///
/// # Shapes
///
/// - x: `[rows, 2 n]`
/// - out: `[rows, n]`
///
/// # Panics
///
/// If `n` is 0 or does not divide the length of `out`, or `x` is not twice as long as `out`.
pub fn geglu(x: &[f32], n: usize, out: &mut [f32]) {
    check(x, n, out);
    let size = n * piece(out.len() / n, n);
    for_pieces(out, size, |at, out| {
        for (x, out) in x[2 * at..].chunks_exact(2 * n).zip(out.chunks_exact_mut(n)) {
            let (a, b) = x.split_at(n);
            dispatch(Row { a, b, out });
        }
    });
}

/// The gradient of [`geglu`].
///
/// # Shapes
///
/// - x and out: `[rows, 2 n]`
/// - grad: `[rows, n]`
///
/// # Panics
///
/// If `n` is 0 or does not divide the length of `grad`, or `x` or `out` is not twice as long as `grad`.
pub fn geglu_backward(x: &[f32], n: usize, grad: &[f32], out: &mut [f32]) {
    check(x, n, grad);
    assert_eq!(x.len(), out.len(), "geglu: x and out differ in length");
    let size = 2 * n * piece(grad.len() / n, 2 * n);
    for_pieces(out, size, |at, out| {
        let rows = x[at..].chunks_exact(2 * n).zip(grad[at / 2..].chunks_exact(n));
        for ((x, grad), out) in rows.zip(out.chunks_exact_mut(2 * n)) {
            let ((a, b), (da, db)) = (x.split_at(n), out.split_at_mut(n));
            dispatch(RowGradient { a, b, grad, da, db });
        }
    });
}

fn check(x: &[f32], n: usize, half: &[f32]) {
    assert!(n > 0 && half.len().is_multiple_of(n), "geglu: rows of {n} numbers do not fill {}", half.len());
    assert_eq!(x.len(), 2 * half.len(), "geglu: x is not twice as long as out");
}

/// `out = a * gelu(b)`.
struct Row<'a> {
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((a, a_end), (b, b_end)) = (S::as_simd_f32s(self.a), S::as_simd_f32s(self.b));
        let (out, out_end) = S::as_mut_simd_f32s(self.out);
        for ((a, b), out) in a.iter().zip(b).zip(out) {
            *out = simd.mul_f32s(*a, Gelu.of(simd, *b));
        }
        let (a, b) = (simd.partial_load_f32s(a_end), simd.partial_load_f32s(b_end));
        simd.partial_store_f32s(out_end, simd.mul_f32s(a, Gelu.of(simd, b)));
    }
}

/// `da = grad * gelu(b)`, `db = grad * a * gelu'(b)`.
struct RowGradient<'a> {
    a: &'a [f32],
    b: &'a [f32],
    grad: &'a [f32],
    da: &'a mut [f32],
    db: &'a mut [f32],
}

impl WithSimd for RowGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((a, a_end), (b, b_end)) = (S::as_simd_f32s(self.a), S::as_simd_f32s(self.b));
        let (grad, grad_end) = S::as_simd_f32s(self.grad);
        let ((da, da_end), (db, db_end)) = (S::as_mut_simd_f32s(self.da), S::as_mut_simd_f32s(self.db));
        for (((a, b), grad), (da, db)) in a.iter().zip(b).zip(grad).zip(da.iter_mut().zip(db)) {
            *da = simd.mul_f32s(*grad, Gelu.of(simd, *b));
            *db = simd.mul_f32s(simd.mul_f32s(*grad, *a), Gelu.slope(simd, *b));
        }
        let (a, b) = (simd.partial_load_f32s(a_end), simd.partial_load_f32s(b_end));
        let grad = simd.partial_load_f32s(grad_end);
        simd.partial_store_f32s(da_end, simd.mul_f32s(grad, Gelu.of(simd, b)));
        simd.partial_store_f32s(db_end, simd.mul_f32s(simd.mul_f32s(grad, a), Gelu.slope(simd, b)));
    }
}
