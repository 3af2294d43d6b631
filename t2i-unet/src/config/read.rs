//! From the options of a `unet/config.json` to a [`UNetConfig`].

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use t2i_core::{Options, Result};

use super::check::{MAX_LAYERS, is_width};
use super::depths::Depths;
use super::{BlockType, MidBlockType, TextTime, TimeScaleShift, UNetConfig};
use crate::activation::Activation;

/// Options that change nothing about what a loaded network computes.
const WITHOUT_EFFECT: &[&str] = &[
    // Of training.
    "dropout",
    // Linear layers and 1x1 convolutions on channels are the same product; the loader takes the weights of both.
    "use_linear_projection",
    // Of an `addition_embed_type` that is refused.
    "addition_embed_type_num_heads",
    // What diffusers' EMAModel leaves in the config of networks that it averaged.
    "decay",
    "inv_gamma",
    "min_decay",
    "optimization_step",
    "power",
    "update_after_step",
    "use_ema_warmup",
];

impl UNetConfig {
    /// Reads the options of diffusers' `UNet2DConditionModel`. What is absent has diffusers' default.
    ///
    /// # Errors
    /// If an option is unknown, has a value that is not supported, or contradicts another.
    pub fn from_options(mut options: Options) -> Result<Self> {
        let o = &mut options;
        refuse_other_architectures(o)?;
        o.ignore(WITHOUT_EFFECT);
        let block_out_channels: Vec<usize> = o.get("block_out_channels", vec![320, 640, 1280, 1280])?;
        let blocks = block_out_channels.len();
        let layers_per_block = layers(o, blocks)?;
        let depths = Depths::read(o, &layers_per_block)?;
        let (attends, plain) = ("CrossAttn", "");
        let config = Self {
            sample_size: o.get("sample_size", None::<Size>)?.map(Size::height_width),
            in_channels: o.get("in_channels", 4)?,
            out_channels: o.get("out_channels", 4)?,
            center_input_sample: o.get("center_input_sample", false)?,
            flip_sin_to_cos: o.get("flip_sin_to_cos", true)?,
            freq_shift: o.get("freq_shift", 0.0)?,
            down_block_types: block_types(o, "down_block_types", "Down", [attends, attends, attends, plain])?,
            mid_block_type: o.get("mid_block_type", Some(MidBlockType::CrossAttention))?,
            up_block_types: block_types(o, "up_block_types", "Up", [plain, attends, attends, attends])?,
            only_cross_attention: per_block(o, "only_cross_attention", false, blocks)?,
            block_out_channels,
            layers_per_block,
            downsample_padding: o.get("downsample_padding", 1)?,
            mid_block_scale_factor: o.get("mid_block_scale_factor", 1.0)?,
            act_fn: o.get("act_fn", Activation::Silu)?,
            norm_num_groups: o.get("norm_num_groups", 32)?,
            norm_eps: o.get("norm_eps", 1e-5)?,
            cross_attention_dim: one_for_all(o, "cross_attention_dim", 1280, blocks)?,
            transformer_layers_per_block: depths.down,
            mid_transformer_layers: depths.mid,
            reverse_transformer_layers_per_block: depths.up,
            heads: per_block(o, "attention_head_dim", 8, blocks)?,
            upcast_attention: o.get("upcast_attention", Some(false))?.unwrap_or(false),
            resnet_time_scale_shift: o.get("resnet_time_scale_shift", TimeScaleShift::Shift)?,
            time_embedding_dim: width(o, "time_embedding_dim")?,
            time_embedding_act_fn: o.get("time_embedding_act_fn", None)?,
            timestep_post_act: o.get("timestep_post_act", None)?,
            time_cond_proj_dim: width(o, "time_cond_proj_dim")?,
            text_time: text_time(o)?,
            conv_in_kernel: o.get("conv_in_kernel", 3)?,
            conv_out_kernel: o.get("conv_out_kernel", 3)?,
        };
        config.check(o)?;
        options.finish()?;
        Ok(config)
    }
}

/// Accounts for the options of networks outside the family, each with the values that mean "not this".
fn refuse_other_architectures(o: &mut Options) -> Result<()> {
    let none = [Value::Null];
    let off = [json!(false)];
    // diffusers itself refuses `num_attention_heads`: the heads stand in `attention_head_dim`.
    o.only("num_attention_heads", &none)?;
    o.only("dual_cross_attention", &off)?;
    o.only("attention_type", &[json!("default")])?;
    o.only("time_embedding_type", &[json!("positional")])?;
    for option in ["encoder_hid_dim", "encoder_hid_dim_type", "class_embed_type", "num_class_embeds"] {
        o.only(option, &none)?;
    }
    o.only("class_embeddings_concat", &off)?;
    // Of the blocks of DeepFloyd IF and Kandinsky, which are refused by their names.
    o.only("resnet_skip_time_act", &off)?;
    o.only("resnet_out_scale_factor", &[json!(1.0), json!(1)])?;
    o.only("cross_attention_norm", &none)?;
    o.only("mid_block_only_cross_attention", &[Value::Null, json!(false)])
}

