//! `CMStochasticIterativeScheduler`.

use std::sync::Arc;

use serde_json::json;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::at_most_timesteps;
use super::super::reader::Reader;
use super::super::{Arguments, Learned};
use crate::samplers::{self, Limit};
use crate::{BoxedSampler, Level, Plan, Prediction, Schedule, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "CMStochasticIterativeScheduler", read, curves: &[], spaced: false };

#[derive(Debug)]
struct Consistency {
    sigma_min: f64,
    sigma_max: f64,
    sigma_data: f64,
    rho: f64,
    s_noise: f64,
    clip: bool,
}

fn read(reader: &mut Reader) -> Read {
    let positive = |value: &f64| *value > 0.0;
    let len = reader.checked("num_train_timesteps", 40, "2 to 100000", |n| (2..=100_000).contains(n))?;
    let cm = Consistency {
        sigma_min: reader.checked("sigma_min", 0.002, "above 0", positive)?,
        sigma_max: reader.checked("sigma_max", 80.0, "above 0", positive)?,
        sigma_data: reader.checked("sigma_data", 0.5, "above 0", positive)?,
        rho: reader.checked("rho", 7.0, "above 0", positive)?,
        s_noise: reader.options.get("s_noise", 1.0)?,
        clip: reader.flag("clip_denoised", true)?,
    };
    if cm.sigma_max <= cm.sigma_min {
        return Err(reader.options.unsupported("sigma_max", &json!(cm.sigma_max), "above sigma_min"));
    }
    let schedule = Schedule::edm(cm.sigma_min, cm.sigma_max, cm.rho, len);
    Ok((Learned { schedule, prediction: Prediction::Edm { sigma_data: cm.sigma_data } }, Arc::new(cm)))
}

impl Consistency {
    /// The sigma of a share of the way down.
    fn sigma(&self, share: f64) -> f64 {
        let (low, high) = (self.sigma_min.powf(1.0 / self.rho), self.sigma_max.powf(1.0 / self.rho));
        (high + share * (low - high)).powf(self.rho)
    }
}

impl Scheduler for Consistency {
    /// Every so many of the levels that the model was trained at, and the cleanest. The network is told
    /// `250 * ln(sigma)`.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        let train = learned.schedule.len();
        let share = |i: usize| (i * (train / steps)) as f64 / (train - 1) as f64;
        let sigmas: Vec<f64> = (0..steps).map(|i| self.sigma(share(i))).collect();
        let level = |sigma: &f64| Level::ve(f64::from(*sigma as f32));
        let levels = sigmas.iter().chain([&self.sigma_min]).map(level).collect();
        let timesteps = sigmas.iter().map(|sigma| 250.0 * sigma.ln()).collect();
        Ok(Plan::new(steps, levels, timesteps, self.sigma_max, &learned.schedule))
    }

    fn sampler(&self, _: &Learned, plan: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let sampler = samplers::Consistency::new(self.sigma_min, self.sigma_data);
        let sampler = if self.clip { sampler.limited(Limit::Clip(1.0)) } else { sampler };
        let single = plan.whole_timesteps.len() == 1;
        Box::new(if single { sampler } else { sampler.noisy(noise, self.s_noise) })
    }
}
