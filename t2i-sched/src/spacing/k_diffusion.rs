//! The spacings of k-diffusion, in its f32 arithmetic: A1111's and ComfyUI's.
//!
//! The functions of [`spacing`](super) with the same names are diffusers', in f64. The two differ by up to 1e-6 of a
//! level, which a trajectory compared to 1e-5 can show.
//!
//! <https://github.com/crowsonkb/k-diffusion/blob/master/k_diffusion/sampling.py>

use crate::schedule::linspace_f32;

/// `n` sigmas with evenly spaced `rho`-th roots: `(max^(1/rho) + r * (min^(1/rho) - max^(1/rho)))^rho`.
///
/// A1111: "Karras", ComfyUI: "karras" and "KarrasScheduler", with `rho` = 7.
/// <https://arxiv.org/abs/2206.00364>, eq. 5
pub fn karras(sigma_min: f64, sigma_max: f64, rho: f64, n: usize) -> Vec<f64> {
    let (low, high) = (sigma_min.powf(1.0 / rho), sigma_max.powf(1.0 / rho));
    let root = |r: f32| high as f32 + r * (low - high) as f32;
    linspace_f32(0.0, 1.0, n).into_iter().map(|r| pow(root(r), rho).into()).collect()
}

/// `n` sigmas with evenly spaced logarithms.
///
/// A1111: "Exponential", ComfyUI: "exponential" and "ExponentialScheduler".
pub fn exponential(sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
    linspace_f32(sigma_max.ln() as f32, sigma_min.ln() as f32, n).into_iter().map(|s| exp(s).into()).collect()
}

/// `n` sigmas whose logarithms are polynomial: `exp(r^rho * (ln max - ln min) + ln min)` with `r` from 1 down to 0.
/// With `rho` = 1 it is [`exponential`].
///
/// A1111: "Polyexponential", ComfyUI: "PolyexponentialScheduler", with `rho` = 1.
pub fn polyexponential(sigma_min: f64, sigma_max: f64, rho: f64, n: usize) -> Vec<f64> {
    let (low, span) = (sigma_min.ln() as f32, (sigma_max.ln() - sigma_min.ln()) as f32);
    linspace_f32(1.0, 0.0, n).into_iter().map(|r| exp(pow(r, rho) * span + low).into()).collect()
}

/// `n` sigmas evenly spaced in the time of the continuous VP process, from 1 down to `eps_s`:
/// `sqrt(exp(beta_d * t^2 / 2 + beta_min * t) - 1)`.
///
/// A1111: none, ComfyUI: "VPScheduler", with `beta_d` = 19.9, `beta_min` = 0.1 and `eps_s` = 0.001. ComfyUI's copy
/// takes `expm1`, which differs by some 1e-4 at the clean end, where k-diffusion's difference loses digits.
/// <https://arxiv.org/abs/2011.13456>, eq. 32 and 33
pub fn vp(beta_d: f64, beta_min: f64, eps_s: f64, n: usize) -> Vec<f64> {
    let (beta_d, beta_min) = (beta_d as f32, beta_min as f32);
    let variance = |t: f32| exp(beta_d * (t * t) / 2.0 + beta_min * t) - 1.0;
    linspace_f32(1.0, eps_s as f32, n).into_iter().map(|t| variance(t).sqrt().into()).collect()
}

/// `n` sigmas at the quantiles of a Laplace distribution of `ln sigma` with mean `mu` and scale `beta`, none outside
/// the ends: `exp(mu - beta * sign(0.5 - r) * ln(1 - 2 * |0.5 - r|))`.
///
/// Many steps give several quantiles beyond an end, so that the end is there as often. The list holds `sigma_min`, and
/// the run of ComfyUI ends there instead of at 0.
///
/// A1111: none, ComfyUI: "LaplaceScheduler", with `mu` = 0 and `beta` = 0.5. <https://arxiv.org/abs/2407.03297>
pub fn laplace(sigma_min: f64, sigma_max: f64, mu: f64, beta: f64, n: usize) -> Vec<f64> {
    let sigma = |r: f32| {
        let (side, tail) = (0.5 - r, 1.0 - 2.0 * (0.5 - r).abs() + 1e-5);
        let sign = if side == 0.0 { 0.0 } else { side.signum() };
        let lambda = mu as f32 - beta as f32 * sign * ln(tail);
        f64::from(exp(lambda).min(sigma_max as f32).max(sigma_min as f32))
    };
    linspace_f32(0.0, 1.0, n).into_iter().map(sigma).collect()
}

/// The nearest f32 to `base^exponent`, the exponent an f32 as torch makes it.
fn pow(base: f32, exponent: f64) -> f32 {
    f64::from(base).powf(f64::from(exponent as f32)) as f32
}

/// The nearest f32 to `e^x`.
fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

/// The nearest f32 to the logarithm.
fn ln(x: f32) -> f32 {
    f64::from(x).ln() as f32
}