/// One value, or one a block. (`Each` comes first: a list of depths must not be read as the depths of one block.)
#[derive(Deserialize)]
#[serde(untagged, expecting = "one value, or a list with one a block")]
enum PerBlock<T> {
    Each(Vec<T>),
    All(T),
}

pub(super) fn per_block<T: DeserializeOwned + Clone>(
    o: &mut Options,
    option: &str,
    default: T,
    blocks: usize,
) -> Result<Vec<T>> {
    let value = o.peek(option).cloned().unwrap_or_default();
    match o.get(option, PerBlock::All(default))? {
        PerBlock::All(one) => Ok(vec![one; blocks]),
        PerBlock::Each(list) if list.len() == blocks => Ok(list),
        PerBlock::Each(_) => Err(o.unsupported(option, &value, &format!("one value, or a list of {blocks}"))),
    }
}

fn layers(o: &mut Options, blocks: usize) -> Result<Vec<usize>> {
    let layers = per_block(o, "layers_per_block", 2, blocks)?;
    match layers.iter().all(|n| (1..=MAX_LAYERS).contains(n)) {
        true => Ok(layers),
        false => Err(o.unsupported("layers_per_block", &json!(layers), "1 to 64")),
    }
}

/// A value that may be given once a block, though all blocks must have the same.
fn one_for_all(o: &mut Options, option: &str, default: usize, blocks: usize) -> Result<usize> {
    let list = per_block(o, option, default, blocks)?;
    let first = list.first().copied().unwrap_or(default);
    match list.iter().all(|value| *value == first) {
        true => Ok(first),
        false => Err(o.unsupported(option, &json!(list), "the same for all blocks")),
    }
}

/// The kinds of the blocks on one way, `Down` or `Up`; `default` has what stands before `DownBlock2D`.
fn block_types(o: &mut Options, option: &str, way: &str, default: [&str; 4]) -> Result<Vec<BlockType>> {
    let (plain, cross_attention) = (format!("{way}Block2D"), format!("CrossAttn{way}Block2D"));
    let expected = format!("a list of {plain} and {cross_attention}");
    let names = o.get(option, default.map(|kind| format!("{kind}{plain}")).to_vec())?;
    let kind = |name: &String| match name.strip_prefix("UNetRes").unwrap_or(name) {
        name if name == plain => Ok(BlockType::Plain),
        name if name == cross_attention => Ok(BlockType::CrossAttention),
        _ => Err(o.unsupported(option, &json!(name), &expected)),
    };
    names.iter().map(kind).collect()
}

fn text_time(o: &mut Options) -> Result<Option<TextTime>> {
    let kind: Option<String> = o.get("addition_embed_type", None)?;
    match kind.as_deref() {
        Some("text_time") => Ok(Some(TextTime {
            addition_time_embed_dim: needed_width(o, "addition_time_embed_dim")?,
            projection_class_embeddings_input_dim: needed_width(o, "projection_class_embeddings_input_dim")?,
        })),
        Some(other) => Err(o.unsupported("addition_embed_type", &json!(other), "null or \"text_time\"")),
        None => {
            o.only("addition_time_embed_dim", &[Value::Null])?;
            o.only("projection_class_embeddings_input_dim", &[Value::Null])?;
            Ok(None)
        }
    }
}

/// A width that must be there.
fn needed_width(o: &mut Options, option: &str) -> Result<usize> {
    let expected = "a width, as `addition_embed_type` is \"text_time\"";
    width(o, option)?.ok_or_else(|| o.unsupported(option, &Value::Null, expected))
}

/// A width that may be absent.
fn width(o: &mut Options, option: &str) -> Result<Option<usize>> {
    match o.get(option, None)? {
        Some(width) if !is_width(width) => Err(o.unsupported(option, &json!(width), "a width or null")),
        width => Ok(width),
    }
}

/// A side of a square, or height and width.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or height and width")]
enum Size {
    Square(usize),
    HeightWidth([usize; 2]),
}

impl Size {
    fn height_width(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side, side],
            Self::HeightWidth(sides) => sides,
        }
    }
}
