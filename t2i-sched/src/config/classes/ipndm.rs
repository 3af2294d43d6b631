//! `IPNDMScheduler`.

use std::f32::consts::PI;
use std::sync::Arc;

use serde_json::json;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, at_most};
use super::super::reader::Reader;
use super::super::{Arguments, Learned};
use crate::schedule::linspace_f32;
use crate::{BoxedSampler, Level, Plan, Prediction, Schedule, SharedNoise, samplers};

pub(in crate::config) static CLASS: Class = Class { name: "IPNDMScheduler", read, curves: &[], spaced: false };

#[derive(Debug)]
struct Ipndm {
    /// The sigmas of every run, whatever its steps.
    betas: Option<Vec<f32>>,
}

fn read(reader: &mut Reader) -> Read {
    let len = reader.train_timesteps()?;
    let betas: Option<Vec<f32>> = reader.options.get("trained_betas", None)?;
    if let Some(betas) = &betas
        && !(betas.len() > 1 && betas[0] <= 1.0 && betas.is_sorted_by(|a, b| a > b) && betas.iter().all(|b| *b >= 0.0))
    {
        let expected = "null, or falling from at most 1 to at least 0, and two of them";
        return Err(reader.options.unsupported("trained_betas", &json!(betas), expected));
    }
    // Noisiest first is how the class counts.
    let shares: Vec<f32> = sines(len).iter().rev().map(|sigma| 1.0 - sigma * sigma).collect();
    let schedule = Schedule::from_alphas_cumprod(shares);
    Ok((Learned { schedule, prediction: Prediction::V }, Arc::new(Ipndm { betas })))
}

/// The sigmas of a run, in f32.
fn sines(steps: usize) -> Vec<f32> {
    let mut line = linspace_f32(1.0, 0.0, steps + 1);
    line[steps] = 0.0;
    line.iter().map(|t| (t * PI / 2.0).sin().powi(2)).collect()
}

impl Scheduler for Ipndm {
    /// The network is told the angle of a level, as a share of the right angle.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        let sigmas = self.betas.clone().unwrap_or_else(|| sines(steps));
        let alpha = |sigma: &f32| (1.0 - sigma * sigma).sqrt();
        let level = |sigma: &f32| Level { alpha: f64::from(alpha(sigma)), sigma: f64::from(*sigma) };
        let timestep = |sigma: &f32| f64::from(sigma.atan2(alpha(sigma)) / PI * 2.0);
        let timesteps = sigmas[..sigmas.len() - 1].iter().map(timestep).collect();
        Ok(Plan::new(steps, sigmas.iter().map(level).collect(), timesteps, 1.0, &learned.schedule))
    }

    fn sampler(&self, _: &Learned, _: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(samplers::Ipndm::diffusers())
    }
}
