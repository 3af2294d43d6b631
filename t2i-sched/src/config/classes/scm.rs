//! `SCMScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::at_most_timesteps;
use super::super::reader::Reader;
use super::super::{Arguments, Learned};
use crate::samplers::{Fresh, Renoise};
use crate::schedule::linspace_f32;
use crate::{BoxedSampler, Level, Plan, Prediction, Schedule, SharedNoise, Unscaled};

pub(in crate::config) static CLASS: Class = Class { name: "SCMScheduler", read, curves: &[], spaced: false };

/// `max_timesteps`, a little more than pure noise.
#[allow(clippy::approx_constant, reason = "these digits are the reference's")]
const NOISIEST: f32 = 1.5708;

#[derive(Debug)]
struct Scm {
    /// The deviation of latents, and so of their noise.
    sigma_data: f64,
}

fn read(reader: &mut Reader) -> Read {
    reader.one_of("prediction_type", "trigflow", &["trigflow"])?;
    let schedule = Schedule::trigflow(reader.train_timesteps()?);
    let scm = Scm { sigma_data: reader.options.get("sigma_data", 0.5)? };
    Ok((Learned { schedule, prediction: Prediction::Unscaled(Unscaled::V) }, Arc::new(scm)))
}

impl Scheduler for Scm {
    /// The angles of two steps are the class's defaults (`max_timesteps`, `intermediate_timesteps`); other numbers of
    /// steps are evenly spaced, as it has them where it is told to leave the second default out.
    ///
    /// Latents have the deviation `sigma_data`, and so has the noise in a level; the first one is left to the pipeline,
    /// as in diffusers.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        let angles = match steps {
            2 => vec![NOISIEST, 1.3, 0.0],
            _ => linspace_f32(NOISIEST, 0.0, steps + 1),
        };
        let timesteps = angles[..steps].iter().map(|angle| f64::from(*angle)).collect();
        let levels = angles.iter().map(|angle| Level::trigflow(f64::from(*angle))).collect();
        Ok(Plan::new(steps, levels, timesteps, 1.0, &learned.schedule))
    }

    fn sampler(&self, _: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(Renoise::new(Fresh::new(noise).scale(self.sigma_data)))
    }
}
