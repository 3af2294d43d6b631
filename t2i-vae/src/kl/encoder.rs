//! From pixels to the moments of latents.

use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use t2i_kernels::ops::{conv2d, group_norm_silu};

use super::AutoencoderKlConfig;
use super::blocks::{Downsample, MidBlock, ResnetBlock, conv, norm};

#[derive(Module, Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    pub(super) fn init(config: &AutoencoderKlConfig, device: &Device) -> Self {
        let (channels, groups) = (&config.block_out_channels, config.norm_num_groups);
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let attentions = usize::from(config.mid_block_add_attention);
        let before = [first].into_iter().chain(channels.iter().copied());
        let down_blocks = before.zip(channels).enumerate().map(|(i, (from, to))| DownBlock {
            resnets: (0..config.layers_per_block)
                .map(|layer| ResnetBlock::init([if layer == 0 { from } else { *to }, *to], groups, device))
                .collect(),
            downsamplers: (i + 1 < channels.len()).then(|| [Downsample::init(*to, device)]),
        });
        Self {
            conv_in: conv(config.in_channels, first, device),
            down_blocks: down_blocks.collect(),
            mid_block: MidBlock::init(last, groups, attentions, device),
            conv_norm_out: norm(last, groups, device),
            conv_out: conv(last, 2 * config.latent_channels, device),
        }
    }

    /// # Shapes
    /// - x: `[batch, in_channels, height, width]`
    /// - output: `[batch, 2 * latent_channels, height / factor, width / factor]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = conv2d(&self.conv_in, x);
        let x = self.down_blocks.iter().fold(x, |x, block| block.forward(x));
        let x = self.mid_block.forward(x);
        conv2d(&self.conv_out, group_norm_silu(&self.conv_norm_out, x))
    }
}

/// The residual blocks of one resolution, and the way to the next.
#[derive(Module, Debug)]
struct DownBlock {
    resnets: Vec<ResnetBlock>,
    downsamplers: Option<[Downsample; 1]>,
}

impl DownBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, resnet| resnet.forward(x));
        self.downsamplers.iter().flatten().fold(x, |x, downsample| downsample.forward(x))
    }
}
