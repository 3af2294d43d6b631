//! One type for every codec.

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use serde_json::json;

use t2i_core::{Options, Result, Weights};

use crate::{AutoencoderKl, AutoencoderKlConfig, AutoencoderTiny, AutoencoderTinyConfig, Posterior, Tiling};

/// The config of a codec of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum CodecConfig {
    /// Stable Diffusion's own codec.
    Kl(AutoencoderKlConfig),
    /// The small and fast one.
    Tiny(AutoencoderTinyConfig),
}

impl CodecConfig {
    /// Reads the config of an AutoencoderKL or AutoencoderTiny of diffusers, as its `_class_name` says.
    ///
    /// # Errors
    /// If the class is another or an option is unknown, or one has a value that is not supported.
    pub fn from_options(mut options: Options) -> Result<Self> {
        let class: String = options.require("_class_name")?;
        match class.as_str() {
            "AutoencoderKL" => AutoencoderKlConfig::from_options(options).map(Self::Kl),
            "AutoencoderTiny" => AutoencoderTinyConfig::from_options(options).map(Self::Tiny),
            _ => Err(options.unsupported("_class_name", &json!(class), "\"AutoencoderKL\" or \"AutoencoderTiny\"")),
        }
    }

    /// A codec with random weights, made when they are first used.
    pub fn init(&self, device: &Device) -> Codec {
        match self {
            Self::Kl(config) => Codec::Kl(config.init(device)),
            Self::Tiny(config) => Codec::Tiny(config.init(device)),
        }
    }

    /// A codec with the given weights, as [`dtype`](Self::dtype) of the type asked for.
    ///
    /// # Errors
    /// If a tensor is missing, left over, of another shape, no float, or cannot be read.
    pub fn load(&self, weights: &Weights, device: &Device, requested: FloatDType) -> Result<Codec> {
        weights.load(self.init(device), self.dtype(requested))
    }

    /// The type in which the codec can run when `requested` is what the caller would like. It is meant for XL: the codecs of 1.x and 2.x
    /// bear f16, although their configs say nothing of it; `weights.load(config.init(device), f16)` has them so.
    pub fn dtype(&self, requested: FloatDType) -> FloatDType {
        match self {
            Self::Kl(config) => config.dtype(requested),
            Self::Tiny(_) => requested,
        }
    }
}

/// From pixels to latents and back, by a codec of either kind.
#[derive(Module, Debug)]
pub enum Codec {
    /// Stable Diffusion's own codec.
    Kl(AutoencoderKl),
    /// The small and fast one.
    Tiny(AutoencoderTiny),
}

macro_rules! either {
    ($codec:expr, $inner:ident => $value:expr) => {
        match $codec {
            Codec::Kl($inner) => $value,
            Codec::Tiny($inner) => $value,
        }
    };
}

impl Codec {
    /// What the latents of pictures are.
    ///
    /// # Shapes
    /// - pixels: f32 in [-1, 1], `[batch, 3, height, width]`, both sizes at least [`factor`](Self::factor); of sizes
    ///   that are no multiple of it, AutoencoderKL drops the rest and AutoencoderTiny rounds up
    /// - latents: f32, `[batch, latent_channels, height / factor, width / factor]`
    ///
    /// # Panics
    /// If the channels are not as many as the codec's, or a size is smaller than the factor.
    pub fn encode(&self, pixels: Tensor<4>) -> Posterior {
        either!(self, codec => codec.encode(pixels))
    }

    /// As [`encode`](Self::encode), a tile at a time. A picture of one tile is not cut.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    pub fn encode_tiled(&self, pixels: Tensor<4>, tiling: &Tiling) -> Posterior {
        either!(self, codec => codec.encode_tiled(pixels, tiling))
    }

    /// The pictures that latents stand for, in [-1, 1] but for what the codec overshoots.
    ///
    /// # Shapes
    /// - latent: f32, scaled, `[batch, latent_channels, height, width]`
    /// - pixels: f32, `[batch, 3, factor * height, factor * width]`
    ///
    /// # Panics
    /// If the latent has another number of channels.
    pub fn decode(&self, latent: Tensor<4>) -> Tensor<4> {
        either!(self, codec => codec.decode(latent))
    }

    /// As [`decode`](Self::decode), a tile at a time. A picture of one tile is not cut.
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    pub fn decode_tiled(&self, latent: Tensor<4>, tiling: &Tiling) -> Tensor<4> {
        either!(self, codec => codec.decode_tiled(latent, tiling))
    }

    /// The tiles that diffusers' `enable_tiling` takes for this codec.
    pub fn tiling(&self) -> Tiling {
        either!(self, codec => codec.tiling())
    }

    /// How many pixels wide and high a latent cell is.
    pub fn factor(&self) -> usize {
        either!(self, codec => codec.factor())
    }

    /// How many channels the latents have.
    pub fn latent_channels(&self) -> usize {
        either!(self, codec => codec.latent_channels())
    }

    /// The type that the codec runs in, which is that of its weights.
    pub fn dtype(&self) -> FloatDType {
        either!(self, codec => codec.dtype())
    }
}
