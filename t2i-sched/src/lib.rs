//! Noise schedules, predictions, guidance, noise and samplers for diffusion models. No network, no weights, no files.
//!
//! Sampling is four separate things, and each is replaced on its own:
//!
//! | question | answer |
//! |---|---|
//! | how much noise is in a latent | [`Level`]: `x = alpha * x0 + sigma * eps` |
//! | which levels did the model learn, and what is it told for each | [`Schedule`] |
//! | which levels are visited | a `Vec<Level>`, made by [`spacing`] or found in a [`Plan`] |
//! | what does the network's output mean | [`Prediction`] |
//! | how to get from one level to the next | [`Sampler`]: a struct of [`samplers`], or a closure |
//!
//! A diffusers `scheduler_config.json` answers all of them: [`SchedulerConfig`]. So does a name, as "DPM++ 2M SDE Karras":
//! [`Recipe`]. Trajectories are those of diffusers and k-diffusion to 1e-5, and [`Generator`]'s noise is torch's. A run can
//! be saved in the middle: [`Steps::save`].
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use serde_json::json;
//! use t2i_core::Options;
//! use t2i_sched::{Level, Noise, SchedulerConfig, SharedNoise, steps};
//!
//! let json = json!({ "_class_name": "EulerDiscreteScheduler", "beta_schedule": "scaled_linear" });
//! let config = SchedulerConfig::from_options(Options::from_json("scheduler_config.json", json)?)?;
//! let plan = config.plan(20)?;
//! let mut noise = SharedNoise::seeded(42);
//! let sampler = config.sampler(&plan, &noise);
//! let prediction = config.prediction();
//! # let unet = |x: Tensor<4>, _timestep: f64| x;
//!
//! let x = noise.sample([1, 4, 8, 8], &Device::flex()).mul_scalar(plan.init_scale);
//! let denoise = |x: Tensor<4>, level: Level| {
//!     let output = unet(prediction.input(x.clone(), level), plan.timestep(level));
//!     prediction.x0(output, x, level)
//! };
//! let latent = steps(sampler, x, &plan.levels, denoise).last().map(|step| step.x);
//! # assert!(latent.is_some());
//! # Ok::<(), t2i_core::Error>(())
//! ```
//!
//! Image-to-image takes `let plan = config.plan(20)?.for_strength(0.75)?;` and starts from
//! `plan.levels[0].mix(x0, noise)`.

mod config;
mod guidance;
mod level;
mod memory;
mod names;
mod noise;
mod numpy;
mod plan;
mod prediction;
mod sampler;
pub mod samplers;
mod schedule;
pub mod spacing;

pub use config::{SchedulerConfig, sampler_names};
pub use guidance::{Unconditional, cfg, rescale};
pub use level::Level;
pub use memory::{Keep, Memory, State};
pub use names::{Recipe, SamplerName, Setup, SpacingName};
pub use noise::{Brownian, BrownianTree, Counter, Generator, Noise, Philox, Seeded, SharedNoise, Variation};
pub use plan::Plan;
pub use prediction::{Prediction, Unscaled};
pub use sampler::{BoxedSampler, Denoise, Progress, Sampler, Steps, steps, try_steps};
pub use schedule::{Schedule, cosine, exponential, laplace, linear, scaled_linear, sigmoid, zero_terminal_snr};

/// The examples of the guide compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adding-a-sampler.md")]
struct Guide;
