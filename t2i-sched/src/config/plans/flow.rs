//! Flow levels: the classes for flow matching.

use t2i_core::{Error, Result};

use super::super::reader::Flow;
use super::super::{Arguments, Learned};
use super::{curve, round_to_f32};
use crate::spacing::flow::{Shift, stretch_to_terminal};
use crate::spacing::ramp;
use crate::{Level, Plan};

/// The plan of `steps` steps at the flow levels that `flow` asks for, down to a clean latent.
pub(in crate::config) fn flow(learned: &Learned, flow: &Flow, steps: usize, arguments: &Arguments) -> Result<Plan> {
    let sigmas = flow_sigmas(learned, flow, steps, arguments)?;
    let timesteps = sigmas.iter().map(|sigma| f64::from(sigma * flow.train as f32)).collect();
    let levels = sigmas.iter().map(|sigma| Level::flow(f64::from(*sigma))).chain([Level::CLEAN]).collect();
    Ok(Plan::new(steps, levels, timesteps, 1.0, &learned.schedule))
}

/// The sigmas that `flow` asks for. Without a dynamic shift they are shifted twice, as in diffusers: the ends of the
/// schedule are shifted ones.
fn flow_sigmas(learned: &Learned, flow: &Flow, steps: usize, arguments: &Arguments) -> Result<Vec<f32>> {
    let table = learned.schedule.sigmas();
    let train = flow.train as f64;
    let ends = [table[table.len() - 1], table[0]].map(|sigma| f64::from(sigma) * train);
    let line = ramp(ends[0], ends[1], steps);
    let shift = flow.shift(arguments.mu)?;
    let mut sigmas: Vec<f64> = line.iter().map(|timestep| shift.apply(timestep / train)).collect();
    if let Some(terminal) = flow.terminal {
        sigmas = stretch_to_terminal(&sigmas, terminal);
    }
    if let Some(curve) = curve(&flow.visits, steps, sigmas[sigmas.len() - 1], sigmas[0]) {
        sigmas = curve;
    }
    finite(sigmas, shift)
}

/// The sigmas in f32, if a run can visit them.
fn finite(sigmas: Vec<f64>, shift: Shift) -> Result<Vec<f32>> {
    let sigmas: Vec<f32> = sigmas.into_iter().map(|sigma| round_to_f32(sigma) as f32).collect();
    match sigmas.iter().all(|sigma| sigma.is_finite() && *sigma > 0.0) {
        true => Ok(sigmas),
        false => Err(Error::InvalidValue {
            field: "mu",
            value: format!("{shift:?}"),
            expected: "a shift to sigmas above 0, and an ascending range of them".to_owned(),
        }),
    }
}
