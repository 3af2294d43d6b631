//! Two rows of layers, whose numbers are part of the tensors' names.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig};
use burn::nn::{PaddingConfig2d, Relu};
use burn::tensor::{DType, Device, Tensor};
use t2i_kernels::ops::{arithmetic, conv2d};

use super::AutoencoderTinyConfig;

/// From pixels to latents.
#[derive(Module, Debug)]
pub(super) struct Encoder {
    layers: Vec<Layer>,
}

impl Encoder {
    pub(super) fn init(config: &AutoencoderTinyConfig, device: &Device) -> Self {
        let channels = config.channels;
        let mut layers = Vec::new();
        for (i, blocks) in config.num_encoder_blocks.iter().enumerate() {
            layers.push(Layer::Conv(match i {
                0 => conv(config.in_channels, channels).init(device),
                _ => conv(channels, channels).with_stride([2, 2]).with_bias(false).init(device),
            }));
            layers.extend((0..*blocks).map(|_| Layer::Block(Block::init(channels, device))));
        }
        layers.push(Layer::Conv(conv(channels, config.latent_channels).init(device)));
        Self { layers }
    }

    /// # Shapes
    /// - x: in [-1, 1], `[batch, in_channels, height, width]`
    /// - output: `[batch, latent_channels, height / factor, width / factor]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.layers.iter().fold((x + 1.0) / 2.0, |x, layer| layer.forward(x))
    }
}

/// From latents to pixels.
#[derive(Module, Debug)]
pub(super) struct Decoder {
    layers: Vec<Layer>,
}

impl Decoder {
    pub(super) fn init(config: &AutoencoderTinyConfig, device: &Device) -> Self {
        let channels = config.channels;
        let first = conv(config.latent_channels, channels).init(device);
        let mut layers = vec![Layer::Conv(first), Layer::Relu(Relu::new())];
        let last = config.num_decoder_blocks.len() - 1;
        for (i, blocks) in config.num_decoder_blocks.iter().enumerate() {
            layers.extend((0..*blocks).map(|_| Layer::Block(Block::init(channels, device))));
            if i < last {
                let twice = Interpolate2dConfig::new().with_scale_factor(Some([2.0, 2.0]));
                layers.push(Layer::Upsample(twice.init()));
                layers.push(Layer::Conv(conv(channels, channels).with_bias(false).init(device)));
            }
        }
        layers.push(Layer::Conv(conv(channels, config.out_channels).init(device)));
        Self { layers }
    }

    /// # Shapes
    /// - x: `[batch, latent_channels, height, width]`
    /// - output: in [-1, 1] but for overshoot, `[batch, out_channels, factor * height, factor * width]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        // A soft clamp to [-3, 3].
        let x = (x / 3.0).tanh() * 3.0;
        self.layers.iter().fold(x, |x, layer| layer.forward(x)) * 2.0 - 1.0
    }

    pub(super) fn dtype(&self) -> DType {
        match &self.layers[0] {
            Layer::Conv(conv) => arithmetic(&conv.weight.val()),
            _ => unreachable!("the first layer of a decoder is a convolution"),
        }
    }
}

#[derive(Module, Debug)]
enum Layer {
    Conv(Conv2d),
    Relu(Relu),
    Block(Block),
    Upsample(Interpolate2d),
}

impl Layer {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv2d(conv, x),
            Self::Relu(relu) => relu.forward(x),
            Self::Block(block) => block.forward(x),
            Self::Upsample(upsample) => upsample.forward(x),
        }
    }
}

/// `relu(x + f(x))`, where `f` is three convolutions with ReLU in between.
#[derive(Module, Debug)]
struct Block {
    conv: (Conv2d, Relu, Conv2d, Relu, Conv2d),
}

impl Block {
    fn init(channels: usize, device: &Device) -> Self {
        let conv = || conv(channels, channels).init(device);
        Self { conv: (conv(), Relu::new(), conv(), Relu::new(), conv()) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (conv0, relu1, conv2, relu3, conv4) = &self.conv;
        let h = relu1.forward(conv2d(conv0, x.clone()));
        let h = relu3.forward(conv2d(conv2, h));
        Relu::new().forward(conv2d(conv4, h) + x)
    }
}

/// A 3x3 convolution with one pixel of padding.
fn conv(from: usize, to: usize) -> Conv2dConfig {
    Conv2dConfig::new([from, to], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
}
