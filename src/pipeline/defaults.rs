//! What a request leaves open: the values of the diffusers pipeline that stands for family and task.

use t2i_core::{Error, Family, Result};

use super::Pipeline;
use crate::{Request, Start};

/// A request with nothing left open.
pub(super) struct Settings {
    pub(super) steps: usize,
    /// Scale of classifier-free guidance, `None` where it is off.
    pub(super) guidance: Option<f64>,
    /// The scale itself, for models that are told it.
    pub(super) guidance_scale: f64,
    pub(super) strength: f64,
    /// In pixels.
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Settings {
    pub(super) fn new(pipeline: &Pipeline, request: &Request) -> Result<Self> {
        let guidance_scale = request.guidance.unwrap_or_else(|| guidance(pipeline, &request.start));
        let told_guidance = pipeline.unet.config().time_cond_proj_dim.is_some();
        let (width, height) = size(pipeline, request)?;
        Ok(Self {
            steps: request.steps.unwrap_or(50),
            guidance: (guidance_scale > 1.0 && !told_guidance).then_some(guidance_scale),
            guidance_scale,
            strength: request.strength.unwrap_or_else(|| strength(pipeline.family, &request.start)),
            width,
            height,
        })
    }
}

fn guidance(pipeline: &Pipeline, start: &Start) -> f64 {
    match start {
        Start::Inpaint { .. } => 7.5,
        _ if pipeline.family.is_xl() => 5.0,
        _ => 7.5,
    }
}

fn strength(family: Family, start: &Start) -> f64 {
    match start {
        Start::Image { .. } if family.is_xl() => 0.3,
        Start::Image { .. } => 0.8,
        Start::Inpaint { .. } if family.is_xl() => 0.9999,
        _ => 1.0,
    }
}

/// (width, height): of the picture to start from, or as asked for, or the model's own.
fn size(pipeline: &Pipeline, request: &Request) -> Result<(usize, usize)> {
    let factor = pipeline.codec.factor();
    let started = match &request.start {
        Start::Noise => None,
        Start::Image { image } | Start::Inpaint { image, .. } => Some((image.dims(), 1)),
        Start::Latent { latent } => Some((latent.dims(), factor)),
    };
    let started = started.map(|([_, _, height, width], factor)| (width * factor, height * factor));
    let [height, width] =
        pipeline.unet.config().sample_size.unwrap_or(if pipeline.family.is_xl() { [128; 2] } else { [64; 2] });
    let own = (width * factor, height * factor);
    let width = side("width", request.width, started.map(|s| s.0), own.0)?;
    let height = side("height", request.height, started.map(|s| s.1), own.1)?;
    multiple("width", width, factor)?;
    multiple("height", height, factor)?;
    Ok((width, height))
}

fn side(field: &'static str, asked: Option<usize>, started: Option<usize>, own: usize) -> Result<usize> {
    match (asked, started) {
        (Some(asked), Some(started)) if asked != started => Err(Error::InvalidValue {
            field,
            value: asked.to_string(),
            expected: format!("{started}, as of the picture to start from"),
        }),
        (asked, started) => Ok(asked.or(started).unwrap_or(own)),
    }
}

/// diffusers demands multiples of 8 whatever the codec's factor is.
fn multiple(field: &'static str, value: usize, factor: usize) -> Result<()> {
    let unit = factor.max(8);
    match value > 0 && value.is_multiple_of(unit) {
        true => Ok(()),
        false => Err(Error::InvalidValue {
            field,
            value: value.to_string(),
            expected: format!("a multiple of {unit}, as {} or {}", value - value % unit, value.next_multiple_of(unit)),
        }),
    }
}
