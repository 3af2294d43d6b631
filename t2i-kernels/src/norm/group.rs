//! Group normalisation of images.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::moments::Moments;
use crate::{
    activation::{Function, Identity, Silu},
    arch::dispatch,
};

/// `(x - mean) / sqrt(variance + eps) * gamma + beta`, with mean and variance of each group of channels.
///
/// # Shapes
///
/// - x and out: `[batch, channels, pixels]`, given as `shape`
/// - gamma and beta: `[channels]`
///
/// # Panics
///
/// If a size is 0, `groups` does not divide the channels, or a slice has another length than its shape.
pub fn group_norm(x: &[f32], shape: [usize; 3], groups: usize, gamma: &[f32], beta: &[f32], eps: f32, out: &mut [f32]) {
    forward(Identity, x, shape, groups, [gamma, beta], eps, out);
}

/// SiLU of [`group_norm`], in the same passes.
///
/// # Shapes
///
/// As [`group_norm`].
///
/// # Panics
///
/// As [`group_norm`].
pub fn group_norm_silu(
    x: &[f32],
    shape: [usize; 3],
    groups: usize,
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    forward(Silu, x, shape, groups, [gamma, beta], eps, out);
}

fn forward<F: Function>(
    f: F,
    x: &[f32],
    shape: [usize; 3],
    groups: usize,
    weights: [&[f32]; 2],
    eps: f32,
    out: &mut [f32],
) {
    check(x, shape, groups, weights, out);
    let (per_group, pixels) = (shape[1] / groups, shape[2]);
    let size = per_group * pixels;
    out.par_chunks_mut(size).zip(x.par_chunks(size)).enumerate().for_each(|(i, (out, x))| {
        let weights = weights.map(|w| &w[i % groups * per_group..][..per_group]);
        dispatch(Group { f, x, weights, eps, out });
    });
}

pub(super) fn check(x: &[f32], shape: [usize; 3], groups: usize, weights: [&[f32]; 2], out: &[f32]) {
    let [batch, channels, pixels] = shape;
    assert!(!shape.contains(&0) && groups > 0, "group norm: a size of {shape:?} in {groups} groups is 0");
    assert!(channels.is_multiple_of(groups), "group norm: {channels} channels are not {groups} groups");
    assert_eq!([x.len(), out.len()], [batch * channels * pixels; 2], "group norm: x or out is not {shape:?}");
    assert_eq!(weights.map(<[f32]>::len), [channels; 2], "group norm: gamma or beta is not [{channels}]");
}

/// One group of one image.
struct Group<'a, F> {
    f: F,
    x: &'a [f32],
    /// Gamma and beta.
    weights: [&'a [f32]; 2],
    eps: f32,
    out: &'a mut [f32],
}

impl<F: Function> WithSimd for Group<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let moments = Moments::of(simd, self.x, self.eps);
        let [gamma, beta] = self.weights;
        let pixels = self.x.len() / gamma.len();
        let channels = self.x.chunks_exact(pixels).zip(self.out.chunks_exact_mut(pixels));
        for ((x, out), (gamma, beta)) in channels.zip(gamma.iter().zip(beta)) {
            let scaled = moments.scaled(simd, moments.rstd * gamma, *beta);
            let ((x, x_end), (out, out_end)) = (S::as_simd_f32s(x), S::as_mut_simd_f32s(out));
            for (x, out) in x.iter().zip(out) {
                *out = self.f.of(simd, scaled.of(simd, *x));
            }
            let end = scaled.of(simd, simd.partial_load_f32s(x_end));
            simd.partial_store_f32s(out_end, self.f.of(simd, end));
        }
    }
}
