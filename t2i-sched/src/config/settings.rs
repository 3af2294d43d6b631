//! The options of a config as types, with the defaults of each class.

mod schedule;
mod solver;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use t2i_core::{Options, Result};

use super::Class;
use crate::samplers::{Limit, UniPcNorm, Variance};
use crate::{Level, Prediction, Schedule};

/// What a config says.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) schedule: Schedule,
    pub(super) prediction: Prediction,
    pub(super) spacing: Spacing,
    pub(super) offset: i64,
    pub(super) curve: Curve,
    pub(super) sigma_min: Option<f64>,
    pub(super) sigma_max: Option<f64>,
    pub(super) final_sigma: FinalSigma,
    pub(super) limit: Option<Limit>,
    pub(super) solver: Solver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    Linspace,
    Leading,
    Trailing,
}

/// How sigmas are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    /// Those of the timesteps.
    Timesteps,
    Karras,
    Exponential,
    Beta,
    Lu,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FinalSigma {
    Zero,
    Min,
}

/// What only one class has.
#[derive(Debug, Clone)]
pub(super) enum Solver {
    Euler { log_linear: bool, continuous: bool },
    EulerAncestral,
    Heun,
    Ddim { last: Level },
    Ddpm { variance: Variance },
    Pndm { last: Level, skip_prk: bool },
    Dpm(Dpm),
    UniPc(UniPc),
    Lcm { original_steps: usize, timestep_scaling: f64 },
}

#[derive(Debug, Clone)]
pub(super) struct Dpm {
    pub(super) noise_space: bool,
    pub(super) sde: bool,
    pub(super) order: usize,
    pub(super) heun: bool,
    pub(super) lower_order_final: bool,
    pub(super) euler_at_final: bool,
    pub(super) lambda_min: f64,
    /// Timesteps of a curve are rounded, unless the betas are the squared cosine's.
    pub(super) rounded: bool,
}

#[derive(Debug, Clone)]
pub(super) struct UniPc {
    pub(super) norm: UniPcNorm,
    pub(super) order: usize,
    pub(super) predict_x0: bool,
    pub(super) lower_order_final: bool,
    pub(super) disable_corrector: Vec<usize>,
}

impl Settings {
    /// Reads the options that `class` has; the others in `options` are another class's.
    pub(super) fn read(class: Class, options: Options) -> Result<Self> {
        let mut reader = Reader { class, options };
        let schedule = reader.schedule()?;
        let final_sigma = reader.final_sigma()?;
        Ok(Self {
            prediction: reader.prediction()?,
            spacing: reader.spacing()?,
            offset: reader.options.get("steps_offset", 0)?,
            curve: reader.curve()?,
            sigma_min: reader.sigma("sigma_min")?,
            sigma_max: reader.sigma("sigma_max")?,
            limit: reader.limit()?,
            solver: reader.solver(&schedule, final_sigma)?,
            final_sigma,
            schedule,
        })
    }
}

/// The options on their way to [`Settings`].
struct Reader {
    class: Class,
    options: Options,
}

impl Reader {
    fn prediction(&mut self) -> Result<Prediction> {
        let name = self.name("prediction_type", "epsilon")?;
        Ok(match (name.as_str(), self.class) {
            ("epsilon", _) => Prediction::Epsilon,
            ("v_prediction", _) => Prediction::V,
            ("original_sample", Class::Euler) => Prediction::Sample,
            ("sample", class) if !matches!(class, Class::EulerAncestral | Class::Pndm) => Prediction::Sample,
            _ => {
                let sample = !matches!(self.class, Class::EulerAncestral | Class::Pndm);
                let expected = if sample { "epsilon or v_prediction or sample" } else { "epsilon or v_prediction" };
                return Err(self.options.unsupported("prediction_type", &json!(name), expected));
            }
        })
    }

    fn spacing(&mut self) -> Result<Spacing> {
        let leading = matches!(self.class, Class::Ddim | Class::Ddpm | Class::Pndm | Class::Lcm);
        let name = self.name("timestep_spacing", if leading { "leading" } else { "linspace" })?;
        match name.as_str() {
            "linspace" => Ok(Spacing::Linspace),
            "leading" => Ok(Spacing::Leading),
            "trailing" => Ok(Spacing::Trailing),
            _ => Err(self.options.unsupported("timestep_spacing", &json!(name), "linspace or leading or trailing")),
        }
    }

