//! `TCDScheduler`.

use std::sync::Arc;

use t2i_core::{Error, Result};

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{at_most_timesteps, table, wrong_steps};
use super::super::reader::{Betas, Reader, ZeroSnr};
use super::super::{Arguments, Learned};
use super::lcm::distilled;
use super::starts;
use crate::{BoxedSampler, Plan, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class = Class { name: "TCDScheduler", read, curves: &[], spaced: false };

/// The default of `eta` in the reference's `step`.
const GAMMA: f64 = 0.3;

#[derive(Debug)]
struct Tcd {
    /// How many timesteps the model was distilled at.
    original_steps: usize,
}

/// The reference has the options of LCM's class, and uses neither limits on clean latents, nor `set_alpha_to_one`, nor
/// `timestep_scaling`: it ends at the level of timestep 0.
fn read(reader: &mut Reader) -> Read {
    let betas = Betas { schedule: "scaled_linear", zero_snr: ZeroSnr::Exact, ..Betas::LATENT };
    let schedule = reader.schedule(&betas)?;
    let prediction = reader.prediction(Some("sample"))?;
    let tcd = Tcd {
        original_steps: reader.checked("original_inference_steps", 50, "1 to num_train_timesteps", |n| {
            (1..=schedule.len()).contains(n)
        })?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(tcd)))
}

impl Scheduler for Tcd {
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        self.plan_for_strength(learned, steps, 1.0, arguments)
    }

    /// All `steps` are taken, from `strength` of the original ones.
    fn plan_for_strength(&self, learned: &Learned, steps: usize, strength: f64, arguments: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        let eta = arguments.eta.unwrap_or(GAMMA);
        if !(0.0..=1.0).contains(&eta) {
            let (value, expected) = (eta.to_string(), format!("in [0, 1] for {}", CLASS.name));
            return Err(Error::InvalidValue { field: "eta", value, expected });
        }
        if !(strength > 0.0 && strength <= 1.0) {
            let (value, expected) = (strength.to_string(), "in (0, 1]".to_owned());
            return Err(Error::InvalidValue { field: "strength", value, expected });
        }
        let timesteps = distilled(learned, steps, self.original_steps, strength)?;
        match timesteps.last() {
            Some(last) if *last >= 0.0 => table(learned, steps, timesteps, learned.schedule.level(0)),
            _ => Err(wrong_steps(steps, "such that all timesteps are in the schedule".to_owned())),
        }
    }

    fn sampler(
        &self,
        learned: &Learned,
        plan: &Plan,
        noise: SharedNoise,
        arguments: &Arguments,
    ) -> BoxedSampler<'static> {
        let gamma = arguments.eta.unwrap_or(GAMMA);
        let last = starts(plan).last().copied();
        Box::new(samplers::Tcd::new(noise, learned.schedule.clone(), gamma).last(last))
    }
}
