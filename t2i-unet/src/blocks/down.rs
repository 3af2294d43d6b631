//! A block on the way down: `DownBlock2D` and `CrossAttnDownBlock2D`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::context::Context;
use crate::resnet::{ResnetBlock, ResnetConfig};
use crate::sampling::{Downsample, DownsampleConfig};
use crate::transformer::{Transformer, TransformerConfig};

/// The layers of a [`DownBlock`].
pub(crate) struct DownBlockConfig {
    pub(crate) resnets: Vec<ResnetConfig>,
    /// One for each residual layer, or none at all.
    pub(crate) attentions: Vec<TransformerConfig>,
    pub(crate) downsample: Option<DownsampleConfig>,
}

/// Residual layers, each with a transformer or none, and then half the height and width.
#[derive(Module, Debug)]
pub(crate) struct DownBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
    downsamplers: Option<[Downsample; 1]>,
}

impl DownBlockConfig {
    pub(crate) fn init(&self, device: &Device) -> DownBlock {
        DownBlock {
            resnets: self.resnets.iter().map(|resnet| resnet.init(device)).collect(),
            attentions: self.attentions.iter().map(|attention| attention.init(device)).collect(),
            downsamplers: self.downsample.as_ref().map(|downsample| [downsample.init(device)]),
        }
    }
}

impl DownBlock {
    /// The output of every layer goes to `skips`, for the way up.
    ///
    /// # Shapes
    /// - x: `[batch, channels_in, height, width]`
    /// - time: `[batch, time_dim]`
    /// - context: of `[batch, tokens, context_dim]`
    /// - output: `[batch, channels, height / 2, width / 2]`, halves rounded up
    pub(crate) fn forward(
        &self,
        mut x: Tensor<4>,
        time: &Tensor<2>,
        context: &Context,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(x, time);
            if let Some(attention) = self.attentions.get(layer) {
                x = attention.forward(x, context);
            }
            skips.push(x.clone());
        }
        if let Some([downsample]) = &self.downsamplers {
            x = downsample.forward(x);
            skips.push(x.clone());
        }
        x
    }
}
