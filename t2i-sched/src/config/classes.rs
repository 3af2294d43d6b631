//! One file a class of diffusers: its options with their defaults, its `set_timesteps`, its sampler.

pub(super) mod consistency;
pub(super) mod ddim;
pub(super) mod ddim_inverse;
pub(super) mod ddpm;
pub(super) mod ddpm_wuerstchen;
pub(super) mod deis;
pub(super) mod dpm_sde;
pub(super) mod dpm_singlestep;
pub(super) mod dpm_solver;
pub(super) mod dpm_solver_inverse;
pub(super) mod edm_dpm_solver;
pub(super) mod edm_euler;
pub(super) mod euler;
pub(super) mod euler_ancestral;
pub(super) mod flow_match_euler;
pub(super) mod flow_match_heun;
pub(super) mod flow_match_lcm;
pub(super) mod heun;
pub(super) mod ipndm;
pub(super) mod kdpm2;
pub(super) mod kdpm2_ancestral;
pub(super) mod lcm;
pub(super) mod lms;
pub(super) mod ltx_euler_ancestral;
pub(super) mod pndm;
pub(super) mod sa_solver;
pub(super) mod scm;
pub(super) mod tcd;
pub(super) mod unclip;
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

/// The lower orders of DPM-Solver near the end of a run: the first in the last step, if the class or a short run asks
/// for it, and the second in the one before, in a short run.
fn lower_orders(plan: &Plan, lower_order_final: bool, first_at_end: bool) -> Vec<(Level, usize)> {
    let few = lower_order_final && starts(plan).len() < 15;
    let from_end = |i: usize| starts(plan).iter().rev().nth(i).copied();
    let last = from_end(0).filter(|_| first_at_end || few).map(|level| (level, 1));
    let second_last = from_end(1).filter(|_| few).map(|level| (level, 2));
    last.into_iter().chain(second_last).collect()
}

/// The levels of the whole plan before those of `plan`, which is a part of it.
fn skipped(plan: &Plan) -> &[Level] {
    let start = plan.whole.iter().position(|level| Some(level) == plan.levels.first());
    &plan.whole[..start.unwrap_or(0)]
}
