//! DPM++ SDE on a Brownian path of its own.

use burn::tensor::Tensor;

use super::{DpmppSde, Fresh};
use crate::{Brownian, Denoise, Level, Memory, Noise, Sampler, SharedNoise};

/// [`DpmppSde`] on a [`Brownian`] path over the levels of the whole run, at variance-exploding levels.
///
/// diffusers asks the path for sigmas that have been to `-ln(sigma)` and back in single precision, and so does this
/// ([`Fresh::in_f32`]).
///
/// A1111, ComfyUI: [`DpmppSde`]. diffusers: `DPMSolverSDEScheduler`. <https://arxiv.org/abs/2211.01095>, algorithm 1
#[derive(Debug, Clone)]
pub struct BrownianSde {
    levels: Vec<Level>,
    seed: Option<u64>,
    source: SharedNoise,
}

impl BrownianSde {
    /// The sampler for a run over these levels, or the end of it. Without a seed it takes one from `source` in its first
    /// step, and draws nothing else from there.
    pub fn new(levels: Vec<Level>, seed: Option<u64>, source: SharedNoise) -> Self {
        Self { levels, seed, source }
    }
}

impl Sampler for BrownianSde {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let seed = *self.seed.get_or_insert_with(|| self.source.seed());
        let path = SharedNoise::new(Brownian::new(seed, &self.levels));
        DpmppSde::new(Fresh::new(path).in_f32()).step(x, from, to, denoise)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("seed", &mut self.seed);
    }
}
