//! `DEISMultistepScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{curve, curve_timesteps, multistep, preserving};
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
        let shift = self.flow.shift(arguments)?;
        let sigmas = self.flow.table(learned).sigmas();
        let ends = (f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
        let (timesteps, visited) = match curve(&self.visits, steps, ends.0, ends.1) {
            Some(curve) => (curve_timesteps(&curve, &sigmas, self.visits.curve == Curve::Karras), curve),
            None if self.flow.is_on() => self.flow.line(learned, steps, shift),
            None => {
                let (timesteps, visited) = multistep(learned, &self.visits, steps, learned.schedule.len());
                return preserving(learned, steps, timesteps, visited, ends.0);
            }
        };
        let last = visited[visited.len() - 1];
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
