//! `DDIMScheduler` and `DDIMParallelScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{at_most_timesteps, end_of_ladder, integer_timesteps, table};
use super::super::reader::{Betas, Reader, Threshold, VisitOptions, Visits, ZeroSnr};
use super::super::{Arguments, Learned};
use crate::samplers::{self, Ladder, Landing, Limit};
use crate::{BoxedSampler, Level, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class = Class { name: "DDIMScheduler", read, curves: &[], spaced: true };

/// The same numbers under another name: what is parallel in it is up to its pipeline.
pub(in crate::config) static PARALLEL: Class = Class { name: "DDIMParallelScheduler", read, curves: &[], spaced: true };

#[derive(Debug)]
struct Ddim {
    visits: Visits,
    limit: Option<Limit>,
    /// The level below timestep 0.
    last: Level,
}

fn read(reader: &mut Reader) -> Read {
    let schedule = reader.schedule(&Betas { zero_snr: ZeroSnr::Exact, ..Betas::DDPM })?;
    let prediction = reader.prediction(Some("sample"))?;
    let ddim = Ddim {
        visits: reader.visits(&VisitOptions::TIMESTEPS)?,
        limit: reader.limit(Some(true), Threshold::Known)?,
        last: reader.last(&schedule, true)?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(ddim)))
}

impl Scheduler for Ddim {
    /// Levels of the table, and the level one stride below the last of them.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        let timesteps = integer_timesteps(learned, &self.visits, steps);
        let end = end_of_ladder(learned, steps, self.last, &timesteps);
        table(learned, steps, timesteps, end)
    }

    fn sampler(
        &self,
        learned: &Learned,
        plan: &Plan,
        noise: SharedNoise,
        arguments: &Arguments,
    ) -> BoxedSampler<'static> {
        let ddim = match arguments.eta {
            Some(eta) if eta > 0.0 => samplers::Ddim::stochastic(eta, noise),
            _ => samplers::Ddim::new(),
        };
        let ddim = match self.limit {
            Some(limit) => ddim.limited(limit),
            None => ddim,
        };
        Box::new(Landing::new(ddim, Ladder::new(learned.schedule.clone(), plan.steps, self.last)))
    }
}
