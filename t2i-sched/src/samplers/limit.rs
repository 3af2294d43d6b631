//! Limits on the values of clean latents, for models of pixels.

use burn::tensor::{Int, Tensor};

use crate::{Denoise, Level, Memory, Sampler};

/// A limit on the values of the clean latent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Clips to `[-range, range]` (`clip_sample`).
    Clip(f64),
    /// Dynamic thresholding: clips each image to `[-s, s]` and divides by `s`, where `s` is the quantile `ratio` of its
    /// absolute values, kept in `[1, max]`. <https://arxiv.org/abs/2205.11487>, section 2.3
    Threshold {
        /// The quantile, in `[0, 1]`.
        ratio: f64,
        /// The largest `s`.
        max: f64,
    },
}

impl Limit {
    /// The latent within the limit.
    ///
    /// # Shapes
    /// `x0` and the result are `[batch, channels, height, width]`.
    pub fn apply(self, x0: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Clip(range) => x0.clamp(-range, range),
            Self::Threshold { ratio, max } => {
                let s = quantile(x0.clone().abs(), ratio).clamp_min(1.0).clamp_max(max);
                x0.min_pair(s.clone()).max_pair(s.clone().neg()) / s
            }
        }
    }
}

/// The quantile of each image, with linear interpolation between values. `[batch, 1, 1, 1]`
fn quantile(x: Tensor<4>, ratio: f64) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let last = channels * height * width - 1;
    let rank = ratio * last as f64;
    let below = (rank.floor() as usize).min(last);
    let sorted: Tensor<2> = x.flatten::<2>(1, 3).sort(1); // [batch, channels * height * width]
    let at = |i: usize| {
        let index = Tensor::<1, Int>::from_data([i as i64], &sorted.device());
        sorted.clone().select(1, index).reshape([batch, 1, 1, 1])
    };
    let (low, high) = (at(below), at((below + 1).min(last)));
    low.clone() + (high - low).mul_scalar(rank - below as f64)
}

/// A sampler that sees limited clean latents.
#[derive(Debug, Clone)]
pub struct Limited<S> {
    sampler: S,
    limit: Limit,
}

impl<S> Limited<S> {
    /// Puts `limit` between the model and `sampler`.
    pub fn new(sampler: S, limit: Limit) -> Self {
        Self { sampler, limit }
    }
}

impl<S: Sampler> Sampler for Limited<S> {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let limit = self.limit;
        self.sampler.step(x, from, to, &mut |x, level| limit.apply(denoise(x, level)))
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.sampler.remember(memory);
    }
}
