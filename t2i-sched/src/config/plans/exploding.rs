//! Variance-exploding levels, and timesteps between the integers: Euler, Heun and their kin.

use super::super::Learned;
use super::super::reader::{Spacing, Visits};
use super::{curve, final_sigma, round_to_f32, sigma_to_timestep};
use crate::spacing::{self, interpolate, ramp};
use crate::{Level, Plan};

/// How sigmas between those of the table are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Interpolation {
    /// On the line between two of them, at timesteps in f32.
    Linear,
    /// The same at timesteps in f64.
    LinearInF64,
    /// Evenly spaced logarithms over the whole range, whatever the timesteps.
    LogLinear,
}

/// The plan of `steps` steps at the variance-exploding levels that `visits` asks for.
pub(in crate::config) fn exploding(
    learned: &Learned,
    visits: &Visits,
    steps: usize,
    interpolation: Interpolation,
) -> Plan {
    let schedule = &learned.schedule;
    let sigmas = schedule.sigmas();
    let timesteps = match visits.spacing {
        Spacing::Linspace => spacing::linspace(schedule.len(), steps),
        Spacing::Leading => spacing::leading(schedule.len(), steps, visits.offset),
        Spacing::Trailing => spacing::trailing(schedule.len(), schedule.len(), steps),
    };
    let round = |t: f64| if interpolation == Interpolation::LinearInF64 { t } else { round_to_f32(t) };
    let mut timesteps: Vec<f64> = timesteps.into_iter().map(round).collect();
    let mut visited: Vec<f64> = timesteps.iter().map(|t| interpolate(*t, &sigmas)).collect();
    if interpolation == Interpolation::LogLinear {
        let ends = [sigmas[sigmas.len() - 1], sigmas[0]].map(|sigma| f64::from(sigma.ln()));
        visited = ramp(ends[0], ends[1], steps + 1).iter().map(|s| round_to_f32(s.exp())).collect();
    }
    if let Some(curve) = curve(visits, steps, visited[visited.len() - 1], visited[0]) {
        timesteps = curve.iter().map(|sigma| round_to_f32(sigma_to_timestep(*sigma, &sigmas))).collect();
        visited = curve;
    }
    visited.truncate(timesteps.len() + 1);
    if visited.len() == timesteps.len() {
        visited.push(final_sigma(visits, sigmas[0]));
    }
    let levels: Vec<Level> = visited.iter().map(|sigma| Level::ve(round_to_f32(*sigma))).collect();
    let max = levels.iter().map(|level| level.sigma).fold(0.0, f64::max);
    let init_scale = match visits.spacing {
        Spacing::Leading => max.hypot(1.0),
        Spacing::Linspace | Spacing::Trailing => max,
    };
    Plan::new(steps, levels, timesteps, init_scale, schedule)
}
