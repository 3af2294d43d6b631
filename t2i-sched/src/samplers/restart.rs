//! Restart sampling.

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Denoise, Level, Memory, Noise, Sampler, Schedule, SharedNoise};

/// An interval that a run goes through again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartInterval {
    levels: Vec<Level>,
    times: usize,
}

impl RestartInterval {
    /// Any levels, from the upper end to the lower one, which must be a level of the run to have an effect.
    pub fn new(levels: Vec<Level>, times: usize) -> Self {
        Self { levels, times }
    }

    /// The levels of each time, from the upper end to the lower one.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The paper's interval: `count` levels from `high` to `low`, both included, at equal distances in `sigma^(1/7)`.
    /// <https://arxiv.org/abs/2306.14878>
    pub fn karras(low: Level, high: Level, count: usize, times: usize) -> Self {
        let root = |level: Level| (level.sigma / level.alpha).powf(1.0 / 7.0);
        let last = count.max(2) - 1;
        let inner = (1..last).map(|i| {
            let share = i as f64 / last as f64;
            low.in_coordinates((root(high) + share * (root(low) - root(high))).powi(7))
        });
        Self::new(std::iter::once(high).chain(inner).chain([low]).collect(), times)
    }

    /// The paper's settings for Stable Diffusion 1.5 at this scale of guidance (it has 2, 3, 5 and 8), with levels at
    /// equal distances in timesteps. `levels` are those of the run; the lower ends are the nearest of them.
    /// <https://github.com/Newbeeer/diffusion_restart_sampling>, `restart_list` of the pipeline
    pub fn stable_diffusion(guidance: f64, schedule: &Schedule, levels: &[Level]) -> Vec<Self> {
        let settings: &[(f64, f64, usize)] = match guidance {
            scale if scale <= 2.0 => &[(1.0, 9.0, 5), (5.0, 10.0, 5)],
            scale if scale <= 3.0 => &[(0.1, 3.0, 10)],
            _ => &[(0.1, 2.0, 10)],
        };
        let table: Vec<Level> = (0..schedule.len()).map(|t| schedule.level(t)).collect();
        let interval = |(low, high, count): &(f64, f64, usize)| {
            let low = levels[nearest(levels, *low)?];
            let (bottom, top) = (nearest(&table, low.sigma / low.alpha)? as f64, nearest(&table, *high)? as f64);
            let share = |i: usize| i as f64 / (*count - 1) as f64;
            let timestep = |i: usize| (top + share(i) * (bottom - top)).round() as usize;
            let level = |i: usize| low.in_coordinates(table[timestep(i)].to_ve().sigma);
            Some(Self::new((0..*count - 1).map(level).chain([low]).collect(), 2))
        };
        settings.iter().filter_map(interval).collect()
    }
}

/// The index of the level whose `sigma / alpha` is nearest to `ratio`.
fn nearest(levels: &[Level], ratio: f64) -> Option<usize> {
    let distance = |i: &usize| (levels[*i].sigma / levels[*i].alpha - ratio).abs();
    (0..levels.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// Restart: where the run reaches the lower end of an interval, noise takes the latent back up to its upper end, and the
/// inner sampler, the paper's is Heun's method, goes down again; several times, before the run goes on. Beside the
/// inner sampler's own price, a step that reaches such an end costs `times` draws of noise and
/// `times * (levels - 1)` inner steps.
///
/// The inner sampler should be one without history.
///
/// A1111: "Restart" (its own rule for intervals). ComfyUI, diffusers: none. <https://arxiv.org/abs/2306.14878>
#[derive(Debug, Clone)]
pub struct Restart<S> {
    sampler: S,
    intervals: Vec<RestartInterval>,
    noise: SharedNoise,
    s_noise: f64,
}

impl<S> Restart<S> {
    /// The sampler with these intervals, drawing from `noise`.
    pub fn new(sampler: S, intervals: Vec<RestartInterval>, noise: SharedNoise) -> Self {
        Self { sampler, intervals, noise, s_noise: 1.0 }
    }

    /// The standard deviation of the noise, 1 unless said otherwise. The paper takes 1.003 for pixels.
    pub fn s_noise(self, s_noise: f64) -> Self {
        Self { s_noise, ..self }
    }

    /// Adds noise to the latent `x` at level `low` until it is one at level `high`.
    fn back(&mut self, x: Tensor<4>, low: Level, high: Level) -> Tensor<4> {
        let ratio = high.alpha / low.alpha;
        let deviation = (high.sigma.powi(2) - (ratio * low.sigma).powi(2)).max(0.0).sqrt();
        let noise = self.noise.between(low, high, x.dims(), &x.device());
        scale(x, ratio) + scale(noise, deviation * self.s_noise)
    }
}

impl<S: Sampler> Sampler for Restart<S> {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let mut x = self.sampler.step(x, from, to, denoise);
        let ends_here = |interval: &&RestartInterval| interval.levels.last() == Some(&to);
        for interval in self.intervals.iter().filter(ends_here).cloned().collect::<Vec<_>>() {
            for _ in 0..interval.times {
                x = self.back(x, to, interval.levels[0]);
                for pair in interval.levels.windows(2) {
                    x = self.sampler.step(x, pair[0], pair[1], denoise);
                }
            }
        }
        x
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.sampler.remember(memory);
    }
}
