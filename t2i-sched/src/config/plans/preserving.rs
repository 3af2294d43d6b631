//! Variance-preserving levels of variance-exploding sigmas, and integer timesteps: the multistep solvers.

use t2i_core::Result;

use super::super::Learned;
use super::super::reader::{Spacing, Visits};
use super::wrong_steps;
use crate::spacing::{self, interpolate};
use crate::{Level, Plan};

/// The integer timesteps below `last` of the multistep solvers, which leave out the end of a list one longer, and their
/// sigmas.
pub(in crate::config) fn multistep(
    learned: &Learned,
    visits: &Visits,
    steps: usize,
    last: usize,
) -> (Vec<f64>, Vec<f64>) {
    let mut timesteps = match visits.spacing {
        Spacing::Linspace => spacing::linspace(last, steps + 1),
        Spacing::Leading => spacing::leading(last, steps + 1, visits.offset),
        Spacing::Trailing => spacing::trailing(learned.schedule.len(), last, steps),
    };
    if visits.spacing != Spacing::Trailing {
        timesteps.pop();
    }
    let sigmas = learned.schedule.sigmas();
    let timesteps: Vec<f64> = timesteps.into_iter().map(f64::round_ties_even).collect();
    let visited = timesteps.iter().map(|t| interpolate(*t, &sigmas)).collect();
    (timesteps, visited)
}

/// A plan at the variance-preserving levels of these variance-exploding sigmas.
pub(in crate::config) fn preserving(
    learned: &Learned,
    steps: usize,
    timesteps: Vec<f64>,
    mut visited: Vec<f64>,
    last: f64,
) -> Result<Plan> {
    if visited.is_empty() || visited.windows(2).any(|pair| pair[0] <= pair[1]) {
        return Err(wrong_steps(steps, "so few that each has a level of its own".to_owned()));
    }
    visited.push(last);
    let levels = visited.iter().map(|sigma| Level::vp_of_sigma_f32(*sigma as f32)).collect();
    Ok(Plan::new(steps, levels, timesteps, 1.0, &learned.schedule))
}
