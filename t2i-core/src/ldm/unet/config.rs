//! The UNet's config, from the shapes of its tensors.

use serde_json::{Value, json};

use super::{Layout, Place, context_dim};
use crate::ldm::{count, dim, heads, norm_groups, object};
use crate::{Family, Weights};

/// `pooled` is the width of the pooled text, and `sample_size` the side of the training's pictures in pixels.
pub(in crate::ldm) fn config(
    weights: &Weights,
    family: Family,
    pooled: Option<usize>,
    sample_size: usize,
) -> Option<Value> {
    let layout = Layout::of(weights);
    let blocks = Blocks::of(weights, &layout);
    let channels: Vec<_> = (0..layout.levels()).map(|l| blocks.channels(l)).collect::<Option<_>>()?;
    let added = added(weights, family, pooled);
    Some(object([
        ("_class_name", Some(json!("UNet2DConditionModel"))),
        ("act_fn", Some(json!("silu"))),
        ("addition_embed_type", added.map(|_| json!("text_time"))),
        ("addition_time_embed_dim", added.map(|added| json!(added.time_dim))),
        ("attention_head_dim", Some(attention_heads(family, &channels))),
        ("block_out_channels", Some(json!(channels))),
        ("class_embed_type", (added.is_none() && weights.has_under("label_emb.")).then(|| json!("projection"))),
        ("cross_attention_dim", Some(json!(context_dim(weights)?))),
        ("down_block_types", Some(json!(blocks.down_types()))),
        ("flip_sin_to_cos", Some(json!(true))),
        ("freq_shift", Some(json!(0))),
        ("in_channels", Some(json!(dim(weights, "input_blocks.0.0.weight", 1)?))),
        ("layers_per_block", Some(blocks.layers_per_block())),
        ("mid_block_type", Some(blocks.middle_type())),
        ("norm_eps", Some(json!(1e-5))),
        ("norm_num_groups", Some(json!(norm_groups(&channels)))),
        ("out_channels", Some(json!(dim(weights, "out.2.weight", 0)?))),
        ("projection_class_embeddings_input_dim", added.map(|added| json!(added.input_dim))),
        ("sample_size", Some(json!(sample_size / 8))),
        ("time_cond_proj_dim", dim(weights, "time_embed.cond_proj.weight", 1).map(|dim| json!(dim))),
        ("transformer_layers_per_block", Some(blocks.depths())),
        ("reverse_transformer_layers_per_block", blocks.reverse_depths()),
        ("up_block_types", Some(json!(blocks.up_types()))),
        // Products of Stable Diffusion 2.1 overflow f16: https://github.com/Stability-AI/stablediffusion#news
        ("upcast_attention", Some(json!(family == Family::Sd2))),
        ("use_linear_projection", Some(json!(blocks.projects_linearly(weights)))),
    ]))
}

/// Stable Diffusion 1 has 8 heads everywhere; the others have 64 channels a head. Diffusers' option of this name
/// is the number of heads.
fn attention_heads(family: Family, channels: &[usize]) -> Value {
    match family {
        Family::Sd1 => json!(8),
        _ => json!(channels.iter().copied().map(heads).collect::<Vec<_>>()),
    }
}

/// What XL is told beside the prompt.
#[derive(Debug, Clone, Copy)]
struct Added {
    input_dim: usize,
    time_dim: usize,
}

/// The input is the pooled text, then an embedding for each of 6 numbers; for the refiner, of 5.
fn added(weights: &Weights, family: Family, pooled: Option<usize>) -> Option<Added> {
    let numbers = match family {
        Family::SdXl => 6,
        Family::SdXlRefiner => 5,
        _ => return None,
    };
    let input_dim = dim(weights, "label_emb.0.0.weight", 1)?;
    let time_dim = pooled.and_then(|pooled| input_dim.checked_sub(pooled)).map_or(256, |rest| rest / numbers);
    Some(Added { input_dim, time_dim })
}

