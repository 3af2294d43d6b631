//! `UnCLIPScheduler`.

use std::sync::Arc;

use serde_json::json;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, table, wrong_steps};
use super::super::reader::{Reader, Threshold};
use super::super::{Arguments, Learned};
use super::limited;
use crate::samplers::{self, Limit};
use crate::schedule::cosine;
use crate::{BoxedSampler, Level, Plan, Prediction, Schedule, SharedNoise};

pub(in crate::config) static CLASS: Class = Class { name: "UnCLIPScheduler", read, curves: &[], spaced: false };

#[derive(Debug)]
struct UnClip {
    limit: Option<Limit>,
    betas: Vec<f32>,
}

fn read(reader: &mut Reader) -> Read {
    reader.options.only("beta_schedule", &[json!("squaredcos_cap_v2")])?;
    let betas = cosine(reader.train_timesteps()?);
    let schedule = Schedule::from_betas(&betas);
    let prediction = match reader.one_of("prediction_type", "epsilon", &["epsilon", "sample"])?.as_str() {
        "epsilon" => Prediction::Epsilon,
        _ => Prediction::Sample,
    };
    let variance = reader.name("variance_type", "fixed_small_log")?;
    if variance != "fixed_small_log" {
        let expected = "fixed_small_log, because no network with twice the channels is supported";
        return Err(reader.options.unsupported("variance_type", &json!(variance), expected));
    }
    let unclip = UnClip { limit: reader.limit(Some(true), Threshold::Unknown)?, betas };
    Ok((Learned { schedule, prediction }, Arc::new(unclip)))
}

impl Scheduler for UnClip {
    /// Both ends of the schedule, and timesteps between them. Each step goes to the next of them, as in the pipelines,
    /// which tell the class `prev_timestep`.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        if !(2..=MOST_STEPS).contains(&steps) {
            return Err(wrong_steps(steps, format!("2 to {MOST_STEPS} for {}", CLASS.name)));
        }
        let ratio = (learned.schedule.len() - 1) as f64 / (steps - 1) as f64;
        let timesteps = (0..steps).rev().map(|i| (i as f64 * ratio).round_ties_even());
        table(learned, steps, timesteps.collect(), Level::CLEAN)
    }

    fn sampler(&self, _: &Learned, _: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        limited(self.limit, samplers::UnClip::new(noise, self.betas.clone()))
    }
}
