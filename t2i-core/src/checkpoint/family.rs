//! The families of models, and what their members have in common.

use std::fmt;

use serde_json::Value;

use super::{Folder, Part};
use crate::Options;

/// A family of models with one architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Stable Diffusion 1.x: CLIP-L.
    Sd1,
    /// Stable Diffusion 2.x: OpenCLIP-H.
    Sd2,
    /// Stable Diffusion XL: CLIP-L and OpenCLIP-bigG, and the picture's sizes.
    SdXl,
    /// The refiner of XL: OpenCLIP-bigG, the picture's size and an aesthetic score.
    SdXlRefiner,
}

impl Family {
    /// Whether it is Stable Diffusion XL or its refiner.
    pub fn is_xl(self) -> bool {
        matches!(self, Self::SdXl | Self::SdXlRefiner)
    }

    /// Whether prompts for a text encoder are padded with token 0, as OpenCLIP's are, and not with the end token.
    pub fn pads_with_zero(self, encoder: Part) -> bool {
        match encoder {
            Part::TextEncoder2 | Part::Tokenizer2 => true,
            _ => self == Self::Sd2,
        }
    }

    /// The parts that a complete checkpoint has.
    pub fn parts(self) -> &'static [Part] {
        use Part::{Scheduler, TextEncoder, TextEncoder2, Tokenizer, Tokenizer2, Unet, Vae};
        match self {
            Self::Sd1 | Self::Sd2 => &[TextEncoder, Unet, Vae, Scheduler, Tokenizer],
            Self::SdXl => &[TextEncoder, TextEncoder2, Unet, Vae, Scheduler, Tokenizer, Tokenizer2],
            Self::SdXlRefiner => &[TextEncoder2, Unet, Vae, Scheduler, Tokenizer2],
        }
    }

    pub(super) fn pipeline_class(self, inpainting: bool) -> &'static str {
        match (self, inpainting) {
            (Self::Sd1 | Self::Sd2, false) => "StableDiffusionPipeline",
            (Self::Sd1 | Self::Sd2, true) => "StableDiffusionInpaintPipeline",
            (Self::SdXl, false) => "StableDiffusionXLPipeline",
            (Self::SdXl, true) => "StableDiffusionXLInpaintPipeline",
            (Self::SdXlRefiner, _) => "StableDiffusionXLImg2ImgPipeline",
        }
    }

    /// The flags of the published `model_index.json`.
    pub(super) fn flag(self, name: &str) -> Option<bool> {
        match (self, name) {
            (Self::SdXl, "force_zeros_for_empty_prompt") => Some(true),
            (Self::SdXlRefiner, "force_zeros_for_empty_prompt") => Some(false),
            (Self::SdXlRefiner, "requires_aesthetics_score") => Some(true),
            _ => None,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sd1 => "Stable Diffusion 1",
            Self::Sd2 => "Stable Diffusion 2",
            Self::SdXl => "Stable Diffusion XL",
            Self::SdXlRefiner => "Stable Diffusion XL refiner",
        })
    }
}

/// XL's UNet is told sizes beside the text; its refiner has the second text encoder only. The text encoder of
/// Stable Diffusion 2 has the exact GELU, that of 1 the quick one.
pub(super) fn of_folder(folder: &Folder, unet: &Options) -> Family {
    let is = |options: &Options, name: &str, value: &str| options.peek(name).and_then(Value::as_str) == Some(value);
    if is(unet, "addition_embed_type", "text_time") {
        return if folder.has(Part::TextEncoder) { Family::SdXl } else { Family::SdXlRefiner };
    }
    let exact_gelu = folder.options(Part::TextEncoder).is_ok_and(|text| is(&text, "hidden_act", "gelu"));
    let wide = unet.peek("cross_attention_dim").and_then(Value::as_u64) == Some(1024);
    if exact_gelu || wide { Family::Sd2 } else { Family::Sd1 }
}
