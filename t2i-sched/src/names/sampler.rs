//! The names of samplers. A sampler of one's own gets its name by one line of the table.

use std::fmt;

use super::normal;
use crate::samplers::*;
use crate::{BoxedSampler, Level, Schedule, SharedNoise, Unconditional};

/// A sampler by its name.
#[derive(Clone, Copy)]
pub struct SamplerName(&'static Row);

/// What a sampler may need to be built for one run.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The levels of the run.
    pub levels: &'a [Level],
    /// How many steps were asked for. Most samplers take as many as there are levels; DPM fast makes this many calls of
    /// the model instead.
    pub steps: usize,
    /// Where stochastic samplers draw from.
    pub noise: &'a SharedNoise,
    /// Where a guided model leaves its unconditional answer, for the samplers of CFG++.
    pub unconditional: Unconditional,
    /// The share of the noise that stochastic samplers draw anew. `None` is what each has by custom: 1, but 0 for DDIM.
    pub eta: Option<f64>,
}

impl<'a> Setup<'a> {
    /// A run over `levels` of a model that tells nothing beside its answer.
    pub fn new(levels: &'a [Level], noise: &'a SharedNoise) -> Self {
        Self {
            levels,
            steps: levels.len().saturating_sub(1),
            noise,
            unconditional: Unconditional::default(),
            eta: None,
        }
    }

    fn fresh(&self) -> Fresh {
        Fresh::new(self.noise.clone()).eta(self.eta.unwrap_or(1.0)).in_f32()
    }

    /// Where the run ends.
    fn end(&self) -> Level {
        self.levels.last().copied().unwrap_or(Level::CLEAN)
    }

    fn uncond(&self) -> Unconditional {
        self.unconditional.clone()
    }
}

