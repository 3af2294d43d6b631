//! The options that several classes share, as types. What a class allows, and its defaults, it says itself.

mod betas;
mod edm;
mod flow;
mod flow_sigmas;
mod visits;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use t2i_core::{Options, Result};

pub(super) use betas::{Betas, ZeroSnr};
pub(super) use edm::Edm;
pub(super) use flow::Flow;
pub(super) use flow_sigmas::{FlowSigmas, Solves};
pub(super) use visits::{Curve, FinalSigma, Spacing, VisitOptions, Visits};

use crate::samplers::Limit;
use crate::{Level, Prediction, Schedule};

/// The options on their way to a class.
pub(super) struct Reader {
    pub(super) options: Options,
}

impl Reader {
    /// What the network's output means; `sample` is the class's name for the clean latent, if it knows it.
    pub(super) fn prediction(&mut self, sample: Option<&str>) -> Result<Prediction> {
        let name = self.name("prediction_type", "epsilon")?;
        Ok(match name.as_str() {
            "epsilon" => Prediction::Epsilon,
            "v_prediction" => Prediction::V,
            // Euler's class has two names for it.
            name if sample == Some(name) || (name == "sample" && sample.is_some()) => Prediction::Sample,
            _ => {
                let known = if sample.is_some() { " or sample" } else { "" };
                let expected = format!("epsilon or v_prediction{known}");
                return Err(self.options.unsupported("prediction_type", &json!(name), &expected));
            }
        })
    }

    /// The limit on clean latents. `clip` is the default of `clip_sample`; `None` if the class does not have it.
    pub(super) fn limit(&mut self, clip: Option<bool>, threshold: Threshold) -> Result<Option<Limit>> {
        if threshold == Threshold::Known && self.flag("thresholding", false)? {
            let ratio = self.checked("dynamic_thresholding_ratio", 0.995, "in [0, 1]", |r| (0.0..=1.0).contains(r))?;
            let max = self.checked("sample_max_value", 1.0, "above 0", |max| *max > 0.0)?;
            return Ok(Some(Limit::Threshold { ratio, max }));
        }
        match clip {
            Some(default) if self.flag("clip_sample", default)? => {
                let range = self.checked("clip_sample_range", 1.0, "above 0", |range| *range > 0.0)?;
                Ok(Some(Limit::Clip(range)))
            }
            _ => Ok(None),
        }
    }

    /// The level below timestep 0: clean, or that of timestep 0 itself.
    pub(super) fn last(&mut self, schedule: &Schedule, default: bool) -> Result<Level> {
        let clean = self.flag("set_alpha_to_one", default)?;
        Ok(if clean { Level::CLEAN } else { schedule.level(0) })
    }

    /// Whether `solver_type` is `other` and not `usual`; names of other classes' types mean the usual one.
    pub(super) fn solver_type(&mut self, usual: &str, other: &str, foreign: &[&str]) -> Result<bool> {
        let name = self.name("solver_type", usual)?;
        if name != usual && name != other && !foreign.contains(&name.as_str()) {
            let expected = format!("{usual} or {other}");
            return Err(self.options.unsupported("solver_type", &json!(name), &expected));
        }
        Ok(name == other)
    }

    /// A flag, where null is false.
    pub(super) fn flag(&self, option: &str, default: bool) -> Result<bool> {
        match self.options.peek(option) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.options.unsupported(option, other, "true or false")),
        }
    }

    /// A name.
    pub(super) fn name(&self, option: &str, default: &str) -> Result<String> {
        match self.options.peek(option) {
            None => Ok(default.to_owned()),
            Some(Value::String(name)) => Ok(name.clone()),
            Some(other) => Err(self.options.unsupported(option, other, "a name")),
        }
    }

    /// One of a few names.
    pub(super) fn one_of(&self, option: &str, default: &str, names: &[&str]) -> Result<String> {
        let name = self.name(option, default)?;
        match names.contains(&name.as_str()) {
            true => Ok(name),
            false => Err(self.options.unsupported(option, &json!(name), &names.join(" or "))),
        }
    }

    /// Any value that is `allowed`, which `expected` says in words.
    pub(super) fn checked<T: DeserializeOwned + Serialize>(
        &mut self,
        option: &str,
        default: T,
        expected: &str,
        allowed: impl Fn(&T) -> bool,
    ) -> Result<T> {
        let value = self.options.get(option, default)?;
        if allowed(&value) { Ok(value) } else { Err(self.options.unsupported(option, &json!(value), expected)) }
    }
}

/// Whether a class has `thresholding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threshold {
    Known,
    Unknown,
}
