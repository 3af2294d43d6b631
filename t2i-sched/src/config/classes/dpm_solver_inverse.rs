//! `DPMSolverMultistepInverseScheduler`.

use std::sync::Arc;

use serde_json::{Value, json};
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{at_most_timesteps, curve, curve_timesteps, round_to_f32, wrong_steps};
use super::super::reader::{Betas, Curve, Reader, Spacing, Threshold, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use super::dpm_solver::lambda_min;
use super::{limited, starts};
use crate::samplers::{DpmAlgorithm, DpmCorrection, DpmSolver, Limit};
use crate::spacing::{self, interpolate};
use crate::{BoxedSampler, Level, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "DPMSolverMultistepInverseScheduler", read, curves: OPTIONS.curves, spaced: true };

const OPTIONS: VisitOptions = VisitOptions { range: false, ..VisitOptions::SIGMAS };

#[derive(Debug)]
struct DpmInverse {
    visits: Visits,
    limit: Option<Limit>,
    algorithm: DpmAlgorithm,
    correction: DpmCorrection,
    order: usize,
    lower_order_final: bool,
    euler_at_final: bool,
    lambda_min: f64,
}

fn read(reader: &mut Reader) -> Read {
    reader.options.only("use_flow_sigmas", &[json!(false), Value::Null])?;
    reader.options.only("variance_type", &[Value::Null])?;
    let schedule = reader.schedule(&Betas::DDPM)?;
    let prediction = reader.prediction(Some("sample"))?;
    let heun = reader.solver_type("midpoint", "heun", &["logrho", "bh1", "bh2"])?;
    let inverse = DpmInverse {
        visits: reader.visits(&OPTIONS)?,
        limit: reader.limit(None, Threshold::Known)?,
        algorithm: algorithm(reader)?,
        correction: if heun { DpmCorrection::Heun } else { DpmCorrection::Midpoint },
        order: reader.checked("solver_order", 2, "1 to 3", |n| (1..=3).contains(n))?,
        lower_order_final: reader.flag("lower_order_final", true)?,
        euler_at_final: reader.flag("euler_at_final", false)?,
        lambda_min: lambda_min(reader)?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(inverse)))
}

fn algorithm(reader: &Reader) -> Result<DpmAlgorithm> {
    let name = reader.name("algorithm_type", "dpmsolver++")?;
    match name.as_str() {
        "dpmsolver++" | "deis" => Ok(DpmAlgorithm::Data),
        "dpmsolver" => Ok(DpmAlgorithm::Noise),
        _ => {
            // The variance of an SDE's noise is negative where noise grows: NaN in the reference.
            let expected = "dpmsolver or dpmsolver++ for DPMSolverMultistepInverseScheduler";
            Err(reader.options.unsupported("algorithm_type", &json!(name), expected))
        }
    }
}

impl Scheduler for DpmInverse {
    /// Levels upwards, to that of the noisiest timestep; a curve's last sigma comes twice.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        let sigmas = learned.schedule.sigmas();
        let (timesteps, mut visited) = self.visited(learned, steps, &sigmas);
        let last = match self.visits.curve {
            Curve::Timesteps => f64::from(sigmas[self.timesteps_left(learned) - 1]),
            _ => visited[visited.len() - 1],
        };
        visited.push(last);
        let first_comes_twice = timesteps.len() > 1 && timesteps[0] == timesteps[1];
        let starts = &visited[..visited.len() - 1];
        if first_comes_twice || !starts.is_sorted_by(|a, b| a < b) {
            return Err(wrong_steps(steps, "so few that each has a timestep and a level of its own".to_owned()));
        }
        let levels = visited[..=timesteps.len()].iter().map(|sigma| Level::ve(round_to_f32(*sigma)).to_vp());
        Ok(Plan::new(steps, levels.collect(), timesteps, 1.0, &learned.schedule))
    }

    fn sampler(&self, _: &Learned, plan: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let solver = DpmSolver::new(self.algorithm.clone(), self.correction, self.order).capped(self.caps(plan));
        limited(self.limit, solver.in_single_precision())
    }
}

impl DpmInverse {
    /// How many timesteps are not cut off.
    fn timesteps_left(&self, learned: &Learned) -> usize {
        let schedule = &learned.schedule;
        let kept = (0..schedule.len()).filter(|t| schedule.level(*t).lambda() >= self.lambda_min).count();
        kept.max(1)
    }

    /// The timesteps, without those that come twice, and the sigmas, with them.
    fn visited(&self, learned: &Learned, steps: usize, sigmas: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let (low, high) = (f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
        let rounded = self.visits.curve == Curve::Karras;
        match curve(&self.visits, steps, high, low) {
            Some(curve) if rounded => (unique(curve_timesteps(&curve, sigmas, true)), curve),
            Some(curve) => (curve_timesteps(&curve, sigmas, false), curve),
            None => {
                let timesteps = self.timesteps(learned, steps);
                let visited = timesteps.iter().map(|t| interpolate(*t, sigmas)).collect();
                (unique(timesteps), visited)
            }
        }
    }

    /// The integer timesteps upwards, without the noisiest of a list one longer.
    fn timesteps(&self, learned: &Learned, steps: usize) -> Vec<f64> {
        let (train, last, offset) = (learned.schedule.len(), self.timesteps_left(learned), self.visits.offset);
        let list = match self.visits.spacing {
            Spacing::Linspace => spacing::linspace(last, steps + 1),
            Spacing::Leading => spacing::leading(last, steps + 1, offset),
            Spacing::Trailing => spacing::trailing(train, last, steps),
        };
        let left_out = usize::from(self.visits.spacing != Spacing::Trailing);
        list.into_iter().skip(left_out).rev().map(f64::round_ties_even).collect()
    }

    /// The lower orders near the end of the run.
    fn caps(&self, plan: &Plan) -> Vec<(Level, usize)> {
        let few = self.lower_order_final && starts(plan).len() < 15;
        let from_end = |i: usize| starts(plan).iter().rev().nth(i).copied();
        let last = from_end(0).filter(|_| few || self.euler_at_final).map(|level| (level, 1));
        let second_last = from_end(1).filter(|_| few).map(|level| (level, 2));
        last.into_iter().chain(second_last).collect()
    }
}

fn unique(mut timesteps: Vec<f64>) -> Vec<f64> {
    timesteps.dedup();
    timesteps
}
