//! Layer normalisation over the last axis.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Gradients, moments::Moments};
use crate::{
    arch::dispatch,
    parallel::{for_pieces, piece},
};

/// `(x - mean) / sqrt(variance + eps) * gamma + beta`, with mean and variance of each row.
///
/// # Shapes
///
/// - x and out: `[rows, n]`
/// - gamma and beta: `[n]`
///
/// # Panics
///
/// If `n` is 0 or does not divide the length of `x`, or a slice has another length than its shape.
pub fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    let n = check(x, gamma, beta, out);
    for_pieces(out, n * piece(x.len() / n, n), |at, out| {
        dispatch(Rows { x: &x[at..][..out.len()], gamma, beta, eps, out });
    });
}

/// The gradient of [`layer_norm`]: that for `x` goes to `out`. The statistics are taken again.
///
/// # Shapes
///
/// - x, grad and out: `[rows, n]`
/// - gamma: `[n]`
///
/// # Panics
///
/// As [`layer_norm`].
pub fn layer_norm_backward(x: &[f32], gamma: &[f32], eps: f32, grad: &[f32], out: &mut [f32]) -> Gradients {
    let n = check(x, gamma, gamma, out);
    assert_eq!(x.len(), grad.len(), "layer norm: x and grad differ in length");
    let size = n * (x.len() / n).div_ceil(rayon::current_num_threads()).max(1);
    let parts = out.par_chunks_mut(size).zip(x.par_chunks(size).zip(grad.par_chunks(size)));
    let part = |(out, (x, grad)): (&mut [f32], (&[f32], &[f32]))| {
        let mut sums = Gradients { gamma: vec![0.0; n], beta: vec![0.0; n] };
        dispatch(RowsGradient { x, gamma, eps, grad, out, sums: &mut sums });
        sums
    };
    let sums: Vec<Gradients> = parts.map(part).collect();
    let total = |of: fn(&Gradients) -> &[f32]| (0..n).map(|i| sums.iter().map(|s| of(s)[i]).sum()).collect();
    Gradients { gamma: total(|s| &s.gamma), beta: total(|s| &s.beta) }
}

fn check(x: &[f32], gamma: &[f32], beta: &[f32], out: &[f32]) -> usize {
    let n = gamma.len();
    assert!(n > 0 && x.len().is_multiple_of(n), "layer norm: rows of {n} numbers do not fill {}", x.len());
    assert_eq!(n, beta.len(), "layer norm: gamma and beta differ in length");
    assert_eq!(x.len(), out.len(), "layer norm: x and out differ in length");
    n
}

/// Some rows.
struct Rows<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n = self.gamma.len();
        let ((gamma, gamma_end), (beta, beta_end)) = (S::as_simd_f32s(self.gamma), S::as_simd_f32s(self.beta));
        for (x, out) in self.x.chunks_exact(n).zip(self.out.chunks_exact_mut(n)) {
            let normalised = Moments::of(simd, x, self.eps).normalised(simd);
            let ((x, x_end), (out, out_end)) = (S::as_simd_f32s(x), S::as_mut_simd_f32s(out));
            for ((x, out), (gamma, beta)) in x.iter().zip(out).zip(gamma.iter().zip(beta)) {
                *out = simd.mul_add_e_f32s(normalised.of(simd, *x), *gamma, *beta);
            }
            if !x_end.is_empty() {
                let y = normalised.of(simd, simd.partial_load_f32s(x_end));
                let (gamma, beta) = (simd.partial_load_f32s(gamma_end), simd.partial_load_f32s(beta_end));
                simd.partial_store_f32s(out_end, simd.mul_add_e_f32s(y, gamma, beta));
            }
        }
    }
}

/// Some rows, backwards.
struct RowsGradient<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    eps: f32,
    grad: &'a [f32],
    out: &'a mut [f32],
    sums: &'a mut Gradients,
}

impl WithSimd for RowsGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n = self.gamma.len();
        let rows = self.x.chunks_exact(n).zip(self.grad.chunks_exact(n));
        for ((x, grad), out) in rows.zip(self.out.chunks_exact_mut(n)) {
            row_gradient(simd, [x, self.gamma, grad], self.eps, out, self.sums);
        }
    }
}

/// With `y` normalised x and `g` the gradient for it, `gamma` included: `rstd (g - mean(g) - y mean(g y))`.
#[inline(always)]
fn row_gradient<S: Simd>(simd: S, [x, gamma, grad]: [&[f32]; 3], eps: f32, out: &mut [f32], sums: &mut Gradients) {
    let moments = Moments::of(simd, x, eps);
    let y = moments.normalised(simd);
    let mut means = [simd.splat_f32s(0.0); 2];
    let lanes = S::F32_LANES;
    for i in (0..x.len()).step_by(lanes) {
        let part = i..(i + lanes).min(x.len());
        let y = y.of(simd, load(simd, &x[part.clone()]));
        let grad = load(simd, &grad[part.clone()]);
        let g = simd.mul_f32s(grad, load(simd, &gamma[part.clone()]));
        means = [simd.add_f32s(means[0], g), simd.mul_add_e_f32s(g, y, means[1])];
        let (d_gamma, d_beta) = (&mut sums.gamma[part.clone()], &mut sums.beta[part]);
        let more = simd.mul_add_e_f32s(grad, y, load(simd, d_gamma));
        store(simd, d_gamma, more);
        let more = simd.add_f32s(grad, load(simd, d_beta));
        store(simd, d_beta, more);
    }
    let factor = -moments.rstd / x.len() as f32;
    let mean = simd.splat_f32s(factor * simd.reduce_sum_f32s(means[0]));
    let of_y = simd.splat_f32s(factor * simd.reduce_sum_f32s(means[1]));
    let rstd = simd.splat_f32s(moments.rstd);
    for i in (0..x.len()).step_by(lanes) {
        let part = i..(i + lanes).min(x.len());
        let rest = simd.mul_add_e_f32s(of_y, y.of(simd, load(simd, &x[part.clone()])), mean);
        let g = simd.mul_f32s(load(simd, &grad[part.clone()]), load(simd, &gamma[part.clone()]));
        store(simd, &mut out[part], simd.mul_add_e_f32s(rstd, g, rest));
    }
}

/// A whole vector, or a part with zeros after it.
#[inline(always)]
fn load<S: Simd>(simd: S, x: &[f32]) -> S::f32s {
    if x.len() == S::F32_LANES { S::as_simd_f32s(x).0[0] } else { simd.partial_load_f32s(x) }
}

/// A whole vector, or as much as there is room for.
#[inline(always)]
fn store<S: Simd>(simd: S, x: &mut [f32], y: S::f32s) {
    if x.len() == S::F32_LANES {
        S::as_mut_simd_f32s(x).0[0] = y;
    } else {
        simd.partial_store_f32s(x, y);
    }
}
