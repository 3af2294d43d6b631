//! `FlowMatchLCMScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use serde_json::{Value, json};

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, at_most, flow};
use super::super::reader::{Flow, Reader, VisitOptions};
use super::super::{Arguments, Learned};
use crate::samplers::Renoise;
use crate::{BoxedSampler, Plan, Prediction, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "FlowMatchLCMScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: false };

#[derive(Debug)]
struct FlowMatchLcm {
    flow: Flow,
}

fn read(reader: &mut Reader) -> Read {
    one_size(reader)?;
    if reader.flag("invert_sigmas", false)? {
        let expected = "false: with fresh noise the run would end in noise";
        return Err(reader.options.unsupported("invert_sigmas", &json!(true), expected));
    }
    let flow = reader.flow(&VisitOptions::SIGMAS)?;
    let learned = Learned { schedule: flow.schedule(), prediction: Prediction::Velocity };
    Ok((learned, Arc::new(FlowMatchLcm { flow })))
}

/// Refuses latents that grow from step to step. Either option turns that off.
fn one_size(reader: &mut Reader) -> Result<()> {
    let off = [Value::Null, json!(""), json!([])];
    match reader.options.peek("upscale_mode") {
        Some(mode) if off.contains(mode) => Ok(()),
        _ => match reader.options.peek("scale_factors") {
            Some(factors) if !off.contains(factors) => {
                let expected = "null, because a run has one resolution";
                Err(reader.options.unsupported("scale_factors", factors, expected))
            }
            _ => Ok(()),
        },
    }
}

impl Scheduler for FlowMatchLcm {
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        flow(learned, &self.flow, steps, arguments)
    }

    fn sampler(&self, _: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(Renoise::new(noise))
    }
}
