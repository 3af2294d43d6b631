//! `FlowMatchEulerDiscreteScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use serde_json::json;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, at_most, flow};
use super::super::reader::{Flow, Reader, VisitOptions};
use super::super::{Arguments, Learned};
use crate::samplers::{Euler, Renoise};
use crate::{BoxedSampler, Level, Plan, Prediction, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "FlowMatchEulerDiscreteScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: false };

/// The curves of the flow classes. Two of the options are not of theirs, but a file that states them means them.
#[derive(Debug)]
struct FlowMatchEuler {
    flow: Flow,
    /// The sigmas that the class counts, and the time that the network is told, run towards the image: Mochi.
    inverted: bool,
    /// The clean latent, and fresh noise on it.
    stochastic: bool,
}

fn read(reader: &mut Reader) -> Read {
    let flow = reader.flow(&VisitOptions::SIGMAS)?;
    let inverted = reader.flag("invert_sigmas", false)?;
    let stochastic = reader.flag("stochastic_sampling", false)?;
    if inverted && stochastic {
        let expected = "false, because invert_sigmas is true: the run would end in noise";
        return Err(reader.options.unsupported("stochastic_sampling", &json!(true), expected));
    }
    let schedule = flow.schedule();
    let learned = match inverted {
        true => Learned { schedule: schedule.inverted(), prediction: Prediction::NegativeVelocity },
        false => Learned { schedule, prediction: Prediction::Velocity },
    };
    Ok((learned, Arc::new(FlowMatchEuler { flow, inverted, stochastic })))
}

impl Scheduler for FlowMatchEuler {
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        let plan = flow(learned, &self.flow, steps, arguments)?;
        Ok(if self.inverted { inverted(learned, &self.flow, plan) } else { plan })
    }

    fn sampler(&self, _: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        match self.stochastic {
            true => Box::new(Renoise::new(noise)),
            false => Box::new(Euler),
        }
    }
}

/// The plan in which the network is told the share of the image.
fn inverted(learned: &Learned, flow: &Flow, plan: Plan) -> Plan {
    let image = |level: &Level| 1.0 - level.sigma as f32;
    let timestep = |level: &Level| f64::from(image(level) * flow.train as f32);
    let timesteps = plan.levels[..plan.timesteps.len()].iter().map(timestep).collect();
    let levels = plan.levels.iter().map(|level| Level::flow(1.0 - f64::from(image(level)))).collect();
    Plan::new(plan.steps, levels, timesteps, plan.init_scale, &learned.schedule)
}
