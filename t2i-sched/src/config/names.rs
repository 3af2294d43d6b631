//! The names of samplers, in every spelling that people know.

use serde_json::{Map, Value, json};
use t2i_core::{Error, Result, nearest};

use super::class::Class;
use super::classes::{ddim, ddpm, dpm_solver, euler, euler_ancestral, heun, lcm, pndm, unipc};

/// One sampler: its spellings (A1111's first), its class, and what must be stated for it.
type Entry = (&'static [&'static str], &'static Class, &'static [(&'static str, Setting)]);

/// The value of an option.
#[derive(Clone, Copy)]
enum Setting {
    Flag(bool),
    Number(u64),
    Name(&'static str),
}

use Setting::{Flag, Name, Number};

/// <https://huggingface.co/docs/diffusers/api/schedulers/overview>, and ComfyUI's names.
const SAMPLERS: &[Entry] = &[
    (&["Euler", "EulerDiscreteScheduler"], &euler::CLASS, &[]),
    (&["Euler a", "euler_ancestral", "EulerAncestralDiscreteScheduler"], &euler_ancestral::CLASS, &[]),
    (&["Heun", "HeunDiscreteScheduler"], &heun::CLASS, &[]),
    (&["DDIM", "DDIMScheduler"], &ddim::CLASS, &[]),
    (&["DDPM", "DDPMScheduler"], &ddpm::CLASS, &[]),
    (&["PLMS"], &pndm::CLASS, &[("skip_prk_steps", Flag(true))]),
    (&["PNDM", "PNDMScheduler"], &pndm::CLASS, &[]),
    (
        &["DPM++ 2M", "dpmpp_2m"],
        &dpm_solver::CLASS,
        &[("algorithm_type", Name("dpmsolver++")), ("solver_order", Number(2))],
    ),
    (
        &["DPM++ 2M SDE", "dpmpp_2m_sde"],
        &dpm_solver::CLASS,
        &[("algorithm_type", Name("sde-dpmsolver++")), ("solver_order", Number(2))],
    ),
    (
        &["DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun"],
        &dpm_solver::CLASS,
        &[("algorithm_type", Name("sde-dpmsolver++")), ("solver_order", Number(2)), ("solver_type", Name("heun"))],
    ),
    (
        &["DPM++ 3M SDE", "dpmpp_3m_sde"],
        &dpm_solver::CLASS,
        &[("algorithm_type", Name("sde-dpmsolver++")), ("solver_order", Number(3))],
    ),
    (&["DPMSolverMultistepScheduler"], &dpm_solver::CLASS, &[]),
    (&["UniPC", "uni_pc", "UniPCMultistepScheduler"], &unipc::CLASS, &[]),
    (&["uni_pc_bh2"], &unipc::CLASS, &[("solver_type", Name("bh2"))]),
    (&["LCM", "LCMScheduler"], &lcm::CLASS, &[]),
];

/// The spacings: the suffix, and the option that it sets.
const SPACINGS: &[(&str, &str, Setting)] = &[
    ("Karras", "use_karras_sigmas", Flag(true)),
    ("Exponential", "use_exponential_sigmas", Flag(true)),
    ("Beta", "use_beta_sigmas", Flag(true)),
    ("Lu", "use_lu_lambdas", Flag(true)),
    ("SGM Uniform", "timestep_spacing", Name("trailing")),
    ("Trailing", "timestep_spacing", Name("trailing")),
    ("Leading", "timestep_spacing", Name("leading")),
    ("Linspace", "timestep_spacing", Name("linspace")),
];

/// The names that [`with_sampler`](super::SchedulerConfig::with_sampler) takes, A1111's spelling, without spacings.
pub fn sampler_names() -> Vec<&'static str> {
    let is_class = |name: &&str| name.ends_with("Scheduler") || name.contains('_');
    SAMPLERS.iter().map(|(names, ..)| names[0]).filter(|name| !is_class(name)).collect()
}

/// The class of a sampler and what must be stated for it.
pub(super) fn parse(name: &str) -> Result<(&'static Class, Map<String, Value>)> {
    let wanted = normal(name);
    for (names, class, options) in SAMPLERS {
        for (suffix, spacing) in endings() {
            let same = |known: &&str| normal(&format!("{known} {suffix}")) == wanted;
            if names.iter().any(same) {
                let spacing = spacing_options(name, class, spacing)?;
                let stated = options.iter().map(|(option, value)| ((*option).to_owned(), value.json()));
                return Ok((class, stated.chain(spacing).collect()));
            }
        }
    }
    Err(Error::UnknownName { kind: "sampler", name: name.to_owned(), nearest: nearest_names(name) })
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

/// No suffix, or one of the spacings.
fn endings() -> impl Iterator<Item = (&'static str, Option<(&'static str, Setting)>)> {
    let spacings = SPACINGS.iter().map(|(suffix, option, value)| (*suffix, Some((*option, *value))));
    std::iter::once(("", None)).chain(spacings)
}

/// The options of a spacing; one curve excludes the others.
fn spacing_options(
    name: &str,
    class: &Class,
    spacing: Option<(&'static str, Setting)>,
) -> Result<Vec<(String, Value)>> {
    let Some((option, value)) = spacing else {
        return Ok(Vec::new());
    };
    let is_curve = option != "timestep_spacing";
    if (is_curve && !class.curves.contains(&option)) || (!is_curve && !class.spaced) {
        let expected = format!("a sampler that has this spacing; {} does not", class.name);
        return Err(Error::InvalidValue { field: "sampler", value: name.to_owned(), expected });
    }
    let others = class.curves.iter().filter(|curve| is_curve && **curve != option);
    let off = others.map(|curve| ((*curve).to_owned(), json!(false)));
    Ok(off.chain([(option.to_owned(), value.json())]).collect())
}

/// Lower case, with single spaces for every separator, and without the ending of class names.
fn normal(name: &str) -> String {
    let spaced = name.to_lowercase().replace(['_', '-'], " ");
    let words: Vec<&str> = spaced.split_whitespace().map(|word| word.trim_end_matches("scheduler")).collect();
    words.join(" ")
}

fn nearest_names(name: &str) -> Vec<String> {
    let spelled = SAMPLERS.iter().flat_map(|(names, ..)| names.iter());
    let all: Vec<String> = spelled
        .flat_map(|known| endings().map(move |(suffix, _)| format!("{known} {suffix}").trim_end().to_owned()))
        .collect();
    nearest(name, all.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str) -> &'static str {
        parse(name).expect("a known name").0.name
    }

    #[test]
    fn every_listed_name_parses() {
        for (names, of, _) in SAMPLERS {
            for name in *names {
                assert_eq!(class(name), of.name, "{name}");
            }
        }
    }

    #[test]
    fn spellings_of_one_sampler_agree() {
        for name in ["DPM++ 2M SDE Karras", "dpm++ 2m sde karras", "dpmpp_2m_sde_karras", "dpmpp_2m_sde karras"] {
            let (class, options) = parse(name).expect("a known name");
            assert_eq!(class.name, dpm_solver::CLASS.name);
            assert_eq!(options["algorithm_type"], "sde-dpmsolver++");
            assert_eq!(options["use_karras_sigmas"], true);
        }
        assert_eq!(class("EulerDiscrete"), euler::CLASS.name);
        assert_eq!(class("Heun Exponential"), heun::CLASS.name);
    }

    #[test]
    fn an_unknown_name_comes_with_its_neighbours() {
        let error = parse("DPM+ 2M Karas").expect_err("a typo").to_string();
        assert!(error.contains("DPM++ 2M Karras"), "{error}");
    }

    #[test]
    fn a_spacing_that_the_class_does_not_have_is_refused() {
        let error = parse("DDIM Karras").expect_err("no such option").to_string();
        assert!(error.contains("DDIMScheduler"), "{error}");
    }
}
