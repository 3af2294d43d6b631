//! Spacings among the levels that a model learned.
//!
//! ComfyUI computes its table in f64, CompVis its `alphas_cumprod`; a [`Schedule`] is diffusers' in f32. The tables of
//! Stable Diffusion differ by 4e-5 of a sigma at the clean end, and so do the levels.

use super::beta_quantile;
use crate::Schedule;
use crate::schedule::linspace_f32;

/// The sigma of a timestep that may lie between two: its logarithm is linear there. The nearest end for timesteps
/// outside the table. `t_to_sigma` of k-diffusion's `DiscreteSchedule`, in its f32.
pub fn sigma_of(schedule: &Schedule, timestep: f64) -> f64 {
    interpolate(&logarithms(schedule), timestep as f32)
}

/// The timestep of a sigma, in general between two: the inverse of [`sigma_of`], and the nearest end for sigmas
/// outside the table. `sigma_to_t` of k-diffusion's `DiscreteSchedule`, in its f32.
pub fn timestep_of(schedule: &Schedule, sigma: f64) -> f64 {
    let (logs, wanted) = (logarithms(schedule), (sigma as f32).ln());
    let above = logs.partition_point(|log| *log <= wanted);
    if above == 0 || above == logs.len() {
        return above.saturating_sub(1) as f64;
    }
    let (low, high) = (logs[above - 1], logs[above]);
    let share = (low - wanted) / (low - high);
    f64::from((1.0 - share) * (above - 1) as f32 + share * above as f32)
}

/// The sigmas of `n` evenly spaced timesteps, both ends of the table included.
///
/// A1111: "Uniform" and "Normal", ComfyUI: "normal".
pub fn normal(schedule: &Schedule, n: usize) -> Vec<f64> {
    let logs = logarithms(schedule);
    linspace_f32(logs.len() as f32 - 1.0, 0.0, n).into_iter().map(|t| interpolate(&logs, t)).collect()
}

/// The sigmas of the first `n` of `n + 1` evenly spaced timesteps: the cleanest is left out.
///
/// A1111: "SGM Uniform", ComfyUI: "sgm_uniform".
pub fn sgm_uniform(schedule: &Schedule, n: usize) -> Vec<f64> {
    let mut sigmas = normal(schedule, n + 1);
    sigmas.pop();
    sigmas
}

/// `n` sigmas of the table in even strides from its noisy end, not between two of its levels. The cleanest is left
/// out. More steps than levels visit levels twice.
///
/// A1111: "Simple", ComfyUI: "simple".
pub fn simple(schedule: &Schedule, n: usize) -> Vec<f64> {
    let sigmas = schedule.sigmas();
    let stride = sigmas.len() as f64 / n as f64;
    (0..n).map(|i| f64::from(sigmas[sigmas.len() - 1 - (i as f64 * stride) as usize])).collect()
}

/// The sigmas of timestep 1 and every `len / n`-th above it, rounded down. There are more of them than `n` where `n`
/// does not divide the table's length, as 8 for 7 of 1000; and never more than the table has.
///
/// A1111: "DDIM", ComfyUI: "ddim_uniform".
pub fn ddim_uniform(schedule: &Schedule, n: usize) -> Vec<f64> {
    if n == 0 {
        return Vec::new();
    }
    let sigmas = schedule.sigmas();
    let stride = (sigmas.len() / n).max(1);
    let mut visited: Vec<f64> = sigmas.iter().skip(1).step_by(stride).map(|s| f64::from(*s)).collect();
    visited.reverse();
    visited
}

/// The sigmas of the timesteps nearest to `n` quantiles of the distribution Beta(alpha, beta) over the table. A
/// timestep that is the nearest twice in a row is visited once, so that there can be fewer than `n`. An `alpha` or
/// `beta` below 0.001 is taken for that.
///
/// ComfyUI: "beta" and "BetaSamplingScheduler", both with `alpha` = `beta` = 0.6. A1111: its "Beta" is
/// [`beta`](super::beta). <https://arxiv.org/abs/2407.12173>
pub fn beta_of_table(schedule: &Schedule, alpha: f64, beta: f64, n: usize) -> Vec<f64> {
    let sigmas = schedule.sigmas();
    let last = (sigmas.len() - 1) as f64;
    let timestep = |i: usize| {
        let quantile = beta_quantile(1.0 - i as f64 / n as f64, alpha.max(0.001), beta.max(0.001));
        (quantile * last).round_ties_even() as usize
    };
    let mut timesteps: Vec<usize> = (0..n).map(timestep).collect();
    timesteps.dedup();
    timesteps.into_iter().map(|t| f64::from(sigmas[t])).collect()
}

fn logarithms(schedule: &Schedule) -> Vec<f32> {
    schedule.sigmas().iter().map(|sigma| sigma.ln()).collect()
}

/// The exponential of an entry of `logs`, or of what is between two.
fn interpolate(logs: &[f32], timestep: f32) -> f64 {
    let t = timestep.clamp(0.0, logs.len() as f32 - 1.0);
    let (low, high, share) = (logs[t.floor() as usize], logs[t.ceil() as usize], t.fract());
    let log = if share == 0.0 { low } else { (1.0 - share) * low + share * high };
    f64::from(f64::from(log).exp() as f32)
}
