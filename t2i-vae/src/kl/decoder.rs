//! From latents to pixels.

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Device, Tensor};
use t2i_kernels::ops::{arithmetic, conv2d, group_norm_silu};

use super::AutoencoderKlConfig;
use super::blocks::{MidBlock, ResnetBlock, Upsample, conv, norm};

#[derive(Module, Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    pub(super) fn init(config: &AutoencoderKlConfig, device: &Device) -> Self {
        let (channels, groups) = (&config.block_out_channels, config.norm_num_groups);
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let attentions = usize::from(config.mid_block_add_attention);
        let before = [last].into_iter().chain(channels.iter().rev().copied());
        let up_blocks = before.zip(channels.iter().rev()).enumerate().map(|(i, (from, to))| UpBlock {
            resnets: (0..config.layers_per_block + 1)
                .map(|layer| ResnetBlock::init([if layer == 0 { from } else { *to }, *to], groups, device))
                .collect(),
            upsamplers: (i + 1 < channels.len()).then(|| [Upsample::init(*to, device)]),
        });
        Self {
            conv_in: conv(config.latent_channels, last, device),
            mid_block: MidBlock::init(last, groups, attentions, device),
            up_blocks: up_blocks.collect(),
            conv_norm_out: norm(first, groups, device),
            conv_out: conv(first, config.out_channels, device),
        }
    }

    /// # Shapes
    /// - x: `[batch, latent_channels, height, width]`
    /// - output: `[batch, out_channels, factor * height, factor * width]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = conv2d(&self.conv_in, x);
        let x = self.mid_block.forward(x);
        let x = self.up_blocks.iter().fold(x, |x, block| block.forward(x));
        conv2d(&self.conv_out, group_norm_silu(&self.conv_norm_out, x))
    }

    pub(super) fn dtype(&self) -> DType {
        arithmetic(&self.conv_in.weight.val())
    }
}

/// The residual blocks of one resolution, and the way to the next.
#[derive(Module, Debug)]
struct UpBlock {
    resnets: Vec<ResnetBlock>,
    upsamplers: Option<[Upsample; 1]>,
}

impl UpBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, resnet| resnet.forward(x));
        self.upsamplers.iter().flatten().fold(x, |x, upsample| upsample.forward(x))
    }
}
