//! The options of a config as types, with the defaults of each class.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use t2i_core::{Options, Result};

use super::Class;
use crate::samplers::{Limit, UniPcNorm, Variance};
use crate::schedule::{cosine, exponential, laplace, linear, scaled_linear, sigmoid, zero_terminal_snr};
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
    fn schedule(&mut self) -> Result<Schedule> {
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

    fn solver(&mut self, schedule: &Schedule, final_sigma: FinalSigma) -> Result<Solver> {
        Ok(match self.class {
            Class::Euler => self.euler()?,
            Class::EulerAncestral => Solver::EulerAncestral,
            Class::Heun => Solver::Heun,
            Class::Ddim => Solver::Ddim { last: self.last(schedule, true)? },
            Class::Ddpm => Solver::Ddpm { variance: self.variance()? },
            Class::Pndm => {
                Solver::Pndm { last: self.last(schedule, false)?, skip_prk: self.flag("skip_prk_steps", false)? }
            }
            Class::DpmSolver => Solver::Dpm(self.dpm(final_sigma)?),
            Class::UniPc => Solver::UniPc(self.unipc()?),
            Class::Lcm => Solver::Lcm {
                original_steps: self.checked("original_inference_steps", 50, "1 to num_train_timesteps", |n| {
                    (1..=schedule.len()).contains(n)
                })?,
                timestep_scaling: self.options.get("timestep_scaling", 10.0)?,
            },
        })
    }

    fn euler(&mut self) -> Result<Solver> {
        let interpolation = self.name("interpolation_type", "linear")?;
        if !matches!(interpolation.as_str(), "linear" | "log_linear") {
            return Err(self.options.unsupported("interpolation_type", &json!(interpolation), "linear or log_linear"));
        }
        let kind = self.name("timestep_type", "discrete")?;
        if !matches!(kind.as_str(), "discrete" | "continuous") {
            return Err(self.options.unsupported("timestep_type", &json!(kind), "discrete or continuous"));
        }
        let v = self.prediction()? == Prediction::V;
        Ok(Solver::Euler { log_linear: interpolation == "log_linear", continuous: kind == "continuous" && v })
    }

    /// The level below timestep 0: clean, or that of timestep 0 itself.
    fn last(&mut self, schedule: &Schedule, default: bool) -> Result<Level> {
        let clean = self.flag("set_alpha_to_one", default)?;
        Ok(if clean { Level::CLEAN } else { schedule.level(0) })
    }

    fn variance(&mut self) -> Result<Variance> {
        match self.name("variance_type", "fixed_small")?.as_str() {
            "fixed_small" | "fixed_small_log" => Ok(Variance::Small),
            "fixed_large" => Ok(Variance::Large),
            other => {
                // `fixed_large_log` is the root of a negative logarithm, NaN, in the reference.
                let expected = "fixed_small or fixed_small_log or fixed_large";
                Err(self.options.unsupported("variance_type", &json!(other), expected))
            }
        }
    }

    fn dpm(&mut self, final_sigma: FinalSigma) -> Result<Dpm> {
        self.no_flow()?;
        self.options.only("variance_type", &[Value::Null])?;
        let algorithm = self.name("algorithm_type", "dpmsolver++")?;
        let (noise_space, sde) = match algorithm.as_str() {
            "dpmsolver++" | "deis" => (false, false),
            "sde-dpmsolver++" => (false, true),
            "dpmsolver" => (true, false),
            "sde-dpmsolver" => (true, true),
            _ => {
                let expected = "dpmsolver or dpmsolver++ or sde-dpmsolver or sde-dpmsolver++";
                return Err(self.options.unsupported("algorithm_type", &json!(algorithm), expected));
            }
        };
        let plus_plus = algorithm.ends_with("++");
        if !plus_plus && final_sigma == FinalSigma::Zero {
            let expected = format!("sigma_min for algorithm_type {algorithm}");
            return Err(self.options.unsupported("final_sigmas_type", &json!("zero"), &expected));
        }
        let most = if noise_space && sde { 2 } else { 3 };
        Ok(Dpm {
            noise_space,
            sde,
            order: self.checked("solver_order", 2, &format!("1 to {most}"), |n| (1..=most).contains(n))?,
            heun: self.solver_type("midpoint", "heun", &["logrho", "bh1", "bh2"])?,
            lower_order_final: self.flag("lower_order_final", true)?,
            euler_at_final: self.flag("euler_at_final", false)?,
            lambda_min: self.lambda_min()?,
            rounded: self.name("beta_schedule", "linear")? != "squaredcos_cap_v2",
        })
    }

    fn unipc(&mut self) -> Result<UniPc> {
        self.no_flow()?;
        self.options.only("solver_p", &[Value::Null])?;
        self.options.only("shift_terminal", &[Value::Null])?;
        let bh1 = self.solver_type("bh2", "bh1", &["midpoint", "heun", "logrho"])?;
        Ok(UniPc {
            norm: if bh1 { UniPcNorm::Bh1 } else { UniPcNorm::Bh2 },
            order: self.checked("solver_order", 2, "1 to 10", |n| (1..=10).contains(n))?,
            predict_x0: self.flag("predict_x0", true)?,
            lower_order_final: self.flag("lower_order_final", true)?,
            disable_corrector: self.options.get("disable_corrector", Vec::new())?,
        })
    }

    /// Whether `solver_type` is `other` and not `usual`; names of other classes' types mean the usual one.
    fn solver_type(&mut self, usual: &str, other: &str, foreign: &[&str]) -> Result<bool> {
        let name = self.name("solver_type", usual)?;
        if name != usual && name != other && !foreign.contains(&name.as_str()) {
            let expected = format!("{usual} or {other}");
            return Err(self.options.unsupported("solver_type", &json!(name), &expected));
        }
        Ok(name == other)
    }

    fn no_flow(&mut self) -> Result<()> {
        let off = [json!(false), Value::Null];
        self.options.only("use_flow_sigmas", &off)?;
        self.options.only("use_dynamic_shifting", &off)?;
        self.options.ignore(&["flow_shift", "time_shift_type"]); // nothing without flow sigmas
        Ok(())
    }

    /// A number, or what stands for minus infinity, which JSON cannot say.
    fn lambda_min(&mut self) -> Result<f64> {
        let value = self.options.get("lambda_min_clipped", Value::Null)?;
        match &value {
            Value::Null => Ok(f64::NEG_INFINITY),
            Value::String(text) if matches!(text.to_lowercase().as_str(), "-infinity" | "-inf") => {
                Ok(f64::NEG_INFINITY)
            }
            other => other.as_f64().ok_or_else(|| {
                self.options.unsupported("lambda_min_clipped", &value, "a number or null for minus infinity")
            }),
        }
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
