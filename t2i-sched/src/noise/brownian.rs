//! Noise that does not depend on how many steps there are.

use burn::tensor::{Device, Tensor, TensorData};

use super::{BrownianTree, Generator, Noise};
use crate::{Level, Memory};

/// The noise of one Brownian path over `sigma / alpha`: a step is given the increment of the path between its levels,
/// divided by its deviation, so that runs of 20 and of 40 steps see one and the same noise. The samplers with "SDE" in
/// their name draw from it by custom. The first latent is drawn from torch's generator, seeded alike.
///
/// A1111 and ComfyUI: the noise of "DPM++ SDE", "DPM++ 2M SDE" and "DPM++ 3M SDE". k-diffusion and diffusers:
/// `BrownianTreeNoiseSampler`.
///
/// ```
/// use t2i_sched::samplers::DpmSolver;
/// use t2i_sched::{Brownian, Level, SharedNoise};
///
/// let levels = [Level::ve(14.6), Level::ve(3.0), Level::ve(0.5), Level::CLEAN];
/// let noise = SharedNoise::new(Brownian::new(42, &levels));
/// let sampler = DpmSolver::sde(noise);
/// ```
pub struct Brownian {
    seeds: Seeds,
    low: f64,
    high: f64,
    first: Box<dyn Noise + Send>,
}

enum Seeds {
    /// One path for the whole batch.
    One(u64),
    /// A path an image.
    Each(Vec<u64>),
}

impl Brownian {
    /// One path for the whole batch, over the levels of a run.
    pub fn new(seed: u64, levels: &[Level]) -> Self {
        Self::over(Seeds::One(seed), levels, Box::new(Generator::new(seed)))
    }

    /// A path an image, so that each is what its seed gives alone.
    pub fn each(seeds: &[u64], levels: &[Level]) -> Self {
        let generators: Vec<_> = seeds.iter().map(|seed| Generator::new(*seed)).collect();
        Self::over(Seeds::Each(seeds.to_vec()), levels, Box::new(generators))
    }

    /// Draws the first latent from another source.
    pub fn first(self, noise: impl Noise + Send + 'static) -> Self {
        Self { first: Box::new(noise), ..self }
    }

    /// The reference's interval: from the lowest level that is not clean to the highest.
    fn over(seeds: Seeds, levels: &[Level], first: Box<dyn Noise + Send>) -> Self {
        let sigmas = levels.iter().map(|level| time(*level)).filter(|sigma| sigma.is_finite() && *sigma > 0.0);
        let (low, high) = sigmas.fold((f64::INFINITY, 0.0f64), |(low, high), s| (low.min(s), high.max(s)));
        Self { seeds, low: low.min(high), high, first }
    }

    /// `n` values for each seed.
    fn increment(&self, from: f64, to: f64, batch: usize, n: usize) -> Vec<f32> {
        let one = |seed: u64, n| BrownianTree::new(seed, self.low, self.high).increment(from, to, n);
        match &self.seeds {
            Seeds::One(seed) => one(*seed, batch * n),
            Seeds::Each(seeds) => seeds.iter().take(batch).flat_map(|seed| one(*seed, n)).collect(),
        }
    }
}

/// The reference's times are f32. The last bit matters: over 1e-6 a path moves by 1e-3.
fn time(level: Level) -> f64 {
    f64::from(level.to_ve().sigma as f32)
}

/// # Panics
/// [`between`](Noise::between) panics if there are fewer seeds of [`each`](Brownian::each) than images.
impl Noise for Brownian {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        self.first.sample(shape, device)
    }

    /// Between equal levels it is 0, and from or to pure noise, infinitely far away, it is a fresh sample.
    fn between(&mut self, from: Level, to: Level, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let (from, to) = (time(from), time(to));
        let length = (to - from).abs();
        if !length.is_finite() {
            return self.sample(shape, device);
        }
        let (start, end) = (from.min(to), from.max(to));
        let [batch, channels, height, width] = shape;
        let increment = self.increment(start, end, batch, channels * height * width);
        let deviation = (length as f32).sqrt().max(f32::MIN_POSITIVE);
        let deviation = if from > to { -deviation } else { deviation };
        let values: Vec<f32> = increment.into_iter().map(|w| w / deviation).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.first.remember(memory);
    }
}

impl std::fmt::Debug for Brownian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Brownian")
    }
}
