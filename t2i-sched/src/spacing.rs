//! Which levels to visit. Plain functions from a number of steps to timesteps or sigmas, noisiest first.
//!
//! Sigmas are those of variance-exploding levels, of flow matching in [`flow`]; the final 0 is not among them, so that
//! a run visits what a function gives and then [`Level::CLEAN`](crate::Level::CLEAN), unless its page says otherwise.
//! A vector of one's own does as well: [`check_descending`] tells whether a run can visit it.
//!
//! | A1111 | ComfyUI | here |
//! |---|---|---|
//! | Karras | karras | [`k_diffusion::karras`] |
//! | Exponential | exponential | [`k_diffusion::exponential`] |
//! | Polyexponential | PolyexponentialScheduler | [`k_diffusion::polyexponential`] |
//! | | VPScheduler | [`k_diffusion::vp`] |
//! | | LaplaceScheduler | [`k_diffusion::laplace`] |
//! | KL Optimal | kl_optimal | [`kl_optimal`] |
//! | Uniform, Normal | normal | [`normal`] |
//! | SGM Uniform | sgm_uniform | [`sgm_uniform`] |
//! | Simple | simple | [`simple`] |
//! | DDIM | ddim_uniform | [`ddim_uniform`] |
//! | Beta | | [`beta`] |
//! | | beta | [`beta_of_table`] |
//! | Align Your Steps | | [`resample`] of [`AYS_SD15`] |
//! | | AlignYourStepsScheduler | [`resample_to_zero`] of [`AYS_SD15_FINE`] |
//! | | GITSScheduler | [`gits`] |
//! | | linear_quadratic | [`linear_quadratic`] |
//!
//! `n` may be any number in each: none is an empty list. Ends must be positive.

mod beta;
mod check;
mod curves;
pub mod flow;
mod gits;
pub mod k_diffusion;
mod published;
mod table;

use beta::beta_quantile;

pub use check::{check_ascending, check_descending, check_finite};
pub use curves::{kl_optimal, linear_quadratic, lu};
pub use published::{AYS_SD15, AYS_SD15_FINE, AYS_SDXL, AYS_SDXL_FINE, AYS_SVD, gits, resample, resample_to_zero};
pub use table::{beta_of_table, ddim_uniform, normal, sgm_uniform, sigma_of, simple, timestep_of};

/// `n` timesteps over the whole range, both ends included: not rounded.
/// <https://arxiv.org/abs/2305.08891>, table 2, "linspace"
pub fn linspace(train_steps: usize, n: usize) -> Vec<f64> {
    let mut timesteps = ramp(0.0, train_steps as f64 - 1.0, n);
    timesteps.reverse();
    timesteps
}

/// `n` multiples of `train_steps / n` from 0 up, plus `offset`: the noisiest level is not among them.
/// <https://arxiv.org/abs/2305.08891>, table 2, "leading"
pub fn leading(train_steps: usize, n: usize, offset: i64) -> Vec<f64> {
    let ratio = train_steps / n.max(1);
    (0..n).rev().map(|i| (i * ratio) as f64 + offset as f64).collect()
}

/// About `n` timesteps down from `last` (the number of training steps, unless the noisiest are cut off) in strides of
/// `train_steps / n`: the noisiest level is among them. <https://arxiv.org/abs/2305.08891>, table 2, "trailing"
///
/// Rounding makes numpy's `arange` one entry too long for a few `n`, as 61, which tells a diffusers network the
/// timestep -1; that entry is left out here.
pub fn trailing(train_steps: usize, last: usize, n: usize) -> Vec<f64> {
    let ratio = train_steps as f64 / n as f64;
    let last = last as f64;
    let count = (last / ratio).ceil() as usize;
    let stride = (last - ratio) - last;
    let timestep = |i: usize| (last + i as f64 * stride).round_ties_even() - 1.0;
    (0..count).map(timestep).filter(|t| *t >= 0.0).collect()
}

/// `n` sigmas with evenly spaced seventh roots, in the f64 arithmetic of diffusers; k-diffusion's f32 is
/// [`k_diffusion::karras`]. <https://arxiv.org/abs/2206.00364>, eq. 5 with `rho = 7`
pub fn karras(sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
    let (low, high) = (sigma_min.powf(1.0 / 7.0), sigma_max.powf(1.0 / 7.0));
    ramp(0.0, 1.0, n).iter().map(|r| (high + r * (low - high)).powf(7.0)).collect()
}

/// `n` sigmas with evenly spaced logarithms, in the f64 arithmetic of diffusers; k-diffusion's f32 is
/// [`k_diffusion::exponential`].
pub fn exponential(sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
    ramp(sigma_max.ln(), sigma_min.ln(), n).iter().map(|s| s.exp()).collect()
}

/// `n` sigmas at the quantiles of the distribution Beta(0.6, 0.6), as A1111 ("Beta") and diffusers place them: on the
/// axis of sigma. ComfyUI's are [`beta_of_table`]. <https://arxiv.org/abs/2407.12173>
pub fn beta(sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
    let sigma = |r: &f64| sigma_min + beta_quantile(1.0 - r, 0.6, 0.6) * (sigma_max - sigma_min);
    ramp(0.0, 1.0, n).iter().map(sigma).collect()
}

/// `numpy.linspace`: `n` values from `start` to `stop`, both included; only `start` if `n` is 1.
pub(crate) fn ramp(start: f64, stop: f64, n: usize) -> Vec<f64> {
    let step = (stop - start) / n.saturating_sub(1).max(1) as f64;
    let mut values: Vec<f64> = (0..n).map(|i| i as f64 * step + start).collect();
    if n > 1 {
        values[n - 1] = stop;
    }
    values
}

/// `numpy.interp` over the indices of `table`: linear between entries, constant outside.
pub(crate) fn interpolate(x: f64, table: &[f32]) -> f64 {
    interpolate_by(x, table.len(), |i| f64::from(table[i]))
}

/// [`interpolate`] in a table of f64.
fn interpolate_f64(x: f64, table: &[f64]) -> f64 {
    interpolate_by(x, table.len(), |i| table[i])
}

fn interpolate_by(x: f64, len: usize, at: impl Fn(usize) -> f64) -> f64 {
    let last = len.saturating_sub(1);
    if x <= 0.0 || x >= last as f64 {
        return at(if x <= 0.0 { 0 } else { last });
    }
    let i = x.floor() as usize;
    (at(i + 1) - at(i)) * (x - i as f64) + at(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: numpy 2 and scipy, as diffusers 0.42.1 calls them.

    #[test]
    fn trailing_has_no_negative_timestep() {
        assert_eq!(trailing(1000, 1000, 4), [999.0, 749.0, 499.0, 249.0]);
        assert_eq!(trailing(1000, 1000, 61).len(), 61);
    }

    #[test]
    fn leading_starts_below_the_top() {
        assert_eq!(leading(1000, 4, 1), [751.0, 501.0, 251.0, 1.0]);
    }

    #[test]
    fn one_step_of_linspace_is_timestep_0() {
        assert_eq!(linspace(1000, 1), [0.0]);
        assert_eq!(linspace(1000, 3), [999.0, 499.5, 0.0]);
    }
}
