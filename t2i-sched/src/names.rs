//! The names of samplers and spacings, in every spelling that people know.

mod sampler;
mod spacing;

use std::fmt;
use std::str::FromStr;

use t2i_core::{Error, Result, nearest};

pub(crate) use sampler::find;
pub use sampler::{SamplerName, Setup};
pub use spacing::SpacingName;
pub(crate) use spacing::endings;

/// A sampler and, where the name says so, its spacing: what A1111 calls "DPM++ 2M SDE Karras", ComfyUI
/// "dpmpp_2m_sde" with "karras", and diffusers `DPMSolverMultistepScheduler` with options.
///
/// Upper and lower case, spaces, `_` and `-` are the same. A sampler from such a name is k-diffusion's or ComfyUI's, at
/// whatever levels; [`SchedulerConfig::with_sampler`](crate::SchedulerConfig::with_sampler) takes the same names and
/// gives diffusers' class of the sampler where it has one.
///
/// ```
/// use t2i_sched::{Recipe, Schedule, Setup, SharedNoise, SpacingName};
///
/// let recipe: Recipe = "DPM++ 2M SDE Karras".parse()?;
/// assert_eq!(recipe, "dpmpp_2m_sde karras".parse()?);
/// assert_eq!(recipe.sampler.comfyui(), "dpmpp_2m_sde");
/// assert_eq!(recipe.spacing, Some(SpacingName::Karras));
///
/// let levels = recipe.levels(&Schedule::stable_diffusion(), 0.03, 14.6, 20)?;
/// let sampler = recipe.sampler.build(&Setup::new(&levels, &SharedNoise::seeded(42)));
/// # Ok::<(), t2i_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// The sampler.
    pub sampler: SamplerName,
    /// The spacing, if the name ends in one.
    pub spacing: Option<SpacingName>,
}

impl Recipe {
    /// The variance-exploding levels of `n` steps between these sigmas, noisiest first, a clean latent last. Without a
    /// spacing it is Karras'. Samplers that find their own levels have them instead: the ends of DPM fast's groups, the
    /// range of DPM adaptive.
    ///
    /// # Errors
    /// If `n` is 0, or the sigmas are not `0 < sigma_min <= sigma_max`.
    pub fn levels(
        &self,
        schedule: &crate::Schedule,
        sigma_min: f64,
        sigma_max: f64,
        n: usize,
    ) -> Result<Vec<crate::Level>> {
        if n == 0 {
            return Err(invalid("steps", "0", "at least 1"));
        }
        if !(sigma_min > 0.0 && sigma_min <= sigma_max && sigma_max.is_finite()) {
            let value = format!("{sigma_min} to {sigma_max}");
            return Err(invalid("sigmas", &value, "finite, above 0, and the smaller one first"));
        }
        if let Some(levels) = self.sampler.own_levels(sigma_min, sigma_max, n) {
            return Ok(levels);
        }
        let sigmas = self.spacing.unwrap_or(SpacingName::Karras).sigmas(schedule, sigma_min, sigma_max, n);
        let levels = sigmas.into_iter().map(crate::Level::ve);
        Ok(levels.chain([crate::Level::CLEAN]).collect())
    }
}

impl FromStr for Recipe {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let words = normal(name);
        let whole = sampler::find(&words).map(|sampler| Self { sampler, spacing: None });
        let split = || {
            spacing::endings(&words)
                .find_map(|(rest, spacing)| sampler::find(rest).map(|sampler| Self { sampler, spacing: Some(spacing) }))
        };
        whole.or_else(split).ok_or_else(|| unknown(name))
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spacing {
            Some(spacing) => write!(f, "{} {spacing}", self.sampler),
            None => self.sampler.fmt(f),
        }
    }
}

/// Lower case, with single spaces for every separator.
pub(crate) fn normal(name: &str) -> String {
    let spaced = name.to_lowercase().replace(['_', '-'], " ");
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unknown(name: &str) -> Error {
    let endings = || std::iter::once(None).chain(SpacingName::all().map(Some));
    let spelled = SamplerName::all().flat_map(SamplerName::spellings);
    let all: Vec<String> = spelled
        .flat_map(|sampler| {
            endings().map(move |spacing| match spacing {
                Some(spacing) => format!("{sampler} {spacing}"),
                None => sampler.to_owned(),
            })
        })
        .collect();
    Error::UnknownName {
        kind: "sampler",
        name: name.to_owned(),
        nearest: nearest(name, all.iter().map(String::as_str)),
    }
}

fn invalid(field: &'static str, value: &str, expected: &str) -> Error {
    Error::InvalidValue { field, value: value.to_owned(), expected: expected.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_parses_with_every_spacing() {
        for sampler in SamplerName::all() {
            for name in sampler.spellings() {
                assert_eq!(name.parse::<Recipe>().unwrap(), Recipe { sampler, spacing: None }, "{name}");
                for spacing in SpacingName::all() {
                    let name = format!("{name} {spacing}");
                    assert_eq!(name.parse::<Recipe>().unwrap(), Recipe { sampler, spacing: Some(spacing) }, "{name}");
                }
            }
        }
    }

    #[test]
    fn spellings_of_one_sampler_agree() {
        let recipe: Recipe = "DPM++ 2M SDE Karras".parse().unwrap();
        for name in ["dpm++ 2m sde karras", "dpmpp_2m_sde_karras", "dpmpp_2m_sde karras", "DPM++ 2M  SDE-Karras"] {
            assert_eq!(name.parse::<Recipe>().unwrap(), recipe);
        }
        assert_eq!(recipe.to_string(), "DPM++ 2M SDE Karras");
    }

    #[test]
    fn an_unknown_name_comes_with_its_neighbours() {
        let error = "DPM+ 2M Karas".parse::<Recipe>().unwrap_err().to_string();
        assert!(error.contains("DPM++ 2M Karras"), "{error}");
        assert!("".parse::<Recipe>().is_err() && "Karras".parse::<Recipe>().is_err());
    }

    #[test]
    fn a_senseless_range_is_refused() {
        let recipe: Recipe = "Euler".parse().unwrap();
        let schedule = crate::Schedule::stable_diffusion();
        for (low, high) in [(0.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.1, f64::INFINITY), (-1.0, 1.0)] {
            assert!(recipe.levels(&schedule, low, high, 5).unwrap_err().to_string().contains("sigmas"));
        }
        assert!(recipe.levels(&schedule, 0.1, 1.0, 0).unwrap_err().to_string().contains("steps"));
    }
}
