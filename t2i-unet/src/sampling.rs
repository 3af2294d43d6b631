//! From one resolution to the next.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};
use t2i_kernels::ops::{conv2d, resize_nearest};

/// What a [`Downsample`] looks like.
pub(crate) struct DownsampleConfig {
    pub(crate) channels: usize,
    /// Zeros around the input: 1 on every side, or 0 for one row below and one column to the right.
    pub(crate) padding: usize,
}

/// What an [`Upsample`] looks like.
pub(crate) struct UpsampleConfig {
    pub(crate) channels: usize,
}

/// Half the height and width, by a convolution of stride 2.
#[derive(Module, Debug)]
pub(crate) struct Downsample {
    conv: Conv2d,
}

/// Nearest neighbours, then a convolution.
#[derive(Module, Debug)]
pub(crate) struct Upsample {
    conv: Conv2d,
}

impl DownsampleConfig {
    pub(crate) fn init(&self, device: &Device) -> Downsample {
        let padding = match self.padding {
            0 => PaddingConfig2d::Explicit(0, 0, 1, 1),
            p => PaddingConfig2d::Explicit(p, p, p, p),
        };
        let conv = Conv2dConfig::new([self.channels, self.channels], [3, 3]).with_stride([2, 2]).with_padding(padding);
        Downsample { conv: conv.init(device) }
    }
}

impl UpsampleConfig {
    pub(crate) fn init(&self, device: &Device) -> Upsample {
        Upsample { conv: same_size_conv([self.channels, self.channels], 3, device) }
    }
}

impl Downsample {
    /// # Shapes
    /// - x: `[batch, channels, height, width]`
    /// - output: `[batch, channels, height / 2, width / 2]`, halves rounded up (down, without padding)
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv2d(&self.conv, x)
    }
}

impl Upsample {
    /// # Shapes
    /// - x: `[batch, channels, _, _]`
    /// - output: `[batch, channels, height, width]`
    pub(crate) fn forward(&self, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        conv2d(&self.conv, resize_nearest(x, size))
    }
}

/// A convolution with an odd kernel that keeps height and width.
pub(crate) fn same_size_conv(channels: [usize; 2], kernel: usize, device: &Device) -> Conv2d {
    let p = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel]).with_padding(PaddingConfig2d::Explicit(p, p, p, p)).init(device)
}
