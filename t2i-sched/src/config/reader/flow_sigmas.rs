//! Flow matching in the multistep classes, which have it beside their betas.

use serde_json::{Value, json};
use t2i_core::{Error, Result};

use super::super::Arguments;
use super::Reader;
use crate::spacing::flow::Shift;
use crate::{Prediction, Schedule, Unscaled};

/// What a config of a multistep class says about flow matching.
#[derive(Debug, Clone)]
pub(in crate::config) struct FlowSigmas {
    /// The levels of the betas, from which the class still takes an end or a curve, if flow levels are visited
    /// (`use_flow_sigmas`).
    pub(in crate::config) betas: Option<Schedule>,
    /// The shift of pictures of every size (`flow_shift`).
    pub(in crate::config) fixed: f64,
    /// `use_dynamic_shifting`.
    pub(in crate::config) dynamic: bool,
    /// `time_shift_type`.
    kind: Value,
}

impl FlowSigmas {
    pub(in crate::config) fn is_on(&self) -> bool {
        self.betas.is_some()
    }

    /// What `mu` shifts by, if it is given, in the classes that take the fixed shift without it.
    pub(in crate::config) fn shift(&self, arguments: &Arguments) -> Result<Shift> {
        match arguments.mu {
            None => Ok(Shift::Fixed(self.fixed)),
            Some(mu) if self.dynamic && self.kind == json!("exponential") && mu.exp().is_finite() => {
                Ok(Shift::Fixed(mu.exp()))
            }
            Some(mu) => Err(wrong_mu(
                mu.to_string(),
                "left out, unless use_dynamic_shifting is true and time_shift_type exponential",
            )),
        }
    }

    /// What `mu` shifts by in `UniPCMultistepScheduler`, which must have it where the config asks for it.
    pub(in crate::config) fn shift_if_asked(&self, arguments: &Arguments) -> Result<Shift> {
        match arguments.mu {
            _ if !self.dynamic => Ok(Shift::Fixed(self.fixed)),
            Some(mu) if mu.is_finite() && self.kind == json!("exponential") => Ok(Shift::Exponential(mu)),
            Some(mu) if mu.is_finite() && self.kind == json!("linear") => Ok(Shift::Linear(mu)),
            Some(mu) if mu.is_finite() => {
                Err(wrong_mu(mu.to_string(), "of a time_shift_type that is exponential or linear"))
            }
            mu => {
                let value = mu.map_or("missing".to_owned(), |mu| mu.to_string());
                Err(wrong_mu(value, "a number (SchedulerConfig::with_mu), because use_dynamic_shifting is true"))
            }
        }
    }
}

fn wrong_mu(value: String, expected: &str) -> Error {
    Error::InvalidValue { field: "mu", value, expected: expected.to_owned() }
}

impl Reader {
    /// The options for flow matching beside betas, and the levels that the model learned: of flow, or of the betas.
    pub(in crate::config) fn flow_sigmas(&mut self, betas: Schedule) -> Result<(Schedule, FlowSigmas)> {
        let on = self.flag("use_flow_sigmas", false)?;
        let fixed = match on {
            true => self.checked("flow_shift", 1.0, "above 0", |shift| *shift > 0.0)?,
            false => 1.0,
        };
        let kind = self.options.peek("time_shift_type").cloned().unwrap_or(json!("exponential"));
        let learned = if on { Schedule::flow(betas.len(), Shift::Fixed(fixed)) } else { betas.clone() };
        let dynamic = self.flag("use_dynamic_shifting", false)?;
        Ok((learned, FlowSigmas { betas: on.then_some(betas), fixed, dynamic, kind }))
    }

    /// What the network's output means, in a class that solves in the clean latent (`data`) or in the noise.
    pub(in crate::config) fn flow_prediction(&mut self, flow: &FlowSigmas, data: Solves) -> Result<Prediction> {
        let name = self.name("prediction_type", "epsilon")?;
        if name != "flow_prediction" {
            return Ok(match self.prediction(Some("sample"))? {
                Prediction::Epsilon if flow.is_on() => Prediction::Unscaled(Unscaled::Epsilon),
                Prediction::V if flow.is_on() => Prediction::Unscaled(Unscaled::V),
                Prediction::Sample if flow.is_on() => Prediction::Unscaled(Unscaled::Sample),
                prediction => prediction,
            });
        }
        match (flow.is_on(), data) {
            (true, Solves::Data) => Ok(Prediction::Velocity),
            (false, _) => {
                let expected = "epsilon or v_prediction or sample, because use_flow_sigmas is false";
                Err(self.options.unsupported("prediction_type", &json!(name), expected))
            }
            (true, Solves::Noise) => {
                let expected = "epsilon or v_prediction or sample for a solver in the noise";
                Err(self.options.unsupported("prediction_type", &json!(name), expected))
            }
        }
    }
}

/// What a solver takes from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Solves {
    Data,
    Noise,
}
