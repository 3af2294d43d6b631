//! What the network is told, and the network that has been told it.

use burn::tensor::{DType, Tensor, assert_shape};
use t2i_kernels::ops::in_pool;

use crate::context::Context;
use crate::unet::UNet;

/// What the network is told besides the latent and the timestep. All in f32.
#[derive(Debug, Clone)]
pub struct Conditioning {
    /// The text. `[batch, tokens, cross_attention_dim]`
    pub context: Tensor<3>,
    /// The text as one vector; Stable Diffusion XL needs it. `[batch, dim]`
    pub pooled: Option<Tensor<2>>,
    /// Sizes in pixels; Stable Diffusion XL needs them. Original height and width, top and left of the crop, and
    /// target height and width; for the refiner the last two are one, the aesthetic score. `[batch, 6]` or `[batch, 5]`
    pub time_ids: Option<Tensor<2>>,
    /// The guidance scale that a latent consistency model shall imitate, by
    /// [`guidance_embedding`](crate::guidance_embedding). `[batch, time_cond_proj_dim]`
    pub guidance: Option<Tensor<2>>,
}

impl Conditioning {
    /// Nothing but text, as Stable Diffusion 1 and 2 want it. `[batch, tokens, cross_attention_dim]`
    pub fn text(context: Tensor<3>) -> Self {
        Self { context, pooled: None, time_ids: None, guidance: None }
    }
}

/// A network that has been told all but the latent and the timestep. What it computes of the text alone, it computes once:
/// [`UNet::conditioned`].
#[derive(Debug)]
pub struct Conditioned<'a> {
    pub(crate) unet: &'a UNet,
    pub(crate) conditioning: Conditioning,
    pub(crate) context: Context,
}

impl Conditioned<'_> {
    /// What the network predicts for a noisy latent. Height and width may be any numbers.
    ///
    /// Inputs and output are f32; the cast to the type in which it computes and back happens here.
    ///
    /// # Shapes
    /// - x: `[batch, in_channels, height, width]`, the batch of the conditioning
    /// - timesteps: `[batch]`, what the schedule says for each sample's noise level; may be fractional
    /// - output: `[batch, out_channels, height, width]`
    ///
    /// # Panics
    /// If the shapes do not agree with each other or the config; if `pooled` or `time_ids` is absent where
    /// [`needs_added_conditioning`](crate::UNetConfig::needs_added_conditioning); if `guidance` is given to a network
    /// without `time_cond_proj_dim`.
    pub fn forward(&self, x: Tensor<4>, timesteps: Tensor<1>) -> Tensor<4> {
        let (unet, config) = (self.unet, self.unet.config());
        let [batch, _, _, _] = x.dims();
        assert_shape!(x, [_, config.in_channels, _, _]);
        assert_shape!(timesteps, [batch]);
        assert_shape!(self.conditioning.context, [batch, _, _]);
        in_pool(&x.device(), || {
            let dtype = unet.dtype();
            let time = unet.embed(timesteps, &self.conditioning, dtype);
            let x = if config.center_input_sample { x * 2.0 - 1.0 } else { x };
            unet.layers(x.cast(dtype), &time, &self.context).cast(DType::F32)
        })
    }
}
