//! What a `config.json` says about an AutoencoderTiny.

use serde_json::json;

use t2i_core::{Options, Result};

use crate::options::{nonzero, positive};

/// The options of [`AutoencoderTiny`](crate::AutoencoderTiny).
#[derive(Debug, Clone, PartialEq)]
pub struct AutoencoderTinyConfig {
    /// Channels of the pictures that are encoded.
    pub in_channels: usize,
    /// Channels of the pictures that are decoded.
    pub out_channels: usize,
    /// Channels of every layer in between.
    pub channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Residual blocks of each resolution of the encoder, from the pixels' to the latents'.
    pub num_encoder_blocks: Vec<usize>,
    /// Residual blocks of each resolution of the decoder, from the latents' to the pixels'.
    pub num_decoder_blocks: Vec<usize>,
    /// What scales latents: `(z - shift_factor) * scaling_factor`. TAESD's come scaled, so 1.
    pub scaling_factor: f64,
    /// What is taken from latents before scaling.
    pub shift_factor: f64,
}

impl AutoencoderTinyConfig {
    /// For latents of 4 channels: TAESD for SD 1.x and 2.x, TAESDXL for SDXL.
    /// <https://huggingface.co/madebyollin/taesd/blob/main/config.json>
    pub fn taesd() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            channels: 64,
            latent_channels: 4,
            num_encoder_blocks: vec![1, 3, 3, 3],
            num_decoder_blocks: vec![3, 3, 3, 1],
            scaling_factor: 1.0,
            shift_factor: 0.0,
        }
    }

    /// For latents of 16 channels: TAESD3 for SD 3, TAEF1 for FLUX.1.
    /// <https://huggingface.co/madebyollin/taesd3/blob/main/config.json>
    pub fn taesd3() -> Self {
        Self { latent_channels: 16, ..Self::taesd() }
    }

    /// Reads the config of diffusers' AutoencoderTiny.
    ///
    /// `latent_magnitude` and `latent_shift` say how latents are stored as bytes, which this crate does not do.
    ///
    /// # Errors
    /// If an option is unknown, or has a value that is not supported.
    pub fn from_options(mut options: Options) -> Result<Self> {
        let o = &mut options;
        o.only("act_fn", &[json!("relu")])?;
        o.only("upsample_fn", &[json!("nearest")])?;
        o.only("upsampling_scaling_factor", &[json!(2)])?;
        // diffusers overwrites both when it makes the network.
        o.ignore(&["block_out_channels", "force_upcast", "latent_magnitude", "latent_shift"]);
        let config = Self {
            in_channels: positive(o, "in_channels", 3)?,
            out_channels: positive(o, "out_channels", 3)?,
            latent_channels: positive(o, "latent_channels", 4)?,
            num_encoder_blocks: o.get("num_encoder_blocks", vec![1, 3, 3, 3])?,
            num_decoder_blocks: o.get("num_decoder_blocks", vec![3, 3, 3, 1])?,
            scaling_factor: nonzero(o, "scaling_factor", 1.0)?,
            shift_factor: o.get("shift_factor", 0.0)?,
            channels: 0,
        };
        let config = Self { channels: config.one_width(o)?, ..config };
        options.finish()?;
        Ok(config)
    }

    /// How many pixels wide and high a latent cell is.
    pub fn factor(&self) -> usize {
        1 << (self.num_decoder_blocks.len().max(1) - 1)
    }

    /// The number of channels. No layer between two resolutions changes it, so there is only one.
    fn one_width(&self, o: &mut Options) -> Result<usize> {
        let (encoder, decoder) = (self.num_encoder_blocks.len(), self.num_decoder_blocks.len());
        if encoder != decoder || encoder == 0 {
            let supported = format!("a list as long as `num_decoder_blocks`, {decoder}, and not empty");
            return Err(o.unsupported("num_encoder_blocks", &json!(self.num_encoder_blocks), &supported));
        }
        let widths: Vec<usize> = o.get("encoder_block_out_channels", vec![64; 4])?;
        let width = widths.first().copied().unwrap_or(0);
        same_width(o, "encoder_block_out_channels", &widths, width, encoder)?;
        let widths: Vec<usize> = o.get("decoder_block_out_channels", vec![64; 4])?;
        same_width(o, "decoder_block_out_channels", &widths, width, decoder)?;
        Ok(width)
    }
}

fn same_width(o: &Options, option: &str, widths: &[usize], width: usize, resolutions: usize) -> Result<()> {
    if width > 0 && widths.len() == resolutions && widths.iter().all(|w| *w == width) {
        return Ok(());
    }
    let supported = format!("one number above 0, {resolutions} times, the same for encoder and decoder");
    Err(o.unsupported(option, &json!(widths), &supported))
}
