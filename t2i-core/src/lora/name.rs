//! What a tensor's name says, in every layout that LoRA files have.
//!
//! | layout | example |
//! |---|---|
//! | PEFT, diffusers' own | `unet.mid_block.attentions.0.proj_in.lora_A.weight` |
//! | diffusers before PEFT | `unet.….attn1.processor.to_q_lora.down.weight`, `text_encoder.….q_proj.lora_linear_layer.up.weight` |
//! | kohya, A1111 | `lora_unet_mid_block_attentions_0_proj_in.lora_down.weight`, `lora_te1_….alpha` |
//! | kohya for XL | `lora_unet_middle_block_1_proj_in.lora_down.weight` |
//! | ComfyUI | `diffusion_model.middle_block.1.proj_in.lora_up.weight`, `text_encoders.clip_l.….lora_up.weight` |
//! | cloneofsimo | `unet:51:up`, `text_encoder:3:down` |

use crate::Part;

/// What one tensor is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) part: Part,
    pub(super) layer: LayerName,
    pub(super) half: Half,
}

/// How a file names a layer of the model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LayerName {
    /// Its path with underscores for dots, so that the layouts with dots and those without agree.
    Flat(String),
    /// Its place in a walk through the model.
    Numbered(usize),
}

/// A layer's weight changes by `up mid down`, times `alpha` over the rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Half {
    Down,
    Up,
    /// Between the two, in convolutions of LoCon that are decomposed twice.
    Mid,
    Alpha,
}

