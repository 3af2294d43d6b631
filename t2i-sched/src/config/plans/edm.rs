//! Variance-exploding levels of EDM, whose network is told their logarithm.

use super::super::Learned;
use super::super::reader::Edm;
use super::round_to_f32;
use crate::{Level, Plan};

/// The plan at these sigmas, which ends at `last`.
pub(in crate::config) fn edm(learned: &Learned, edm: &Edm, sigmas: Vec<f64>, last: f64) -> Plan {
    let timesteps = sigmas.iter().map(|sigma| f64::from(0.25 * (*sigma as f32).ln())).collect();
    let steps = sigmas.len();
    let visited = sigmas.into_iter().chain([last]);
    let levels = visited.map(|sigma| Level::ve(round_to_f32(sigma))).collect();
    Plan::new(steps, levels, timesteps, edm.init_scale(), &learned.schedule)
}
