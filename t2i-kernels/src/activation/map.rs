//! A function of each number of a slice.

use pulp::{Simd, WithSimd};

use super::function::Function;
use crate::{
    arch::dispatch,
    parallel::{for_pieces, piece},
};

/// `out = f(x)`.
pub(super) fn map<F: Function>(f: F, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "activation: x and out differ in length");
    for_pieces(out, piece(x.len(), 1), |at, out| dispatch(Map { f, x: &x[at..][..out.len()], out }));
}

/// `x = f(x)`.
pub(super) fn map_inplace<F: Function>(f: F, x: &mut [f32]) {
    let size = piece(x.len(), 1);
    for_pieces(x, size, |_, x| dispatch(MapInplace { f, x }));
}

/// `out = grad * f'(x)`.
pub(super) fn map_gradient<F: Function>(f: F, x: &[f32], grad: &[f32], out: &mut [f32]) {
    assert_eq!([x.len(), grad.len()], [out.len(); 2], "activation: x, grad and out differ in length");
    for_pieces(out, piece(x.len(), 1), |at, out| {
        let part = at..at + out.len();
        dispatch(MapGradient { f, x: &x[part.clone()], grad: &grad[part], out });
    });
}

struct Map<'a, F> {
    f: F,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl<F: Function> WithSimd for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((x, x_end), (out, out_end)) = (S::as_simd_f32s(self.x), S::as_mut_simd_f32s(self.out));
        for (x, out) in x.iter().zip(out) {
            *out = self.f.of(simd, *x);
        }
        let end = self.f.of(simd, simd.partial_load_f32s(x_end));
        simd.partial_store_f32s(out_end, end);
    }
}

struct MapInplace<'a, F> {
    f: F,
    x: &'a mut [f32],
}

impl<F: Function> WithSimd for MapInplace<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, end) = S::as_mut_simd_f32s(self.x);
        for x in x {
            *x = self.f.of(simd, *x);
        }
        let y = self.f.of(simd, simd.partial_load_f32s(end));
        simd.partial_store_f32s(end, y);
    }
}

struct MapGradient<'a, F> {
    f: F,
    x: &'a [f32],
    grad: &'a [f32],
    out: &'a mut [f32],
}

impl<F: Function> WithSimd for MapGradient<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((x, x_end), (grad, grad_end)) = (S::as_simd_f32s(self.x), S::as_simd_f32s(self.grad));
        let (out, out_end) = S::as_mut_simd_f32s(self.out);
        for ((x, grad), out) in x.iter().zip(grad).zip(out) {
            *out = simd.mul_f32s(*grad, self.f.slope(simd, *x));
        }
        let end = self.f.slope(simd, simd.partial_load_f32s(x_end));
        simd.partial_store_f32s(out_end, simd.mul_f32s(end, simd.partial_load_f32s(grad_end)));
    }
}
