//! The codec: pictures to latents of unit variance and back.

use burn::tensor::{Tensor, TensorData};
use t2i::core::{Checkpoint, Part};
use t2i::vae::CodecConfig;
use t2i_data::{Archives, Library, Scenes};
use t2i_train::{CodecLoss, spread, step_noise};

use crate::run::{Options, Special, export};

/// How much the spread of the latents counts beside the pictures.
const SPREAD: f64 = 0.02;
/// The noise that latents get before they are decoded, so that the decoder forgives what diffusion leaves of it.
const NOISE: f64 = 0.05;

pub(crate) fn train(options: &Options) -> t2i::Result<()> {
    let device = options.device()?;
    let folder = &options.common.model;
    let library = Library::load(&Archives::open(&options.common.archives)?, options.size)?;
    let scenes = Scenes::new(library.concepts(), options.seed, options.pairs)?;
    let codec = CodecConfig::from_options(Checkpoint::open(folder)?.options(Part::Vae)?)?.init(&device);
    let objective = CodecLoss::default();
    let weights = folder.join(Part::Vae.name()).join("diffusion_pytorch_model.safetensors");
    let cell = options.size / codec.factor();
    let latent_shape = [options.batch, codec.latent_channels(), cell, cell];
    let losses = |step: u64| {
        let first = step * options.batch as u64;
        let pictures = (first..first + options.batch as u64).flat_map(|i| library.render(&scenes.scene(i)));
        let shape = [options.batch, 3, options.size, options.size];
        let pixels = Tensor::<4>::from_data(TensorData::new(pictures.collect(), shape), &device);
        let noise = step_noise(options.seed, step, latent_shape, &device) * NOISE;
        let shards = pixels.chunk(options.shards, 0).into_iter().zip(noise.chunk(options.shards, 0));
        let loss = |(pixels, noise): (Tensor<4>, Tensor<4>)| {
            move |codec: &t2i::vae::Codec| {
                let latent = codec.encode(pixels.clone()).mode();
                let decoded = codec.decode(latent.clone() + noise);
                Ok(objective.forward(decoded, pixels) + spread(latent) * SPREAD)
            }
        };
        Ok(shards.map(loss).collect())
    };
    options.run(codec, &Special::default(), losses, |codec| export(&weights, codec))
}
