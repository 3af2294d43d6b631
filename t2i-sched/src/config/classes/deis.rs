//! `DEISMultistepScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::curve_timesteps;
use super::super::reader::{Betas, Curve, FlowSigmas, Reader, Solves, Threshold, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use super::{limited, starts};
use crate::samplers::{DeisLogRho, Limit};
use crate::{BoxedSampler, Level, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "DEISMultistepScheduler", read, curves: VisitOptions::SIGMAS.curves, spaced: true };

#[derive(Debug)]
struct Deis {
    flow: FlowSigmas,
    visits: Visits,
    limit: Option<Limit>,
    order: usize,
    lower_order_final: bool,
}

fn read(reader: &mut Reader) -> Read {
    let betas = reader.schedule(&Betas::DDPM)?;
    let (schedule, flow) = reader.flow_sigmas(betas)?;
    let prediction = reader.flow_prediction(&flow, Solves::Data)?; // it takes the noise from the clean latent
    reader.one_of("algorithm_type", "deis", &["deis", "dpmsolver", "dpmsolver++"])?;
    reader.one_of("solver_type", "logrho", &["logrho", "midpoint", "heun", "bh1", "bh2"])?;
    let deis = Deis {
        flow,
        visits: reader.visits(&VisitOptions::SIGMAS)?,
        limit: reader.limit(None, Threshold::Known)?,
        // Above 3 the reference is of order 3.
        order: reader.checked("solver_order", 2, "1 or more", |n| (1..=1000).contains(n))?,
        lower_order_final: reader.flag("lower_order_final", true)?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(deis)))
}

impl Scheduler for Deis {
    /// It ends at the lowest level and never at a clean one; the last step of a curve and of flow goes nowhere.
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        self.flow.check(steps, learned, CLASS.name)?;
        let limits = (learned.schedule.len(), self.flow.shift(arguments)?);
        let rounded = self.visits.curve == Curve::Karras;
        let told = |curve: &[f64], sigmas: &[f32]| curve_timesteps(curve, sigmas, rounded);
        let (timesteps, visited) = self.flow.visited(learned, &self.visits, steps, limits, told);
        let last = match self.flow.is_on() || self.visits.curve != Curve::Timesteps {
            true => visited[visited.len() - 1],
            false => f64::from(learned.schedule.sigmas()[0]),
        };
        self.flow.plan(learned, steps, timesteps, visited, last)
    }

    fn sampler(&self, _: &Learned, plan: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        limited(self.limit, DeisLogRho::new(self.order).capped(self.caps(plan)))
    }
}

impl Deis {
    /// The lower orders at the end of a short run.
    fn caps(&self, plan: &Plan) -> Vec<(Level, usize)> {
        match self.lower_order_final && starts(plan).len() < 15 {
            true => starts(plan).iter().rev().copied().zip(1..=2).collect(),
            false => Vec::new(),
        }
    }
}
