//! Curves of sigmas.

use super::super::reader::{Curve, FinalSigma, Visits};
use crate::spacing;

/// The sigmas of the config's curve between the given ends, unless it states its own; `None` if it goes by timesteps.
pub(in crate::config) fn curve(visits: &Visits, steps: usize, sigma_min: f64, sigma_max: f64) -> Option<Vec<f64>> {
    let low = visits.sigma_min.unwrap_or(sigma_min);
    let high = visits.sigma_max.unwrap_or(sigma_max);
    match visits.curve {
        Curve::Timesteps => None,
        Curve::Karras => Some(spacing::karras(low, high, steps)),
        Curve::Exponential => Some(spacing::exponential(low, high, steps)),
        Curve::Beta => Some(spacing::beta(low, high, steps)),
        Curve::Lu => Some(spacing::lu(sigma_min, sigma_max, steps)),
    }
}

/// The timesteps of a curve's sigmas, as integers.
pub(in crate::config) fn curve_timesteps(curve: &[f64], sigmas: &[f32], rounded: bool) -> Vec<f64> {
    let whole = |t: f64| if rounded { t.round_ties_even() } else { t.trunc() };
    curve.iter().map(|sigma| whole(sigma_to_timestep(*sigma, sigmas))).collect()
}

/// Where a run of timesteps ends.
pub(in crate::config) fn final_sigma(visits: &Visits, sigma_min: f32) -> f64 {
    match visits.final_sigma {
        FinalSigma::Zero => 0.0,
        FinalSigma::Min => f64::from(sigma_min),
    }
}

/// Where a sigma lies in the table, by linear interpolation of the logarithm (`_sigma_to_t`).
pub(in crate::config) fn sigma_to_timestep(sigma: f64, sigmas: &[f32]) -> f64 {
    let wanted = sigma.max(1e-10).ln();
    let log = |i: usize| sigmas[i].ln();
    let low = sigmas.iter().rposition(|s| f64::from(s.ln()) <= wanted).unwrap_or(0).min(sigmas.len().saturating_sub(2));
    let high = (low + 1).min(sigmas.len() - 1);
    let span = f64::from(log(low) - log(high));
    let share = if span == 0.0 { 0.0 } else { ((f64::from(log(low)) - wanted) / span).clamp(0.0, 1.0) };
    (1.0 - share) * low as f64 + share * high as f64
}
