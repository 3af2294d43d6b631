//! Spacings of flow matching, whose levels are [`Level::flow`](crate::Level::flow) of a `sigma` in `[0, 1]`.
//!
//! Networks for large pictures are given more of the noisy levels: each sigma is shifted towards 1.
//!
//! ```
//! use t2i_sched::{Level, spacing::flow};
//!
//! // FLUX.1 dev, 20 steps for a picture of 1024 by 1024, which are 4096 tokens.
//! let mu = flow::mu(4096, flow::Tokens::FLUX);
//! let sigmas = flow::uniform(1.0 / 20.0, 1.0, 20).into_iter().map(|sigma| flow::shift_exponential(sigma, mu));
//! let levels: Vec<Level> = sigmas.map(Level::flow).chain([Level::CLEAN]).collect();
//! assert_eq!(levels.len(), 21);
//! ```
//!
//! diffusers: `FlowMatchEulerDiscreteScheduler`. Where it has no sigmas given and no dynamic shift, it shifts twice:
//! its `sigma_min` and `sigma_max`, `1 / 1000` and 1, are shifted before it lays the line, and the line is shifted
//! again.

use super::ramp;

/// `n` sigmas on a straight line from `sigma_max` down to `sigma_min`.
///
/// FLUX, and most pipelines of diffusers: from 1 to `1 / n`. ComfyUI: "simple" of a flow model.
pub fn uniform(sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
    ramp(sigma_max, sigma_min, n)
}

/// A fixed shift, `shift * s / (1 + (shift - 1) * s)`: 3 for SD 3, 1 changes nothing.
/// <https://arxiv.org/abs/2403.03206>, eq. 23
pub fn shift(sigma: f64, shift: f64) -> f64 {
    shift * sigma / (1.0 + (shift - 1.0) * sigma)
}

/// A shift by the picture's size, `exp(mu) / (exp(mu) + (1 / s - 1))`, which is [`shift`] by `exp(mu)`. FLUX;
/// `time_shift_type` = "exponential".
pub fn shift_exponential(sigma: f64, mu: f64) -> f64 {
    shift_linear(sigma, mu.exp())
}

/// A shift by the picture's size, `mu / (mu + (1 / s - 1))`, which is [`shift`] by `mu`; `time_shift_type` = "linear".
pub fn shift_linear(sigma: f64, mu: f64) -> f64 {
    mu / (mu + (1.0 / sigma - 1.0))
}

/// A shift of one of the kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shift {
    /// [`shift`] by a fixed number.
    Fixed(f64),
    /// [`shift_exponential`] by this `mu`.
    Exponential(f64),
    /// [`shift_linear`] by this `mu`.
    Linear(f64),
}

impl Shift {
    /// No shift.
    pub const NONE: Self = Self::Fixed(1.0);

    /// The shifted `sigma`.
    pub fn apply(self, sigma: f64) -> f64 {
        match self {
            Self::Fixed(by) => shift(sigma, by),
            Self::Exponential(mu) => shift_exponential(sigma, mu),
            Self::Linear(mu) => shift_linear(sigma, mu),
        }
    }

    /// [`apply`](Self::apply) in f32, where the reference shifts tensors.
    pub(crate) fn apply_f32(self, sigma: f32) -> f32 {
        match self {
            Self::Fixed(by) => by as f32 * sigma / (1.0 + (by - 1.0) as f32 * sigma),
            Self::Exponential(_) | Self::Linear(_) => self.apply(f64::from(sigma)) as f32,
        }
    }
}

/// How a shift grows with the number of tokens that a picture is for the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tokens {
    /// A small number of tokens (`base_image_seq_len`).
    pub base: usize,
    /// A large number of tokens (`max_image_seq_len`).
    pub max: usize,
    /// `mu` for the small number (`base_shift`).
    pub base_shift: f64,
    /// `mu` for the large number (`max_shift`).
    pub max_shift: f64,
}

impl Tokens {
    /// FLUX.1 dev. <https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/scheduler/scheduler_config.json>
    pub const FLUX: Self = Self { base: 256, max: 4096, base_shift: 0.5, max_shift: 1.15 };
}

/// `mu` of a picture of `tokens` tokens: on the straight line through the two that `rule` states, beyond them as well.
/// `calculate_shift` of diffusers' FLUX pipeline. A rule of one number of tokens has one shift.
pub fn mu(tokens: usize, rule: Tokens) -> f64 {
    if rule.base == rule.max {
        return rule.base_shift;
    }
    let slope = (rule.max_shift - rule.base_shift) / (rule.max as f64 - rule.base as f64);
    tokens as f64 * slope + (rule.base_shift - slope * rule.base as f64)
}

/// Stretches `sigmas` away from 1, so that the last is `terminal` (`shift_terminal` of diffusers). If the last is 1,
/// as where one step is all, nothing can be stretched, and they stay.
/// <https://github.com/Lightricks/LTX-Video/blob/main/ltx_video/schedulers/rf.py>
pub fn stretch_to_terminal(sigmas: &[f64], terminal: f64) -> Vec<f64> {
    match sigmas.last() {
        Some(last) if *last != 1.0 => {
            let scale = (1.0 - last) / (1.0 - terminal);
            sigmas.iter().map(|sigma| 1.0 - (1.0 - sigma) / scale).collect()
        }
        _ => sigmas.to_vec(),
    }
}
