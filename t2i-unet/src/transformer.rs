//! The transformer between residual layers: pixels are its tokens.

use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, Identity, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use t2i_kernels::ops::{add, geglu, group_norm, layer_norm, linear, pixels, tokens};

use crate::attention::{CrossAttention, CrossAttentionConfig};
use crate::context::Context;

/// Epsilon of the transformer's group norm, which is not that of the residual layers.
/// <https://github.com/huggingface/diffusers/blob/main/src/diffusers/models/transformers/transformer_2d.py>
const GROUP_NORM_EPS: f64 = 1e-6;
/// Epsilon of its layer norms, torch's default.
const LAYER_NORM_EPS: f64 = 1e-5;

/// What a [`Transformer`] looks like.
pub(crate) struct TransformerConfig {
    pub(crate) channels: usize,
    pub(crate) context_dim: usize,
    pub(crate) heads: usize,
    /// How many blocks follow each other.
    pub(crate) depth: usize,
    pub(crate) groups: usize,
    pub(crate) only_cross_attention: bool,
    pub(crate) upcast_attention: bool,
}

/// `Transformer2DModel`: transformer blocks on the pixels of a feature map, beside a shortcut.
#[derive(Module, Debug)]
pub(crate) struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<TransformerBlock>,
    proj_out: Linear,
}

/// `BasicTransformerBlock`: self-attention, attention to the context, and a feed-forward network.
#[derive(Module, Debug)]
struct TransformerBlock {
    norm1: LayerNorm,
    attn1: CrossAttention,
    norm2: LayerNorm,
    attn2: CrossAttention,
    norm3: LayerNorm,
    ff: FeedForward,
    only_cross_attention: bool,
}

/// `dim` to `4 dim` and back. The layer in the middle is dropout in training.
#[derive(Module, Debug)]
struct FeedForward {
    net: (GeGlu, Identity, Linear),
}

/// A linear layer whose second half gates the first. [Shazeer 2020](https://arxiv.org/abs/2002.05202), equation 6.
#[derive(Module, Debug)]
struct GeGlu {
    proj: Linear,
}

impl TransformerConfig {
    pub(crate) fn init(&self, device: &Device) -> Transformer {
        let projection = || LinearConfig::new(self.channels, self.channels).init(device);
        Transformer {
            norm: GroupNormConfig::new(self.groups, self.channels).with_epsilon(GROUP_NORM_EPS).init(device),
            proj_in: projection(),
            transformer_blocks: (0..self.depth).map(|_| self.init_block(device)).collect(),
            proj_out: projection(),
        }
    }

    fn init_block(&self, device: &Device) -> TransformerBlock {
        let norm = || LayerNormConfig::new(self.channels).with_epsilon(LAYER_NORM_EPS).init(device);
        let source = if self.only_cross_attention { self.context_dim } else { self.channels };
        TransformerBlock {
            norm1: norm(),
            attn1: self.attention(source).init(device),
            norm2: norm(),
            attn2: self.attention(self.context_dim).init(device),
            norm3: norm(),
            ff: FeedForward::new(self.channels, device),
            only_cross_attention: self.only_cross_attention,
        }
    }

    fn attention(&self, context_dim: usize) -> CrossAttentionConfig {
        CrossAttentionConfig { dim: self.channels, context_dim, heads: self.heads, upcast: self.upcast_attention }
    }
}

impl Transformer {
    /// # Shapes
    /// - x, output: `[batch, channels, height, width]`
    /// - context: of `[batch, tokens, context_dim]`
    pub(crate) fn forward(&self, x: Tensor<4>, context: &Context) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let mut h = linear(&self.proj_in, tokens(group_norm(&self.norm, x.clone())));
        // h: [batch, height * width, channels]
        for block in &self.transformer_blocks {
            h = block.forward(h, context);
        }
        add(pixels(linear(&self.proj_out, h), [height, width]), x)
    }
}

impl TransformerBlock {
    fn forward(&self, x: Tensor<3>, context: &Context) -> Tensor<3> {
        let norm = |norm: &LayerNorm, x: &Tensor<3>| layer_norm(norm, LAYER_NORM_EPS, x.clone());
        let h = norm(&self.norm1, &x);
        let h = if self.only_cross_attention { self.attn1.to_context(h, context) } else { self.attn1.to_itself(h) };
        let x = add(h, x);
        let x = add(self.attn2.to_context(norm(&self.norm2, &x), context), x);
        add(self.ff.forward(norm(&self.norm3, &x)), x)
    }
}

impl FeedForward {
    fn new(dim: usize, device: &Device) -> Self {
        let proj = LinearConfig::new(dim, 8 * dim).init(device);
        let out = LinearConfig::new(4 * dim, dim).init(device);
        Self { net: (GeGlu { proj }, Identity, out) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (geglu, _, out) = &self.net;
        linear(out, geglu.forward(x))
    }
}

impl GeGlu {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        geglu(linear(&self.proj, x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, FloatDType};
    use t2i_core::Weights;

    fn open(file: &str) -> Weights {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/unet/transformer/");
        Weights::open(format!("{folder}{file}").as_ref()).expect("the reference is there")
    }

    /// The input has a variance of 1e-6, and so have the tokens: with an epsilon of another size the output is off
    /// by tenths.
    #[test]
    fn every_epsilon_is_that_of_diffusers() {
        let config = TransformerConfig {
            channels: 16,
            context_dim: 12,
            heads: 2,
            depth: 1,
            groups: 4,
            only_cross_attention: false,
            upcast_attention: false,
        };
        let device = Device::flex();
        let transformer = open("weights.safetensors").load(config.init(&device), FloatDType::F32).expect("all fits");
        let run = open("run.safetensors");
        let read = |name: &str| run.read(name).expect("it is there");
        let x = Tensor::<4>::from_data(read("x"), (&device, DType::F32));
        let context = Context::new(Tensor::from_data(read("context"), (&device, DType::F32)));
        let expected = Tensor::<4>::from_data(read("output"), (&device, DType::F32));
        let got = transformer.forward(x, &context);
        assert!(got.clone().is_finite().all().into_scalar::<bool>());
        let largest: f32 = expected.clone().abs().max().into_scalar();
        let error = (got - expected).abs().max().into_scalar::<f32>() / largest;
        assert!(error <= 2e-5, "{error:e}");
    }
}