/// What stands in each block of the original.
struct Blocks {
    /// For each level, from input to middle, the layers.
    down: Vec<Vec<Layer>>,
    middle: Option<Layer>,
    /// For each level, from middle to output, the layers.
    up: Vec<Vec<Layer>>,
    attention: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Layer {
    channels: Option<usize>,
    /// Transformer blocks of the attention; 0 where there is none.
    depth: usize,
}

impl Blocks {
    fn of(weights: &Weights, layout: &Layout) -> Self {
        let down = layout.input.iter().enumerate().map(|(i, place)| (place, format!("input_blocks.{}", i + 1)));
        let up = layout.output.iter().enumerate().map(|(i, place)| (place, format!("output_blocks.{i}")));
        let attention = weights.names().find_map(|name| name.strip_suffix(".proj_in.weight"));
        Self {
            down: levels(weights, down),
            middle: weights.has_under("middle_block.").then(|| layer(weights, "middle_block")),
            up: levels(weights, up),
            attention: attention.map(str::to_owned),
        }
    }

    fn channels(&self, level: usize) -> Option<usize> {
        self.down.get(level)?.first()?.channels
    }

    fn down_types(&self) -> Vec<&'static str> {
        self.down.iter().map(|layers| if attends(layers) { "CrossAttnDownBlock2D" } else { "DownBlock2D" }).collect()
    }

    fn up_types(&self) -> Vec<&'static str> {
        self.up.iter().map(|layers| if attends(layers) { "CrossAttnUpBlock2D" } else { "UpBlock2D" }).collect()
    }

    fn middle_type(&self) -> Value {
        match self.middle {
            None => Value::Null,
            Some(Layer { depth: 0, .. }) => json!("UNetMidBlock2D"),
            Some(_) => json!("UNetMidBlock2DCrossAttn"),
        }
    }

    fn layers_per_block(&self) -> Value {
        uniform(self.down.iter().map(Vec::len).collect())
    }

    /// The depth of each level. Where a level has no attention its entry does not matter, except that diffusers
    /// makes the middle as deep as the last one says.
    fn depths(&self) -> Value {
        let mut depths: Vec<_> = self.down.iter().map(|layers| depth(layers)).collect();
        if let (Some(last), Some(middle)) = (depths.last_mut(), self.middle) {
            *last = last.take().or(Some(json!(middle.depth.max(1))));
        }
        let known: Vec<_> = depths.iter().flatten().collect();
        match known.first() {
            Some(first) if first.is_number() && known.iter().all(|depth| depth == first) => (*first).clone(),
            _ => json!(depths.into_iter().map(|depth| depth.unwrap_or(json!(1))).collect::<Vec<_>>()),
        }
    }

    /// The depths on the way up, where they are not those on the way down.
    fn reverse_depths(&self) -> Option<Value> {
        let up: Vec<_> = self.up.iter().map(|layers| depth(layers)).collect();
        let down: Vec<_> = self.down.iter().rev().map(|layers| depth(layers)).collect();
        let differ = |(up, down): (&Option<Value>, &Option<Value>)| up != down && up.is_some();
        let differ = up.iter().zip(&down).any(differ);
        differ.then(|| json!(up.into_iter().map(|depth| depth.unwrap_or(json!(1))).collect::<Vec<_>>()))
    }

    /// Stable Diffusion 1 has 1x1 convolutions around its transformers.
    fn projects_linearly(&self, weights: &Weights) -> bool {
        let shape = self.attention.as_ref().and_then(|name| weights.shape(&format!("{name}.proj_in.weight")));
        shape.is_some_and(|shape| shape.len() == 2)
    }
}

/// The layers of each level; a block that only changes the resolution is none.
fn levels<'a>(weights: &Weights, blocks: impl Iterator<Item = (&'a Place, String)>) -> Vec<Vec<Layer>> {
    let mut levels: Vec<Vec<Layer>> = Vec::new();
    for (place, name) in blocks {
        levels.resize_with(place.level + 1, Vec::new);
        if weights.has_under(&format!("{name}.0.in_layers.")) {
            levels[place.level].push(layer(weights, &name));
        }
    }
    levels
}

fn layer(weights: &Weights, block: &str) -> Layer {
    Layer {
        channels: dim(weights, &format!("{block}.0.out_layers.3.weight"), 0),
        depth: count(weights, &format!("{block}.1.transformer_blocks")),
    }
}

fn attends(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| layer.depth > 0)
}

/// One depth for a level whose layers agree, else one for each layer; `None` without attention.
fn depth(layers: &[Layer]) -> Option<Value> {
    attends(layers).then(|| uniform(layers.iter().map(|layer| layer.depth).collect()))
}

/// One number where all are the same.
fn uniform(numbers: Vec<usize>) -> Value {
    match numbers.first() {
        Some(first) if numbers.iter().all(|n| n == first) => json!(first),
        _ => json!(numbers),
    }
}
