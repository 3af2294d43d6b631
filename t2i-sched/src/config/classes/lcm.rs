//! `LCMScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{at_most_timesteps, table, wrong_steps};
use super::super::reader::{Betas, Reader, Threshold, ZeroSnr};
use super::super::{Arguments, Learned};
use super::limited;
use crate::samplers::{self, Limit};
use crate::{BoxedSampler, Level, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class = Class { name: "LCMScheduler", read, curves: &[], spaced: false };

#[derive(Debug)]
struct Lcm {
    limit: Option<Limit>,
    /// How many timesteps the model was distilled at.
    original_steps: usize,
    timestep_scaling: f64,
}

fn read(reader: &mut Reader) -> Read {
    let betas = Betas { schedule: "scaled_linear", zero_snr: ZeroSnr::Exact, ..Betas::LATENT };
    let schedule = reader.schedule(&betas)?;
    let prediction = reader.prediction(Some("sample"))?;
    let lcm = Lcm {
        limit: reader.limit(Some(false), Threshold::Known)?,
        original_steps: reader.checked("original_inference_steps", 50, "1 to num_train_timesteps", |n| {
            (1..=schedule.len()).contains(n)
        })?,
        timestep_scaling: reader.options.get("timestep_scaling", 10.0)?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(lcm)))
}

impl Scheduler for Lcm {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        table(learned, steps, distilled(learned, steps, self.original_steps, 1.0)?, Level::CLEAN)
    }

    /// All `steps` are taken, from `strength` of the original ones.
    fn plan_for_strength(&self, learned: &Learned, steps: usize, strength: f64, on: &Arguments) -> Result<Plan> {
        if steps == 0 || !(strength > 0.0 && strength <= 1.0) {
            return self.plan(learned, steps, on)?.for_strength(strength);
        }
        table(learned, steps, distilled(learned, steps, self.original_steps, strength)?, Level::CLEAN)
    }

    fn sampler(&self, learned: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        limited(self.limit, samplers::Lcm::new(noise, learned.schedule.clone(), self.timestep_scaling))
    }
}

/// Every so many of the `strength` share of the timesteps that the model was distilled at.
pub(in crate::config) fn distilled(
    learned: &Learned,
    steps: usize,
    original_steps: usize,
    strength: f64,
) -> Result<Vec<f64>> {
    let stride = learned.schedule.len() / original_steps;
    let available = (original_steps as f64 * strength) as usize;
    if steps > available {
        return Err(wrong_steps(steps, format!("1 to {available}, the original steps at strength {strength}")));
    }
    let origin = |i: usize| ((available - i) * stride) as f64 - 1.0; // noisiest first
    let index = |i: usize| (i as f64 * (available as f64 / steps as f64)).floor() as usize;
    Ok((0..steps).map(|i| origin(index(i))).collect())
}
