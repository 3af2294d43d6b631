//! `EulerAncestralDiscreteScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{Interpolation, MOST_STEPS, at_most, exploding};
use super::super::reader::{Betas, Reader, VisitOptions, Visits, ZeroSnr};
use super::super::{Arguments, Learned};
use crate::{BoxedSampler, Plan, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class =
    Class { name: "EulerAncestralDiscreteScheduler", read, curves: &[], spaced: true };

#[derive(Debug)]
struct EulerAncestral {
    visits: Visits,
}

fn read(reader: &mut Reader) -> Read {
    let schedule = reader.schedule(&Betas { zero_snr: ZeroSnr::Finite, ..Betas::DDPM })?;
    let prediction = reader.prediction(None)?;
    let visits = reader.visits(&VisitOptions { spacing: "linspace", ..VisitOptions::TIMESTEPS })?;
    Ok((Learned { schedule, prediction }, Arc::new(EulerAncestral { visits })))
}

impl Scheduler for EulerAncestral {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        Ok(exploding(learned, &self.visits, steps, Interpolation::Linear))
    }

    fn sampler(&self, _: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(samplers::EulerAncestral::new(noise))
    }
}
