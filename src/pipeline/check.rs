//! Whether a model can start from what a request starts from.

use burn::tensor::Tensor;

use t2i_core::{Error, Result};

use super::Pipeline;
use crate::{Request, Start};

impl Pipeline {
    /// # Errors
    /// If the model was trained for another start, or a tensor of the start has a shape that does not fit.
    pub(super) fn check_start(&self, request: &Request) -> Result<()> {
        if let Some(expected) = self.expected_start(&request.start) {
            let (field, value) = ("start", name(&request.start).to_owned());
            return Err(Error::InvalidValue { field, value, expected: expected.to_owned() });
        }
        let images = request.images();
        match &request.start {
            Start::Noise => Ok(()),
            Start::Image { image } => check_pictures(image, images),
            Start::Inpaint { image, mask } => check_pictures(image, 1).and_then(|()| check_mask(image, mask)),
            Start::Latent { latent } => {
                let [_, _, height, width] = latent.dims();
                fits("latent", latent, [images, self.codec.latent_channels(), height, width])
            }
        }
    }

    /// What the model can start from, if not from this.
    fn expected_start(&self, start: &Start) -> Option<&'static str> {
        let masked = self.is_inpainting_model();
        match start {
            _ if !masked && self.unet.config().in_channels != self.codec.latent_channels() => {
                Some("none: a UNet of this number of input channels is not supported")
            }
            Start::Inpaint { .. } => None,
            _ if masked => Some("a picture with a mask: the model was trained for inpainting"),
            Start::Noise if self.wants_aesthetic_score => Some("a picture or a latent: the model is a refiner"),
            _ => None,
        }
    }
}

fn name(start: &Start) -> &'static str {
    match start {
        Start::Noise => "noise",
        Start::Image { .. } => "a picture",
        Start::Inpaint { .. } => "a picture with a mask",
        Start::Latent { .. } => "a latent",
    }
}

/// One picture for all images, or one for each.
fn check_pictures(pictures: &Tensor<4>, images: usize) -> Result<()> {
    let [n, _, height, width] = pictures.dims();
    let each = if n == images { n } else { 1 };
    fits("image", pictures, [each, 3, height, width])
}

fn check_mask(image: &Tensor<4>, mask: &Tensor<4>) -> Result<()> {
    let [_, _, height, width] = image.dims();
    fits("mask", mask, [1, 1, height, width])
}

fn fits(field: &'static str, tensor: &Tensor<4>, expected: [usize; 4]) -> Result<()> {
    match tensor.dims() == expected {
        true => Ok(()),
        false => {
            Err(Error::InvalidValue { field, value: format!("{:?}", tensor.dims()), expected: format!("{expected:?}") })
        }
    }
}
