//! The latent that a run starts from.

use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

use t2i_core::{Error, Result};
use t2i_sched::{Noise, Plan, SharedNoise};

use super::Pipeline;
use super::defaults::Settings;
use crate::finite::check_finite;
use crate::{Request, Start};

/// Where a run starts.
pub(super) struct Origin {
    /// At the first level of the plan. `[images, 4, height, width]`
    pub(super) x: Tensor<4>,
    /// Of unit variance; absent where another model has begun.
    pub(super) noise: Option<Tensor<4>>,
    /// What stays of the picture, for inpainting.
    pub(super) kept: Option<Kept>,
}

/// What stays of a picture that is inpainted.
pub(super) enum Kept {
    /// The network is shown it: mask and masked picture. `[images, 5, height, width]`
    Shown(Tensor<4>),
    /// The network knows nothing of it.
    Blended {
        /// The picture. `[images, 4, height, width]`
        latent: Tensor<4>,
        /// `[1, 1, height, width]`
        mask: Tensor<4>,
    },
}

/// Makes the latent to start from. Random numbers are drawn in the order of the diffusers pipelines: for the
/// picture's latent, for the noise, for the masked picture's latent.
pub(super) struct Starter<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) request: &'a Request,
    pub(super) settings: &'a Settings,
    pub(super) plan: &'a Plan,
    pub(super) random: SharedNoise,
}

impl Starter<'_> {
    pub(super) fn origin(&mut self) -> Result<Origin> {
        match &self.request.start {
            Start::Noise => self.text_to_image(),
            Start::Image { image } => self.image_to_image(image),
            Start::Inpaint { image, mask } => self.inpainting(image, mask),
            Start::Latent { latent } => Ok(Origin { x: latent.clone(), noise: None, kept: None }),
        }
    }

    fn text_to_image(&mut self) -> Result<Origin> {
        let noise = self.noise()?;
        let x = noise.clone().mul_scalar(self.plan.init_scale);
        Ok(Origin { x, noise: Some(noise), kept: None })
    }

    fn image_to_image(&mut self, image: &Tensor<4>) -> Result<Origin> {
        // One generator draws once a picture; several draw each for its own.
        let [pictures, ..] = image.dims();
        let draws = if self.request.seeds.len() == 1 { pictures } else { self.request.images() };
        let latent = self.latent(image, draws)?;
        let noise = self.noise()?;
        let x = self.plan.levels[0].mix(latent, noise.clone());
        Ok(Origin { x, noise: Some(noise), kept: None })
    }

    fn inpainting(&mut self, image: &Tensor<4>, mask: &Tensor<4>) -> Result<Origin> {
        let trained = self.pipeline.is_inpainting_model();
        let all_noise = self.settings.strength == 1.0;
        let latent = if trained && all_noise { None } else { Some(self.latent(image, 1)?) };
        let noise = self.noise()?;
        let x = match &latent {
            Some(latent) if !all_noise => self.plan.levels[0].mix(latent.clone(), noise.clone()),
            _ => noise.clone().mul_scalar(self.plan.init_scale),
        };
        // The reference encodes the masked picture for every model, and so moves its generator; of several, the first.
        let kept_pixels = image.clone() * mask.clone().lower_elem(0.5).float();
        let masked = self.latent(&kept_pixels, 1)?;
        let [_, _, height, width] = masked.dims();
        let mask = nearest(mask.clone(), [height, width]);
        let kept = match latent {
            Some(latent) if !trained => Kept::Blended { latent, mask },
            _ => {
                let mask = mask.repeat_dim(0, self.request.images());
                Kept::Shown(Tensor::cat(vec![mask, masked], 1))
            }
        };
        Ok(Origin { x, noise: Some(noise), kept: Some(kept) })
    }

    /// The first draw, or what the request gives in its place. `[images, 4, height, width]`
    fn noise(&mut self) -> Result<Tensor<4>> {
        let shape = self.latent_shape();
        let Some(noise) = &self.request.noise else {
            return Ok(self.random.sample(shape, &self.pipeline.device));
        };
        match noise.dims() == shape {
            true => Ok(noise.clone().to_device(&self.pipeline.device)),
            false => Err(Error::InvalidValue {
                field: "noise",
                value: format!("{:?}", noise.dims()),
                expected: format!("{shape:?}"),
            }),
        }
    }

    fn latent_shape(&self) -> [usize; 4] {
        let codec = &self.pipeline.codec;
        let (height, width) = (self.settings.height / codec.factor(), self.settings.width / codec.factor());
        [self.request.images(), codec.latent_channels(), height, width]
    }

    /// Draws of what the codec makes of a picture, repeated for all images. `[images, 4, height, width]`
    fn latent(&mut self, image: &Tensor<4>, draws: usize) -> Result<Tensor<4>> {
        let posterior = self.pipeline.encode(image.clone().to_device(&self.pipeline.device));
        let [_, channels, height, width] = self.latent_shape();
        let latent = match posterior.is_random() {
            true => posterior.sample(self.random.sample([draws, channels, height, width], &self.pipeline.device)),
            false => posterior.mode(),
        };
        let latent = check_finite("the codec's encoder", latent)?;
        let [n, ..] = latent.dims();
        Ok(latent.repeat_dim(0, self.request.images() / n))
    }
}

/// The mask at the size of the latent, as torch's `interpolate` makes it by default.
fn nearest(mask: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    interpolate(mask, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size))
}