type Build = fn(&Setup<'_>) -> BoxedSampler<'static>;
type OwnLevels = fn(f64, f64, usize) -> Vec<Level>;

/// One sampler: its spellings, and how it is built.
struct Row {
    /// A1111's name, or the one that its paper has.
    name: &'static str,
    /// ComfyUI's and k-diffusion's.
    comfyui: &'static str,
    build: Build,
    /// The levels of `n` calls of the model between two sigmas, for samplers that find their own.
    levels: Option<OwnLevels>,
}

const fn row(name: &'static str, comfyui: &'static str, build: Build) -> Row {
    Row { name, comfyui, build, levels: None }
}

static ROWS: &[Row] = &[
    row("Euler", "euler", |_| Box::new(Euler)),
    row("Euler a", "euler_ancestral", |s| Box::new(EulerAncestral::new(s.fresh()))),
    row("Heun", "heun", |_| Box::new(Heun)),
    row("DPM2", "dpm_2", |_| Box::new(Dpm2)),
    row("DPM2 a", "dpm_2_ancestral", |s| Box::new(Dpm2Ancestral::new(s.fresh()))),
    row("LMS", "lms", |_| Box::new(Lms::new(4))),
    row("DPM++ 2S a", "dpmpp_2s_ancestral", |s| Box::new(Dpmpp2sAncestral::new(s.fresh()))),
    row("DPM++ SDE", "dpmpp_sde", |s| Box::new(DpmppSde::new(s.fresh()))),
    row("DPM++ 2M", "dpmpp_2m", |_| Box::new(DpmSolver::plus_plus())),
    row("DPM++ 2M SDE", "dpmpp_2m_sde", |s| Box::new(DpmSolver::sde(s.fresh()))),
    row("DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun", |s| {
        Box::new(DpmSolver::new(DpmAlgorithm::DataSde(s.fresh()), DpmCorrection::Heun, 2))
    }),
    row("DPM++ 3M SDE", "dpmpp_3m_sde", |s| Box::new(DpmSolver::sde_3m(s.fresh()))),
    Row {
        levels: Some(|low, high, calls| DpmFast::levels(calls, Level::ve(high), Level::ve(low))),
        ..row("DPM fast", "dpm_fast", |s| {
            let calls = calls_of_dpm_fast(s);
            match s.eta {
                Some(eta) if eta > 0.0 => Box::new(DpmFast::stochastic(calls, s.fresh(), s.end())),
                _ => Box::new(DpmFast::new(calls)),
            }
        })
    },
    Row {
        levels: Some(|low, high, _| vec![Level::ve(high), Level::ve(low)]),
        ..row("DPM adaptive", "dpm_adaptive", |s| {
            let eta = s.eta.unwrap_or(0.0).max(0.0);
            Box::new(DpmAdaptive::stochastic(StepControl::default(), s.fresh().eta(eta)))
        })
    },
    row("DDIM", "ddim", |s| match s.eta {
        Some(eta) if eta > 0.0 => Box::new(Ddim::stochastic(eta, s.noise.clone())),
        _ => Box::new(Ddim::new()),
    }),
    row("DDPM", "ddpm", |s| Box::new(Ddpm::new(s.noise.clone(), Variance::Small, Level::CLEAN))),
    row("UniPC", "uni_pc", |s| Box::new(UniPc::new(UniPcNorm::Bh1, 3).capped(falling_orders(s, 3)))),
    row("UniPC BH2", "uni_pc_bh2", |s| Box::new(UniPc::new(UniPcNorm::Bh2, 3).capped(falling_orders(s, 3)))),
    row("DEIS", "deis", |_| Box::new(Deis::tab(3))),
    row("iPNDM", "ipndm", |_| Box::new(Ipndm::new(4))),
    row("iPNDM-v", "ipndm_v", |_| Box::new(Ipndm::variable(4))),
    row("ER-SDE", "er_sde", |s| Box::new(ErSde::new(s.fresh()))),
    row("RES Multistep", "res_multistep", |_| Box::new(ResMultistep::new())),
    row("RES Multistep a", "res_multistep_ancestral", |s| Box::new(ResMultistep::ancestral(s.fresh()))),
    row("Gradient Estimation", "gradient_estimation", |_| Box::new(GradientEstimation::new(2.0))),
    row("SEEDS-2", "seeds_2", |s| Box::new(Seeds2::new(s.fresh()))),
    row("SEEDS-3", "seeds_3", |s| Box::new(Seeds3::new(s.fresh()))),
    row("Exp Heun 2", "exp_heun_2_x0", |s| Box::new(Seeds2::heun(s.fresh().eta(0.0)))),
    row("Exp Heun 2 SDE", "exp_heun_2_x0_sde", |s| Box::new(Seeds2::heun(s.fresh()))),
    row("SA-Solver", "sa_solver", |s| Box::new(sa_solver(s))),
    row("SA-Solver PECE", "sa_solver_pece", |s| Box::new(sa_solver(s).pece())),
    row("Restart", "restart", |s| {
        let intervals = RestartInterval::stable_diffusion(7.5, &Schedule::stable_diffusion(), s.levels);
        Box::new(Restart::new(Heun, intervals, s.noise.clone()))
    }),
    row("LCM", "lcm", |s| Box::new(Renoise::new(s.noise.clone()))),
    row("Euler CFG++", "euler_cfg_pp", |s| Box::new(EulerCfgPp::new(s.uncond()))),
    row("Euler a CFG++", "euler_ancestral_cfg_pp", |s| Box::new(EulerAncestralCfgPp::new(s.fresh(), s.uncond()))),
    row("DPM++ 2M CFG++", "dpmpp_2m_cfg_pp", |s| Box::new(DpmPlusPlus2mCfgPp::new(s.uncond()))),
    row("DPM++ 2S a CFG++", "dpmpp_2s_ancestral_cfg_pp", |s| {
        Box::new(DpmPlusPlus2sAncestralCfgPp::new(s.fresh(), s.uncond()))
    }),
    row("RES Multistep CFG++", "res_multistep_cfg_pp", |s| Box::new(ResMultistep::new().cfg_pp(s.uncond()))),
    row("RES Multistep a CFG++", "res_multistep_ancestral_cfg_pp", |s| {
        Box::new(ResMultistep::ancestral(s.fresh()).cfg_pp(s.uncond()))
    }),
    row("Gradient Estimation CFG++", "gradient_estimation_cfg_pp", |s| {
        Box::new(GradientEstimation::new(2.0).cfg_pp(s.uncond()))
    }),
];

impl SamplerName {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(Self)
    }

    /// ComfyUI's and k-diffusion's name; that of its paper where they do not have it.
    pub fn comfyui(self) -> &'static str {
        self.0.comfyui
    }

    /// The sampler of one run, as k-diffusion and ComfyUI have it under this name.
    pub fn build(self, setup: &Setup<'_>) -> BoxedSampler<'static> {
        (self.0.build)(setup)
    }

    /// Whether it finds its own levels.
    pub(crate) fn has_own_levels(self) -> bool {
        self.0.levels.is_some()
    }

    /// The levels of a sampler that finds its own between two sigmas for `n` calls of the model.
    pub(crate) fn own_levels(self, sigma_min: f64, sigma_max: f64, n: usize) -> Option<Vec<Level>> {
        self.0.levels.map(|levels| levels(sigma_min, sigma_max, n))
    }

    /// Every way to write it, A1111's first.
    pub fn spellings(self) -> [&'static str; 2] {
        [self.0.name, self.0.comfyui]
    }

    /// A1111's name, or the one that its paper has.
    pub fn as_str(self) -> &'static str {
        self.0.name
    }
}

