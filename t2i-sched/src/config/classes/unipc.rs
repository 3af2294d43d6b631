//! `UniPCMultistepScheduler`.

use std::sync::Arc;

use serde_json::Value;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{at_most_timesteps, curve, curve_timesteps, final_sigma, multistep, preserving};
use super::super::reader::{Betas, Curve, FinalSigma, Reader, Threshold, VisitOptions, Visits, ZeroSnr};
use super::super::{Arguments, Learned};
use super::{limited, starts};
use crate::samplers::{self, Limit, UniPcNorm};
use crate::{BoxedSampler, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "UniPCMultistepScheduler", read, curves: OPTIONS.curves, spaced: true };

const OPTIONS: VisitOptions = VisitOptions {
    spacing: "linspace",
    curves: &["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"],
    range: true,
    last: true,
};

#[derive(Debug)]
struct UniPc {
    visits: Visits,
    limit: Option<Limit>,
    norm: UniPcNorm,
    order: usize,
    predict_x0: bool,
    lower_order_final: bool,
    disable_corrector: Vec<usize>,
}

fn read(reader: &mut Reader) -> Read {
    reader.no_flow()?;
    reader.options.only("solver_p", &[Value::Null])?;
    reader.options.only("shift_terminal", &[Value::Null])?;
    let schedule = reader.schedule(&Betas { zero_snr: ZeroSnr::Finite, ..Betas::DDPM })?;
    let prediction = reader.prediction(Some("sample"))?;
    let bh1 = reader.solver_type("bh2", "bh1", &["midpoint", "heun", "logrho"])?;
    let unipc = UniPc {
        visits: reader.visits(&OPTIONS)?,
        limit: reader.limit(None, Threshold::Known)?,
        norm: if bh1 { UniPcNorm::Bh1 } else { UniPcNorm::Bh2 },
        order: reader.checked("solver_order", 2, "1 to 10", |n| (1..=10).contains(n))?,
        predict_x0: reader.flag("predict_x0", true)?,
        lower_order_final: reader.flag("lower_order_final", true)?,
        disable_corrector: reader.options.get("disable_corrector", Vec::new())?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(unipc)))
}

impl Scheduler for UniPc {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        let sigmas = learned.schedule.sigmas();
        let ends = (f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
        let Some(curve) = curve(&self.visits, steps, ends.0, ends.1) else {
            let (timesteps, visited) = multistep(learned, &self.visits, steps, learned.schedule.len());
            return preserving(learned, steps, timesteps, visited, final_sigma(&self.visits, sigmas[0]));
        };
        // Unlike DPM-Solver, it ends at the curve's last sigma, and not at the schedule's.
        let last = match self.visits.final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::Min => curve[curve.len() - 1],
        };
        let timesteps = curve_timesteps(&curve, &sigmas, self.visits.curve == Curve::Karras);
        preserving(learned, steps, timesteps, curve, last)
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
