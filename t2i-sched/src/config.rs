//! `scheduler_config.json` of diffusers, whole: which schedule, which levels, which sampler.

mod absent;
mod class;
mod classes;
mod known;
mod named;
mod names;
mod plans;
mod reader;

use std::sync::Arc;

use serde_json::{Map, Value};
use t2i_core::{Error, Options, Result, nearest};

pub use names::sampler_names;

use class::{Class, Scheduler};
use known::KNOWN_OPTIONS;
use names::Chosen;
use reader::Reader;

use crate::{BoxedSampler, Plan, Prediction, Recipe, Schedule, SharedNoise, Unconditional};

/// A `scheduler_config.json` of diffusers 0.42.1, read whole.
///
/// ```
/// use serde_json::json;
/// use t2i_core::Options;
/// use t2i_sched::SchedulerConfig;
///
/// let json = json!({ "_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "skip_prk_steps": true });
/// let config = SchedulerConfig::from_options(Options::from_json("scheduler_config.json", json)?)?;
/// let config = config.with_sampler("DPM++ 2M Karras")?;
/// assert_eq!(config.plan(20)?.timesteps.len(), 20);
/// # Ok::<(), t2i_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    origin: String,
    source: Source,
    /// What the file says. Only this goes over to another class, as with diffusers' `_use_default_values`.
    explicit: Map<String, Value>,
    /// Options changed since, which count for this class only.
    overrides: Map<String, Value>,
    learned: Learned,
    scheduler: Arc<dyn Scheduler>,
    arguments: Arguments,
}

/// Who says what the options mean.
#[derive(Debug, Clone, Copy)]
enum Source {
    Class(&'static Class),
    Named(Recipe),
}

/// What the model learned.
#[derive(Debug, Clone)]
struct Learned {
    schedule: Schedule,
    prediction: Prediction,
}

/// What diffusers takes as an argument of a call, and no file says.
#[derive(Debug, Clone, Default)]
struct Arguments {
    /// DDIM: the share of the noise that is drawn anew. TCD: its `gamma`. The default is the class's.
    eta: Option<f64>,
    /// Where a guided model leaves its unconditional answer.
    unconditional: Unconditional,
    /// Flow matching: the shift for the size of the picture.
    mu: Option<f64>,
}

impl SchedulerConfig {
    /// Reads a config of one of the [`classes`](Self::classes) of diffusers. Options that the class does not have but
    /// another scheduler of diffusers does are ignored, as diffusers ignores them.
    ///
    /// # Errors
    /// If the class is another, an option is unknown to all of diffusers' schedulers, or an option's value is not
    /// supported.
    pub fn from_options(mut options: Options) -> Result<Self> {
        let class: Value = options.require("_class_name")?;
        let Some(class) = class.as_str().and_then(Class::from_name) else {
            return Err(unsupported(&options, &class));
        };
        let stated = |option: &&str| Some(((*option).to_owned(), options.peek(option)?.clone()));
        let explicit = KNOWN_OPTIONS.iter().filter_map(stated).collect();
        let origin = options.origin().to_owned();
        options.ignore(KNOWN_OPTIONS);
        options.finish()?;
        Self::build(origin, Source::Class(class), explicit, Map::new(), Arguments::default())
    }

    fn build(
        origin: String,
        source: Source,
        explicit: Map<String, Value>,
        overrides: Map<String, Value>,
        arguments: Arguments,
    ) -> Result<Self> {
        let mut values = explicit.clone();
        values.extend(overrides.clone());
        let mut reader = Reader { options: Options::from_json(origin.clone(), Value::Object(values))? };
        let (learned, scheduler) = match source {
            Source::Class(class) => (class.read)(&mut reader)?,
            Source::Named(recipe) => named::read(&mut reader, recipe)?,
        };
        Ok(Self { origin, source, explicit, overrides, learned, scheduler, arguments })
    }

    /// The names of the classes that are supported.
    pub fn classes() -> Vec<&'static str> {
        Class::names()
    }

    /// The config of another sampler on the same model: what `Class.from_config(scheduler.config, ...)` makes in
    /// diffusers. Options that the file states carry over where the other class has them; its defaults do not. A sampler
    /// that diffusers lacks, or lacks with this spacing, is k-diffusion's or ComfyUI's at variance-exploding levels.
    ///
    /// `name` is that of a [`Recipe`] or of one of diffusers' [`classes`](Self::classes), in any case, and may end in a
    /// [`SpacingName`](crate::SpacingName).
    ///
    /// # Errors
    /// If the name is unknown, or the sampler cannot have the spacing.
    pub fn with_sampler(&self, name: &str) -> Result<Self> {
        let mut explicit = self.explicit.clone();
        let source = match names::parse(name)? {
            Chosen::Class(class, options) => {
                explicit.extend(options);
                Source::Class(class)
            }
            Chosen::Named(recipe) => Source::Named(recipe),
        };
        Self::build(self.origin.clone(), source, explicit, Map::new(), self.arguments.clone())
    }

