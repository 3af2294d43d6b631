//! Levels of the model's own table: DDIM, DDPM, PNDM and LCM.

use t2i_core::Result;

use super::super::Learned;
use super::super::reader::{Spacing, Visits};
use super::wrong_steps;
use crate::samplers::Ladder;
use crate::spacing;
use crate::{Level, Plan};

/// The integer timesteps of DDIM, DDPM and PNDM.
pub(in crate::config) fn integer_timesteps(learned: &Learned, visits: &Visits, steps: usize) -> Vec<f64> {
    let train = learned.schedule.len();
    let timesteps = match visits.spacing {
        Spacing::Linspace => spacing::linspace(train, steps),
        Spacing::Leading => spacing::leading(train, steps, visits.offset),
        Spacing::Trailing => spacing::trailing(train, train, steps),
    };
    timesteps.into_iter().map(f64::round_ties_even).collect()
}

/// A plan at levels of the table.
pub(in crate::config) fn table(learned: &Learned, steps: usize, timesteps: Vec<f64>, last: Level) -> Result<Plan> {
    let schedule = &learned.schedule;
    if timesteps.iter().any(|t| *t < 0.0 || *t >= schedule.len() as f64) {
        let expected = "so few that steps_offset leaves timesteps in the schedule".to_owned();
        return Err(wrong_steps(steps, expected));
    }
    let visited = timesteps.iter().map(|t| schedule.level(*t as usize));
    let levels = visited.chain([last]).collect();
    Ok(Plan::new(steps, levels, timesteps, 1.0, schedule))
}

/// The level one stride below the last of the timesteps.
pub(in crate::config) fn end_of_ladder(learned: &Learned, steps: usize, last: Level, timesteps: &[f64]) -> Level {
    let ladder = Ladder::new(learned.schedule.clone(), steps, last);
    let lowest = timesteps.last().map_or(0, |t| *t as i64);
    ladder.level(lowest - ladder.stride())
}
