//! Levels by their timesteps, for the classes of diffusers that count in timesteps instead of levels.

use burn::tensor::Tensor;

use crate::{Denoise, Level, Memory, Sampler, Schedule};

/// A schedule's levels, visited in strides of `len / steps` timesteps, and the level below timestep 0.
#[derive(Debug, Clone)]
pub struct Ladder {
    schedule: Schedule,
    stride: i64,
    last: Level,
}

impl Ladder {
    /// The ladder of `steps` steps that ends at `last`: clean, or the cleanest level of the schedule.
    pub fn new(schedule: Schedule, steps: usize, last: Level) -> Self {
        let stride = (schedule.len() / steps) as i64;
        Self { schedule, stride, last }
    }

    /// The number of timesteps between two visits.
    pub fn stride(&self) -> i64 {
        self.stride
    }

    /// The level of a timestep: the last for negative ones, the noisiest for those beyond the table.
    pub fn level(&self, timestep: i64) -> Level {
        match usize::try_from(timestep) {
            Ok(timestep) => self.schedule.level(timestep.min(self.schedule.len() - 1)),
            Err(_) => self.last,
        }
    }

    /// The timestep of a level of the schedule; `None` for any other level.
    pub fn timestep(&self, level: Level) -> Option<i64> {
        (0..self.schedule.len()).find(|t| self.schedule.level(*t) == level).map(|t| t as i64)
    }

    /// The level one stride below `level`; `None` if that is not in the schedule.
    pub fn below(&self, level: Level) -> Option<Level> {
        Some(self.level(self.timestep(level)? - self.stride))
    }
}

/// A sampler that lands one stride of the ladder below where it starts, and not at the next level that is visited.
///
/// This is what diffusers' `DDIMScheduler` does. For leading timesteps the two are one level; for trailing and linspace
/// ones they differ by rounding, and the latent is then told the level of the next timestep without being at it.
#[derive(Debug, Clone)]
pub struct Landing<S> {
    sampler: S,
    ladder: Ladder,
}

impl<S> Landing<S> {
    /// Makes `sampler` land on `ladder`.
    pub fn new(sampler: S, ladder: Ladder) -> Self {
        Self { sampler, ladder }
    }
}

impl<S: Sampler> Sampler for Landing<S> {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let landing = self.ladder.below(from).unwrap_or(to);
        self.sampler.step(x, from, landing, denoise)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.sampler.remember(memory);
    }
}
