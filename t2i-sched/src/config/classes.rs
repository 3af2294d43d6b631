//! One file a class of diffusers: its options with their defaults, its `set_timesteps`, its sampler.

pub(super) mod ddim;
pub(super) mod ddpm;
pub(super) mod deis;
pub(super) mod dpm_sde;
pub(super) mod dpm_singlestep;
pub(super) mod dpm_solver;
pub(super) mod euler;
pub(super) mod euler_ancestral;
pub(super) mod heun;
pub(super) mod kdpm2;
pub(super) mod kdpm2_ancestral;
pub(super) mod lcm;
pub(super) mod lms;
pub(super) mod pndm;
pub(super) mod tcd;
pub(super) mod unipc;

use crate::samplers::{Limit, Limited};
use crate::{BoxedSampler, Level, Plan, Sampler};

/// Puts a limit on clean latents, if there is one, between the model and the sampler.
fn limited(limit: Option<Limit>, sampler: impl Sampler + Send + 'static) -> BoxedSampler<'static> {
    match limit {
        Some(limit) => Box::new(Limited::new(sampler, limit)),
        None => Box::new(sampler),
    }
}

/// The levels at which the steps of the whole plan start.
fn starts(plan: &Plan) -> &[Level] {
    &plan.whole[..plan.whole_timesteps.len()]
}

/// The levels of the whole plan before those of `plan`, which is a part of it.
fn skipped(plan: &Plan) -> &[Level] {
    let start = plan.whole.iter().position(|level| Some(level) == plan.levels.first());
    &plan.whole[..start.unwrap_or(0)]
}
