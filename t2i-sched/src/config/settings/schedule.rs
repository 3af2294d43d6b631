//! The levels that the model learned.

use serde_json::json;
use t2i_core::Result;

use super::Reader;
use crate::Schedule;
use crate::config::Class;
use crate::schedule::{cosine, exponential, laplace, linear, scaled_linear, sigmoid, zero_terminal_snr};

impl Reader {
    pub(super) fn schedule(&mut self) -> Result<Schedule> {
        let latent_defaults = matches!(self.class, Class::Heun | Class::Lcm);
        let (start, end) = if latent_defaults { (0.00085, 0.012) } else { (0.0001, 0.02) };
        let len: usize = self.checked("num_train_timesteps", 1000, "1 to 100000", |n| (1..=100_000).contains(n))?;
        let (start, end) = (self.options.get("beta_start", start)?, self.options.get("beta_end", end)?);
        let betas = match self.options.get::<Option<Vec<f32>>>("trained_betas", None)? {
            Some(betas) if betas.len() == len => betas,
            Some(betas) => {
                let expected = format!("as many as num_train_timesteps, {len}");
                return Err(self.options.unsupported("trained_betas", &json!(betas.len()), &expected));
            }
            None => self.betas(start, end, len)?,
        };
        let betas = if self.zero_terminal_snr()? { zero_terminal_snr(&betas) } else { betas };
        if betas.iter().any(|b| !(0.0..=1.0).contains(b)) {
            return Err(self.options.unsupported("beta_end", &json!(end), "such that all betas are in [0, 1]"));
        }
        let schedule = Schedule::from_betas(&betas);
        let ends_finite = matches!(self.class, Class::Euler | Class::EulerAncestral | Class::DpmSolver | Class::UniPc);
        Ok(if ends_finite && self.zero_terminal_snr()? { schedule.finite() } else { schedule })
    }

    fn betas(&mut self, start: f64, end: f64, len: usize) -> Result<Vec<f32>> {
        let default = if self.class == Class::Lcm { "scaled_linear" } else { "linear" };
        let name = self.name("beta_schedule", default)?;
        Ok(match (name.as_str(), self.class) {
            ("linear", _) => linear(start, end, len),
            ("scaled_linear", _) => scaled_linear(start, end, len),
            ("squaredcos_cap_v2", _) => cosine(len),
            ("exp", Class::Heun) => exponential(len),
            ("laplace", Class::Ddpm) => laplace(len),
            ("sigmoid", Class::Ddpm) => sigmoid(start, end, len),
            _ => {
                let more = match self.class {
                    Class::Heun => " or exp",
                    Class::Ddpm => " or laplace or sigmoid",
                    _ => "",
                };
                let expected = format!("linear or scaled_linear or squaredcos_cap_v2{more}");
                return Err(self.options.unsupported("beta_schedule", &json!(name), &expected));
            }
        })
    }

    /// Heun and PNDM do not have the option.
    fn zero_terminal_snr(&mut self) -> Result<bool> {
        let stated = !matches!(self.class, Class::Heun | Class::Pndm) && self.peek_flag("rescale_betas_zero_snr")?;
        Ok(stated)
    }
}
