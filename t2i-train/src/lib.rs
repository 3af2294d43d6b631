//! Training of text-to-image models, on any device that Burn differentiates on.
//!
//! | question | answer |
//! |---|---|
//! | what is made small | [`DiffusionLoss`], [`CodecLoss`] |
//! | which noise levels a batch has | [`TrainingLevels`] |
//! | what is a step, and what is kept between steps | [`Training`] |

mod clip;
mod ema;
mod learning_rate;
mod levels;
mod loss;
mod parameters;
mod training;

pub use clip::clip_global_norm;
pub use ema::Ema;
pub use learning_rate::{Decay, LearningRate};
pub use levels::{SampledLevels, TrainingLevels};
pub use loss::{CodecLoss, DiffusionLoss, Weighting, divergence, spread};
pub use training::{Report, Training, TrainingConfig};

pub(crate) use parameters::number_parameters;
