//! The conditional UNet of Stable Diffusion on Burn.
//!
//! One network serves the whole family: Stable Diffusion 1.x, 2.x, XL base and refiner, inpainting and editing
//! models with more input channels, latent consistency models, and distilled ones with fewer layers. Which of
//! them it is stands in the model's `unet/config.json`.
//!
//! | question | answer |
//! |---|---|
//! | which network is it | [`UNetConfig`], from a file's options or a preset |
//! | what does the network predict | [`UNet::forward`] |
//! | what is it told besides the latent and the timestep | [`Conditioning`] |
//! | what of it is the same in every step | [`UNet::conditioned`] |
//!
//! ```no_run
//! # use burn::tensor::{Device, Tensor};
//! # fn run(x: Tensor<4>, timesteps: Tensor<1>, context: Tensor<3>, device: Device) -> t2i_core::Result<Tensor<4>> {
//! use burn::tensor::FloatDType;
//! use t2i_core::{Options, Weights};
//! use t2i_unet::{Conditioning, UNetConfig};
//!
//! let config = UNetConfig::from_options(Options::read("unet/config.json".as_ref())?)?;
//! let weights = Weights::open("unet/diffusion_pytorch_model.safetensors".as_ref())?;
//! let unet = weights.load(config.init(&device), FloatDType::F16)?;
//! let prediction = unet.forward(x, timesteps, &Conditioning::text(context));
//! # Ok(prediction)
//! # }
//! ```

mod activation;
mod attention;
mod blocks;
mod conditioning;
mod config;
mod context;
mod embeddings;
mod layout;
mod resnet;
mod sampling;
mod transformer;
mod unet;

pub use activation::Activation;
pub use conditioning::{Conditioned, Conditioning};
pub use config::{BlockType, MidBlockType, TextTime, TimeScaleShift, UNetConfig};
pub use embeddings::guidance_embedding;
pub use unet::UNet;
