//! From a sampler's name to diffusers' class of it, or to the sampler itself where diffusers has none.

use serde_json::{Map, Value, json};
use t2i_core::{Error, Result};

use super::class::{CLASSES, Class};
use super::classes::{
    ddim, ddpm, deis, dpm_sde, dpm_solver, euler, euler_ancestral, heun, kdpm2, kdpm2_ancestral, lcm, lms, pndm,
    sa_solver, tcd, unipc,
};
use crate::names::{endings, find, normal};
use crate::{Recipe, SamplerName, SpacingName};

/// What a name stands for.
#[derive(Debug)]
pub(super) enum Chosen {
    /// A class of diffusers, and what must be stated for it.
    Class(&'static Class, Map<String, Value>),
    /// A sampler that diffusers does not have, or not with this spacing.
    Named(Recipe),
}

/// A sampler's name, diffusers' class of it, and what must be stated for that.
type Equivalent = (&'static str, &'static Class, &'static [(&'static str, Setting)]);

/// The value of an option.
#[derive(Debug, Clone, Copy)]
enum Setting {
    Flag(bool),
    Number(u64),
    Name(&'static str),
}

use Setting::{Flag, Name, Number};

/// <https://huggingface.co/docs/diffusers/api/schedulers/overview>
static EQUIVALENTS: &[Equivalent] = &[
    ("Euler", &euler::CLASS, &[]),
    ("Euler a", &euler_ancestral::CLASS, &[]),
    ("Heun", &heun::CLASS, &[]),
    ("DPM2", &kdpm2::CLASS, &[]),
    ("DPM2 a", &kdpm2_ancestral::CLASS, &[]),
    ("LMS", &lms::CLASS, &[]),
    ("DDIM", &ddim::CLASS, &[]),
    ("DDPM", &ddpm::CLASS, &[]),
    ("PLMS", &pndm::CLASS, &[("skip_prk_steps", Flag(true))]),
    ("PNDM", &pndm::CLASS, &[]),
    ("DPM++ SDE", &dpm_sde::CLASS, &[]),
    ("DPM++ 2M", &dpm_solver::CLASS, &[("algorithm_type", Name("dpmsolver++")), ("solver_order", Number(2))]),
    ("DPM++ 2M SDE", &dpm_solver::CLASS, &[("algorithm_type", Name("sde-dpmsolver++")), ("solver_order", Number(2))]),
    (
        "DPM++ 2M SDE Heun",
        &dpm_solver::CLASS,
        &[("algorithm_type", Name("sde-dpmsolver++")), ("solver_order", Number(2)), ("solver_type", Name("heun"))],
    ),
    ("UniPC", &unipc::CLASS, &[]),
    ("UniPC BH2", &unipc::CLASS, &[("solver_type", Name("bh2"))]),
    ("DEIS", &deis::CLASS, &[]),
    ("SA-Solver", &sa_solver::CLASS, &[]),
    ("LCM", &lcm::CLASS, &[]),
    ("TCD", &tcd::CLASS, &[]),
];

/// The names that [`with_sampler`](super::SchedulerConfig::with_sampler) takes, A1111's spelling, without spacings and
/// without diffusers' classes.
pub fn sampler_names() -> Vec<&'static str> {
    let named: Vec<_> = SamplerName::all().map(SamplerName::as_str).collect();
    let more = EQUIVALENTS.iter().map(|(name, ..)| *name).filter(|name| !named.contains(name));
    named.iter().copied().chain(more).collect()
}

/// What a name stands for: diffusers' class where it has one with this spacing, else the sampler.
pub(super) fn parse(name: &str) -> Result<Chosen> {
    let words = normal(name);
    let readings = || std::iter::once((words.as_str(), None)).chain(endings(&words).map(|(rest, s)| (rest, Some(s))));
    let Some((rest, class, options, spacing)) = readings().find_map(|(rest, spacing)| {
        let (class, options) = class_of(rest)?;
        Some((rest, class, options, spacing))
    }) else {
        return name.parse().map(Chosen::Named);
    };
    match (spacing_options(class, spacing), find(rest)) {
        (Some(spaced), _) => {
            let stated = options.iter().map(|(option, value)| ((*option).to_owned(), value.json()));
            Ok(Chosen::Class(class, stated.chain(spaced).collect()))
        }
        (None, Some(sampler)) => Ok(Chosen::Named(Recipe { sampler, spacing })),
        (None, None) => {
            let expected = format!("a sampler that has this spacing; {} does not", class.name);
            Err(Error::InvalidValue { field: "sampler", value: name.to_owned(), expected })
        }
    }
}