    /// The config with one option set, as if the file stated it.
    ///
    /// # Errors
    /// If the option is unknown or its value not supported.
    pub fn with_option(&self, option: &str, value: impl Into<Value>) -> Result<Self> {
        let value = value.into();
        if !KNOWN_OPTIONS.contains(&option) {
            let nearest = t2i_core::nearest(option, KNOWN_OPTIONS.iter().copied());
            return Err(Error::UnknownOption { origin: self.origin.clone(), option: option.to_owned(), nearest });
        }
        let (mut explicit, mut overrides) = (self.explicit.clone(), self.overrides.clone());
        overrides.remove(option);
        explicit.insert(option.to_owned(), value);
        Self::build(self.origin.clone(), self.source, explicit, overrides, self.arguments.clone())
    }

    /// DDIM with this `eta`, 0 unless set, or TCD with this `gamma`, 0.3 unless set; other samplers ignore it, as in
    /// diffusers' pipelines, which always set it, to 0 by themselves.
    pub fn with_eta(self, eta: f64) -> Self {
        Self { arguments: Arguments { eta: Some(eta), ..self.arguments }, ..self }
    }

    /// The sampler finds the unconditional answer of a guided model in `slot`, if it is one that looks for it (CFG++).
    pub fn with_unconditional(self, slot: &Unconditional) -> Self {
        Self { arguments: Arguments { unconditional: slot.clone(), ..self.arguments }, ..self }
    }

    /// Flow matching for a picture of this `mu`, which [`spacing::flow::mu`](crate::spacing::flow::mu) finds: what
    /// `use_dynamic_shifting` asks for, and nothing without it.
    pub fn with_mu(self, mu: f64) -> Self {
        Self { arguments: Arguments { mu: Some(mu), ..self.arguments }, ..self }
    }

    /// The config as diffusers' Stable Diffusion 1.x and 2.x pipelines run it: whatever the file says, they set
    /// `steps_offset` to 1 and `clip_sample` to false. XL's do not. An option that the file does not state is set for
    /// this class only, and lost in [`with_sampler`](Self::with_sampler), as it is in diffusers.
    ///
    /// # Errors
    /// None that `self` has not shown already.
    pub fn as_stable_diffusion(&self) -> Result<Self> {
        let (mut explicit, mut overrides) = (self.explicit.clone(), self.overrides.clone());
        for (option, value) in [("steps_offset", Value::from(1)), ("clip_sample", Value::from(false))] {
            match explicit.get_mut(option) {
                Some(stated) => *stated = value,
                None => _ = overrides.insert(option.to_owned(), value),
            }
        }
        Self::build(self.origin.clone(), self.source, explicit, overrides, self.arguments.clone())
    }

    /// The name of diffusers' class, or of the sampler where diffusers has none.
    pub fn class_name(&self) -> &'static str {
        match self.source {
            Source::Class(class) => class.name,
            Source::Named(recipe) => recipe.sampler.as_str(),
        }
    }

    /// The levels that the model learned.
    pub fn schedule(&self) -> &Schedule {
        &self.learned.schedule
    }

    /// What the network's output means.
    pub fn prediction(&self) -> Prediction {
        self.learned.prediction
    }

    /// The levels of a run of `steps` steps: diffusers' `set_timesteps(steps)`.
    ///
    /// # Errors
    /// If `steps` is 0, more than the class can make of the model's levels, or the class needs more; if
    /// `use_dynamic_shifting` is true and there is no [`mu`](Self::with_mu).
    pub fn plan(&self, steps: usize) -> Result<Plan> {
        self.scheduler.plan(&self.learned, steps, &self.arguments)
    }

    /// The levels of a run of a latent consistency model from a given strength, as diffusers' own image-to-image
    /// pipeline for these models sets them: all `steps` are taken, from `strength` of the original ones. For every
    /// other class, and in the other pipelines, it is [`plan`](Self::plan) and [`Plan::for_strength`].
    ///
    /// # Errors
    /// As [`plan`](Self::plan); if `strength` is not in (0, 1] or leaves fewer original steps than `steps`.
    pub fn plan_for_strength(&self, steps: usize, strength: f64) -> Result<Plan> {
        self.scheduler.plan_for_strength(&self.learned, steps, strength, &self.arguments)
    }

    /// The sampler of one run over `plan` or a part of it. Stochastic samplers draw from `noise`: share it with what
    /// made the first latent to continue one torch generator.
    pub fn sampler(&self, plan: &Plan, noise: &SharedNoise) -> BoxedSampler<'static> {
        self.scheduler.sampler(&self.learned, plan, noise.clone(), &self.arguments)
    }
}

/// The error for a class that is not supported: one of diffusers for other things than images, or of nobody.
fn unsupported(options: &Options, class: &Value) -> Error {
    let name = class.as_str().unwrap_or_default();
    let supported = Class::names().join(" or ");
    let expected = match absent::reason(name) {
        Some(reason) => format!("{supported}; diffusers' {name} {reason}"),
        None => format!("{supported} (nearest: {})", nearest(name, Class::names()).join(", ")),
    };
    options.unsupported("_class_name", class, &expected)
}
