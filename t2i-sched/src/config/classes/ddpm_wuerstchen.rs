//! `DDPMWuerstchenScheduler`.

use std::f32::consts::PI;
use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, at_most, wrong_steps};
use super::super::reader::Reader;
use super::super::{Arguments, Learned};
use crate::samplers::{self, Variance};
use crate::schedule::linspace_f32;
use crate::{BoxedSampler, Level, Plan, Prediction, Schedule, SharedNoise};

pub(in crate::config) static CLASS: Class = Class { name: "DDPMWuerstchenScheduler", read, curves: &[], spaced: false };

/// The squared cosine of a time in [0, 1], which the network is told as it is.
#[derive(Debug, Clone, Copy)]
struct Wuerstchen {
    scaler: f64,
    s: f32,
}

fn read(reader: &mut Reader) -> Read {
    let wuerstchen = Wuerstchen {
        scaler: reader.checked("scaler", 1.0, "above 0", |scaler| *scaler > 0.0)?,
        s: reader.checked("s", 0.008, "0 or above", |s| *s >= 0.0)?,
    };
    let times = linspace_f32(0.0, 1.0, 1000);
    let schedule = Schedule::from_alphas_cumprod(times.iter().map(|t| wuerstchen.alpha_cumprod(*t)).collect());
    Ok((Learned { schedule, prediction: Prediction::Epsilon }, Arc::new(wuerstchen)))
}

impl Wuerstchen {
    /// `alpha^2` at a time, in f32. Neither end of the way is reached.
    fn alpha_cumprod(&self, t: f32) -> f32 {
        let t = match self.scaler {
            scaler if scaler > 1.0 => 1.0 - (1.0 - t).powf(scaler as f32),
            scaler if scaler < 1.0 => t.powf(scaler as f32),
            _ => t,
        };
        let cosine = |t: f32| ((t + self.s) / (1.0 + self.s) * PI * 0.5).cos().powi(2);
        (cosine(t) / cosine(0.0)).clamp(0.0001, 0.9999)
    }
}

impl Scheduler for Wuerstchen {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        let times = linspace_f32(1.0, 0.0, steps + 1);
        let shares: Vec<f32> = times.iter().map(|t| self.alpha_cumprod(*t)).collect();
        if shares.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(wrong_steps(steps, "so few that each has a level of its own".to_owned()));
        }
        let levels = shares.iter().map(|share| Level::vp(f64::from(*share))).collect();
        let timesteps = times[..steps].iter().map(|t| f64::from(*t)).collect();
        Ok(Plan::new(steps, levels, timesteps, 1.0, &learned.schedule))
    }

    /// The last step adds no noise, though it ends at a level that has some.
    fn sampler(&self, _: &Learned, plan: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let last = plan.whole[plan.whole_timesteps.len() - 1];
        Box::new(samplers::Ddpm::new(noise, Variance::Small, last))
    }
}
