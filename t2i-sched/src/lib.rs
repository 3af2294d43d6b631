//! Noise schedules, predictions, guidance, noise and samplers for diffusion models.

mod config;
mod guidance;
mod level;
mod noise;
mod plan;
mod prediction;
mod sampler;
pub mod samplers;
mod schedule;
pub mod spacing;

pub use config::{SchedulerConfig, sampler_names};
pub use guidance::{cfg, rescale};
pub use level::Level;
pub use noise::{Generator, Noise, SharedNoise};
pub use plan::Plan;
pub use prediction::Prediction;
pub use sampler::{BoxedSampler, Denoise, Progress, Sampler, steps, try_steps};
pub use schedule::{Schedule, cosine, exponential, laplace, linear, scaled_linear, sigmoid, zero_terminal_snr};
