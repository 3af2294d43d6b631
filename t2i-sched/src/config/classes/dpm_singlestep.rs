//! `DPMSolverSinglestepScheduler`.

use std::sync::Arc;

use serde_json::json;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{curve_timesteps, final_sigma};
use super::super::reader::{
    Betas, Curve, FinalSigma, FlowSigmas, Reader, Solves, Spacing, Threshold, VisitOptions, Visits,
};
use super::super::{Arguments, Learned};
use super::dpm_solver::{lambda_min, unclipped};
use super::{limited, starts};
use crate::samplers::{DpmAlgorithm, DpmCorrection, DpmSinglestep, Limit};
use crate::{BoxedSampler, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "DPMSolverSinglestepScheduler", read, curves: OPTIONS.curves, spaced: false };

const OPTIONS: VisitOptions = VisitOptions { last: true, ..VisitOptions::SIGMAS };

#[derive(Debug)]
struct Singlestep {
    flow: FlowSigmas,
    visits: Visits,
    limit: Option<Limit>,
    algorithm: Algorithm,
    correction: DpmCorrection,
    order: usize,
    lower_order_final: bool,
    lambda_min: f64,
}

/// `algorithm_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Data,
    DataSde,
    Noise,
}

fn read(reader: &mut Reader) -> Read {
    if let Some(learned @ ("learned" | "learned_range")) = reader.options.peek("variance_type").and_then(|v| v.as_str())
    {
        return Err(reader.options.unsupported("variance_type", &json!(learned), "null"));
    }
    let (schedule, flow) = {
        let betas = reader.schedule(&Betas::DDPM)?;
        reader.flow_sigmas(betas)?
    };
    // This class has no other spacing, and does not look at the option.
    let visits = Visits { spacing: Spacing::Linspace, offset: 0, ..reader.visits(&OPTIONS)? };
    let heun = reader.solver_type("midpoint", "heun", &["logrho", "bh1", "bh2"])?;
    let algorithm = algorithm(reader, visits.final_sigma)?;
    let solves = if algorithm == Algorithm::Noise { Solves::Noise } else { Solves::Data };
    let prediction = reader.flow_prediction(&flow, solves)?;
    let singlestep = Singlestep {
        flow,
        algorithm,
        visits,
        limit: reader.limit(None, Threshold::Known)?,
        correction: if heun { DpmCorrection::Heun } else { DpmCorrection::Midpoint },
        order: reader.checked("solver_order", 2, "1 to 3", |n| (1..=3).contains(n))?,
        lower_order_final: reader.flag("lower_order_final", false)?,
        lambda_min: lambda_min(reader)?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(singlestep)))
}

fn algorithm(reader: &Reader, final_sigma: FinalSigma) -> Result<Algorithm> {
    let known = ["dpmsolver", "dpmsolver++", "sde-dpmsolver++", "deis"];
    let name = reader.one_of("algorithm_type", "dpmsolver++", &known)?;
    if !name.ends_with("++") && final_sigma == FinalSigma::Zero {
        let expected = format!("sigma_min for algorithm_type {name}");
        return Err(reader.options.unsupported("final_sigmas_type", &json!("zero"), &expected));
    }
    if name == "dpmsolver" && reader.flag("thresholding", false)? {
        let expected = "false for algorithm_type dpmsolver, whose step fails with it";
        return Err(reader.options.unsupported("thresholding", &json!(true), expected));
    }
    Ok(match name.as_str() {
        "sde-dpmsolver++" => Algorithm::DataSde,
        "dpmsolver" => Algorithm::Noise,
        _ => Algorithm::Data,
    })
}

impl Scheduler for Singlestep {
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        self.flow.check(steps, learned, CLASS.name)?;
        let limits = (unclipped(learned, self.lambda_min), self.flow.shift(arguments)?);
        let rounded = self.visits.curve == Curve::Karras;
        let told = |curve: &[f64], sigmas: &[f32]| curve_timesteps(curve, sigmas, rounded);
        let (timesteps, visited) = self.flow.visited(learned, &self.visits, steps, limits, told);
        let last = final_sigma(&self.visits, self.flow.table(learned).sigmas()[0]);
        self.flow.plan(learned, steps, timesteps, visited, last)
    }

    fn sampler(&self, _: &Learned, plan: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let algorithm = match self.algorithm {
            Algorithm::Data => DpmAlgorithm::Data,
            Algorithm::DataSde => DpmAlgorithm::DataSde(noise.into()),
            Algorithm::Noise => DpmAlgorithm::Noise,
        };
        let orders = self.orders(starts(plan).len());
        let orders = starts(plan).iter().copied().zip(orders).collect();
        limited(self.limit, DpmSinglestep::new(algorithm, self.correction, orders))
    }
}

impl Singlestep {
    /// The order of each of the steps (`order_list`): 1, 2, 3 and again 1, as far as the order goes. A run that does not
    /// come out even ends in lower ones, and so does a run to a clean latent.
    fn orders(&self, steps: usize) -> Vec<usize> {
        let to_clean = self.visits.final_sigma == FinalSigma::Zero;
        let mut orders: Vec<usize> = (0..steps).map(|i| i % self.order + 1).collect();
        if to_clean || (self.lower_order_final && steps.is_multiple_of(self.order)) {
            orders[steps - 1] = 1;
        }
        orders
    }
}
