//! The block at the coarsest resolution: `UNetMidBlock2D` and `UNetMidBlock2DCrossAttn`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::context::Context;
use crate::resnet::{ResnetBlock, ResnetConfig};
use crate::transformer::{Transformer, TransformerConfig};

/// The layers of a [`MidBlock`].
pub(crate) struct MidBlockConfig {
    pub(crate) resnets: Vec<ResnetConfig>,
    /// One less than residual layers.
    pub(crate) attentions: Vec<TransformerConfig>,
}

/// Residual layers with transformers between them.
#[derive(Module, Debug)]
pub(crate) struct MidBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
}

impl MidBlockConfig {
    pub(crate) fn init(&self, device: &Device) -> MidBlock {
        MidBlock {
            resnets: self.resnets.iter().map(|resnet| resnet.init(device)).collect(),
            attentions: self.attentions.iter().map(|attention| attention.init(device)).collect(),
        }
    }
}

impl MidBlock {
    /// # Shapes
    /// - x, output: `[batch, channels, height, width]`
    /// - time: `[batch, time_dim]`
    /// - context: of `[batch, tokens, context_dim]`
    pub(crate) fn forward(&self, mut x: Tensor<4>, time: &Tensor<2>, context: &Context) -> Tensor<4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(x, time);
            if let Some(attention) = self.attentions.get(layer) {
                x = attention.forward(x, context);
            }
        }
        x
    }
}
