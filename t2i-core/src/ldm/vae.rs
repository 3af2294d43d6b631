//! The image codec.
//!
//! <https://github.com/CompVis/latent-diffusion/blob/main/ldm/modules/diffusionmodules/model.py>

use serde_json::{Value, json};

use super::config::scaling_factor;
use super::{count, dim, norm_groups, object};
use crate::{Family, Weights};

/// The number of levels under `encoder.down` or `decoder.up`.
pub(super) fn levels(weights: &Weights, prefix: &str) -> usize {
    count(weights, prefix)
}

/// From the original name to diffusers'. The decoder counts its levels from the picture, diffusers from the latent;
/// `levels` is how many there are. The discriminator of the training is left out.
pub(super) fn key(ldm: &str, levels: usize) -> Option<String> {
    let parts: Vec<_> = ldm.split('.').collect();
    Some(match parts.as_slice() {
        ["loss", ..] | ["model_ema", ..] => return None,
        [half, "norm_out", p] => format!("{half}.conv_norm_out.{p}"),
        [half, "mid", "block_1", rest @ ..] => format!("{half}.mid_block.resnets.0.{}", resnet(rest)),
        [half, "mid", "block_2", rest @ ..] => format!("{half}.mid_block.resnets.1.{}", resnet(rest)),
        [half, "mid", "attn_1", layer, p] => format!("{half}.mid_block.attentions.0.{}.{p}", attention(layer)),
        ["encoder", "down", i, "block", j, rest @ ..] => {
            format!("encoder.down_blocks.{i}.resnets.{j}.{}", resnet(rest))
        }
        ["encoder", "down", i, "downsample", rest @ ..] => {
            format!("encoder.down_blocks.{i}.downsamplers.0.{}", rest.join("."))
        }
        ["decoder", "up", i, rest @ ..] => match (from_latent(i, levels), rest) {
            (Some(i), ["block", j, rest @ ..]) => format!("decoder.up_blocks.{i}.resnets.{j}.{}", resnet(rest)),
            (Some(i), ["upsample", rest @ ..]) => format!("decoder.up_blocks.{i}.upsamplers.0.{}", rest.join(".")),
            _ => ldm.to_owned(),
        },
        _ => ldm.to_owned(),
    })
}

fn from_latent(level: &str, levels: usize) -> Option<usize> {
    levels.checked_sub(1)?.checked_sub(level.parse().ok()?)
}

fn resnet(rest: &[&str]) -> String {
    match rest {
        ["nin_shortcut", p] => format!("conv_shortcut.{p}"),
        other => other.join("."),
    }
}

fn attention(layer: &str) -> &str {
    match layer {
        "norm" => "group_norm",
        "q" => "to_q",
        "k" => "to_k",
        "v" => "to_v",
        "proj_out" => "to_out.0",
        other => other,
    }
}

pub(super) fn config(weights: &Weights, family: Family, sample_size: usize) -> Option<Value> {
    let levels = levels(weights, "encoder.down");
    let channels = |i| dim(weights, &format!("encoder.down.{i}.block.0.conv1.weight"), 0);
    let channels: Vec<_> = (0..levels).map(channels).collect::<Option<_>>()?;
    let attends = weights.has_under("encoder.mid.attn_1.");
    Some(object([
        ("_class_name", Some(json!("AutoencoderKL"))),
        ("act_fn", Some(json!("silu"))),
        ("block_out_channels", Some(json!(channels))),
        ("down_block_types", Some(json!(vec!["DownEncoderBlock2D"; levels]))),
        ("in_channels", Some(json!(dim(weights, "encoder.conv_in.weight", 1)?))),
        ("latent_channels", Some(json!(dim(weights, "decoder.conv_in.weight", 1)?))),
        ("layers_per_block", Some(json!(count(weights, "encoder.down.0.block")))),
        ("mid_block_add_attention", (!attends).then_some(json!(false))),
        ("norm_num_groups", Some(json!(norm_groups(&channels)))),
        ("out_channels", Some(json!(dim(weights, "decoder.conv_out.weight", 0)?))),
        ("sample_size", Some(json!(sample_size))),
        ("scaling_factor", Some(json!(scaling_factor(family)))),
        ("up_block_types", Some(json!(vec!["UpDecoderBlock2D"; levels]))),
        ("use_post_quant_conv", (!weights.has_under("post_quant_conv.")).then_some(json!(false))),
        ("use_quant_conv", (!weights.has_under("quant_conv.")).then_some(json!(false))),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoder_counts_from_the_other_end() {
        let key = |name| key(name, 4).expect("a weight");
        assert_eq!(key("decoder.up.3.block.2.conv1.bias"), "decoder.up_blocks.0.resnets.2.conv1.bias");
        assert_eq!(key("decoder.up.1.upsample.conv.bias"), "decoder.up_blocks.2.upsamplers.0.conv.bias");
        assert_eq!(key("encoder.down.3.block.1.norm2.bias"), "encoder.down_blocks.3.resnets.1.norm2.bias");
        assert_eq!(
            key("encoder.down.1.block.0.nin_shortcut.bias"),
            "encoder.down_blocks.1.resnets.0.conv_shortcut.bias"
        );
        assert_eq!(key("encoder.mid.attn_1.proj_out.bias"), "encoder.mid_block.attentions.0.to_out.0.bias");
        assert_eq!(key("encoder.norm_out.bias"), "encoder.conv_norm_out.bias");
        assert_eq!(key("quant_conv.bias"), "quant_conv.bias");
    }

    #[test]
    fn the_discriminator_goes() {
        assert_eq!(key("loss.discriminator.main.0.weight", 4), None);
    }
}
