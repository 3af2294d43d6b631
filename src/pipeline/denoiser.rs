//! The model, as a sampler sees it: the network, what it is told, and guidance.

use burn::tensor::Tensor;

use t2i_core::{Error, Result};
use t2i_sched::{Level, Plan, Prediction, Unconditional, cfg, rescale};
use t2i_unet::Conditioned;

use crate::finite::is_finite;

/// Noisy latent and level in, clean latent out.
pub(super) struct Denoiser<'a> {
    /// Told of the negative prompts, then of the prompts, where there is guidance; else of the prompts alone.
    pub(super) unet: Conditioned<'a>,
    pub(super) prediction: Prediction,
    pub(super) plan: Plan,
    pub(super) guidance: Option<f64>,
    pub(super) guidance_rescale: f64,
    /// Where the unconditional answer is left for samplers that look for it.
    pub(super) unconditional: Unconditional,
    /// Inpainting models: mask and masked picture. `[images, 5, height, width]`
    pub(super) masked_picture: Option<Tensor<4>>,
}

impl Denoiser<'_> {
    /// # Errors
    /// If the network gives NaN or infinity.
    pub(super) fn denoise(&mut self, x: Tensor<4>, level: Level) -> Result<Tensor<4>> {
        let timestep = self.plan.timestep(level);
        let input = self.prediction.input(x.clone(), level);
        let input = match &self.masked_picture {
            Some(masked) => Tensor::cat(vec![input, masked.clone()], 1),
            None => input,
        };
        let output = match self.guidance {
            Some(scale) => {
                let [uncond, cond] = self.both(input, timestep);
                self.unconditional.put(self.prediction.x0(uncond.clone(), x.clone(), level));
                self.guided(cond, uncond, scale)
            }
            None => self.predict(input, timestep),
        };
        match is_finite(&output) {
            true => Ok(self.prediction.x0(output, x, level)),
            false => Err(Error::NotFinite {
                stage: format!("the UNet at timestep {timestep}"),
                latent: Some(Box::new(x.into_data())),
            }),
        }
    }

    /// Both halves of classifier-free guidance in one batch: without the prompts, and with them.
    fn both(&self, input: Tensor<4>, timestep: f64) -> [Tensor<4>; 2] {
        let output = self.predict(Tensor::cat(vec![input.clone(), input], 0), timestep);
        output.chunk(2, 0).try_into().expect("an even batch has two halves")
    }

    fn guided(&self, cond: Tensor<4>, uncond: Tensor<4>, scale: f64) -> Tensor<4> {
        let guided = cfg(cond.clone(), uncond, scale);
        match self.guidance_rescale > 0.0 {
            true => rescale(guided, cond, self.guidance_rescale),
            false => guided,
        }
    }

    fn predict(&self, input: Tensor<4>, timestep: f64) -> Tensor<4> {
        let batch = input.dims()[0];
        let timesteps = Tensor::<1>::full([batch], timestep, &input.device());
        self.unet.forward(input, timesteps)
    }
}
