//! The gradient of group normalisation.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Gradients,
    group::check,
    moments::{Moments, Scaled},
};
use crate::{
    activation::{Function, Identity, Silu},
    arch::dispatch,
};

/// The gradient of [`group_norm`](super::group_norm): that for `x` goes to `out`. The statistics are taken again.
///
/// # Shapes
///
/// As [`group_norm`](super::group_norm); grad as x.
///
/// # Panics
///
/// As [`group_norm`](super::group_norm).
pub fn group_norm_backward(
    x: &[f32],
    shape: [usize; 3],
    groups: usize,
    gamma: &[f32],
    eps: f32,
    grad: &[f32],
    out: &mut [f32],
) -> Gradients {
    backward(Identity, [x, grad], shape, groups, [gamma, gamma], eps, out)
}

/// The gradient of [`group_norm_silu`](super::group_norm_silu): that for `x` goes to `out`. All else is taken again.
///
/// # Shapes
///
/// As [`group_norm`](super::group_norm); grad as x.
///
/// # Panics
///
/// As [`group_norm`](super::group_norm).
#[allow(clippy::too_many_arguments)]
pub fn group_norm_silu_backward(
    x: &[f32],
    shape: [usize; 3],
    groups: usize,
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    grad: &[f32],
    out: &mut [f32],
) -> Gradients {
    backward(Silu, [x, grad], shape, groups, [gamma, beta], eps, out)
}

fn backward<F: Function>(
    f: F,
    [x, grad]: [&[f32]; 2],
    shape: [usize; 3],
    groups: usize,
    weights: [&[f32]; 2],
    eps: f32,
    out: &mut [f32],
) -> Gradients {
    check(x, shape, groups, weights, out);
    assert_eq!(x.len(), grad.len(), "group norm: x and grad differ in length");
    let (channels, per_group) = (shape[1], shape[1] / groups);
    let size = per_group * shape[2];
    let mut sums = vec![[0.0; 2]; shape[0] * channels];
    let parts = out.par_chunks_mut(size).zip(sums.par_chunks_mut(per_group));
    parts.zip(x.par_chunks(size).zip(grad.par_chunks(size))).enumerate().for_each(|(i, ((out, sums), (x, grad)))| {
        let weights = weights.map(|w| &w[i % groups * per_group..][..per_group]);
        dispatch(GroupGradient { f, x, weights, eps, grad, out, sums });
    });
    let over_batch = |n: usize| (0..channels).map(|c| sums[c..].iter().step_by(channels).map(|s| s[n]).sum()).collect();
    Gradients { gamma: over_batch(1), beta: over_batch(0) }
}

/// One group of one image, backwards.
struct GroupGradient<'a, F> {
    f: F,
    x: &'a [f32],
    /// Gamma and beta.
    weights: [&'a [f32]; 2],
    eps: f32,
    grad: &'a [f32],
    out: &'a mut [f32],
    /// For each channel the sum of the gradients, and that of their products with normalised x.
    sums: &'a mut [[f32; 2]],
}

impl<F: Function> WithSimd for GroupGradient<'_, F> {
    type Output = ();

    /// With `y` normalised x and `g` the gradient for it, `gamma` included: `rstd (g - mean(g) - y mean(g y))`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let moments = Moments::of(simd, self.x, self.eps);
        let normalised = moments.normalised(simd);
        let [gamma, beta] = self.weights;
        let pixels = self.x.len() / gamma.len();
        let mut means = [0.0f64; 2];
        for (c, out) in self.out.chunks_exact_mut(pixels).enumerate() {
            let part = c * pixels..(c + 1) * pixels;
            let slices = [&self.x[part.clone()], &self.grad[part]];
            self.sums[c] = through(simd, self.f, normalised, [gamma[c], beta[c]], slices, out);
            for (mean, sum) in means.iter_mut().zip(self.sums[c]) {
                *mean += f64::from(gamma[c] * sum) / self.x.len() as f64;
            }
        }
        for ((x, out), gamma) in self.x.chunks_exact(pixels).zip(self.out.chunks_exact_mut(pixels)).zip(gamma) {
            let factors = [moments.rstd * gamma, -moments.rstd * means[0] as f32, -moments.rstd * means[1] as f32];
            combine(simd, normalised, factors, x, out);
        }
    }
}

/// The gradient before the function to `out`; its sum, and that of its products with normalised x.
#[inline(always)]
fn through<S: Simd, F: Function>(
    simd: S,
    f: F,
    normalised: Scaled<S>,
    [gamma, beta]: [f32; 2],
    [x, grad]: [&[f32]; 2],
    out: &mut [f32],
) -> [f32; 2] {
    let (gamma, beta) = (simd.splat_f32s(gamma), simd.splat_f32s(beta));
    let mut sums = [simd.splat_f32s(0.0); 2];
    let ((x, x_end), (grad, grad_end)) = (S::as_simd_f32s(x), S::as_simd_f32s(grad));
    let (out, out_end) = S::as_mut_simd_f32s(out);
    for ((x, grad), out) in x.iter().zip(grad).zip(out) {
        let y = normalised.of(simd, *x);
        *out = simd.mul_f32s(*grad, f.slope(simd, simd.mul_add_e_f32s(y, gamma, beta)));
        sums = [simd.add_f32s(sums[0], *out), simd.mul_add_e_f32s(*out, y, sums[1])];
    }
    if !x_end.is_empty() {
        let y = normalised.of(simd, simd.partial_load_f32s(x_end));
        // 0 in lanes without a number, as the gradient is there.
        let grad = simd.partial_load_f32s(grad_end);
        let end = simd.mul_f32s(grad, f.slope(simd, simd.mul_add_e_f32s(y, gamma, beta)));
        simd.partial_store_f32s(out_end, end);
        sums = [simd.add_f32s(sums[0], end), simd.mul_add_e_f32s(end, y, sums[1])];
    }
    [simd.reduce_sum_f32s(sums[0]), simd.reduce_sum_f32s(sums[1])]
}

/// `out = factors[0] * out + factors[1] + factors[2] * y` for normalised x `y`.
#[inline(always)]
fn combine<S: Simd>(simd: S, normalised: Scaled<S>, factors: [f32; 3], x: &[f32], out: &mut [f32]) {
    let [of_out, constant, of_y] = factors;
    let (of_out, constant, of_y) = (simd.splat_f32s(of_out), simd.splat_f32s(constant), simd.splat_f32s(of_y));
    let ((x, x_end), (out, out_end)) = (S::as_simd_f32s(x), S::as_mut_simd_f32s(out));
    for (x, out) in x.iter().zip(out) {
        let rest = simd.mul_add_e_f32s(of_y, normalised.of(simd, *x), constant);
        *out = simd.mul_add_e_f32s(of_out, *out, rest);
    }
    let rest = simd.mul_add_e_f32s(of_y, normalised.of(simd, simd.partial_load_f32s(x_end)), constant);
    let end = simd.mul_add_e_f32s(of_out, simd.partial_load_f32s(out_end), rest);
    simd.partial_store_f32s(out_end, end);
}
