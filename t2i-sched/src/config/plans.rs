//! What the classes' `set_timesteps` share, with its roundings.

mod curve;
mod edm;
mod exploding;
mod flow;
mod flow_sigmas;
mod preserving;
mod table;

use t2i_core::{Error, Result};

pub(super) use curve::{curve, curve_timesteps, final_sigma, sigma_to_timestep};
pub(super) use edm::edm;
pub(super) use exploding::{Interpolation, exploding};
pub(super) use flow::flow;
pub(super) use preserving::{multistep, preserving};
pub(super) use table::{end_of_ladder, integer_timesteps, table};

use super::Learned;

/// Checks the number of steps of a class that can take `most`.
pub(super) fn at_most(steps: usize, most: usize, class: &str) -> Result<()> {
    match (1..=most).contains(&steps) {
        true => Ok(()),
        false => Err(wrong_steps(steps, format!("1 to {most} for {class}"))),
    }
}

/// Checks the number of steps of a class that visits timesteps of the schedule.
pub(super) fn at_most_timesteps(steps: usize, learned: &Learned, class: &str) -> Result<()> {
    at_most(steps, learned.schedule.len(), class)
}

/// The most steps of classes that go between timesteps.
pub(super) const MOST_STEPS: usize = 100_000;

pub(super) fn wrong_steps(steps: usize, expected: String) -> Error {
    Error::InvalidValue { field: "steps", value: steps.to_string(), expected }
}

pub(super) fn round_to_f32(value: f64) -> f64 {
    f64::from(value as f32)
}
