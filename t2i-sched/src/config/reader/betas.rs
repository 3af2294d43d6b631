//! The levels that the model learned.

use serde_json::json;
use t2i_core::Result;

use super::Reader;
use crate::Schedule;
use crate::schedule::{cosine, exponential, laplace, linear, scaled_linear, sigmoid, zero_terminal_snr};

/// The defaults of a class, and the betas that it knows besides `linear`, `scaled_linear` and `squaredcos_cap_v2`.
pub(in crate::config) struct Betas {
    pub(in crate::config) start: f64,
    pub(in crate::config) end: f64,
    pub(in crate::config) schedule: &'static str,
    pub(in crate::config) more: &'static [&'static str],
    pub(in crate::config) zero_snr: ZeroSnr,
}

/// What a class does with `rescale_betas_zero_snr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum ZeroSnr {
    /// It does not have the option.
    Unknown,
    /// The last level is pure noise.
    Exact,
    /// The last level has a hair of image, so that its sigma is finite.
    Finite,
}

impl Betas {
    /// The defaults of DDPM. <https://arxiv.org/abs/2006.11239>, section 4
    pub(in crate::config) const DDPM: Self =
        Self { start: 0.0001, end: 0.02, schedule: "linear", more: &[], zero_snr: ZeroSnr::Unknown };
    /// The range of Stable Diffusion, on a straight line.
    pub(in crate::config) const LATENT: Self = Self { start: 0.00085, end: 0.012, ..Self::DDPM };
}

impl Reader {
    pub(in crate::config) fn schedule(&mut self, has: &Betas) -> Result<Schedule> {
        let len = self.train_timesteps()?;
        let (start, end) = (self.options.get("beta_start", has.start)?, self.options.get("beta_end", has.end)?);
        let betas = match self.options.get::<Option<Vec<f32>>>("trained_betas", None)? {
            Some(betas) if betas.len() == len => betas,
            Some(betas) => {
                let expected = format!("as many as num_train_timesteps, {len}");
                return Err(self.options.unsupported("trained_betas", &json!(betas.len()), &expected));
            }
            None => self.betas(has, start, end, len)?,
        };
        let zero_snr = has.zero_snr != ZeroSnr::Unknown && self.flag("rescale_betas_zero_snr", false)?;
        let betas = if zero_snr { zero_terminal_snr(&betas) } else { betas };
        if betas.iter().any(|b| !(0.0..=1.0).contains(b)) {
            return Err(self.options.unsupported("beta_end", &json!(end), "such that all betas are in [0, 1]"));
        }
        let schedule = Schedule::from_betas(&betas);
        Ok(if zero_snr && has.zero_snr == ZeroSnr::Finite { schedule.finite() } else { schedule })
    }

    pub(in crate::config) fn train_timesteps(&mut self) -> Result<usize> {
        self.checked("num_train_timesteps", 1000, "1 to 100000", |n| (1..=100_000).contains(n))
    }

    fn betas(&mut self, has: &Betas, start: f64, end: f64, len: usize) -> Result<Vec<f32>> {
        let known = ["linear", "scaled_linear", "squaredcos_cap_v2"];
        let name = self.one_of("beta_schedule", has.schedule, &[&known, has.more].concat())?;
        Ok(match name.as_str() {
            "linear" => linear(start, end, len),
            "scaled_linear" => scaled_linear(start, end, len),
            "squaredcos_cap_v2" => cosine(len),
            "exp" => exponential(len),
            "laplace" => laplace(len),
            _ => sigmoid(start, end, len),
        })
    }
}
