//! Which levels are visited.

use serde_json::json;
use t2i_core::Result;

use super::Reader;

/// What a config says about the levels to visit.
#[derive(Debug, Clone)]
pub(in crate::config) struct Visits {
    pub(in crate::config) spacing: Spacing,
    pub(in crate::config) offset: i64,
    pub(in crate::config) curve: Curve,
    pub(in crate::config) sigma_min: Option<f64>,
    pub(in crate::config) sigma_max: Option<f64>,
    pub(in crate::config) final_sigma: FinalSigma,
}

/// `timestep_spacing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Spacing {
    Linspace,
    Leading,
    Trailing,
}

/// How sigmas are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Curve {
    /// Those of the timesteps.
    Timesteps,
    Karras,
    Exponential,
    Beta,
    Lu,
}

/// `final_sigmas_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum FinalSigma {
    Zero,
    Min,
}

/// Which of these options a class has.
pub(in crate::config) struct VisitOptions {
    /// The default of `timestep_spacing`.
    pub(in crate::config) spacing: &'static str,
    /// The options for curves.
    pub(in crate::config) curves: &'static [&'static str],
    /// `sigma_min` and `sigma_max`.
    pub(in crate::config) range: bool,
    /// `final_sigmas_type`.
    pub(in crate::config) last: bool,
}

impl VisitOptions {
    /// A class that knows sigmas: the usual curves, between ends that may be stated.
    pub(in crate::config) const SIGMAS: Self = Self {
        spacing: "linspace",
        curves: &["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"],
        range: true,
        last: false,
    };

    /// A class that knows timesteps and no sigmas.
    pub(in crate::config) const TIMESTEPS: Self = Self { spacing: "leading", curves: &[], range: false, last: false };
}

impl Reader {
    pub(in crate::config) fn visits(&mut self, has: &VisitOptions) -> Result<Visits> {
        Ok(Visits {
            spacing: self.spacing(has.spacing)?,
            offset: self.options.get("steps_offset", 0)?,
            curve: self.curve(has.curves)?,
            sigma_min: if has.range { self.sigma("sigma_min")? } else { None },
            sigma_max: if has.range { self.sigma("sigma_max")? } else { None },
            final_sigma: if has.last { self.final_sigma()? } else { FinalSigma::Zero },
        })
    }

    /// The curves of a class that has no spacings of timesteps.
    pub(in crate::config) fn curves(&mut self, has: &VisitOptions) -> Result<Visits> {
        Ok(Visits {
            spacing: Spacing::Linspace,
            offset: 0,
            curve: self.curve(has.curves)?,
            sigma_min: if has.range { self.sigma("sigma_min")? } else { None },
            sigma_max: if has.range { self.sigma("sigma_max")? } else { None },
            final_sigma: if has.last { self.final_sigma()? } else { FinalSigma::Zero },
        })
    }

    fn spacing(&mut self, default: &str) -> Result<Spacing> {
        let name = self.one_of("timestep_spacing", default, &["linspace", "leading", "trailing"])?;
        Ok(match name.as_str() {
            "linspace" => Spacing::Linspace,
            "leading" => Spacing::Leading,
            _ => Spacing::Trailing,
        })
    }

    fn curve(&mut self, options: &[&str]) -> Result<Curve> {
        let mut chosen = Vec::new();
        for option in options {
            if self.flag(option, false)? {
                chosen.push(*option);
            }
        }
        match chosen[..] {
            [] => Ok(Curve::Timesteps),
            [option] => Ok(Curve::of(option)),
            [first, second, ..] => {
                Err(self.options.unsupported(second, &json!(true), &format!("false, because {first} is true")))
            }
        }
    }

    fn sigma(&mut self, option: &str) -> Result<Option<f64>> {
        let sigma: Option<f64> = self.options.get(option, None)?;
        match sigma {
            Some(sigma) if sigma.is_nan() || sigma <= 0.0 => {
                Err(self.options.unsupported(option, &json!(sigma), "null or above 0"))
            }
            sigma => Ok(sigma),
        }
    }

    pub(in crate::config) fn final_sigma(&mut self) -> Result<FinalSigma> {
        let name = self.one_of("final_sigmas_type", "zero", &["zero", "sigma_min"])?;
        Ok(if name == "zero" { FinalSigma::Zero } else { FinalSigma::Min })
    }
}

impl Curve {
    fn of(option: &str) -> Self {
        match option {
            "use_karras_sigmas" => Self::Karras,
            "use_exponential_sigmas" => Self::Exponential,
            "use_beta_sigmas" => Self::Beta,
            _ => Self::Lu,
        }
    }
}
