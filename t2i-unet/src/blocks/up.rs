//! A block on the way up: `UpBlock2D` and `CrossAttnUpBlock2D`.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use t2i_kernels::ops::concat;

use crate::context::Context;
use crate::resnet::{ResnetBlock, ResnetConfig};
use crate::sampling::{Upsample, UpsampleConfig};
use crate::transformer::{Transformer, TransformerConfig};

/// The layers of an [`UpBlock`].
pub(crate) struct UpBlockConfig {
    pub(crate) resnets: Vec<ResnetConfig>,
    /// One for each residual layer, or none at all.
    pub(crate) attentions: Vec<TransformerConfig>,
    pub(crate) upsample: Option<UpsampleConfig>,
}

/// Residual layers that see a skip connection beside their input, each with a transformer or none, and then the
/// height and width of the next resolution.
#[derive(Module, Debug)]
pub(crate) struct UpBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
    upsamplers: Option<[Upsample; 1]>,
}

impl UpBlockConfig {
    pub(crate) fn init(&self, device: &Device) -> UpBlock {
        UpBlock {
            resnets: self.resnets.iter().map(|resnet| resnet.init(device)).collect(),
            attentions: self.attentions.iter().map(|attention| attention.init(device)).collect(),
            upsamplers: self.upsample.as_ref().map(|upsample| [upsample.init(device)]),
        }
    }
}

impl UpBlock {
    /// Every layer takes the last of `skips`. The output gets the size of the skip that comes next, which is not
    /// always twice its own: an odd size was rounded on the way down.
    ///
    /// # Shapes
    /// - x: `[batch, channels_in, height, width]`
    /// - time: `[batch, time_dim]`
    /// - context: of `[batch, tokens, context_dim]`
    /// - output: `[batch, channels, next height, next width]`
    ///
    /// # Panics
    /// If there are fewer skips than layers.
    pub(crate) fn forward(
        &self,
        mut x: Tensor<4>,
        time: &Tensor<2>,
        context: &Context,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            let skip = skips.pop().expect("every layer on the way up has one on the way down");
            x = resnet.forward(concat(x, skip), time);
            if let Some(attention) = self.attentions.get(layer) {
                x = attention.forward(x, context);
            }
        }
        match (&self.upsamplers, skips.last()) {
            (Some([upsample]), Some(next)) => {
                let [_, _, height, width] = next.dims();
                upsample.forward(x, [height, width])
            }
            _ => x,
        }
    }
}
