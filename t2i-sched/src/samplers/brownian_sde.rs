//! DPM++ SDE on a Brownian path of its own.

use burn::tensor::{Device, Tensor};

use super::DpmppSde;
use crate::{Brownian, Denoise, Level, Memory, Noise, Sampler, SharedNoise};

/// [`DpmppSde`] on a [`Brownian`] path over the levels of the whole run, at variance-exploding levels.
///
/// diffusers asks the path for sigmas that have been to `-ln(sigma)` and back in single precision. That moves their last
/// digit, over which a path moves by a thousandth, and so does this.
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
        let path = Path { brownian: Brownian::new(seed, &self.levels), from, to };
        DpmppSde::new(SharedNoise::new(path)).step(x, from, to, denoise)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("seed", &mut self.seed);
    }
}

/// The path as one step sees it.
struct Path {
    brownian: Brownian,
    from: Level,
    to: Level,
}

impl Path {
    /// Where the path is asked for a level: an end of the step or its middle.
    fn asked(&self, level: Level) -> Level {
        let time = |level: Level| -ln(level.to_ve().sigma as f32);
        let (start, end) = (time(self.from), time(self.to));
        let time = match level {
            _ if level == self.from => start,
            _ if level == self.to => end,
            _ => start + (end - start) * 0.5,
        };
        Level::ve(f64::from(exp(-time)))
    }
}

impl Noise for Path {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        self.brownian.sample(shape, device)
    }

    fn between(&mut self, from: Level, to: Level, shape: [usize; 4], device: &Device) -> Tensor<4> {
        self.brownian.between(self.asked(from), self.asked(to), shape, device)
    }
}

/// The nearest f32, which the system's own need not be.
fn ln(x: f32) -> f32 {
    f64::from(x).ln() as f32
}

fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}
