//! `HeunDiscreteScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{Interpolation, MOST_STEPS, at_most, exploding};
use super::super::reader::{Betas, Reader, Threshold, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use super::limited;
use crate::plan::AT_THE_END;
use crate::samplers::Limit;
use crate::{BoxedSampler, Plan, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class =
    Class { name: "HeunDiscreteScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: true };

#[derive(Debug)]
struct Heun {
    visits: Visits,
    limit: Option<Limit>,
}

fn read(reader: &mut Reader) -> Read {
    let schedule = reader.schedule(&Betas { more: &["exp"], ..Betas::LATENT })?;
    let prediction = reader.prediction(Some("sample"))?;
    let heun =
        Heun { visits: reader.visits(&VisitOptions::SIGMAS)?, limit: reader.limit(Some(false), Threshold::Unknown)? };
    Ok((Learned { schedule, prediction }, Arc::new(heun)))
}

impl Scheduler for Heun {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        Ok(Plan { second: AT_THE_END, ..exploding(learned, &self.visits, steps, Interpolation::Linear) })
    }

    fn sampler(&self, _: &Learned, _: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        limited(self.limit, samplers::Heun)
    }
}
