//! Which network it is: the numbers that tell one model of the family from another.

mod check;
mod depths;
mod read;

use burn::tensor::Device;
use serde::Deserialize;

use crate::activation::Activation;
use crate::unet::UNet;

/// The shape of a UNet. The fields are those of diffusers'
/// [`UNet2DConditionModel`](https://huggingface.co/docs/diffusers/api/models/unet2d-cond); lists have one entry a
/// block, from the finest resolution to the coarsest.
///
/// A config that does not come from [`from_options`](Self::from_options) must be consistent by itself: every list as
/// long as `block_out_channels`, channels divisible by `norm_num_groups` and by `heads`.
#[derive(Debug, Clone, PartialEq)]
pub struct UNetConfig {
    /// Height and width of the latents that the model was trained with, if the config says so.
    pub sample_size: Option<[usize; 2]>,
    /// Channels of the latent, with what is stacked on it: 9 for inpainting models, 8 for editing models.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Whether the network sees `2 x - 1` instead of `x`.
    pub center_input_sample: bool,
    /// Whether cosines come before sines in the timestep's sinusoid.
    pub flip_sin_to_cos: bool,
    /// How much smaller than half the sinusoid the divisor of its frequencies is.
    pub freq_shift: f64,
    /// The blocks on the way down.
    pub down_block_types: Vec<BlockType>,
    /// The block at the coarsest resolution; some distilled networks have none.
    pub mid_block_type: Option<MidBlockType>,
    /// The blocks on the way up, from the coarsest resolution to the finest.
    pub up_block_types: Vec<BlockType>,
    /// Whether the first attention of a transformer block looks at the context, too, instead of the latent.
    pub only_cross_attention: Vec<bool>,
    /// Channels of each block.
    pub block_out_channels: Vec<usize>,
    /// Layers of each block on the way down; it has one more on the way up.
    pub layers_per_block: Vec<usize>,
    /// Zeros around what is downsampled: 1 on every side, or 0 for one row below and one column to the right.
    pub downsample_padding: usize,
    /// Divisor of what the middle block's residual layers give.
    pub mid_block_scale_factor: f64,
    /// The function between layers.
    pub act_fn: Activation,
    /// Groups of every group norm.
    pub norm_num_groups: usize,
    /// Epsilon of the group norms outside transformers.
    pub norm_eps: f64,
    /// Width of the context.
    pub cross_attention_dim: usize,
    /// Transformer blocks of every layer, `[block][layer]`; without meaning for blocks that have no attention.
    pub transformer_layers_per_block: Vec<Vec<usize>>,
    /// Transformer blocks of the middle block.
    pub mid_transformer_layers: usize,
    /// Transformer blocks of every layer on the way up, `[block][layer]`, from the coarsest block to the finest.
    pub reverse_transformer_layers_per_block: Vec<Vec<usize>>,
    /// Attention heads of each block.
    ///
    /// Configs call this number `attention_head_dim`, for
    /// [historical reasons](https://github.com/huggingface/diffusers/issues/2011#issuecomment-1547958131).
    pub heads: Vec<usize>,
    /// Whether attention scores are computed in f32 whatever the type of the weights.
    pub upcast_attention: bool,
    /// How the timestep enters a residual layer.
    pub resnet_time_scale_shift: TimeScaleShift,
    /// Width of the timestep's embedding; four times the first block's channels if absent.
    pub time_embedding_dim: Option<usize>,
    /// A function on the sum of all embeddings, before the layers.
    pub time_embedding_act_fn: Option<Activation>,
    /// A function after the second layer of the timestep's embedding.
    pub timestep_post_act: Option<Activation>,
    /// Width of the guidance scale's embedding, in latent consistency models.
    pub time_cond_proj_dim: Option<usize>,
    /// What Stable Diffusion XL adds to the timestep's embedding.
    pub text_time: Option<TextTime>,
    /// Kernel size of the first convolution. Odd.
    pub conv_in_kernel: usize,
    /// Kernel size of the last convolution. Odd.
    pub conv_out_kernel: usize,
}

/// The kind of a block on the way down or up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockType {
    /// Residual layers only: `DownBlock2D`, `UpBlock2D`.
    Plain,
    /// A transformer after every residual layer: `CrossAttnDownBlock2D`, `CrossAttnUpBlock2D`.
    CrossAttention,
}

/// The kind of the block in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum MidBlockType {
    /// One residual layer.
    #[serde(rename = "UNetMidBlock2D")]
    Plain,
    /// A transformer between two residual layers.
    #[serde(rename = "UNetMidBlock2DCrossAttn")]
    CrossAttention,
}

/// How the timestep enters a residual layer, `resnet_time_scale_shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TimeScaleShift {
    /// Added before the second norm.
    #[serde(rename = "default")]
    Shift,
    /// Multiplied and added after the second norm.
    #[serde(rename = "scale_shift")]
    ScaleShift,
}

