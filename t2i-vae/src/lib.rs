//! Image codecs for latent diffusion: from pixels to the latents that a network denoises, and back.
//!
//! | question | answer |
//! |---|---|
//! | which codec does a `config.json` describe | [`CodecConfig`] |
//! | what are the latents of a picture, what is the picture of a latent | [`Codec::encode`], [`Codec::decode`] |
//! | which latents may a picture have | [`Posterior`] |
//! | what if a picture does not fit into memory | [`Tiling`] |
//! | the variational autoencoder of Stable Diffusion | [`AutoencoderKl`] |
//! | its small and fast stand-in, also for previews | [`AutoencoderTiny`] |
//!
//! Pixels are f32, `[batch, channels, height, width]`, in [-1, 1]. Latents are f32,
//! `[batch, channels, height / factor, width / factor]`, and scaled: they have the spread that the denoising network
//! learned. Inside, a codec runs in the type of its weights.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use t2i_vae::{AutoencoderTinyConfig, Codec, CodecConfig};
//!
//! let device = Device::flex();
//! let config = AutoencoderTinyConfig { channels: 8, ..AutoencoderTinyConfig::taesd() };
//! let codec: Codec = CodecConfig::Tiny(config).init(&device); // random weights
//! let latent = codec.encode(Tensor::zeros([1, 3, 64, 96], &device)).mode();
//! assert_eq!(latent.dims(), [1, 4, 8, 12]);
//! assert_eq!(codec.decode(latent).dims(), [1, 3, 64, 96]);
//! ```

mod codec;
mod kl;
mod options;
mod posterior;
mod scale;
mod tiling;
mod tiny;

pub use codec::{Codec, CodecConfig};
pub use kl::{AutoencoderKl, AutoencoderKlConfig};
pub use posterior::Posterior;
pub use scale::LatentScale;
pub use tiling::Tiling;
pub use tiny::{AutoencoderTiny, AutoencoderTinyConfig, taesd_decoder_key, taesd_encoder_key};
