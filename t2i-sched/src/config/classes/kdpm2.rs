//! `KDPM2DiscreteScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{Interpolation, MOST_STEPS, at_most, exploding};
use super::super::reader::{Betas, Curve, Reader, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use crate::plan::HALF_WAY;
use crate::{BoxedSampler, Plan, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class =
    Class { name: "KDPM2DiscreteScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: true };

#[derive(Debug)]
struct Kdpm2 {
    visits: Visits,
}

fn read(reader: &mut Reader) -> Read {
    let (learned, visits) = options(reader)?;
    Ok((learned, Arc::new(Kdpm2 { visits })))
}

/// The options of both classes of this name.
pub(super) fn options(reader: &mut Reader) -> Result<(Learned, Visits)> {
    let schedule = reader.schedule(&Betas::LATENT)?;
    let prediction = reader.prediction(None)?;
    Ok((Learned { schedule, prediction }, reader.visits(&VisitOptions::SIGMAS)?))
}

/// The plan of both: a network is told whole timesteps at the levels of a Karras curve, and parts of them half way.
pub(super) fn two_calls(learned: &Learned, visits: &Visits, steps: usize, class: &str) -> Result<Plan> {
    at_most(steps, MOST_STEPS, class)?;
    let mut plan = exploding(learned, visits, steps, Interpolation::Linear);
    if visits.curve == Curve::Karras {
        plan.timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
        plan.whole_timesteps = plan.timesteps.clone();
    }
    Ok(plan)
}

impl Scheduler for Kdpm2 {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        Ok(Plan { second: HALF_WAY, ..two_calls(learned, &self.visits, steps, CLASS.name)? })
    }

    fn sampler(&self, _: &Learned, _: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(samplers::Kdpm2::new())
    }
}
