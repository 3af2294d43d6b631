//! Latents of training scenes, encoded as they are needed.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use t2i::vae::Codec;
use t2i_data::{Library, Scene, Scenes};

/// The latents of a window of scenes that moves on with the training.
///
/// Encoding costs a fifth of a training step, so a scene is used several times: step `s` draws from the scenes `s * new`
/// to `s * new + WINDOW`. What is kept here is only what could be encoded again.
pub(crate) struct Latents<'a> {
    codec: &'a Codec,
    library: &'a Library,
    scenes: &'a Scenes,
    device: Device,
    kept: HashMap<u64, Vec<f32>>,
}

impl<'a> Latents<'a> {
    /// How many scenes a step can draw from.
    pub(crate) const WINDOW: u64 = 8192;
    /// How many pictures are encoded at once.
    const BATCH: usize = 32;

    /// `device` is that of the codec, without autodiff.
    pub(crate) fn new(codec: &'a Codec, library: &'a Library, scenes: &'a Scenes, device: Device) -> Self {
        Self { codec, library, scenes, device, kept: HashMap::new() }
    }

    /// The latents of these scenes. Scenes before `first` are not asked for again.
    pub(crate) fn of(&mut self, numbers: &[u64], first: u64, device: &Device) -> Tensor<4> {
        self.kept.retain(|number, _| *number >= first);
        let mut missing: Vec<_> = numbers.iter().copied().filter(|number| !self.kept.contains_key(number)).collect();
        missing.dedup();
        missing.chunks(Self::BATCH).for_each(|numbers| self.encode(numbers));
        let latents = numbers.iter().flat_map(|number| self.kept[number].iter().copied()).collect();
        let cell = self.library.size() / self.codec.factor();
        let shape = [numbers.len(), self.codec.latent_channels(), cell, cell];
        Tensor::from_data(TensorData::new(latents, shape), device)
    }

    /// The scene of a number.
    pub(crate) fn scene(&self, number: u64) -> Scene {
        self.scenes.scene(number)
    }

    fn encode(&mut self, numbers: &[u64]) {
        let size = self.library.size();
        let pictures = numbers.iter().flat_map(|number| self.library.render(&self.scenes.scene(*number))).collect();
        let pixels = TensorData::new(pictures, [numbers.len(), 3, size, size]);
        let latents = self.codec.encode(Tensor::from_data(pixels, &self.device)).mode();
        let values: Vec<f32> = latents.into_data().iter().collect();
        let each = values.len() / numbers.len();
        self.kept.extend(numbers.iter().copied().zip(values.chunks(each).map(<[f32]>::to_vec)));
    }
}
