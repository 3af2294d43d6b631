//! `SASolverScheduler`.

use std::sync::Arc;

use serde_json::{Value, json};
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{curve, curve_timesteps, multistep, preserving};
use super::super::reader::{Betas, Curve, FlowSigmas, Reader, Solves, Threshold, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use super::dpm_solver::{lambda_min, unclipped};
use super::limited;
use crate::samplers::{self, Limit};
use crate::spacing::flow::Shift;
use crate::{BoxedSampler, Level, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "SASolverScheduler", read, curves: OPTIONS.curves, spaced: true };

const OPTIONS: VisitOptions = VisitOptions { range: false, ..VisitOptions::SIGMAS };

#[derive(Debug)]
struct SaSolver {
    flow: FlowSigmas,
    visits: Visits,
    limit: Option<Limit>,
    predictor_order: usize,
    corrector_order: usize,
    data: bool,
    lower_order_final: bool,
    lambda_min: f64,
}

fn read(reader: &mut Reader) -> Read {
    reader.options.only("variance_type", &[Value::Null])?;
    reader.options.only("tau_func", &[Value::Null])?; // a function of Python, which no file can say
    let betas = reader.schedule(&Betas::DDPM)?;
    let (schedule, flow) = reader.flow_sigmas(betas)?;
    let kinds = ["data_prediction", "noise_prediction"];
    let data = reader.one_of("algorithm_type", "data_prediction", &kinds)? == "data_prediction";
    let prediction = reader.flow_prediction(&flow, if data { Solves::Data } else { Solves::Noise })?;
    let order = |n: &usize| (1..=4).contains(n);
    let solver = SaSolver {
        flow,
        visits: reader.visits(&OPTIONS)?,
        limit: reader.limit(None, Threshold::Known)?,
        predictor_order: reader.checked("predictor_order", 2, "1 to 4", order)?,
        corrector_order: reader.checked("corrector_order", 2, "1 to 4", order)?,
        data,
        lower_order_final: reader.flag("lower_order_final", true)?,
        lambda_min: lambda_min(reader)?,
    };
    if solver.limit.is_some() && !data {
        let expected = "false for algorithm_type noise_prediction, where diffusers fails";
        return Err(reader.options.unsupported("thresholding", &json!(true), expected));
    }
    Ok((Learned { schedule, prediction }, Arc::new(solver)))
}

impl Scheduler for SaSolver {
    /// It ends at the cleanest level of the schedule, or at the last sigma of a curve or of flow, which comes twice.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        self.flow.check(steps, learned, CLASS.name)?;
        let sigmas = self.flow.table(learned).sigmas();
        let (low, high) = (f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
        let (timesteps, visited) = match curve(&self.visits, steps, low, high) {
            Some(curve) => (curve_timesteps(&curve, &sigmas, self.visits.curve == Curve::Karras), curve),
            None if self.flow.is_on() => self.flow.line(learned, steps, Shift::Fixed(self.flow.fixed)),
            None => {
                let (timesteps, visited) = multistep(learned, &self.visits, steps, unclipped(learned, self.lambda_min));
                return preserving(learned, steps, timesteps, visited, low);
            }
        };
        let last = visited[visited.len() - 1];
        self.flow.plan(learned, steps, timesteps, visited, last)
    }

    fn sampler(&self, _: &Learned, plan: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let told = plan.clone();
        let tau = move |from: Level, _: Level| f64::from((200.0..=800.0).contains(&told.timestep(from)));
        let solver = samplers::SaSolver::diffusers(noise, tau).orders(self.predictor_order, self.corrector_order);
        let solver = if self.data { solver } else { solver.in_noise() };
        let solver = if self.lower_order_final { solver.lower_order_final(&plan.whole) } else { solver };
        limited(self.limit, solver)
    }
}
