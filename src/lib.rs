//! Text-to-image in Rust, on any device.
//!
//! A [`Pipeline`] is a loaded checkpoint; a [`Request`] is what one call asks of it.
//!
//! ```no_run
//! use t2i::prelude::*;
//!
//! let pipeline = Pipeline::load("stable-diffusion-v1-5", &t2i::device("flex")?, FloatDType::F32)?;
//! let request = Request { steps: Some(20), ..Request::new("a lighthouse at night") };
//! let pictures = pipeline.generate(&request)?;
//! t2i::write_png("lighthouse.png", pictures.pixels)?;
//! # Ok::<(), t2i::Error>(())
//! ```
//!
//! Every arrow of a pipeline is one public call of one crate, so that it can be entered, left or replaced anywhere:
//!
//! | arrow | crate |
//! |---|---|
//! | prompt -> tokens -> context | [`text`] |
//! | (noise level, latent, context) -> prediction | [`unet`] |
//! | prediction -> x0, step by step -> latent | [`sched`] |
//! | picture <-> latent | [`vae`] |
//! | files -> weights, configs, pictures | [`core`] |

mod device;
mod finite;
mod pipeline;
mod prompt;
mod request;

pub use t2i_core as core;
pub use t2i_sched as sched;
pub use t2i_text as text;
pub use t2i_unet as unet;
pub use t2i_vae as vae;

pub use device::{DEVICES, device};
pub use pipeline::{Parts, Pictures, Pipeline, Run};
pub use prompt::TextEncoder;
pub use request::{Encoded, NegativeSizes, Request, SizeConditioning, Start};
pub use t2i_core::{Error, LearnedEmbedding, Lora, LoraFormat, LoraLayer, Result, inspect, read_tensor, write_tensors};
pub use t2i_core::{read_image, read_image_resized, read_mask, read_mask_resized, write_png};

/// What most programs need.
pub mod prelude {
    pub use crate::{NegativeSizes, Pictures, Pipeline, Request, Run, SizeConditioning, Start};
    pub use burn::tensor::{Device, FloatDType, Tensor};
    pub use t2i_sched::{Denoise, Level, Progress, Sampler, SchedulerConfig};
}
