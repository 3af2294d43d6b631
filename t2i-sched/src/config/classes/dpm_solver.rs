//! `DPMSolverMultistepScheduler`.

use std::sync::Arc;

use serde_json::{Value, json};
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{curve_timesteps, final_sigma};
use super::super::reader::{
    Betas, Curve, FinalSigma, FlowSigmas, Reader, Solves, Threshold, VisitOptions, Visits, ZeroSnr,
};
use super::super::{Arguments, Learned};
use super::{limited, lower_orders};
use crate::samplers::{DpmAlgorithm, DpmCorrection, DpmSolver, Limit};
use crate::{BoxedSampler, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "DPMSolverMultistepScheduler", read, curves: OPTIONS.curves, spaced: true };

const OPTIONS: VisitOptions = VisitOptions {
    spacing: "linspace",
    curves: &["use_karras_sigmas", "use_lu_lambdas", "use_exponential_sigmas", "use_beta_sigmas"],
    range: true,
    last: true,
};

#[derive(Debug)]
struct Dpm {
    flow: FlowSigmas,
    visits: Visits,
    limit: Option<Limit>,
    algorithm: Algorithm,
    correction: DpmCorrection,
    order: usize,
    lower_order_final: bool,
    euler_at_final: bool,
    lambda_min: f64,
    /// Timesteps of a curve are rounded, unless the betas are the squared cosine's.
    rounded: bool,
}

/// `algorithm_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Data,
    DataSde,
    Noise,
    NoiseSde,
}

impl Algorithm {
    fn solves(self) -> Solves {
        match self {
            Self::Data | Self::DataSde => Solves::Data,
            Self::Noise | Self::NoiseSde => Solves::Noise,
        }
    }
}

fn read(reader: &mut Reader) -> Read {
    reader.options.only("variance_type", &[Value::Null])?;
    let betas = reader.schedule(&Betas { zero_snr: ZeroSnr::Finite, ..Betas::DDPM })?;
    let visits = reader.visits(&OPTIONS)?;
    let algorithm = algorithm(reader, visits.final_sigma)?;
    let (schedule, flow) = reader.flow_sigmas(betas)?;
    let prediction = reader.flow_prediction(&flow, algorithm.solves())?;
    let most = if algorithm == Algorithm::NoiseSde { 2 } else { 3 };
    let heun = reader.solver_type("midpoint", "heun", &["logrho", "bh1", "bh2"])?;
    let dpm = Dpm {
        flow,
        visits,
        limit: reader.limit(None, Threshold::Known)?,
        algorithm,
        correction: if heun { DpmCorrection::Heun } else { DpmCorrection::Midpoint },
        order: reader.checked("solver_order", 2, &format!("1 to {most}"), |n| (1..=most).contains(n))?,
        lower_order_final: reader.flag("lower_order_final", true)?,
        euler_at_final: reader.flag("euler_at_final", false)?,
        lambda_min: lambda_min(reader)?,
        rounded: reader.name("beta_schedule", "linear")? != "squaredcos_cap_v2",
    };
    Ok((Learned { schedule, prediction }, Arc::new(dpm)))
}

fn algorithm(reader: &Reader, final_sigma: FinalSigma) -> Result<Algorithm> {
    let name = reader.name("algorithm_type", "dpmsolver++")?;
    let algorithm = match name.as_str() {
        "dpmsolver++" | "deis" => Algorithm::Data,
        "sde-dpmsolver++" => Algorithm::DataSde,
        "dpmsolver" => Algorithm::Noise,
        "sde-dpmsolver" => Algorithm::NoiseSde,
        _ => {
            let expected = "dpmsolver or dpmsolver++ or sde-dpmsolver or sde-dpmsolver++";
            return Err(reader.options.unsupported("algorithm_type", &json!(name), expected));
        }
    };
    if !name.ends_with("++") && final_sigma == FinalSigma::Zero {
        let expected = format!("sigma_min for algorithm_type {name}");
        return Err(reader.options.unsupported("final_sigmas_type", &json!("zero"), &expected));
    }
    Ok(algorithm)
}

/// `lambda_min_clipped`: a number, or what stands for minus infinity, which JSON cannot say.
pub(super) fn lambda_min(reader: &mut Reader) -> Result<f64> {
    let value = reader.options.get("lambda_min_clipped", Value::Null)?;
    match &value {
        Value::Null => Ok(f64::NEG_INFINITY),
        Value::String(text) if matches!(text.to_lowercase().as_str(), "-infinity" | "-inf") => Ok(f64::NEG_INFINITY),
        other => other.as_f64().ok_or_else(|| {
            let expected = "a number or null for minus infinity";
            reader.options.unsupported("lambda_min_clipped", &value, expected)
        }),
    }
}

/// How many timesteps there are without the noisiest, those below a `lambda`.
pub(super) fn unclipped(learned: &Learned, lambda_min: f64) -> usize {
    let schedule = &learned.schedule;
    (0..schedule.len()).filter(|t| schedule.level(*t).lambda() >= lambda_min).count()
}

impl Scheduler for Dpm {
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        self.flow.check(steps, learned, CLASS.name)?;
        let limits = (unclipped(learned, self.lambda_min), self.flow.shift(arguments)?);
        let rounded = self.rounded && matches!(self.visits.curve, Curve::Karras | Curve::Lu);
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
            Algorithm::NoiseSde => DpmAlgorithm::NoiseSde(noise),
        };
        let first_at_end = self.euler_at_final || self.visits.final_sigma == FinalSigma::Zero;
        let caps = lower_orders(plan, self.lower_order_final, first_at_end);
        let solver = DpmSolver::new(algorithm, self.correction, self.order).capped(caps);
        limited(self.limit, solver)
    }
}
