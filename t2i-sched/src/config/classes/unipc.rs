//! `UniPCMultistepScheduler`.

use std::sync::Arc;

use serde_json::Value;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{curve, curve_timesteps, final_sigma, multistep, preserving};
use super::super::reader::{
    Betas, Curve, FinalSigma, FlowSigmas, Reader, Solves, Threshold, VisitOptions, Visits, ZeroSnr,
};
use super::super::{Arguments, Learned};
use super::{limited, starts};
use crate::samplers::{self, Limit, UniPcNorm};
use crate::spacing::flow::{Shift, stretch_to_terminal};
use crate::spacing::ramp;
use crate::{BoxedSampler, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "UniPCMultistepScheduler", read, curves: OPTIONS.curves, spaced: true };

const OPTIONS: VisitOptions = VisitOptions { last: true, ..VisitOptions::SIGMAS };

#[derive(Debug)]
struct UniPc {
    flow: FlowSigmas,
    /// Where the last step of flow starts.
    terminal: Option<f64>,
    visits: Visits,
    limit: Option<Limit>,
    norm: UniPcNorm,
    order: usize,
    predict_x0: bool,
    lower_order_final: bool,
    disable_corrector: Vec<usize>,
}

fn read(reader: &mut Reader) -> Read {
    reader.options.only("solver_p", &[Value::Null])?;
    let betas = reader.schedule(&Betas { zero_snr: ZeroSnr::Finite, ..Betas::DDPM })?;
    let (schedule, flow) = reader.flow_sigmas(betas)?;
    if !flow.is_on() {
        reader.options.only("shift_terminal", &[Value::Null])?;
    }
    let predict_x0 = reader.flag("predict_x0", true)?;
    let prediction = reader.flow_prediction(&flow, if predict_x0 { Solves::Data } else { Solves::Noise })?;
    let bh1 = reader.solver_type("bh2", "bh1", &["midpoint", "heun", "logrho"])?;
    let unipc = UniPc {
        flow,
        terminal: reader.terminal()?,
        visits: reader.visits(&OPTIONS)?,
        limit: reader.limit(None, Threshold::Known)?,
        norm: if bh1 { UniPcNorm::Bh1 } else { UniPcNorm::Bh2 },
        order: reader.checked("solver_order", 2, "1 to 10", |n| (1..=10).contains(n))?,
        predict_x0,
        lower_order_final: reader.flag("lower_order_final", true)?,
        disable_corrector: reader.options.get("disable_corrector", Vec::new())?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(unipc)))
}

impl Scheduler for UniPc {
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan> {
        self.flow.check(steps, learned, CLASS.name)?;
        let shift = self.flow.shift_if_asked(arguments)?;
        let sigmas = self.flow.table(learned).sigmas();
        let ends = (f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
        let (timesteps, visited) = match curve(&self.visits, steps, ends.0, ends.1) {
            Some(curve) if self.flow.is_on() && self.visits.curve == Curve::Karras => in_flow(learned, curve),
            Some(curve) => (curve_timesteps(&curve, &sigmas, self.visits.curve == Curve::Karras), curve),
            None if self.flow.is_on() => self.line(learned, steps, shift),
            None => {
                let (timesteps, visited) = multistep(learned, &self.visits, steps, learned.schedule.len());
                return preserving(learned, steps, timesteps, visited, final_sigma(&self.visits, sigmas[0]));
            }
        };
        // Unlike DPM-Solver, it ends at the last sigma of a curve and of flow, and not at the schedule's.
        let last = match self.visits.final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::Min => visited[visited.len() - 1],
        };
        self.flow.plan(learned, steps, timesteps, visited, last)
    }

    fn sampler(&self, _: &Learned, plan: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let ends = starts(plan).iter().rev().copied().zip(1..self.order);
        let caps = if self.lower_order_final { ends.collect() } else { Vec::new() };
        let uncorrected = self.disable_corrector.iter().filter_map(|i| starts(plan).get(i + 1).copied());
        let dressed = |solver: samplers::UniPc| solver.capped(caps).uncorrected(uncorrected.collect());
        match self.predict_x0 {
            true => limited(self.limit, dressed(samplers::UniPc::new(self.norm, self.order))),
            // The reference does not threshold noise.
            false => Box::new(dressed(samplers::UniPc::in_noise(self.norm, self.order))),
        }
    }
}

impl UniPc {
    /// The timesteps and sigmas of flow: unlike DPM-Solver's they start at pure noise, or a hair below it.
    fn line(&self, learned: &Learned, steps: usize, shift: Shift) -> (Vec<f64>, Vec<f64>) {
        let train = learned.schedule.len() as f64;
        let mut sigmas: Vec<f64> = ramp(1.0, 1.0 / train, steps + 1).into_iter().map(|s| shift.apply(s)).collect();
        sigmas.pop();
        if let Some(terminal) = self.terminal {
            sigmas = stretch_to_terminal(&sigmas, terminal);
        }
        if (sigmas[0] - 1.0).abs() < 1e-6 {
            sigmas[0] -= 1e-6;
        }
        (told(learned, &sigmas), sigmas)
    }
}

/// The flow levels of a curve's variance-exploding ones.
fn in_flow(learned: &Learned, curve: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    let sigmas: Vec<f64> = curve.into_iter().map(|sigma| sigma / (sigma + 1.0)).collect();
    (told(learned, &sigmas), sigmas)
}

/// The timesteps of flow, rounded down.
fn told(learned: &Learned, sigmas: &[f64]) -> Vec<f64> {
    sigmas.iter().map(|sigma| (sigma * learned.schedule.len() as f64).trunc()).collect()
}
