//! CLIP-L of transformers, as Stable Diffusion 1 and XL hold it.

use serde_json::{Value, json};

use super::{count, dim, heads};
use crate::Weights;

/// From the name within the file's `transformer.` to transformers' own. Files older than transformers 4.0 go without
/// `text_model.`. What belongs to CLIP's comparison with pictures is left out.
pub(super) fn key(ldm: &str) -> Option<String> {
    match ldm.split('.').collect::<Vec<_>>().as_slice() {
        ["logit_scale"] | ["text_projection", ..] | [.., "position_ids"] => None,
        ["text_model", ..] => Some(ldm.to_owned()),
        _ => Some(format!("text_model.{ldm}")),
    }
}

pub(super) fn config(weights: &Weights) -> Option<Value> {
    let layers = count(weights, "text_model.encoder.layers");
    let hidden = dim(weights, "text_model.embeddings.token_embedding.weight", 1)?;
    Some(json!({
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": "quick_gelu",
        "hidden_size": hidden,
        "intermediate_size": dim(weights, "text_model.encoder.layers.0.mlp.fc1.weight", 0)?,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": dim(weights, "text_model.embeddings.position_embedding.weight", 0)?,
        "num_attention_heads": heads(hidden),
        "num_hidden_layers": layers,
        "pad_token_id": 1,
        "vocab_size": dim(weights, "text_model.embeddings.token_embedding.weight", 0)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_both_ages_get_one_name() {
        let name = Some("text_model.encoder.layers.3.layer_norm1.weight".to_owned());
        assert_eq!(key("text_model.encoder.layers.3.layer_norm1.weight"), name);
        assert_eq!(key("encoder.layers.3.layer_norm1.weight"), name);
        assert_eq!(key("text_model.embeddings.position_ids"), None);
    }
}
