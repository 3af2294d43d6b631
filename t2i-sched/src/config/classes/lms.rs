//! `LMSDiscreteScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{Interpolation, MOST_STEPS, at_most, exploding};
use super::super::reader::{Betas, Curve, Reader, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use super::skipped;
use crate::{BoxedSampler, Plan, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class =
    Class { name: "LMSDiscreteScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: true };

#[derive(Debug)]
struct Lms {
    visits: Visits,
}

fn read(reader: &mut Reader) -> Read {
    let schedule = reader.schedule(&Betas::DDPM)?;
    let prediction = reader.prediction(Some("sample"))?;
    let visits = own_range(reader.visits(&VisitOptions::SIGMAS)?);
    Ok((Learned { schedule, prediction }, Arc::new(Lms { visits })))
}

/// This class's Karras curve goes between the ends of the timesteps, whatever the file says of `sigma_min` and
/// `sigma_max`; its other curves heed them.
pub(super) fn own_range(visits: Visits) -> Visits {
    match visits.curve {
        Curve::Karras => Visits { sigma_min: None, sigma_max: None, ..visits },
        _ => visits,
    }
}

impl Scheduler for Lms {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        Ok(exploding(learned, &self.visits, steps, Interpolation::Linear))
    }

    /// Of order 4, the default of the reference's `step`.
    fn sampler(&self, _: &Learned, plan: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(samplers::Lms::new(4).after(skipped(plan)))
    }
}
