//! AutoencoderKL, the variational autoencoder of Stable Diffusion, and of SD3 and FLUX with other numbers.
//!
//! [Rombach et al. 2022](https://arxiv.org/abs/2112.10752), section 3.1; layers and names as in
//! [diffusers](https://github.com/huggingface/diffusers/blob/v0.42.1/src/diffusers/models/autoencoders/autoencoder_kl.py).

mod blocks;
mod config;
mod decoder;
mod encoder;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Device, FloatDType, Tensor, assert_shape};
use t2i_kernels::ops::{conv2d, in_pool};

use crate::tiling::Cells;
use crate::{LatentScale, Posterior, Tiling};

use blocks::pointwise;
use decoder::Decoder;
use encoder::Encoder;

pub use config::AutoencoderKlConfig;

/// The variational autoencoder. The field names are the names of the tensors in a checkpoint.
#[derive(Module, Debug)]
pub struct AutoencoderKl {
    encoder: Encoder,
    decoder: Decoder,
    quant_conv: Option<Conv2d>,
    post_quant_conv: Option<Conv2d>,
    in_channels: usize,
    latent_channels: usize,
    factor: usize,
    #[module(skip)]
    scale: LatentScale,
    #[module(skip)]
    tiling: Tiling,
}

impl AutoencoderKlConfig {
    /// A codec with random weights, made when they are first used.
    ///
    /// # Panics
    /// If a list or number of the config is empty or 0, or a number of channels is not a multiple of the groups.
    pub fn init(&self, device: &Device) -> AutoencoderKl {
        let latent = self.latent_channels;
        AutoencoderKl {
            encoder: Encoder::init(self, device),
            decoder: Decoder::init(self, device),
            quant_conv: self.use_quant_conv.then(|| pointwise(2 * latent, 2 * latent, device)),
            post_quant_conv: self.use_post_quant_conv.then(|| pointwise(latent, latent, device)),
            in_channels: self.in_channels,
            latent_channels: latent,
            factor: self.factor(),
            scale: LatentScale { factor: self.scaling_factor, shift: self.shift_factor },
            tiling: Tiling::sharing(self.sample_size / self.factor(), 4),
        }
    }
}

impl AutoencoderKl {
    /// What the latents of pictures are.
    ///
    /// # Shapes
    /// - pixels: f32 in [-1, 1], `[batch, in_channels, height, width]`, both sizes at least [`factor`](Self::factor)
    /// - latents: f32, `[batch, latent_channels, height / factor, width / factor]`, rounded down
    ///
    /// # Panics
    /// If the channels are not as many as the codec's, or a size is smaller than the factor.
    pub fn encode(&self, pixels: Tensor<4>) -> Posterior {
        self.check_pixels(&pixels);
        Posterior::normal(self.moments(pixels), self.scale)
    }

    /// As [`encode`](Self::encode), a tile at a time, as diffusers' `enable_tiling` does.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    pub fn encode_tiled(&self, pixels: Tensor<4>, tiling: &Tiling) -> Posterior {
        self.check_pixels(&pixels);
        let cells = Cells::encoding(self.factor);
        Posterior::normal(tiling.blend_neighbours(pixels, cells, |tile| self.moments(tile)), self.scale)
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

    /// As [`decode`](Self::decode), a tile at a time, as diffusers' `enable_tiling` does.
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    pub fn decode_tiled(&self, latent: Tensor<4>, tiling: &Tiling) -> Tensor<4> {
        assert_shape!(latent, [_, self.latent_channels, _, _]);
        let cells = Cells::decoding(self.factor);
        tiling.blend_neighbours(self.scale.undo(latent), cells, |tile| self.pixels(tile))
    }

    /// The tiles that diffusers' `enable_tiling` takes: of the size that the codec was trained on, sharing a quarter.
    pub fn tiling(&self) -> Tiling {
        self.tiling
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

    /// Means and logarithms of variances. `[batch, 2 * latent_channels, height / factor, width / factor]`
    fn moments(&self, pixels: Tensor<4>) -> Tensor<4> {
        in_pool(&pixels.device(), || {
            let moments = self.encoder.forward(pixels.cast(self.dtype()));
            let moments = match &self.quant_conv {
                Some(conv) => conv2d(conv, moments),
                None => moments,
            };
            moments.cast(DType::F32)
        })
    }

    /// From latents that are not scaled to pixels.
    fn pixels(&self, z: Tensor<4>) -> Tensor<4> {
        in_pool(&z.device(), || {
            let z = z.cast(self.dtype());
            let z = match &self.post_quant_conv {
                Some(conv) => conv2d(conv, z),
                None => z,
            };
            self.decoder.forward(z).cast(DType::F32)
        })
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
