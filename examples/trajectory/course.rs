//! What a run visits, and how: from a config of diffusers, or from names.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::TensorData;
use t2i::Result;
use t2i::prelude::*;
use t2i::sched::samplers::{DpmAdaptive, Fresh, StepControl};
use t2i::sched::spacing::check_finite;
use t2i::sched::{BoxedSampler, Plan, Prediction, Recipe, Schedule, SchedulerConfig, Setup, SharedNoise, SpacingName};

use crate::Args;

/// The levels of a run, and what the model is told at each.
pub(crate) struct Course {
    pub(crate) levels: Vec<Level>,
    /// The factor that makes the start of noise of variance 1.
    pub(crate) init_scale: f64,
    pub(crate) prediction: Prediction,
    by: By,
}

/// The steps within the steps of DPM adaptive, which finds its own levels.
#[derive(Clone, Default)]
pub(crate) struct Watched(Arc<Mutex<Vec<(Level, Tensor<4>)>>>);

impl Watched {
    pub(crate) fn take(&self) -> Vec<(Level, Tensor<4>)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, level: Level, x: &Tensor<4>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((level, x.clone()));
    }
}

enum By {
    Config(Box<SchedulerConfig>, Box<Plan>),
    Name(Recipe, Schedule),
}

impl Course {
    pub(crate) fn new(args: &Args) -> Result<Self> {
        match (&args.which.scheduler_config, &args.which.sampler) {
            (Some(path), _) => Self::by_config(args, path),
            (None, name) => Self::by_name(args, name.as_deref().unwrap_or_default()),
        }
    }

    fn by_config(args: &Args, path: &Path) -> Result<Self> {
        let config = SchedulerConfig::from_options(t2i::core::Options::read(path)?)?;
        let config = match args.eta {
            Some(eta) => config.with_eta(eta),
            None => config,
        };
        let plan = config.plan(args.steps)?;
        Ok(Self {
            levels: plan.levels.clone(),
            init_scale: plan.init_scale,
            prediction: config.prediction(),
            by: By::Config(Box::new(config), Box::new(plan)),
        })
    }

    /// Sigmas are rounded to f32, as in the reference.
    fn by_name(args: &Args, name: &str) -> Result<Self> {
        let mut recipe: Recipe = name.parse()?;
        if let Some(schedule) = &args.schedule {
            recipe.spacing = Some(schedule.parse()?);
        }
        let schedule = Schedule::stable_diffusion();
        let sigmas = schedule.sigmas();
        let low = args.sigma_min.unwrap_or(f64::from(sigmas[0]));
        let high = args.sigma_max.unwrap_or(f64::from(sigmas[sigmas.len() - 1]));
        let levels = match &args.sigmas {
            Some(sigmas) => sigmas.iter().copied().map(Level::ve).collect(),
            None => recipe.levels(&schedule, low, high, args.steps)?,
        };
        check_finite(&levels)?;
        let ranged = recipe.spacing.is_none_or(SpacingName::has_range);
        if !ranged && (args.sigma_min.is_some() || args.sigma_max.is_some()) {
            eprintln!("--sigma-min and --sigma-max do not count: this spacing has levels of its own");
        }
        let levels: Vec<Level> = levels.iter().map(|level| Level::ve(f64::from(level.sigma as f32))).collect();
        Ok(Self {
            init_scale: levels[0].sigma,
            levels,
            prediction: Prediction::Epsilon,
            by: By::Name(recipe, schedule),
        })
    }

    pub(crate) fn sampler(&self, args: &Args, noise: &SharedNoise, watched: &Watched) -> BoxedSampler<'static> {
        match &self.by {
            By::Config(config, plan) => config.sampler(plan, noise),
            By::Name(recipe, _) if recipe.sampler.comfyui() == "dpm_adaptive" => {
                let (fresh, watched) =
                    (Fresh::new(noise.clone()).eta(args.eta.unwrap_or(0.0)).in_f32(), watched.clone());
                let adaptive = DpmAdaptive::stochastic(StepControl::default(), fresh);
                Box::new(adaptive.watched(move |level, x| watched.push(level, x)))
            }
            By::Name(recipe, _) => {
                let setup = Setup::new(&self.levels, noise);
                recipe.sampler.build(&Setup { eta: args.eta, steps: args.steps, ..setup })
            }
        }
    }

    /// What the network is told at `level`.
    pub(crate) fn timestep(&self, level: Level) -> f64 {
        match &self.by {
            By::Config(_, plan) => plan.timestep(level),
            By::Name(_, schedule) => schedule.timestep(level),
        }
    }

    /// What the run left behind. Steps within steps count as steps.
    pub(crate) fn trace(&self, states: Vec<Tensor<4>>, watched: Vec<(Level, Tensor<4>)>) -> Trace {
        let (levels, states) = match watched.is_empty() {
            true => (self.levels.clone(), states),
            false => {
                let first = (self.levels[0], states[0].clone());
                std::iter::once(first).chain(watched).unzip()
            }
        };
        let timesteps = match &self.by {
            By::Config(_, plan) => plan.timesteps.clone(),
            By::Name(..) => levels[..levels.len() - 1].iter().map(|level| self.timestep(*level)).collect(),
        };
        let sigmas = levels.iter().map(|level| self.sigma(*level)).collect();
        Trace { levels, timesteps, sigmas, states }
    }

    /// As diffusers lists it: of variance-exploding levels, but of flow levels as it is.
    fn sigma(&self, level: Level) -> f64 {
        match self.prediction {
            Prediction::Velocity => level.sigma,
            _ => level.to_ve().sigma,
        }
    }
}

/// A run that is done.
pub(crate) struct Trace {
    pub(crate) levels: Vec<Level>,
    timesteps: Vec<f64>,
    pub(crate) sigmas: Vec<f64>,
    /// The state before the first step and after every step; of a resumed run, from there on.
    pub(crate) states: Vec<Tensor<4>>,
}

impl Trace {
    /// Writes `timesteps`, `sigmas` and the states `x`, `[steps + 1, batch, channels, height, width]`.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let list = |values: &[f64]| TensorData::new(values.iter().map(|v| *v as f32).collect(), [values.len()]);
        let x: Tensor<5> = Tensor::stack(self.states.clone(), 0);
        let tensors = [("timesteps", list(&self.timesteps)), ("sigmas", list(&self.sigmas)), ("x", x.into_data())];
        t2i::write_tensors(path, &tensors)
    }
}
