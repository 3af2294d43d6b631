//! What only one class has.

use serde_json::{Value, json};
use t2i_core::Result;

use super::{Dpm, FinalSigma, Reader, Solver, UniPc};
use crate::config::Class;
use crate::samplers::{UniPcNorm, Variance};
use crate::{Level, Prediction, Schedule};

impl Reader {
    pub(super) fn solver(&mut self, schedule: &Schedule, final_sigma: FinalSigma) -> Result<Solver> {
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
}
