//! The UNet. The original counts its blocks from input to output; diffusers counts levels, and layers within them.
//!
//! <https://github.com/CompVis/latent-diffusion/blob/main/ldm/modules/diffusionmodules/openaimodel.py>

mod config;
mod original;

pub(super) use self::config::config;
pub(crate) use self::original::{ModelLayout, original};

use super::{count, dim};
use crate::Weights;

/// Which level and which of its layers each original block is.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    input: Vec<Place>,
    output: Vec<Place>,
    middle_attends: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    level: usize,
    layer: usize,
}

impl Layout {
    /// A level ends with the block that changes the resolution.
    pub(super) fn of(weights: &Weights) -> Self {
        let downsamples = |i| weights.has_under(&format!("input_blocks.{i}.0.op."));
        let upsamples = |i| upsampler(weights, i).is_some();
        Self {
            input: places(1, count(weights, "input_blocks"), downsamples),
            output: places(0, count(weights, "output_blocks"), upsamples),
            middle_attends: weights.has_under("middle_block.1.transformer_blocks."),
        }
    }

    fn levels(&self) -> usize {
        self.input.last().map_or(0, |place| place.level + 1)
    }

    fn input(&self, block: &str) -> Option<Place> {
        self.input.get(block.parse::<usize>().ok()?.checked_sub(1)?).copied()
    }

    fn output(&self, block: &str) -> Option<Place> {
        self.output.get(block.parse::<usize>().ok()?).copied()
    }
}

/// The places of the blocks from `first` to before `end`.
fn places(first: usize, end: usize, ends_level: impl Fn(usize) -> bool) -> Vec<Place> {
    let mut next = Place { level: 0, layer: 0 };
    let place = |block| {
        let place = next;
        next = match ends_level(block) {
            true => Place { level: place.level + 1, layer: 0 },
            false => Place { layer: place.layer + 1, ..place },
        };
        place
    };
    (first..end).map(place).collect()
}

/// The upsampler stands behind the attention, where there is one.
fn upsampler(weights: &Weights, block: usize) -> Option<usize> {
    [1, 2].into_iter().find(|i| weights.has_under(&format!("output_blocks.{block}.{i}.conv.")))
}

/// From the original name, without `model.diffusion_model.`, to diffusers'.
pub(super) fn key(ldm: &str, layout: &Layout) -> Option<String> {
    let parts: Vec<_> = ldm.split('.').collect();
    Some(match parts.as_slice() {
        ["time_embed", "0", p] => format!("time_embedding.linear_1.{p}"),
        ["time_embed", "2", p] => format!("time_embedding.linear_2.{p}"),
        ["time_embed", "cond_proj", p] => format!("time_embedding.cond_proj.{p}"),
        ["label_emb", "0", "0", p] => format!("add_embedding.linear_1.{p}"),
        ["label_emb", "0", "2", p] => format!("add_embedding.linear_2.{p}"),
        ["input_blocks", "0", "0", p] => format!("conv_in.{p}"),
        ["input_blocks", block, rest @ ..] => down(layout.input(block)?, rest)?,
        ["middle_block", rest @ ..] => middle(layout.middle_attends, rest)?,
        ["output_blocks", block, rest @ ..] => up(layout.output(block)?, rest)?,
        ["out", "0", p] => format!("conv_norm_out.{p}"),
        ["out", "2", p] => format!("conv_out.{p}"),
        _ => return None,
    })
}

fn down(Place { level, layer }: Place, rest: &[&str]) -> Option<String> {
    Some(match rest {
        ["0", "op", p] => format!("down_blocks.{level}.downsamplers.0.conv.{p}"),
        ["0", rest @ ..] => format!("down_blocks.{level}.resnets.{layer}.{}", resnet(rest)?),
        ["1", rest @ ..] => format!("down_blocks.{level}.attentions.{layer}.{}", rest.join(".")),
        _ => return None,
    })
}

fn middle(attends: bool, rest: &[&str]) -> Option<String> {
    Some(match (rest, attends) {
        (["0", rest @ ..], _) => format!("mid_block.resnets.0.{}", resnet(rest)?),
        (["1", rest @ ..], true) => format!("mid_block.attentions.0.{}", rest.join(".")),
        (["2", rest @ ..], true) | (["1", rest @ ..], false) => format!("mid_block.resnets.1.{}", resnet(rest)?),
        _ => return None,
    })
}

fn up(Place { level, layer }: Place, rest: &[&str]) -> Option<String> {
    Some(match rest {
        ["1" | "2", "conv", p] => format!("up_blocks.{level}.upsamplers.0.conv.{p}"),
        ["0", rest @ ..] => format!("up_blocks.{level}.resnets.{layer}.{}", resnet(rest)?),
        ["1", rest @ ..] => format!("up_blocks.{level}.attentions.{layer}.{}", rest.join(".")),
        _ => return None,
    })
}

fn resnet(rest: &[&str]) -> Option<String> {
    let (layer, parameter) = match rest {
        ["in_layers", "0", p] => ("norm1", p),
        ["in_layers", "2", p] => ("conv1", p),
        ["emb_layers", "1", p] => ("time_emb_proj", p),
        ["out_layers", "0", p] => ("norm2", p),
        ["out_layers", "3", p] => ("conv2", p),
        ["skip_connection", p] => ("conv_shortcut", p),
        _ => return None,
    };
    Some(format!("{layer}.{parameter}"))
}

/// The width of the text's tokens.
pub(super) fn context_dim(weights: &Weights) -> Option<usize> {
    let reads_context = |name: &&str| name.ends_with(".attn2.to_k.weight");
    dim(weights, weights.names().find(reads_context)?, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        // Two levels of two layers each, one downsampler.
        Layout { input: places(1, 6, |i| i == 3), output: places(0, 6, |i| i == 2), middle_attends: true }
    }

    #[test]
    fn blocks_become_levels_and_layers() {
        let key = |name| key(name, &layout()).expect("a weight");
        assert_eq!(key("input_blocks.0.0.weight"), "conv_in.weight");
        assert_eq!(key("input_blocks.2.0.in_layers.2.bias"), "down_blocks.0.resnets.1.conv1.bias");
        assert_eq!(key("input_blocks.3.0.op.bias"), "down_blocks.0.downsamplers.0.conv.bias");
        assert_eq!(key("input_blocks.4.1.norm.bias"), "down_blocks.1.attentions.0.norm.bias");
        assert_eq!(key("middle_block.1.proj_in.bias"), "mid_block.attentions.0.proj_in.bias");
        assert_eq!(key("middle_block.2.emb_layers.1.bias"), "mid_block.resnets.1.time_emb_proj.bias");
        assert_eq!(key("output_blocks.2.2.conv.bias"), "up_blocks.0.upsamplers.0.conv.bias");
        assert_eq!(key("output_blocks.5.0.skip_connection.bias"), "up_blocks.1.resnets.2.conv_shortcut.bias");
        assert_eq!(key("out.2.bias"), "conv_out.bias");
    }

    #[test]
    fn a_name_that_is_not_of_the_layout_has_no_other() {
        assert_eq!(key("input_blocks.9.0.in_layers.2.bias", &layout()), None);
        assert_eq!(key("output_blocks.0.3.conv.bias", &layout()), None);
    }
}
