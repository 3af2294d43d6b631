//! Attention of the latent to itself and to the context.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use t2i_core::nn::{Sight, multi_head_attention};
use t2i_kernels::ops::linear;

use crate::context::Context;

/// What a [`CrossAttention`] looks like.
pub(crate) struct CrossAttentionConfig {
    /// Width of the queries and of the output.
    pub(crate) dim: usize,
    /// Width of what is looked at.
    pub(crate) context_dim: usize,
    pub(crate) heads: usize,
    /// Whether the scores are computed in f32 whatever the type of the weights.
    pub(crate) upcast: bool,
}

/// Multi-head attention. Queries, keys and values have no bias.
#[derive(Module, Debug)]
pub(crate) struct CrossAttention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: [Linear; 1],
    heads: usize,
    upcast: bool,
}

impl CrossAttentionConfig {
    pub(crate) fn init(&self, device: &Device) -> CrossAttention {
        let projection = |from| LinearConfig::new(from, self.dim).with_bias(false).init(device);
        CrossAttention {
            to_q: projection(self.dim),
            to_k: projection(self.context_dim),
            to_v: projection(self.context_dim),
            to_out: [LinearConfig::new(self.dim, self.dim).init(device)],
            heads: self.heads,
            upcast: self.upcast,
        }
    }
}

impl CrossAttention {
    /// # Shapes
    /// - x, output: `[batch, pixels, dim]`
    pub(crate) fn to_itself(&self, x: Tensor<3>) -> Tensor<3> {
        let [key, value] = [&self.to_k, &self.to_v].map(|to| linear(to, x.clone()));
        self.attend(x, key, value)
    }

    /// # Shapes
    /// - x, output: `[batch, pixels, dim]`
    /// - context: of `[batch, tokens, context_dim]`
    pub(crate) fn to_context(&self, x: Tensor<3>, context: &Context) -> Tensor<3> {
        self.attend(x, context.through(&self.to_k), context.through(&self.to_v))
    }

    fn attend(&self, x: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        let query = self.score_type(linear(&self.to_q, x));
        let seen = multi_head_attention(query, self.score_type(key), value, self.heads, Sight::All);
        linear(&self.to_out[0], seen)
    }

    fn score_type(&self, x: Tensor<3>) -> Tensor<3> {
        if self.upcast { x.cast(DType::F32) } else { x }
    }
}
