//! The names of spacings.

use std::fmt;
use std::str::FromStr;

use t2i_core::{Error, Result, nearest};

use super::normal;
use crate::Schedule;
use crate::spacing::{self, k_diffusion};

/// A spacing by its name: A1111's "schedule type", ComfyUI's "scheduler", an option of diffusers' classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpacingName {
    /// [`k_diffusion::karras`].
    Karras,
    /// [`k_diffusion::exponential`].
    Exponential,
    /// [`k_diffusion::polyexponential`].
    Polyexponential,
    /// [`k_diffusion::vp`].
    Vp,
    /// [`k_diffusion::laplace`].
    Laplace,
    /// [`spacing::beta`].
    Beta,
    /// [`spacing::kl_optimal`].
    KlOptimal,
    /// [`spacing::linear_quadratic`].
    LinearQuadratic,
    /// [`spacing::lu`].
    Lu,
    /// [`spacing::normal`].
    Normal,
    /// [`spacing::simple`].
    Simple,
    /// [`spacing::sgm_uniform`].
    SgmUniform,
    /// [`spacing::ddim_uniform`].
    DdimUniform,
    /// [`spacing::resample`] of [`spacing::AYS_SD15`].
    AlignYourSteps,
    /// [`spacing::resample`] of [`spacing::AYS_SDXL`].
    AlignYourStepsXl,
    /// [`spacing::resample`] of [`spacing::AYS_SVD`].
    AlignYourStepsVideo,
    /// [`spacing::gits`].
    Gits,
    /// [`spacing::linspace`], over the timesteps of the model.
    Linspace,
    /// [`spacing::leading`], over the timesteps of the model.
    Leading,
    /// [`spacing::trailing`], over the timesteps of the model.
    Trailing,
}

use SpacingName::*;

/// All spacings, and the spellings of each, A1111's first. One that is not here has no name.
const SPELLINGS: &[(SpacingName, &[&str])] = &[
    (Karras, &["Karras"]),
    (Exponential, &["Exponential"]),
    (Polyexponential, &["Polyexponential"]),
    (Vp, &["VP"]),
    (Laplace, &["Laplace"]),
    (Beta, &["Beta"]),
    (KlOptimal, &["KL Optimal"]),
    (LinearQuadratic, &["Linear Quadratic"]),
    (Lu, &["Lu", "Lu Lambdas"]),
    (Normal, &["Normal", "Uniform"]),
    (Simple, &["Simple"]),
    (SgmUniform, &["SGM Uniform"]),
    (DdimUniform, &["DDIM Uniform"]),
    (AlignYourSteps, &["Align Your Steps", "AYS", "AYS SD15"]),
    (AlignYourStepsXl, &["Align Your Steps XL", "AYS XL", "AYS SDXL"]),
    (AlignYourStepsVideo, &["Align Your Steps SVD", "AYS SVD"]),
    (Gits, &["GITS"]),
    (Linspace, &["Linspace"]),
    (Leading, &["Leading"]),
    (Trailing, &["Trailing"]),
];

impl SpacingName {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        SPELLINGS.iter().map(|(spacing, _)| *spacing)
    }

    /// The sigmas of `n` steps, noisiest first, without the final 0. Curves go from `sigma_max` to `sigma_min`; the
    /// others pick from the levels of `schedule`, or from a published list: see [`has_range`](Self::has_range). A few
    /// give fewer or more than `n`, as their functions say.
    pub fn sigmas(self, schedule: &Schedule, sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
        let train = schedule.len();
        let at = |timesteps: Vec<f64>| timesteps.into_iter().map(|t| spacing::sigma_of(schedule, t)).collect();
        match self {
            Karras => k_diffusion::karras(sigma_min, sigma_max, 7.0, n),
            Exponential => k_diffusion::exponential(sigma_min, sigma_max, n),
            Polyexponential => k_diffusion::polyexponential(sigma_min, sigma_max, 1.0, n),
            Vp => k_diffusion::vp(19.9, 0.1, 1e-3, n),
            Laplace => k_diffusion::laplace(sigma_min, sigma_max, 0.0, 0.5, n),
            Beta => spacing::beta(sigma_min, sigma_max, n),
            KlOptimal => spacing::kl_optimal(sigma_min, sigma_max, n),
            LinearQuadratic => spacing::linear_quadratic(sigma_max, 0.025, n / 2, n),
            Lu => spacing::lu(sigma_min, sigma_max, n),
            Normal => spacing::normal(schedule, n),
            Simple => spacing::simple(schedule, n),
            SgmUniform => spacing::sgm_uniform(schedule, n),
            DdimUniform => spacing::ddim_uniform(schedule, n),
            AlignYourSteps => spacing::resample(&spacing::AYS_SD15, n),
            AlignYourStepsXl => spacing::resample(&spacing::AYS_SDXL, n),
            AlignYourStepsVideo => spacing::resample(&spacing::AYS_SVD, n),
            Gits => spacing::gits(1.2, n),
            Linspace => at(spacing::linspace(train, n)),
            Leading => at(spacing::leading(train, n, 0)),
            Trailing => at(spacing::trailing(train, train, n)),
        }
    }

    /// Whether the spacing goes between sigmas of one's choice; the others have levels of their own.
    pub fn has_range(self) -> bool {
        matches!(self, Karras | Exponential | Polyexponential | Laplace | Beta | KlOptimal | LinearQuadratic | Lu)
    }

    fn spellings(self) -> &'static [&'static str] {
        SPELLINGS.iter().find(|(name, _)| *name == self).map_or(&[], |(_, spellings)| spellings)
    }
}

impl FromStr for SpacingName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let wanted = normal(name);
        let found = Self::all().find(|known| known.spellings().iter().any(|s| normal(s) == wanted));
        found.ok_or_else(|| Error::UnknownName {
            kind: "spacing",
            name: name.to_owned(),
            nearest: nearest(name, SPELLINGS.iter().flat_map(|(_, spellings)| spellings.iter().copied())),
        })
    }
}

impl fmt::Display for SpacingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spellings().first().copied().unwrap_or_default())
    }
}

/// The ways to cut a spacing from the end of a normal name.
pub(crate) fn endings(name: &str) -> impl Iterator<Item = (&str, SpacingName)> {
    let spelled = SPELLINGS.iter().flat_map(|(spacing, spellings)| spellings.iter().map(|s| (*spacing, normal(s))));
    spelled.filter_map(|(spacing, ending)| Some((name.strip_suffix(&ending)?.strip_suffix(' ')?, spacing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spacing_has_a_name_and_comes_down() {
        let schedule = Schedule::stable_diffusion();
        for spacing in SpacingName::all() {
            assert_eq!(spacing.to_string().parse::<SpacingName>().ok(), Some(spacing));
            for n in [1, 2, 5, 20, 50] {
                let sigmas = spacing.sigmas(&schedule, 0.03, 14.6, n);
                assert!(
                    !sigmas.is_empty() && sigmas.iter().all(|s| s.is_finite() && *s > 0.0),
                    "{spacing}: {sigmas:?}"
                );
                assert!(sigmas.windows(2).all(|pair| pair[0] >= pair[1]), "{spacing}: {sigmas:?}");
            }
        }
    }

    #[test]
    fn an_unknown_spacing_comes_with_its_neighbours() {
        let error = "Karas".parse::<SpacingName>().expect_err("a typo").to_string();
        assert!(error.contains("Karras"), "{error}");
    }
}
