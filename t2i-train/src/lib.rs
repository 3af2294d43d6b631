//! Training of text-to-image models, on any device that Burn differentiates on.
//!
//! | question | answer |
//! |---|---|
//! | what is made small | [`DiffusionLoss`], [`CodecLoss`] |
//! | which noise levels a batch has | [`TrainingLevels`] |
//! | what is a step, and what is kept between steps | [`Training`] |
//! | how is it saved and resumed | [`Training::save`], [`Training::resume`] |
//! | how is it watched | [`Display`] |
//! | what learns what a caption means | [`Conditioned`] |
//! | where do the words come from | [`Vocabulary`] |
//! | how does a trained model learn one more thing from a few pictures | [`teach`] |

mod clip;
mod conditioned;
mod display;
mod ema;
mod initialise;
mod learning_rate;
mod levels;
mod loss;
mod parameters;
mod shards;
mod state;
pub mod teach;
mod training;
mod vocabulary;

pub use clip::clip_global_norm;
pub use conditioned::{Batch, Conditioned, step_noise};
pub use display::Display;
pub use ema::Ema;
pub use initialise::initialise;
pub use learning_rate::{Decay, LearningRate};
pub use levels::{SampledLevels, TrainingLevels};
pub use loss::{CodecLoss, DiffusionLoss, Weighting, divergence, spread};
pub use training::{Report, Training, TrainingConfig};
pub use vocabulary::Vocabulary;
