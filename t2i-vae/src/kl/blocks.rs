//! What encoder and decoder are made of.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use t2i_core::nn::{Sight, multi_head_attention};
use t2i_kernels::ops::{add, conv2d, group_norm, group_norm_silu, linear, pixels, resize_nearest, tokens};

/// Every norm of the codec has this epsilon, not torch's 1e-5.
/// <https://github.com/CompVis/latent-diffusion/blob/main/ldm/modules/diffusionmodules/model.py#L38>
const EPSILON: f64 = 1e-6;

/// `x + f(x)`, where `f` is norm, SiLU and convolution, twice.
#[derive(Module, Debug)]
pub(super) struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    /// Where the number of channels changes.
    conv_shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    pub(super) fn init(channels: [usize; 2], groups: usize, device: &Device) -> Self {
        let [from, to] = channels;
        Self {
            norm1: norm(from, groups, device),
            conv1: conv(from, to, device),
            norm2: norm(to, groups, device),
            conv2: conv(to, to, device),
            conv_shortcut: (from != to).then(|| pointwise(from, to, device)),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = conv2d(&self.conv1, group_norm_silu(&self.norm1, x.clone()));
        let h = conv2d(&self.conv2, group_norm_silu(&self.norm2, h));
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv2d(conv, x),
            None => x,
        };
        add(shortcut, h)
    }
}

/// Self-attention of one head over all places of the latent.
#[derive(Module, Debug)]
pub(super) struct Attention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: [Linear; 1],
}

impl Attention {
    fn init(channels: usize, groups: usize, device: &Device) -> Self {
        let projection = || LinearConfig::new(channels, channels).init(device);
        Self {
            group_norm: norm(channels, groups, device),
            to_q: projection(),
            to_k: projection(),
            to_v: projection(),
            to_out: [projection()],
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let places = tokens(group_norm(&self.group_norm, x.clone()));
        // places: [batch, height * width, channels]
        let [q, k, v] = [&self.to_q, &self.to_k, &self.to_v].map(|to| linear(to, places.clone()));
        let seen = multi_head_attention(q, k, v, 1, Sight::All);
        add(x, pixels(linear(&self.to_out[0], seen), [height, width]))
    }
}

/// The blocks at the latents' resolution.
#[derive(Module, Debug)]
pub(super) struct MidBlock {
    resnets: [ResnetBlock; 2],
    /// One, or none in codecs without attention.
    attentions: Vec<Attention>,
}

impl MidBlock {
    pub(super) fn init(channels: usize, groups: usize, attentions: usize, device: &Device) -> Self {
        let resnet = || ResnetBlock::init([channels, channels], groups, device);
        Self {
            resnets: [resnet(), resnet()],
            attentions: (0..attentions).map(|_| Attention::init(channels, groups, device)).collect(),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets[0].forward(x);
        let x = self.attentions.iter().fold(x, |x, attention| attention.forward(x));
        self.resnets[1].forward(x)
    }
}

/// Half the size, rounded down.
#[derive(Module, Debug)]
pub(super) struct Downsample {
    conv: Conv2d,
}

impl Downsample {
    pub(super) fn init(channels: usize, device: &Device) -> Self {
        // Padded below and to the right only: top, left, bottom, right.
        let padding = PaddingConfig2d::Explicit(0, 0, 1, 1);
        let conv = Conv2dConfig::new([channels, channels], [3, 3]).with_stride([2, 2]).with_padding(padding);
        Self { conv: conv.init(device) }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv2d(&self.conv, x)
    }
}

/// Twice the size.
#[derive(Module, Debug)]
pub(super) struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    pub(super) fn init(channels: usize, device: &Device) -> Self {
        Self { conv: conv(channels, channels, device) }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        conv2d(&self.conv, resize_nearest(x, [2 * height, 2 * width]))
    }
}

pub(super) fn norm(channels: usize, groups: usize, device: &Device) -> GroupNorm {
    GroupNormConfig::new(groups, channels).with_epsilon(EPSILON).init(device)
}

/// A 3x3 convolution that keeps the size.
pub(super) fn conv(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
}

/// A 1x1 convolution.
pub(super) fn pointwise(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [1, 1]).init(device)
}