    fn curve(&mut self) -> Result<Curve> {
        let mut curves = vec![
            ("use_karras_sigmas", Curve::Karras),
            ("use_exponential_sigmas", Curve::Exponential),
            ("use_beta_sigmas", Curve::Beta),
        ];
        match self.class {
            Class::DpmSolver => curves.insert(1, ("use_lu_lambdas", Curve::Lu)),
            Class::Euler | Class::Heun | Class::UniPc => {}
            _ => return Ok(Curve::Timesteps),
        }
        let mut chosen = Vec::new();
        for (option, curve) in curves {
            if self.peek_flag(option)? {
                chosen.push((option, curve));
            }
        }
        match chosen[..] {
            [] => Ok(Curve::Timesteps),
            [(_, curve)] => Ok(curve),
            [(first, _), (second, _), ..] => {
                Err(self.options.unsupported(second, &json!(true), &format!("false, because {first} is true")))
            }
        }
    }

    fn sigma(&mut self, option: &str) -> Result<Option<f64>> {
        if !matches!(self.class, Class::Euler | Class::Heun | Class::DpmSolver | Class::UniPc) {
            return Ok(None);
        }
        let sigma: Option<f64> = self.options.get(option, None)?;
        match sigma {
            Some(sigma) if sigma.is_nan() || sigma <= 0.0 => {
                Err(self.options.unsupported(option, &json!(sigma), "null or above 0"))
            }
            sigma => Ok(sigma),
        }
    }

    fn final_sigma(&mut self) -> Result<FinalSigma> {
        if !matches!(self.class, Class::Euler | Class::DpmSolver | Class::UniPc) {
            return Ok(FinalSigma::Zero);
        }
        match self.name("final_sigmas_type", "zero")?.as_str() {
            "zero" => Ok(FinalSigma::Zero),
            "sigma_min" => Ok(FinalSigma::Min),
            other => Err(self.options.unsupported("final_sigmas_type", &json!(other), "zero or sigma_min")),
        }
    }

    fn limit(&mut self) -> Result<Option<Limit>> {
        let can_clip = matches!(self.class, Class::Heun | Class::Ddim | Class::Ddpm | Class::Lcm);
        let can_threshold =
            matches!(self.class, Class::Ddim | Class::Ddpm | Class::Lcm | Class::DpmSolver | Class::UniPc);
        if can_threshold && self.flag("thresholding", false)? {
            let ratio = self.checked("dynamic_thresholding_ratio", 0.995, "in [0, 1]", |r| (0.0..=1.0).contains(r))?;
            let max = self.checked("sample_max_value", 1.0, "above 0", |max| *max > 0.0)?;
            return Ok(Some(Limit::Threshold { ratio, max }));
        }
        let default = matches!(self.class, Class::Ddim | Class::Ddpm);
        if can_clip && self.flag("clip_sample", default)? {
            let range = self.checked("clip_sample_range", 1.0, "above 0", |range| *range > 0.0)?;
            return Ok(Some(Limit::Clip(range)));
        }
        Ok(None)
    }

    /// A flag, where null is false.
    fn flag(&mut self, option: &str, default: bool) -> Result<bool> {
        Ok(self.options.get(option, Some(default))?.unwrap_or(false))
    }

    /// A flag, false by default, that is asked for more than once.
    fn peek_flag(&self, option: &str) -> Result<bool> {
        match self.options.peek(option) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.options.unsupported(option, other, "true or false")),
        }
    }

    /// A name, asked for more than once.
    fn name(&self, option: &str, default: &str) -> Result<String> {
        match self.options.peek(option) {
            None => Ok(default.to_owned()),
            Some(Value::String(name)) => Ok(name.clone()),
            Some(other) => Err(self.options.unsupported(option, other, "a name")),
        }
    }

    fn checked<T: DeserializeOwned + serde::Serialize>(
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