impl PartialEq for SamplerName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for SamplerName {}

impl fmt::Display for SamplerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Debug for SamplerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// The sampler of a normal name.
pub(crate) fn find(name: &str) -> Option<SamplerName> {
    SamplerName::all().find(|sampler| sampler.spellings().iter().any(|spelling| normal(spelling) == name))
}

/// What was asked for, if the levels are of as many calls, else the most calls that they are of.
fn calls_of_dpm_fast(setup: &Setup<'_>) -> usize {
    let groups = setup.levels.len().saturating_sub(1);
    if setup.steps / 3 + 1 == groups { setup.steps } else { (3 * groups).saturating_sub(1) }
}

fn sa_solver(setup: &Setup<'_>) -> SaSolver {
    SaSolver::new(setup.fresh(), |_, to| middle_of_schedule(to)).lower_order_final(setup.levels)
}

/// ComfyUI's: noise in the middle of Stable Diffusion's timesteps, from 20 % to 80 % of them.
fn middle_of_schedule(to: Level) -> f64 {
    let schedule = Schedule::stable_diffusion();
    let last = (schedule.len() - 1) as f64;
    let share = schedule.timestep(to) / last;
    if (0.2..=0.8).contains(&share) { 1.0 } else { 0.0 }
}

/// The last steps are of falling orders, the very last of the first.
fn falling_orders(setup: &Setup<'_>, order: usize) -> Vec<(Level, usize)> {
    let starts = setup.levels.iter().rev().skip(1);
    starts.copied().zip(1..order).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::{Denoise, Sampler};

    /// The sampler of docs/adding-a-sampler.md.
    #[derive(Default)]
    struct Averaged {
        before: Option<Tensor<4>>,
    }

    impl Sampler for Averaged {
        fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
            let x0 = denoise(x.clone(), from);
            let mean = match self.before.replace(x0.clone()) {
                Some(before) => (x0 + before).mul_scalar(0.5),
                None => x0,
            };
            from.advance(x, mean, to)
        }
    }

    /// Lines of a table, and how they are written.
    macro_rules! lines {
        ($($token:tt)*) => {{
            static TABLE: &[Row] = &[$($token)*];
            (TABLE, stringify!($($token)*))
        }};
    }

    #[test]
    fn the_line_of_the_guide_is_one_of_the_table() {
        let (table, written) = lines! {
            row("Averaged", "averaged", |_| Box::new(Averaged::default())),
        };
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        let guide = include_str!("../../../docs/adding-a-sampler.md");
        assert!(guide.lines().any(|line| bare(line) == bare(written)), "{written}");
        let name = SamplerName(&table[0]);
        assert_eq!(name.spellings(), ["Averaged", "averaged"]);
        let (levels, noise) = ([Level::ve(1.0), Level::CLEAN], SharedNoise::seeded(0));
        _ = name.build(&Setup::new(&levels, &noise));
    }
}
