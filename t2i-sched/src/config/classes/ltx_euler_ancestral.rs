//! `LTXEulerAncestralRFScheduler`.

use std::sync::Arc;

use serde_json::json;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, at_most, flow};
use super::super::reader::{Flow, Reader, VisitOptions};
use super::super::{Arguments, Learned};
use crate::samplers::{EulerAncestralRf, Fresh};
use crate::{BoxedSampler, Plan, Prediction, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "LTXEulerAncestralRFScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: false };

#[derive(Debug)]
struct LtxEulerAncestral {
    flow: Flow,
    eta: f64,
    noise_scale: f64,
}

/// The class has three options, and makes its levels by a `FlowMatchEulerDiscreteScheduler` of the whole file.
fn read(reader: &mut Reader) -> Read {
    let flow = reader.flow(&VisitOptions::SIGMAS)?;
    if reader.flag("invert_sigmas", false)? {
        return Err(reader.options.unsupported("invert_sigmas", &json!(true), "false: its steps lead to less noise"));
    }
    let sampler = LtxEulerAncestral {
        eta: reader.options.get("eta", 1.0)?,
        noise_scale: reader.options.get("s_noise", 1.0)?,
        flow,
    };
    let learned = Learned { schedule: sampler.flow.schedule(), prediction: Prediction::Velocity };
    Ok((learned, Arc::new(sampler)))
}

impl Scheduler for LtxEulerAncestral {
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        flow(learned, &self.flow, steps, arguments)
    }

    fn sampler(&self, _: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let none = self.eta <= 0.0 || self.noise_scale <= 0.0;
        let scale = if none { 0.0 } else { self.noise_scale };
        Box::new(EulerAncestralRf::new(Fresh::new(noise).eta(self.eta).scale(scale)))
    }
}
