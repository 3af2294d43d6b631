//! Noise, made on the host so that a seed gives the same picture on every device.

mod brownian;
mod brownian_tree;
mod mt19937;
mod normal;
mod seed_sequence;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};

use crate::{Level, Memory};

pub use brownian::Brownian;
pub use brownian_tree::BrownianTree;
pub use normal::Generator;

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

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.keep(memory);
    }
}

/// One generator an image: diffusers' `generator=[g0, g1, ...]`. Each image is drawn by its own, so that it is the
/// image that its seed gives alone. As in diffusers, a list of one serves the whole batch, and a batch of fewer images
/// than generators is drawn by the first of them.
///
/// # Panics
/// [`sample`](Noise::sample) panics if there are several generators, but fewer than images.
impl Noise for Vec<Generator> {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        if let [one] = self.as_mut_slice() {
            return one.sample(shape, device);
        }
        let [batch, channels, height, width] = shape;
        assert!(self.len() >= batch, "one generator an image");
        let images = self.iter_mut().take(batch).map(|g| g.sample([1, channels, height, width], device));
        Tensor::cat(images.collect(), 0)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        for (i, generator) in self.iter_mut().enumerate() {
            memory.part(&i.to_string(), |memory| generator.keep(memory));
        }
    }
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
        Self::new(seeds.iter().map(|seed| Generator::new(*seed)).collect::<Vec<_>>())
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

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.source().remember(memory);
    }
}

impl std::fmt::Debug for SharedNoise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedNoise")
    }
}
