//! What a pipeline is put together from.

use burn::tensor::{Device, FloatDType};

use t2i_core::{Checkpoint, Error, Family, Part, Result};
use t2i_sched::SchedulerConfig;
use t2i_unet::{UNet, UNetConfig};
use t2i_vae::{Codec, CodecConfig};

use crate::prompt::TextEncoder;

/// What a pipeline is put together from.
#[derive(Debug)]
pub struct Parts {
    /// None where every prompt comes encoded.
    pub text_encoders: Vec<TextEncoder>,
    /// The network.
    pub unet: UNet,
    /// The image codec.
    pub codec: Codec,
    /// How the model is sampled.
    pub scheduler: SchedulerConfig,
    /// Whose defaults apply.
    pub family: Family,
    /// XL: zeros stand for an absent negative prompt.
    pub zeros_for_no_negative: bool,
    /// The refiner: it is told an aesthetic score in place of the target size.
    pub wants_aesthetic_score: bool,
}

impl Parts {
    /// The parts of a checkpoint, with weights of type `dtype`.
    ///
    /// # Errors
    /// If a part is missing or corrupt, or an option of a config is unknown or not supported.
    pub fn load(checkpoint: &Checkpoint, device: &Device, dtype: FloatDType) -> Result<Self> {
        let family = checkpoint.family();
        let unet_config = UNetConfig::from_options(checkpoint.options(Part::Unet)?)?;
        let codec_config = CodecConfig::from_options(checkpoint.options(Part::Vae)?)?;
        // As diffusers has it, which asks the codecs of XL alone whether they bear f16.
        let codec_dtype = if family.is_xl() { codec_config.dtype(dtype) } else { dtype };
        Ok(Self {
            text_encoders: TextEncoder::load_all(checkpoint, device, dtype)?,
            unet: checkpoint.weights(Part::Unet)?.load(unet_config.init(device), dtype)?,
            codec: checkpoint.weights(Part::Vae)?.load(codec_config.init(device), codec_dtype)?,
            scheduler: scheduler(checkpoint)?,
            zeros_for_no_negative: checkpoint.flag("force_zeros_for_empty_prompt", family == Family::SdXl)?,
            wants_aesthetic_score: checkpoint.flag("requires_aesthetics_score", family == Family::SdXlRefiner)?,
            family,
        })
    }

    /// # Errors
    /// If the parts do not fit each other.
    pub(super) fn check(&self) -> Result<()> {
        let (latent, predicted) = (self.codec.latent_channels(), self.unet.config().out_channels);
        match latent == predicted {
            true => Ok(()),
            false => Err(Error::InvalidValue {
                field: "model",
                value: format!("a UNet of {predicted} output channels"),
                expected: format!("a UNet of {latent}, the channels of the codec's latents"),
            }),
        }
    }
}

/// The model's own scheduler, with what diffusers' pipelines of the family change about it.
fn scheduler(checkpoint: &Checkpoint) -> Result<SchedulerConfig> {
    let config = SchedulerConfig::from_options(checkpoint.options(Part::Scheduler)?)?;
    match checkpoint.family().is_xl() {
        true => Ok(config),
        false => config.as_stable_diffusion(),
    }
}