/// Why a tensor cannot be used.
#[derive(Debug, PartialEq)]
pub(super) enum Stranger {
    /// It belongs to a method that is known, and not supported.
    Of(&'static str),
    /// Its name is of no layout.
    Unknown,
}

/// What the name of a tensor says.
pub(super) fn parse(name: &str) -> Result<Name, Stranger> {
    if let Some(numbered) = numbered(name) {
        return Ok(numbered);
    }
    let closed = format!("{name}.");
    if let Some((_, kind)) = UNSUPPORTED.iter().find(|(mark, _)| closed.contains(mark)) {
        return Err(Stranger::Of(kind));
    }
    let (path, half) = split_half(name).ok_or(Stranger::Unknown)?;
    let (part, path) = split_part(path).ok_or(Stranger::Unknown)?;
    Ok(Name { part, layer: LayerName::Flat(flat(&classic(path, part))), half })
}

/// A path with underscores for dots.
pub(super) fn flat(path: &str) -> String {
    path.replace('.', "_")
}

/// What marks the tensors of other methods. <https://github.com/KohakuBlueleaf/LyCORIS>
const UNSUPPORTED: [(&str, &str); 17] = [
    (".hada_", "a LoHa"),
    (".lokr_", "a LoKr"),
    (".oft_", "an OFT"),
    (".boft_", "a BOFT"),
    (".on_input", "an IA3"),
    (".a1.weight.", "a GLoRA"),
    (".a2.weight.", "a GLoRA"),
    (".b1.weight.", "a GLoRA"),
    (".b2.weight.", "a GLoRA"),
    (".diff.", "a difference of whole parameters"),
    (".diff_b.", "a difference of whole parameters"),
    (".dora_scale", "a DoRA"),
    ("lora_magnitude_vector", "a DoRA"),
    (".lora_embedding_", "a LoRA of an embedding"),
    (".lora_B.bias", "a LoRA with biases"),
    ("lora_controlnet", "a ControlLoRA"),
    ("custom_diffusion", "Custom Diffusion"),
];

/// The ends of the names; the first that fits is taken.
const HALVES: [(&str, Half); 15] = [
    (".lora_down.weight", Half::Down),
    (".lora_up.weight", Half::Up),
    (".lora_mid.weight", Half::Mid),
    (".lora_A.weight", Half::Down),
    (".lora_B.weight", Half::Up),
    (".lora_A.default.weight", Half::Down),
    (".lora_B.default.weight", Half::Up),
    (".lora.down.weight", Half::Down),
    (".lora.up.weight", Half::Up),
    (".lora_linear_layer.down.weight", Half::Down),
    (".lora_linear_layer.up.weight", Half::Up),
    ("_lora.down.weight", Half::Down),
    ("_lora.up.weight", Half::Up),
    ("_lora.alpha", Half::Alpha),
    (".alpha", Half::Alpha),
];

fn split_half(name: &str) -> Option<(&str, Half)> {
    HALVES.iter().find_map(|(end, half)| Some((name.strip_suffix(end)?, *half)))
}

/// The beginnings of the names. Those with underscores stand before the layer's path without dots.
const PARTS: [(&str, Part); 11] = [
    ("lora_unet_", Part::Unet),
    ("lora_te_", Part::TextEncoder),
    ("lora_te1_", Part::TextEncoder),
    ("lora_te2_", Part::TextEncoder2),
    ("unet.", Part::Unet),
    ("text_encoder.", Part::TextEncoder),
    ("text_encoder_2.", Part::TextEncoder2),
    ("diffusion_model.", Part::Unet),
    ("text_encoders.clip_l.transformer.", Part::TextEncoder),
    ("text_encoders.clip_h.transformer.", Part::TextEncoder),
    ("text_encoders.clip_g.transformer.", Part::TextEncoder2),
];

/// What PEFT puts before the names of a model that it saves by itself; the file then is of one part.
pub(super) const PEFT: &str = "base_model.model.";

fn split_part(path: &str) -> Option<(Part, &str)> {
    if let Some(found) = PARTS.iter().find_map(|(start, part)| Some((*part, path.strip_prefix(start)?))) {
        return Some(found);
    }
    let path = path.strip_prefix(PEFT).unwrap_or(path);
    let starts = |names: &[&str]| names.iter().any(|name| path.starts_with(name));
    match path {
        _ if starts(&["text_model.", "encoder.layers."]) => Some((Part::TextEncoder, path)),
        _ if starts(&["down_blocks.", "mid_block.", "up_blocks.", "conv_", "time_emb", "add_emb"]) => {
            Some((Part::Unet, path))
        }
        _ => None,
    }
}

/// The path as the modules spell it: attention had processors between, text encoders the UNet's names, and
/// transformers drops `text_model.` since 5.6.
fn classic(path: &str, part: Part) -> String {
    let mut path = path.replace(".processor.", ".");
    if path.ends_with(".to_out") {
        path.push_str(".0");
    }
    if part == Part::Unet {
        return path;
    }
    if let Some((attention, projection)) = path.split_once(".self_attn.to_") {
        let projection = projection.trim_end_matches(".0");
        path = format!("{attention}.self_attn.{projection}_proj");
    }
    match path.starts_with("encoder.") || path.starts_with("encoder_") {
        true => format!("text_model.{path}"),
        false => path,
    }
}

/// `unet:51:up`
fn numbered(name: &str) -> Option<Name> {
    let [part, number, half] = name.split(':').collect::<Vec<_>>().try_into().ok()?;
    let part = match part {
        "unet" => Part::Unet,
        "text_encoder" => Part::TextEncoder,
        _ => return None,
    };
    let half = match half {
        "down" => Half::Down,
        "up" => Half::Up,
        _ => return None,
    };
    Some(Name { part, layer: LayerName::Numbered(number.parse().ok()?), half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, part: Part, layer: &str, half: Half) {
        assert_eq!(parse(name), Ok(Name { part, layer: LayerName::Flat(layer.to_owned()), half }), "{name}");
    }

    #[test]
    fn every_layout_gives_one_name() {
        use Part::{TextEncoder, TextEncoder2, Unet};
        let to_out = "down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0";
        let dotted = "down_blocks.0.attentions.1.transformer_blocks.0.attn1";
        check(&format!("unet.{dotted}.to_out.0.lora_A.weight"), Unet, to_out, Half::Down);
        check(&format!("unet.{dotted}.to_out.0.lora_B.default.weight"), Unet, to_out, Half::Up);
        check(&format!("unet.{dotted}.to_out.0.lora.up.weight"), Unet, to_out, Half::Up);
        check(&format!("unet.{dotted}.processor.to_out_lora.down.weight"), Unet, to_out, Half::Down);
        check(&format!("{dotted}.processor.to_out_lora.up.weight"), Unet, to_out, Half::Up);
        check(&format!("base_model.model.{dotted}.to_out.0.lora_A.weight"), Unet, to_out, Half::Down);
        check(&format!("lora_unet_{to_out}.lora_down.weight"), Unet, to_out, Half::Down);
        check(&format!("lora_unet_{to_out}.alpha"), Unet, to_out, Half::Alpha);
        check("diffusion_model.out.2.lora_up.weight", Unet, "out_2", Half::Up);
        check("lora_unet_conv_in.lora_mid.weight", Unet, "conv_in", Half::Mid);

        let q_proj = "text_model_encoder_layers_3_self_attn_q_proj";
        let dotted = "text_model.encoder.layers.3.self_attn";
        check(&format!("text_encoder.{dotted}.q_proj.lora_A.weight"), TextEncoder, q_proj, Half::Down);
        check("text_encoder.encoder.layers.3.self_attn.q_proj.lora_A.weight", TextEncoder, q_proj, Half::Down);
        check(&format!("text_encoder_2.{dotted}.to_q_lora.up.weight"), TextEncoder2, q_proj, Half::Up);
        check(&format!("text_encoder.{dotted}.q_proj.lora_linear_layer.up.weight"), TextEncoder, q_proj, Half::Up);
        check(
            &format!("text_encoders.clip_g.transformer.{dotted}.q_proj.lora_up.weight"),
            TextEncoder2,
            q_proj,
            Half::Up,
        );
        check(&format!("lora_te_{q_proj}.alpha"), TextEncoder, q_proj, Half::Alpha);
        check(&format!("lora_te2_{q_proj}.lora_down.weight"), TextEncoder2, q_proj, Half::Down);
        let out_proj = "text_model_encoder_layers_3_self_attn_out_proj";
        check(&format!("text_encoder.{dotted}.to_out_lora.down.weight"), TextEncoder, out_proj, Half::Down);
    }

    #[test]
    fn numbers_stand_for_places_in_a_walk() {
        let name = Name { part: Part::Unet, layer: LayerName::Numbered(51), half: Half::Up };
        assert_eq!(parse("unet:51:up"), Ok(name));
        assert_eq!(parse("unet:51:middle"), Err(Stranger::Unknown));
    }

    #[test]
    fn other_methods_are_known_by_name() {
        assert_eq!(parse("lora_unet_conv_in.hada_w1_a"), Err(Stranger::Of("a LoHa")));
        assert_eq!(parse("lora_unet_conv_in.lokr_w1"), Err(Stranger::Of("a LoKr")));
        assert_eq!(parse("lora_unet_conv_in.dora_scale"), Err(Stranger::Of("a DoRA")));
        assert_eq!(parse("first_stage_model.encoder.conv_in.weight"), Err(Stranger::Unknown));
        assert_eq!(parse("vae.encoder.conv_in.lora_A.weight"), Err(Stranger::Unknown));
    }
}
