//! The one set of names that modules have, from those that diffusers and transformers wrote over the years.

use super::Part;
use crate::{Result, Weights};

/// Gives the weights of a part the names that diffusers gives them today, and transformers gave them before 5.6.
pub(super) fn classic(part: Part, weights: Weights) -> Result<Weights> {
    match part {
        Part::TextEncoder | Part::TextEncoder2 => weights.rename(text),
        Part::Vae => weights.rename(|name| Some(vae(name))),
        _ => Ok(weights),
    }
}

/// `CLIPTextModel` of transformers 5.6 and later saves its tensors without `text_model.`. Older ones save the numbers
/// 0 to 76 as `position_ids`.
fn text(name: &str) -> Option<String> {
    match name.split('.').collect::<Vec<_>>().as_slice() {
        [.., "embeddings", "position_ids"] => None,
        ["embeddings" | "encoder" | "final_layer_norm", ..] => Some(format!("text_model.{name}")),
        _ => Some(name.to_owned()),
    }
}

/// The attention of the codec before diffusers 0.15.
fn vae(name: &str) -> String {
    let parts: Vec<_> = name.split('.').collect();
    let [half, "mid_block", "attentions", index, projection, parameter] = parts[..] else {
        return name.to_owned();
    };
    let projection = match projection {
        "query" => "to_q",
        "key" => "to_k",
        "value" => "to_v",
        "proj_attn" => "to_out.0",
        other => other,
    };
    format!("{half}.mid_block.attentions.{index}.{projection}.{parameter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_encoders_of_every_age_get_one_name() {
        let name = Some("text_model.encoder.layers.0.mlp.fc1.bias".to_owned());
        assert_eq!(text("text_model.encoder.layers.0.mlp.fc1.bias"), name);
        assert_eq!(text("encoder.layers.0.mlp.fc1.bias"), name);
        assert_eq!(text("text_projection.weight"), Some("text_projection.weight".to_owned()));
        assert_eq!(text("text_model.embeddings.position_ids"), None);
        assert_eq!(text("embeddings.position_ids"), None);
    }

    #[test]
    fn codecs_of_every_age_get_one_name() {
        let attention = |name: &str| vae(&format!("encoder.mid_block.attentions.0.{name}"));
        assert_eq!(attention("query.weight"), attention("to_q.weight"));
        assert_eq!(attention("key.weight"), attention("to_k.weight"));
        assert_eq!(attention("value.bias"), attention("to_v.bias"));
        assert_eq!(attention("proj_attn.bias"), "encoder.mid_block.attentions.0.to_out.0.bias");
        assert_eq!(vae("quant_conv.weight"), "quant_conv.weight");
    }
}
