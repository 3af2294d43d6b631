//! Training of text-to-image models, on any device that Burn differentiates on.
//!
//! | question | answer |
//! |---|---|
//! | what is a step, and what is kept between steps | [`Training`] |

mod clip;
mod ema;
mod learning_rate;
mod parameters;
mod training;

pub use clip::clip_global_norm;
pub use ema::Ema;
pub use learning_rate::{Decay, LearningRate};
pub use training::{Report, Training, TrainingConfig};

pub(crate) use parameters::number_parameters;
