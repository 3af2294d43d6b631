//! `FlowMatchHeunDiscreteScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, at_most, flow};
use super::super::reader::{Flow, Reader};
use super::super::{Arguments, Learned};
use crate::plan::AT_THE_END;
use crate::samplers::FlowHeun;
use crate::{BoxedSampler, Plan, Prediction, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "FlowMatchHeunDiscreteScheduler", read, curves: &[], spaced: false };

#[derive(Debug)]
struct FlowMatchHeun {
    flow: Flow,
}

fn read(reader: &mut Reader) -> Read {
    let flow = reader.plain_flow()?;
    let learned = Learned { schedule: flow.schedule(), prediction: Prediction::Velocity };
    Ok((learned, Arc::new(FlowMatchHeun { flow })))
}

impl Scheduler for FlowMatchHeun {
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        Ok(Plan { second: AT_THE_END, ..flow(learned, &self.flow, steps, arguments)? })
    }

    fn sampler(&self, _: &Learned, _: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(FlowHeun)
    }
}
