//! Inpainting with a model that was not trained for it: what lies outside the mask is put back after every step.

use burn::tensor::Tensor;

use t2i_sched::{Denoise, Level, Memory, Sampler};

/// A sampler whose latents are those of the picture outside the mask: noised as far as the level asks, and untouched
/// after the last step.
pub(super) struct Blend<S> {
    pub(super) sampler: S,
    /// The picture. `[images, 4, height, width]`
    pub(super) latent: Tensor<4>,
    /// The noise that the run started from. `[images, 4, height, width]`
    pub(super) noise: Tensor<4>,
    /// 1 where the picture is made anew. `[1, 1, height, width]`
    pub(super) mask: Tensor<4>,
    /// How many steps are to come.
    pub(super) left: usize,
}

impl<S: Sampler> Sampler for Blend<S> {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        self.left = self.left.saturating_sub(1);
        let around = Around { latent: &self.latent, noise: &self.noise, mask: &self.mask };
        let mut first = true;
        let mut denoise = |x: Tensor<4>, level: Level| match std::mem::take(&mut first) {
            true => denoise(x, level),
            false => around.denoise(x, level, denoise),
        };
        let x = self.sampler.step(x, from, to, &mut denoise);
        let outside = match self.left {
            0 => self.latent.clone(),
            _ => around.noised(to),
        };
        around.blend(x, outside)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("left", &mut self.left);
        self.sampler.remember(memory);
    }
}

/// The picture around the mask.
struct Around<'a> {
    latent: &'a Tensor<4>,
    noise: &'a Tensor<4>,
    mask: &'a Tensor<4>,
}

impl Around<'_> {
    fn noised(&self, level: Level) -> Tensor<4> {
        level.mix(self.latent.clone(), self.noise.clone())
    }

    fn blend(&self, x: Tensor<4>, outside: Tensor<4>) -> Tensor<4> {
        (self.mask.clone().mul_scalar(-1.0) + 1.0) * outside + self.mask.clone() * x
    }

    /// Half-way through a step of second order the network sees the picture too, and the sampler is given the noise
    /// that it found there: `x0` is moved by as much as `x` was.
    fn denoise(&self, x: Tensor<4>, level: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let blended = self.blend(x.clone(), self.noised(level));
        let moved = (x - blended.clone()).div_scalar(level.alpha);
        denoise(blended, level) + moved
    }
}
