//! What a `config.json` says about an AutoencoderKL.

use burn::tensor::FloatDType;
use serde_json::{Value, json};

use t2i_core::{Options, Result};

use crate::options::{nonzero, positive};

/// The options of [`AutoencoderKl`](crate::AutoencoderKl). The names are diffusers'.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoencoderKlConfig {
    /// Channels of the pictures that are encoded.
    pub in_channels: usize,
    /// Channels of the pictures that are decoded.
    pub out_channels: usize,
    /// Channels of each resolution, from the pixels' to the latents'; each but the last halves the size.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks a resolution in the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of every norm.
    pub norm_num_groups: usize,
    /// The size of the pictures that the codec was trained on, in pixels: the size of a tile.
    pub sample_size: usize,
    /// What scales latents: `(z - shift_factor) * scaling_factor`.
    pub scaling_factor: f64,
    /// What is taken from latents before scaling.
    pub shift_factor: f64,
    /// Whether the codec overflows f16.
    pub force_upcast: bool,
    /// Whether a 1x1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1x1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// Whether there is attention between the residual blocks at the latents' resolution.
    pub mid_block_add_attention: bool,
}

impl AutoencoderKlConfig {
    /// The codec of Stable Diffusion 1.x and 2.x.
    /// <https://huggingface.co/CompVis/stable-diffusion-v1-4/blob/main/vae/config.json>
    pub fn sd() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            latent_channels: 4,
            norm_num_groups: 32,
            sample_size: 512,
            scaling_factor: 0.18215,
            shift_factor: 0.0,
            force_upcast: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }

    /// The codec of Stable Diffusion XL.
    /// <https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/vae/config.json>
    pub fn sdxl() -> Self {
        Self { sample_size: 1024, scaling_factor: 0.13025, ..Self::sd() }
    }

    /// Reads the config of diffusers' AutoencoderKL.
    ///
    /// # Errors
    /// If an option is unknown, or has a value that is not supported.
    pub fn from_options(mut options: Options) -> Result<Self> {
        let o = &mut options;
        o.only("act_fn", &[json!("silu"), json!("swish")])?;
        o.only("latents_mean", &[Value::Null])?;
        o.only("latents_std", &[Value::Null])?;
        let config = Self {
            in_channels: positive(o, "in_channels", 3)?,
            out_channels: positive(o, "out_channels", 3)?,
            block_out_channels: o.get("block_out_channels", vec![64])?,
            layers_per_block: positive(o, "layers_per_block", 1)?,
            latent_channels: positive(o, "latent_channels", 4)?,
            norm_num_groups: positive(o, "norm_num_groups", 32)?,
            sample_size: sample_size(o)?,
            scaling_factor: nonzero(o, "scaling_factor", 0.18215)?,
            shift_factor: o.get::<Option<f64>>("shift_factor", None)?.unwrap_or(0.0),
            force_upcast: o.get("force_upcast", true)?,
            use_quant_conv: o.get("use_quant_conv", true)?,
            use_post_quant_conv: o.get("use_post_quant_conv", true)?,
            mid_block_add_attention: o.get("mid_block_add_attention", true)?,
        };
        config.check(o)?;
        options.finish()?;
        Ok(config)
    }

    /// How many pixels wide and high a latent cell is.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len().max(1) - 1)
    }

    /// The type in which the codec can run when `requested` is what the caller would like: f32 in place of f16 where
    /// the config forces it. XL's codec exceeds 65504, the largest f16, in its decoder; bf16 reaches as far as f32.
    pub fn dtype(&self, requested: FloatDType) -> FloatDType {
        match requested {
            FloatDType::F16 if self.force_upcast => FloatDType::F32,
            other => other,
        }
    }

    fn check(&self, o: &mut Options) -> Result<()> {
        let (channels, groups) = (&self.block_out_channels, self.norm_num_groups);
        if channels.is_empty() || channels.iter().any(|c| *c == 0 || c % groups != 0) {
            let supported = format!("a list of multiples of `norm_num_groups`, {groups}");
            return Err(o.unsupported("block_out_channels", &json!(channels), &supported));
        }
        block_types(o, "down_block_types", "DownEncoderBlock2D", channels.len())?;
        block_types(o, "up_block_types", "UpDecoderBlock2D", channels.len())
    }
}

/// One block a resolution, all of one kind.
fn block_types(o: &mut Options, option: &str, kind: &str, resolutions: usize) -> Result<()> {
    let types: Vec<String> = o.get(option, vec![kind.to_owned()])?;
    if types.len() == resolutions && types.iter().all(|t| t == kind) {
        return Ok(());
    }
    let supported = format!("\"{kind}\" once for each of the {resolutions} `block_out_channels`");
    Err(o.unsupported(option, &json!(types), &supported))
}

/// A number, or a height and a width, of which the height counts for tiles.
fn sample_size(o: &mut Options) -> Result<usize> {
    let value = o.get("sample_size", json!(32))?;
    let size = match &value {
        Value::Array(sides) if sides.len() == 2 => sides[0].as_u64(),
        side => side.as_u64(),
    };
    size.and_then(|side| usize::try_from(side).ok())
        .filter(|side| *side > 0)
        .ok_or_else(|| o.unsupported("sample_size", &value, "a number of pixels above 0"))
}
