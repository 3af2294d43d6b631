//! `DDIMInverseScheduler`.

use std::sync::Arc;

use serde_json::{Value, json};
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{at_most_timesteps, integer_timesteps, table};
use super::super::reader::{Betas, Reader, Spacing, Threshold, VisitOptions, Visits, ZeroSnr};
use super::super::{Arguments, Learned};
use crate::samplers::{self, Ladder, Limit};
use crate::{BoxedSampler, Level, Plan, Prediction, SharedNoise};

pub(in crate::config) static CLASS: Class = Class { name: "DDIMInverseScheduler", read, curves: &[], spaced: true };

#[derive(Debug)]
struct DdimInverse {
    visits: Visits,
    limit: Option<Limit>,
    /// The level below timestep 0.
    first: Level,
}

fn read(reader: &mut Reader) -> Read {
    let schedule = reader.schedule(&Betas { zero_snr: ZeroSnr::Exact, ..Betas::DDPM })?;
    let prediction = reader.prediction(Some("sample"))?;
    let visits = reader.visits(&VisitOptions::TIMESTEPS)?;
    if visits.spacing == Spacing::Linspace {
        let expected = "leading or trailing for DDIMInverseScheduler";
        return Err(reader.options.unsupported("timestep_spacing", &json!("linspace"), expected));
    }
    let clean = reader.flag("set_alpha_to_one", true)?;
    // An older name of the option, which wins.
    let clean = match reader.options.peek("set_alpha_to_zero") {
        None | Some(Value::Null) => clean,
        Some(_) => reader.flag("set_alpha_to_zero", true)?,
    };
    if clean && prediction == Prediction::Sample {
        let expected = "false for prediction_type sample, which does not say the noise of a clean latent";
        return Err(reader.options.unsupported("set_alpha_to_one", &json!(true), expected));
    }
    let ends_in_noise = schedule.level(schedule.len() - 1).alpha == 0.0;
    if ends_in_noise && prediction == Prediction::Epsilon {
        let expected = "v_prediction or sample where rescale_betas_zero_snr is true";
        return Err(reader.options.unsupported("prediction_type", &json!("epsilon"), expected));
    }
    let first = if clean { Level::CLEAN } else { schedule.level(0) };
    let inverse = DdimInverse { visits, limit: reader.limit(Some(true), Threshold::Unknown)?, first };
    Ok((Learned { schedule, prediction }, Arc::new(inverse)))
}

impl DdimInverse {
    fn ladder(&self, learned: &Learned, steps: usize) -> Ladder {
        Ladder::new(learned.schedule.clone(), steps, self.first)
    }
}

impl Scheduler for DdimInverse {
    /// Levels upwards. The network is told the timestep of a step's end: [`Plan::timestep`] knows it by that level.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        let mut timesteps = integer_timesteps(learned, &self.visits, steps);
        timesteps.reverse();
        let mut levels = table(learned, steps, timesteps.clone(), Level::CLEAN)?.levels;
        levels.pop();
        let ladder = self.ladder(learned, steps);
        levels.insert(0, ladder.below(levels[0]).unwrap_or(self.first));
        let told = [0.0].into_iter().chain(timesteps.iter().copied()).collect();
        Ok(Plan { whole_timesteps: told, ..Plan::new(steps, levels, timesteps, 1.0, &learned.schedule) })
    }

    fn sampler(&self, learned: &Learned, plan: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let sampler = samplers::DdimInverse::new(learned.prediction, self.ladder(learned, plan.steps));
        Box::new(match self.limit {
            Some(limit) => sampler.limited(limit),
            None => sampler,
        })
    }
}
