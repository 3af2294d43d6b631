//! What trainings have in common: options, the loop, saving.

use std::io::stderr;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use serde_json::{Value, json};
use t2i::core::Weights;
use t2i_train::{Decay, Display, LearningRate, Training, TrainingConfig};

use crate::Common;
use crate::curve::Curve;

/// Options of a training.
#[derive(clap::Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    pub common: Common,
    /// The folder in which a stopped training is kept
    #[arg(long)]
    pub state: PathBuf,
    /// Steps in all
    #[arg(long)]
    pub steps: u64,
    /// Over how many steps at the end the learning rate falls to nothing
    #[arg(long, default_value_t = 0)]
    pub decay: u64,
    /// Pictures a step
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Into how many parts a batch is split that are computed side by side: on a CPU as many as it has cores
    #[arg(long, default_value_t = 1)]
    pub shards: usize,
    /// The learning rate of AdamW
    #[arg(long, default_value_t = 1e-3)]
    pub learning_rate: f64,
    /// How much of the running mean of the weights stays at each step
    #[arg(long, default_value_t = 0.999)]
    pub ema: f64,
    /// Chooses pictures, captions, noise and noise levels
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The side of the pictures, in pixels
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// The share of pictures with two objects
    #[arg(long, default_value_t = 0.35)]
    pub pairs: f64,
    /// Saves every so many steps
    #[arg(long, default_value_t = 250)]
    pub save_every: u64,
    /// Where to compute; each name is a Cargo feature
    #[arg(long, default_value = t2i::DEVICES[0])]
    pub device: String,
}

/// What one training has and others have not.
#[derive(Default)]
pub(crate) struct Special<'a> {
    /// What has to be the same when it is resumed.
    pub recipe: &'a [(&'a str, Value)],
    /// As in [`TrainingConfig`].
    pub part_rates: &'a [(&'a str, f64)],
}

impl Options {
    /// Where gradients are computed.
    pub(crate) fn device(&self) -> t2i::Result<Device> {
        Ok(t2i::device(&self.device)?.autodiff())
    }

    fn config(&self, part_rates: &[(&str, f64)]) -> TrainingConfig {
        let from = self.steps.saturating_sub(self.decay);
        let decay = if self.decay == 0 { Decay::None } else { Decay::Linear { from, to: self.steps } };
        let learning_rate = LearningRate { peak: self.learning_rate, warmup: 100, decay };
        let part_rates = part_rates.iter().map(|(part, rate)| ((*part).to_owned(), *rate)).collect();
        TrainingConfig { learning_rate, ema_decay: self.ema, part_rates, ..TrainingConfig::default() }
    }

    fn check(&self) -> t2i::Result<()> {
        let wrong = |field, value: u64, expected: &str| {
            Err(t2i::Error::InvalidValue { field, value: value.to_string(), expected: expected.to_owned() })
        };
        match () {
            () if self.batch == 0 => wrong("batch", 0, "at least 1"),
            () if self.save_every == 0 => wrong("save-every", 0, "at least 1"),
            () if self.shards == 0 || !self.batch.is_multiple_of(self.shards) => {
                wrong("shards", self.shards as u64, "a divisor of the batch")
            }
            () => Ok(()),
        }
    }

    /// What has to be the same when a training is resumed, with what is `special` to it. How it ends may be decided later.
    fn recipe(&self, special: &[(&str, Value)]) -> Value {
        let (batch, seed, size) = (self.batch, self.seed, self.size);
        let mut recipe = json!({ "batch": batch, "learning_rate": self.learning_rate, "ema": self.ema, "seed": seed,
                                 "size": size, "pairs": self.pairs });
        special.iter().for_each(|(key, value)| recipe[*key] = value.clone());
        recipe
    }

    /// Trains until the last step. `losses` is told the step and says what to compute side by side, `export` gets the
    /// model with averaged weights whenever the training is saved.
    pub(crate) fn run<M: Module + Sync, L: FnOnce(&M) -> t2i::Result<Tensor<1>> + Send>(
        &self,
        model: M,
        special: &Special<'_>,
        mut losses: impl FnMut(u64) -> t2i::Result<Vec<L>>,
        export: impl Fn(&M) -> t2i::Result<()>,
    ) -> t2i::Result<()> {
        self.check()?;
        let recipe = self.recipe(special.recipe);
        let mut training = Training::new(model, self.config(special.part_rates))?;
        if training.resume(&self.state, &recipe)? {
            eprintln!("goes on after step {}", training.steps());
        }
        let mut display = Display::open(stderr(), self.steps, training.steps(), self.batch);
        let mut curve = Curve::new(&self.state);
        let save = |training: &Training<M>| {
            training.save(&self.state, &recipe)?;
            export(&training.averaged())
        };
        while training.steps() < self.steps && !display.wants_to_stop() {
            let report = training.step_in_shards(losses(training.steps())?)?;
            display.see(&report).map_err(t2i::Error::io("standard error"))?;
            curve.keep(&report)?;
            if training.steps().is_multiple_of(self.save_every) {
                save(&training)?;
                curve.draw()?;
            }
        }
        save(&training)?;
        curve.draw()
    }
}

/// Writes the weights of one network of a model, as halves, where diffusers looks for them.
pub(crate) fn export<M: Module>(path: &Path, module: &M) -> t2i::Result<()> {
    let origin = path.display().to_string();
    Weights::from_module(&origin, module)?.write(path, FloatDType::F16, &[("format", "pt")])
}
