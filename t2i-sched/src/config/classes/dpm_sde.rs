//! `DPMSolverSDEScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{Interpolation, MOST_STEPS, at_most, exploding};
use super::super::reader::{Betas, Reader, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use super::lms::own_range;
use crate::plan::HALF_WAY;
use crate::{BoxedSampler, Plan, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class =
    Class { name: "DPMSolverSDEScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: true };

#[derive(Debug)]
struct DpmSde {
    visits: Visits,
    /// That of the Brownian path. Without one the reference takes it from the global generator, and this from the run's.
    seed: Option<u64>,
}

fn read(reader: &mut Reader) -> Read {
    let schedule = reader.schedule(&Betas::LATENT)?;
    let prediction = reader.prediction(None)?;
    let visits = own_range(reader.visits(&VisitOptions::SIGMAS)?);
    let seed = reader.options.get("noise_sampler_seed", None)?;
    Ok((Learned { schedule, prediction }, Arc::new(DpmSde { visits, seed })))
}

impl Scheduler for DpmSde {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        Ok(Plan { second: HALF_WAY, ..exploding(learned, &self.visits, steps, Interpolation::LinearInF64) })
    }

    fn sampler(&self, _: &Learned, plan: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(samplers::BrownianSde::new(plan.whole.clone(), self.seed, noise))
    }
}
