//! One layer of the transformer: attention and a perceptron, each behind a norm.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use t2i_core::nn::{Sight, multi_head_attention};
use t2i_kernels::ops::{self, add, layer_norm, linear, linears, perceptron};

use super::{Activation, ClipTextConfig};

#[derive(Module, Debug)]
pub(super) struct Layer {
    layer_norm1: LayerNorm,
    self_attn: Attention,
    layer_norm2: LayerNorm,
    mlp: Mlp,
    /// Of both norms.
    epsilon: f64,
}

#[derive(Module, Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Layer {
    pub(super) fn new(config: &ClipTextConfig, device: &Device) -> Self {
        let dim = config.hidden_size;
        let norm = || LayerNormConfig::new(dim).with_epsilon(config.layer_norm_eps).init(device);
        let projection = |input, output| LinearConfig::new(input, output).init(device);
        Self {
            layer_norm1: norm(),
            self_attn: Attention {
                q_proj: projection(dim, dim),
                k_proj: projection(dim, dim),
                v_proj: projection(dim, dim),
                out_proj: projection(dim, dim),
                heads: config.heads,
            },
            layer_norm2: norm(),
            mlp: Mlp {
                fc1: projection(dim, config.intermediate_size),
                fc2: projection(config.intermediate_size, dim),
                activation: config.activation,
            },
            epsilon: config.layer_norm_eps,
        }
    }

    /// `[batch, tokens, dim] -> [batch, tokens, dim]`
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let norm = |norm: &LayerNorm, x: &Tensor<3>| layer_norm(norm, self.epsilon, x.clone());
        let h = self.self_attn.forward(norm(&self.layer_norm1, &x));
        let x = add(x, h);
        let h = self.mlp.forward(norm(&self.layer_norm2, &x));
        add(x, h)
    }
}

impl Attention {
    /// `[batch, tokens, dim] -> [batch, tokens, dim]`
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [q, k, v] = linears([&self.q_proj, &self.k_proj, &self.v_proj], x);
        linear(&self.out_proj, multi_head_attention(q, k, v, self.heads, Sight::Past))
    }
}

impl Mlp {
    /// `[batch, tokens, dim] -> [batch, tokens, dim]`
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let activation = match self.activation {
            Activation::QuickGelu => ops::Activation::QuickGelu,
            Activation::Gelu => ops::Activation::Gelu,
        };
        perceptron(&self.fc1, activation, &self.fc2, x)
    }
}
