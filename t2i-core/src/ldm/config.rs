//! What a family has in common and no shape can say.

use serde_json::{Value, json};

use crate::{Family, Part};

/// CLIP-L is padded with its end token, OpenCLIP with token 0, which is `!` in CLIP's vocabulary.
pub(super) fn tokenizer(family: Family, part: Part) -> Option<Value> {
    let pad = if family.pads_with_zero(part) { "!" } else { "<|endoftext|>" };
    Some(json!({ "model_max_length": 77, "pad_token": pad }))
}

/// The factor by which a latent is multiplied after encoding.
///
/// <https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/vae/config.json>
pub(super) fn scaling_factor(family: Family) -> f64 {
    match family {
        Family::Sd1 | Family::Sd2 => 0.18215,
        Family::SdXl | Family::SdXlRefiner => 0.13025,
    }
}