/// The class of a sampler or of its own name, which may lack its ending.
fn class_of(name: &str) -> Option<(&'static Class, &'static [(&'static str, Setting)])> {
    let sampler = find(name).map(SamplerName::as_str);
    let equivalent = |(known, ..): &&Equivalent| Some(*known) == sampler || normal(known) == name;
    if let Some((_, class, options)) = EQUIVALENTS.iter().find(equivalent) {
        return Some((class, options));
    }
    let own = |class: &&&Class| {
        sampler.is_none() && normal(class.name).trim_end_matches("scheduler") == name.trim_end_matches("scheduler")
    };
    CLASSES.iter().find(own).map(|class| (*class, &[][..]))
}

impl Setting {
    fn json(self) -> Value {
        match self {
            Flag(flag) => json!(flag),
            Number(number) => json!(number),
            Name(name) => json!(name),
        }
    }
}

/// The options of a spacing; one curve excludes the others. `None` if the class does not have it.
fn spacing_options(class: &Class, spacing: Option<SpacingName>) -> Option<Vec<(String, Value)>> {
    let curve = |option: &str| {
        let stated = |curve: &&str| ((*curve).to_owned(), json!(*curve == option));
        class.curves.contains(&option).then(|| class.curves.iter().map(stated).collect())
    };
    let spaced = |name: &str| class.spaced.then(|| vec![("timestep_spacing".to_owned(), json!(name))]);
    match spacing {
        None => Some(Vec::new()),
        Some(SpacingName::Karras) => curve("use_karras_sigmas"),
        Some(SpacingName::Exponential) => curve("use_exponential_sigmas"),
        Some(SpacingName::Beta) => curve("use_beta_sigmas"),
        Some(SpacingName::Lu) => curve("use_lu_lambdas"),
        Some(SpacingName::SgmUniform | SpacingName::Trailing) => spaced("trailing"),
        Some(SpacingName::Leading) => spaced("leading"),
        Some(SpacingName::Linspace) => spaced("linspace"),
        Some(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn class(name: &str) -> (&'static str, Map<String, Value>) {
        match parse(name).unwrap() {
            Chosen::Class(class, options) => (class.name, options),
            Chosen::Named(recipe) => panic!("{recipe}"),
        }
    }

    #[test]
    fn every_equivalent_and_every_class_parses() {
        for (name, of, _) in EQUIVALENTS {
            assert_eq!(class(name).0, of.name, "{name}");
        }
        for of in CLASSES {
            assert_eq!(class(of.name).0, of.name);
        }
        assert_eq!(class("EulerDiscrete").0, euler::CLASS.name);
    }

    #[test]
    fn spellings_of_one_sampler_agree() {
        for name in ["DPM++ 2M SDE Karras", "dpm++ 2m sde karras", "dpmpp_2m_sde_karras", "dpmpp_2m_sde karras"] {
            let (class, options) = class(name);
            assert_eq!(class, dpm_solver::CLASS.name);
            assert_eq!(options["algorithm_type"], "sde-dpmsolver++");
            assert_eq!((&options["use_karras_sigmas"], &options["use_beta_sigmas"]), (&json!(true), &json!(false)));
        }
    }

    #[test]
    fn what_diffusers_lacks_is_the_sampler_itself() {
        for name in ["DPM++ 2S a Karras", "er_sde", "Euler AYS", "DPM++ 2M GITS", "dpmpp_3m_sde_exponential"] {
            assert!(matches!(parse(name), Ok(Chosen::Named(recipe)) if recipe == name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn a_spacing_that_nothing_has_is_refused() {
        let error = parse("PLMS Karras").unwrap_err().to_string();
        assert!(error.contains("PNDMScheduler"), "{error}");
        let error = parse("DPM+ 2M Karas").unwrap_err().to_string();
        assert!(error.contains("DPM++ 2M Karras"), "{error}");
    }
}
