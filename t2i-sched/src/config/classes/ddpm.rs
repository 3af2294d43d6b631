//! `DDPMScheduler` and `DDPMParallelScheduler`.

use std::sync::Arc;

use serde_json::json;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{at_most_timesteps, integer_timesteps, table};
use super::super::reader::{Betas, Reader, Threshold, VisitOptions, Visits, ZeroSnr};
use super::super::{Arguments, Learned};
use super::limited;
use crate::samplers::{self, Limit, Variance};
use crate::{BoxedSampler, Level, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class = Class { name: "DDPMScheduler", read, curves: &[], spaced: true };

/// The same numbers under another name: what is parallel in it is up to its pipeline.
pub(in crate::config) static PARALLEL: Class = Class { name: "DDPMParallelScheduler", read, curves: &[], spaced: true };

#[derive(Debug)]
struct Ddpm {
    visits: Visits,
    limit: Option<Limit>,
    variance: Variance,
}

fn read(reader: &mut Reader) -> Read {
    let betas = Betas { more: &["laplace", "sigmoid"], zero_snr: ZeroSnr::Exact, ..Betas::DDPM };
    let schedule = reader.schedule(&betas)?;
    let prediction = reader.prediction(Some("sample"))?;
    let ddpm = Ddpm {
        visits: reader.visits(&VisitOptions::TIMESTEPS)?,
        limit: reader.limit(Some(true), Threshold::Known)?,
        variance: variance(reader)?,
    };
    Ok((Learned { schedule, prediction }, Arc::new(ddpm)))
}

/// `fixed_small_log` is the number of `fixed_small`, by way of its logarithm. `fixed_large_log` is the root of a negative
/// logarithm in the reference, NaN at the first draw.
fn variance(reader: &Reader) -> Result<Variance> {
    let name = reader.name("variance_type", "fixed_small")?;
    let expected = match name.as_str() {
        "fixed_small" | "fixed_small_log" => return Ok(Variance::Small),
        "fixed_large" => return Ok(Variance::Large),
        "fixed_large_log" => "fixed_large, because diffusers takes the root of a negative logarithm",
        "learned" | "learned_range" => {
            "fixed_small, fixed_small_log or fixed_large, because no network with twice the channels is supported"
        }
        _ => "fixed_small or fixed_small_log or fixed_large",
    };
    Err(reader.options.unsupported("variance_type", &json!(name), expected))
}

impl Scheduler for Ddpm {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        table(learned, steps, integer_timesteps(learned, &self.visits, steps), Level::CLEAN)
    }

    fn sampler(&self, learned: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let ddpm = samplers::Ddpm::new(noise, self.variance, learned.schedule.level(0)).single_precision();
        limited(self.limit, ddpm)
    }
}
