//! Spacings by a formula.

use super::ramp;

/// `n` sigmas with evenly spaced arc tangents, which minimize an upper bound of the Kullback-Leibler divergence:
/// `tan(r * atan(min) + (1 - r) * atan(max))`. In f32, as the reference; near 90 degrees an f32 angle tells large
/// sigmas apart to `1e-7 * sigma` of their size only, so that the first is not quite `sigma_max`.
///
/// ComfyUI: "kl_optimal". A1111: "KL Optimal", which is `kl_optimal(min, max, n + 1)` and ends there, at `sigma_min`.
/// One level is `sigma_max`, where ComfyUI's is NaN. <https://arxiv.org/abs/2404.04956>
pub fn kl_optimal(sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
    let (low, high) = (sigma_min.atan() as f32, sigma_max.atan() as f32);
    let angle = |i: usize| {
        let r = i as f32 / n.saturating_sub(1).max(1) as f32;
        r * low + (1.0 - r) * high
    };
    (0..n).map(|i| f64::from(f64::from(angle(i)).tan() as f32)).collect()
}

/// `n` sigmas that first fall by equal small steps and then faster and faster, along a parabola that meets the line
/// with its slope: after `linear_steps` steps they have fallen by the share `threshold_noise`.
///
/// ComfyUI: "linear_quadratic", diffusers: the sigmas of Mochi, both with `threshold_noise` = 0.025 and
/// `linear_steps = n / 2`; of flow matching, where `sigma_max` is 1. A1111: none. At least one step is linear.
/// <https://github.com/genmoai/mochi/blob/main/src/genmo/mochi_preview/pipelines.py>
pub fn linear_quadratic(sigma_max: f64, threshold_noise: f64, linear_steps: usize, n: usize) -> Vec<f64> {
    let linear_steps = linear_steps.clamp(1, n.max(1));
    let (steps, linear) = (n as f64, linear_steps as f64);
    let excess = linear - threshold_noise * steps;
    let quadratic = excess / (linear * (steps - linear).powi(2));
    let slope = threshold_noise / linear - 2.0 * excess / (steps - linear).powi(2);
    let fallen = |i: usize| {
        let i_ = i as f64;
        match i < linear_steps {
            true => i_ * threshold_noise / linear,
            false => quadratic * i_.powi(2) + slope * i_ + quadratic * linear.powi(2),
        }
    };
    (0..n).map(|i| (1.0 - fallen(i)) * sigma_max).collect()
}

/// `n` sigmas with evenly spaced `lambda`, from logarithms in f32: but for their rounding
/// [`exponential`](super::exponential).
///
/// diffusers: `use_lu_lambdas`. A1111, ComfyUI: none. <https://arxiv.org/abs/2211.01095>, section 5.2
pub fn lu(sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
    let log = |sigma: f64| f64::from((sigma as f32).ln());
    let (low, high) = (log(sigma_min), log(sigma_max));
    ramp(0.0, 1.0, n).iter().map(|r| (high + r * (low - high)).exp()).collect()
}