/// `addition_embed_type: text_time`: pooled text and picture sizes become a part of the timestep's embedding.
/// [SDXL](https://arxiv.org/abs/2307.01952), section 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextTime {
    /// Width of the sinusoid of each size.
    pub addition_time_embed_dim: usize,
    /// Width of pooled text and all sinusoids together.
    pub projection_class_embeddings_input_dim: usize,
}

impl TextTime {
    /// How many time ids go with pooled text of width `pooled`: 6 in XL base, 5 in the refiner.
    pub fn time_ids(&self, pooled: usize) -> usize {
        self.projection_class_embeddings_input_dim.saturating_sub(pooled) / self.addition_time_embed_dim
    }
}

impl UNetConfig {
    /// Stable Diffusion 1.5, and every 1.x.
    /// <https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/blob/main/unet/config.json>
    pub fn sd15() -> Self {
        use BlockType::{CrossAttention, Plain};
        Self {
            sample_size: Some([64, 64]),
            in_channels: 4,
            out_channels: 4,
            center_input_sample: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            down_block_types: vec![CrossAttention, CrossAttention, CrossAttention, Plain],
            mid_block_type: Some(MidBlockType::CrossAttention),
            up_block_types: vec![Plain, CrossAttention, CrossAttention, CrossAttention],
            only_cross_attention: vec![false; 4],
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: vec![2; 4],
            downsample_padding: 1,
            mid_block_scale_factor: 1.0,
            act_fn: Activation::Silu,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: 768,
            transformer_layers_per_block: vec![vec![1; 2]; 4],
            mid_transformer_layers: 1,
            reverse_transformer_layers_per_block: vec![vec![1; 3]; 4],
            heads: vec![8; 4],
            upcast_attention: false,
            resnet_time_scale_shift: TimeScaleShift::Shift,
            time_embedding_dim: None,
            time_embedding_act_fn: None,
            timestep_post_act: None,
            time_cond_proj_dim: None,
            text_time: None,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
        }
    }

    /// Stable Diffusion 2.1, 768 pixels. Version 2.0 differs in `upcast_attention` only.
    /// <https://huggingface.co/stabilityai/stable-diffusion-2-1/blob/main/unet/config.json>
    pub fn sd21() -> Self {
        Self {
            sample_size: Some([96, 96]),
            cross_attention_dim: 1024,
            heads: vec![5, 10, 20, 20],
            upcast_attention: true,
            ..Self::sd15()
        }
    }

    /// Stable Diffusion XL 1.0, base.
    /// <https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/unet/config.json>
    pub fn sdxl() -> Self {
        use BlockType::{CrossAttention, Plain};
        Self {
            sample_size: Some([128, 128]),
            down_block_types: vec![Plain, CrossAttention, CrossAttention],
            up_block_types: vec![CrossAttention, CrossAttention, Plain],
            only_cross_attention: vec![false; 3],
            block_out_channels: vec![320, 640, 1280],
            layers_per_block: vec![2; 3],
            cross_attention_dim: 2048,
            transformer_layers_per_block: vec![vec![1; 2], vec![2; 2], vec![10; 2]],
            mid_transformer_layers: 10,
            reverse_transformer_layers_per_block: vec![vec![10; 3], vec![2; 3], vec![1; 3]],
            heads: vec![5, 10, 20],
            text_time: Some(TextTime { addition_time_embed_dim: 256, projection_class_embeddings_input_dim: 2816 }),
            ..Self::sd15()
        }
    }

    /// Stable Diffusion XL 1.0, refiner.
    /// <https://huggingface.co/stabilityai/stable-diffusion-xl-refiner-1.0/blob/main/unet/config.json>
    pub fn sdxl_refiner() -> Self {
        use BlockType::{CrossAttention, Plain};
        Self {
            sample_size: Some([128, 128]),
            down_block_types: vec![Plain, CrossAttention, CrossAttention, Plain],
            up_block_types: vec![Plain, CrossAttention, CrossAttention, Plain],
            block_out_channels: vec![384, 768, 1536, 1536],
            cross_attention_dim: 1280,
            transformer_layers_per_block: vec![vec![4; 2]; 4],
            mid_transformer_layers: 4,
            reverse_transformer_layers_per_block: vec![vec![4; 3]; 4],
            heads: vec![6, 12, 24, 24],
            text_time: Some(TextTime { addition_time_embed_dim: 256, projection_class_embeddings_input_dim: 2560 }),
            ..Self::sd15()
        }
    }

    /// Makes the network with random weights, which cost nothing until they are used or loaded.
    ///
    /// # Panics
    /// If the fields contradict each other.
    pub fn init(&self, device: &Device) -> UNet {
        UNet::new(self, device)
    }

    /// Whether [`Conditioning`](crate::Conditioning) must have `pooled` and `time_ids`, as in Stable Diffusion XL.
    pub fn needs_added_conditioning(&self) -> bool {
        self.text_time.is_some()
    }
}
