//! The network: down, middle, up, with skip connections between equal resolutions.
//! [High-Resolution Image Synthesis with Latent Diffusion Models](https://arxiv.org/abs/2112.10752), section 3.2.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{DType, Device, Tensor, assert_shape};
use t2i_kernels::ops::{arithmetic, conv2d};

use crate::activation::Activation;
use crate::blocks::{DownBlock, MidBlock, UpBlock};
use crate::conditioning::{Conditioned, Conditioning};
use crate::config::{TextTime, UNetConfig};
use crate::context::Context;
use crate::embeddings::{TimestepEmbedding, TimestepEmbeddingConfig, Timesteps};
use crate::sampling::same_size_conv;

/// The conditional UNet. [`UNetConfig::init`] makes one.
#[derive(Module, Debug)]
pub struct UNet {
    conv_in: Conv2d,
    time_embedding: TimestepEmbedding,
    add_embedding: Option<TimestepEmbedding>,
    down_blocks: Vec<DownBlock>,
    mid_block: Option<MidBlock>,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    #[module(skip)]
    config: UNetConfig,
}

impl UNet {
    pub(crate) fn new(config: &UNetConfig, device: &Device) -> Self {
        let first = config.block_out_channels[0];
        let norm_out = GroupNormConfig::new(config.norm_num_groups, first).with_epsilon(config.norm_eps);
        Self {
            conv_in: same_size_conv([config.in_channels, first], config.conv_in_kernel, device),
            time_embedding: time_embedding(config).init(device),
            add_embedding: config.text_time.map(|added| add_embedding(config, added).init(device)),
            down_blocks: config.down_blocks().iter().map(|block| block.init(device)).collect(),
            mid_block: config.mid_block().map(|block| block.init(device)),
            up_blocks: config.up_blocks().iter().map(|block| block.init(device)).collect(),
            conv_norm_out: norm_out.init(device),
            conv_out: same_size_conv([first, config.out_channels], config.conv_out_kernel, device),
            config: config.clone(),
        }
    }

    /// The config that the network was made from.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The type that the network computes in: that of its weights, but f32 for halves on a CPU.
    pub fn dtype(&self) -> DType {
        arithmetic(&self.conv_in.weight.val())
    }

    /// The network with all that it is told besides the latent and the timestep, for the steps of a run.
    ///
    /// # Panics
    /// If the context has another width than the config says.
    pub fn conditioned(&self, conditioning: Conditioning) -> Conditioned<'_> {
        assert_shape!(conditioning.context, [_, _, self.config.cross_attention_dim]);
        let context = Context::new(conditioning.context.clone().cast(self.dtype()));
        Conditioned { unet: self, conditioning, context }
    }

    /// What the network predicts for a noisy latent, once: see [`Conditioned::forward`].
    ///
    /// # Shapes
    /// - x: `[batch, in_channels, height, width]`
    /// - timesteps: `[batch]`
    /// - conditioning: the same batch
    /// - output: `[batch, out_channels, height, width]`
    ///
    /// # Panics
    /// As [`conditioned`](Self::conditioned) and [`Conditioned::forward`].
    pub fn forward(&self, x: Tensor<4>, timesteps: Tensor<1>, conditioning: &Conditioning) -> Tensor<4> {
        self.conditioned(conditioning.clone()).forward(x, timesteps)
    }

    /// Everything that the residual layers are told. `[batch, time_dim]`
    pub(crate) fn embed(&self, timesteps: Tensor<1>, conditioning: &Conditioning, dtype: DType) -> Tensor<2> {
        let config = &self.config;
        let sinusoid = timesteps_of(config, config.block_out_channels[0]).forward(timesteps);
        let guidance = conditioning.guidance.clone().map(|guidance| guidance.cast(dtype));
        let mut time = self.time_embedding.forward(sinusoid.cast(dtype), guidance);
        if let (Some(embedding), Some(added)) = (&self.add_embedding, config.text_time) {
            let text_time = text_time(config, added, conditioning);
            time = time + embedding.forward(text_time.cast(dtype), None);
        }
        if let Some(act) = config.time_embedding_act_fn {
            time = act.forward(time);
        }
        // Every residual layer starts with the same function of it: once is enough.
        config.act_fn.forward(time)
    }

    pub(crate) fn layers(&self, x: Tensor<4>, time: &Tensor<2>, context: &Context) -> Tensor<4> {
        let mut x = conv2d(&self.conv_in, x);
        let mut skips = vec![x.clone()];
        for block in &self.down_blocks {
            x = block.forward(x, time, context, &mut skips);
        }
        if let Some(block) = &self.mid_block {
            x = block.forward(x, time, context);
        }
        for block in &self.up_blocks {
            x = block.forward(x, time, context, &mut skips);
        }
        conv2d(&self.conv_out, self.config.act_fn.of_norm(&self.conv_norm_out, x))
    }
}

fn timesteps_of(config: &UNetConfig, dim: usize) -> Timesteps {
    Timesteps { dim, flip_sin_to_cos: config.flip_sin_to_cos, freq_shift: config.freq_shift }
}

fn time_embedding(config: &UNetConfig) -> TimestepEmbeddingConfig {
    TimestepEmbeddingConfig {
        dim_in: config.block_out_channels[0],
        dim_out: config.time_dim(),
        cond_proj_dim: config.time_cond_proj_dim,
        act: config.act_fn,
        post_act: config.timestep_post_act,
    }
}

/// The embedding of pooled text and sizes has SiLU whatever the network's function is.
fn add_embedding(config: &UNetConfig, added: TextTime) -> TimestepEmbeddingConfig {
    TimestepEmbeddingConfig {
        dim_in: added.projection_class_embeddings_input_dim,
        dim_out: config.time_dim(),
        cond_proj_dim: None,
        act: Activation::Silu,
        post_act: None,
    }
}

/// Pooled text, then the sinusoid of every size. `[batch, projection_class_embeddings_input_dim]`
fn text_time(config: &UNetConfig, added: TextTime, conditioning: &Conditioning) -> Tensor<2> {
    let pooled = conditioning.pooled.clone().expect("this network needs pooled text");
    let time_ids = conditioning.time_ids.clone().expect("this network needs time_ids");
    let [batch, ids] = time_ids.dims();
    let sinusoids = timesteps_of(config, added.addition_time_embed_dim).forward(time_ids.flatten::<1>(0, 1));
    let sinusoids = sinusoids.reshape([batch, ids * added.addition_time_embed_dim]);
    let text_time = Tensor::cat(vec![pooled, sinusoids], 1);
    assert_shape!(text_time, [_, added.projection_class_embeddings_input_dim]);
    text_time
}
