//! AutoencoderTiny: TAESD, a codec of 2.4 million parameters that speaks the latents of Stable Diffusion.
//!
//! <https://github.com/madebyollin/taesd>; layers and names as in
//! [diffusers](https://github.com/huggingface/diffusers/blob/v0.42.1/src/diffusers/models/autoencoders/autoencoder_tiny.py).
//! Its latents are those of the big codec after scaling, and pixels are in [0, 1] inside of it.

mod config;
mod layers;
mod taesd;

use burn::module::Module;
use burn::tensor::{DType, Device, FloatDType, Tensor, assert_shape};
use t2i_kernels::ops::in_pool;

use crate::tiling::Cells;
use crate::{LatentScale, Posterior, Tiling};

use layers::{Decoder, Encoder};

pub use config::AutoencoderTinyConfig;
pub use taesd::{taesd_decoder_key, taesd_encoder_key};

/// The side of diffusers' tiles, in pixels.
const TILE: usize = 512;

/// The small codec. The field names are the names of the tensors in diffusers' checkpoints.
#[derive(Module, Debug)]
pub struct AutoencoderTiny {
    encoder: Encoder,
    decoder: Decoder,
    in_channels: usize,
    latent_channels: usize,
    factor: usize,
    #[module(skip)]
    scale: LatentScale,
}

impl AutoencoderTinyConfig {
    /// A codec with random weights, made when they are first used.
    pub fn init(&self, device: &Device) -> AutoencoderTiny {
        AutoencoderTiny {
            encoder: Encoder::init(self, device),
            decoder: Decoder::init(self, device),
            in_channels: self.in_channels,
            latent_channels: self.latent_channels,
            factor: self.factor(),
            scale: LatentScale { factor: self.scaling_factor, shift: self.shift_factor },
        }
    }
}

impl AutoencoderTiny {
    /// What the latents of pictures are: certain, without chance.
    ///
    /// # Shapes
    /// - pixels: f32 in [-1, 1], `[batch, in_channels, height, width]`
    /// - latents: f32, `[batch, latent_channels, height / factor, width / factor]`, rounded up
    ///
    /// # Panics
    /// If the channels are not as many as the codec's, or a size is smaller than the factor.
    pub fn encode(&self, pixels: Tensor<4>) -> Posterior {
        self.check_pixels(&pixels);
        Posterior::certain(self.latent(pixels), self.scale)
    }

    /// As [`encode`](Self::encode), a tile at a time, as diffusers' `enable_tiling` does.
    ///
    /// Two differences: a picture of one tile is not cut, and latents may have any number of channels.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    pub fn encode_tiled(&self, pixels: Tensor<4>, tiling: &Tiling) -> Posterior {
        self.check_pixels(&pixels);
        let cells = Cells::encoding(self.factor);
        Posterior::certain(tiling.lay_over(pixels, cells, |tile| self.latent(tile)), self.scale)
    }

    /// The pictures that latents stand for, in [-1, 1] but for what the decoder overshoots.
    ///
    /// # Shapes
    /// - latent: f32, scaled, `[batch, latent_channels, height, width]`
    /// - pixels: f32, `[batch, out_channels, factor * height, factor * width]`
    ///
    /// # Panics
    /// If the latent has another number of channels.
    pub fn decode(&self, latent: Tensor<4>) -> Tensor<4> {
        assert_shape!(latent, [_, self.latent_channels, _, _]);
        self.pixels(self.scale.undo(latent))
    }

    /// As [`decode`](Self::decode), a tile at a time, as diffusers' `enable_tiling` does, except that a picture of one
    /// tile is not cut.
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    pub fn decode_tiled(&self, latent: Tensor<4>, tiling: &Tiling) -> Tensor<4> {
        assert_shape!(latent, [_, self.latent_channels, _, _]);
        let cells = Cells::decoding(self.factor);
        tiling.lay_over(self.scale.undo(latent), cells, |tile| self.pixels(tile))
    }

    /// The tiles that diffusers' `enable_tiling` takes: of 512 pixels, sharing an eighth.
    pub fn tiling(&self) -> Tiling {
        Tiling::sharing(TILE / self.factor, 8)
    }

    /// How many pixels wide and high a latent cell is.
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// How many channels the latents have.
    pub fn latent_channels(&self) -> usize {
        self.latent_channels
    }

    /// The type that the codec computes in: that of its weights, but f32 for halves on a CPU.
    pub fn dtype(&self) -> FloatDType {
        self.decoder.dtype().into()
    }

    fn latent(&self, pixels: Tensor<4>) -> Tensor<4> {
        in_pool(&pixels.device(), || self.encoder.forward(pixels.cast(self.dtype())).cast(DType::F32))
    }

    fn pixels(&self, z: Tensor<4>) -> Tensor<4> {
        in_pool(&z.device(), || self.decoder.forward(z.cast(self.dtype())).cast(DType::F32))
    }

    fn check_pixels(&self, pixels: &Tensor<4>) {
        assert_shape!(pixels, [_, self.in_channels, _, _]);
        let [_, _, height, width] = pixels.dims();
        let factor = self.factor;
        assert!(
            height.min(width) >= factor,
            "pixels are {width} x {height}, but a codec of factor {factor} needs at least {factor} x {factor}"
        );
    }
}
