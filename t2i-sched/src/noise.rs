//! Noise, made on the host so that a seed gives the same picture on every device.

mod brownian;
mod brownian_tree;
mod counter;
mod mt19937;
mod normal;
mod philox;
mod seed_sequence;
mod variation;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};

use crate::{Level, Memory};

pub use brownian::Brownian;
pub use brownian_tree::BrownianTree;
pub use counter::Counter;
pub use normal::Generator;
pub use philox::Philox;
pub use variation::Variation;

/// A source of Gaussian noise of mean 0 and variance 1.
pub trait Noise {
    /// The next noise of this shape, `[batch, channels, height, width]`, f32, on `device`.
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4>;

    /// The noise of the step between two levels. A plain sequence draws its next; a Brownian path gives its increment
    /// there, so that the noise does not depend on how many steps there are.
    fn between(&mut self, from: Level, to: Level, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let _ = (from, to);
        self.sample(shape, device)
    }

    /// A seed for another source. [`Generator`] draws diffusers' `torch.randint(0, 2 ** 63 - 1, [])`; others take the bits
    /// of a sample.
    fn seed(&mut self) -> u64 {
        let sample = self.sample([1, 1, 1, 2], &Device::default()).into_data();
        sample.iter::<f32>().fold(0, |seed, value| seed << 32 | u64::from(value.to_bits()))
    }

    /// Shows what the source remembers, if a run is to be saved with it.
    fn remember(&mut self, memory: &mut Memory<'_>) {
        let _ = memory;
    }
}

/// One generator for the whole batch: diffusers' `generator=torch.Generator().manual_seed(seed)`.
impl Noise for Generator {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let values = self.randn(shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn seed(&mut self) -> u64 {
        self.randint63()
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.keep(memory);
    }
}

/// A source that a seed starts and that gives plain numbers as well.
pub trait Seeded: Noise + Send + 'static {
    /// The source of `seed`, at its beginning.
    fn seeded(seed: u64) -> Self;

    /// The next draw, of `n` numbers: what [`sample`](Noise::sample) gives for one image of that size.
    fn randn(&mut self, n: usize) -> Vec<f32>;
}

impl Seeded for Generator {
    fn seeded(seed: u64) -> Self {
        Self::new(seed)
    }

    fn randn(&mut self, n: usize) -> Vec<f32> {
        self.randn(n)
    }
}

/// One source an image: diffusers' `generator=[g0, g1, ...]`. Each image is drawn by its own, so that it is the
/// image that its seed gives alone. As in diffusers, a list of one serves the whole batch, and a batch of fewer images
/// than sources is drawn by the first of them.
///
/// # Panics
/// [`sample`](Noise::sample) panics if there are several sources, but fewer than images.
impl<N: Noise> Noise for Vec<N> {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        each(self, shape, |source, shape| source.sample(shape, device))
    }

    fn between(&mut self, from: Level, to: Level, shape: [usize; 4], device: &Device) -> Tensor<4> {
        each(self, shape, |source, shape| source.between(from, to, shape, device))
    }

    /// That of the first.
    fn seed(&mut self) -> u64 {
        self.first_mut().map_or(0, Noise::seed)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        for (i, source) in self.iter_mut().enumerate() {
            memory.part(&i.to_string(), |memory| source.remember(memory));
        }
    }
}

fn each<N>(sources: &mut [N], shape: [usize; 4], draw: impl Fn(&mut N, [usize; 4]) -> Tensor<4>) -> Tensor<4> {
    if let [one] = sources {
        return draw(one, shape);
    }
    let [batch, channels, height, width] = shape;
    assert!(sources.len() >= batch, "one source of noise an image");
    let images = sources.iter_mut().take(batch).map(|source| draw(source, [1, channels, height, width]));
    Tensor::cat(images.collect(), 0)
}

/// A source of noise with several owners: the pipeline draws the first latent, a codec its sample and a stochastic
/// sampler its steps from one sequence, in the order in which they ask, as from one `torch.Generator`.
///
/// ```
/// use burn::tensor::Device;
/// use t2i_sched::{Generator, Noise, SharedNoise};
///
/// let mut pipeline = SharedNoise::new(Generator::new(0));
/// let mut sampler = pipeline.clone();
/// let first = pipeline.sample([1, 4, 8, 8], &Device::flex());
/// let second = sampler.sample([1, 4, 8, 8], &Device::flex()); // goes on where `first` ended
/// # assert_ne!(first.into_data(), second.into_data());
/// ```
#[derive(Clone)]
pub struct SharedNoise(Arc<Mutex<dyn Noise + Send>>);

impl SharedNoise {
    /// Shares a source.
    pub fn new(noise: impl Noise + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(noise)))
    }

    /// One generator for the whole batch.
    pub fn seeded(seed: u64) -> Self {
        Self::new(Generator::new(seed))
    }

    /// One generator an image.
    pub fn seeded_each(seeds: &[u64]) -> Self {
        Self::each::<Generator>(seeds)
    }

    /// One source an image, of any kind: `SharedNoise::each::<Philox>(&[1, 2])`.
    pub fn each<S: Seeded>(seeds: &[u64]) -> Self {
        Self::new(seeds.iter().map(|seed| S::seeded(*seed)).collect::<Vec<_>>())
    }

    /// One CUDA generator for the whole batch.
    pub fn philox(seed: u64) -> Self {
        Self::new(Philox::new(seed))
    }

    /// Noise by number: each image of the batch from `first_image` on has its own.
    pub fn counter(seed: u64, first_image: u64) -> Self {
        Self::new(Counter::new(seed, first_image))
    }

    /// Noise between that of two seeds an image: `SharedNoise::variation::<Generator>(&[1], &[2], 0.3)`.
    pub fn variation<S: Seeded>(seeds: &[u64], variation_seeds: &[u64], strength: f64) -> Self {
        Self::new(Variation::<S>::new(seeds, variation_seeds, strength))
    }

    fn source(&self) -> MutexGuard<'_, dyn Noise + Send + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noise for SharedNoise {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        self.source().sample(shape, device)
    }

    fn between(&mut self, from: Level, to: Level, shape: [usize; 4], device: &Device) -> Tensor<4> {
        self.source().between(from, to, shape, device)
    }

    fn seed(&mut self) -> u64 {
        self.source().seed()
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.source().remember(memory);
    }
}

impl std::fmt::Debug for SharedNoise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedNoise")
    }
}
