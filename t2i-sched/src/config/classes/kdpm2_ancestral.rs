//! `KDPM2AncestralDiscreteScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::reader::{Reader, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use super::kdpm2::{options, two_calls};
use crate::plan::AT_THE_END;
use crate::{BoxedSampler, Plan, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class =
    Class { name: "KDPM2AncestralDiscreteScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: true };

#[derive(Debug)]
struct Kdpm2Ancestral {
    visits: Visits,
}

fn read(reader: &mut Reader) -> Read {
    let (learned, visits) = options(reader)?;
    Ok((learned, Arc::new(Kdpm2Ancestral { visits })))
}

impl Scheduler for Kdpm2Ancestral {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        // Its list has the next timestep for the one half way.
        Ok(Plan { second: AT_THE_END, ..two_calls(learned, &self.visits, steps, CLASS.name)? })
    }

    fn sampler(&self, _: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(samplers::Kdpm2::ancestral(noise))
    }
}
