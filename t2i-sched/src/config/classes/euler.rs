//! `EulerDiscreteScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{Interpolation, MOST_STEPS, at_most, exploding};
use super::super::reader::{Betas, Reader, VisitOptions, Visits, ZeroSnr};
use super::super::{Arguments, Learned};
use crate::{BoxedSampler, Level, Plan, Prediction, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class =
    Class { name: "EulerDiscreteScheduler", read, curves: OPTIONS.curves, spaced: true };

const OPTIONS: VisitOptions = VisitOptions { last: true, ..VisitOptions::SIGMAS };

#[derive(Debug)]
struct Euler {
    visits: Visits,
    interpolation: Interpolation,
    /// The network is told a quarter of the logarithm of sigma.
    continuous: bool,
}

fn read(reader: &mut Reader) -> Read {
    let schedule = reader.schedule(&Betas { zero_snr: ZeroSnr::Finite, ..Betas::DDPM })?;
    let prediction = reader.prediction(Some("original_sample"))?;
    let interpolation = reader.one_of("interpolation_type", "linear", &["linear", "log_linear"])?;
    let kind = reader.one_of("timestep_type", "discrete", &["discrete", "continuous"])?;
    let euler = Euler {
        visits: reader.visits(&OPTIONS)?,
        interpolation: if interpolation == "linear" { Interpolation::Linear } else { Interpolation::LogLinear },
        continuous: kind == "continuous" && prediction == Prediction::V,
    };
    Ok((Learned { schedule, prediction }, Arc::new(euler)))
}

impl Scheduler for Euler {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        let mut plan = exploding(learned, &self.visits, steps, self.interpolation);
        if self.continuous {
            let timestep = |level: &Level| f64::from(0.25 * (level.sigma as f32).ln());
            plan.timesteps = plan.levels[..steps.min(plan.timesteps.len())].iter().map(timestep).collect();
            plan.whole_timesteps = plan.timesteps.clone();
        }
        Ok(plan)
    }

    fn sampler(&self, _: &Learned, _: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(samplers::Euler)
    }
}
