//! The length of a step, as a function of its number.

use std::f64::consts::PI;

use t2i_core::{Error, Result};

/// The learning rate at every step: a linear start, then constant or falling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRate {
    /// The rate after the start.
    pub peak: f64,
    /// Steps over which the rate grows from 0.
    pub warmup: u64,
    /// How it falls after that.
    pub decay: Decay,
}

/// How a learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decay {
    /// Not at all.
    None,
    /// Along a line from the peak at step `from` to 0 at step `to`.
    Linear {
        /// The step at which it begins to fall.
        from: u64,
        /// The step at which it is 0.
        to: u64,
    },
    /// Along half a cosine to 0 at step `steps`. [Loshchilov and Hutter 2017](https://arxiv.org/abs/1608.03983), eq. 5
    Cosine {
        /// The step at which it is 0.
        steps: u64,
    },
}

impl LearningRate {
    /// The same at every step.
    pub fn constant(peak: f64) -> Self {
        Self { peak, warmup: 0, decay: Decay::None }
    }

    /// That the peak is a rate, and that what falls has steps to fall in.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |field, value: String, expected: String| Err(Error::InvalidValue { field, value, expected });
        let start = match self.decay {
            Decay::None => None,
            Decay::Linear { from, to } => Some((from, to)),
            Decay::Cosine { steps } => Some((self.warmup, steps)),
        };
        match start {
            _ if !(self.peak.is_finite() && self.peak > 0.0) => {
                wrong("learning rate", self.peak.to_string(), "a number above 0".to_owned())
            }
            Some((from, to)) if to <= from => {
                wrong("end of the learning rate", to.to_string(), format!("after step {from}, where it begins to fall"))
            }
            _ => Ok(()),
        }
    }

    /// The rate of step number `step`, from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let share = |from: u64, to: u64| {
            let after = step.saturating_sub(from) as f64 / to.saturating_sub(from).max(1) as f64;
            after.min(1.0)
        };
        self.peak
            * match self.decay {
                Decay::None => 1.0,
                Decay::Linear { from, to } => 1.0 - share(from, to),
                Decay::Cosine { steps } => 0.5 * (1.0 + (PI * share(self.warmup, steps)).cos()),
            }
    }
}
