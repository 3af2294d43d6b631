//! What trainings have in common: options, the loop, saving.

use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use serde_json::{Value, json};
use t2i::core::Weights;
use t2i_train::{Decay, Display, LearningRate, Report, Training, TrainingConfig};

use crate::Common;

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

impl Options {
    /// Where gradients are computed.
    pub(crate) fn device(&self) -> t2i::Result<Device> {
        Ok(t2i::device(&self.device)?.autodiff())
    }

    pub(crate) fn config(&self) -> TrainingConfig {
        let from = self.steps.saturating_sub(self.decay);
        let decay = if self.decay == 0 { Decay::None } else { Decay::Linear { from, to: self.steps } };
        let learning_rate = LearningRate { peak: self.learning_rate, warmup: 100, decay };
        TrainingConfig { learning_rate, ema_decay: self.ema, ..TrainingConfig::default() }
    }

    /// What has to be the same when a training is resumed. How it ends may be decided later.
    fn recipe(&self) -> Value {
        let (batch, seed, size) = (self.batch, self.seed, self.size);
        json!({ "batch": batch, "learning_rate": self.learning_rate, "ema": self.ema, "seed": seed, "size": size,
                "pairs": self.pairs })
    }

    /// Trains until the last step. `loss` is told the model and the step, `export` gets the model with averaged
    /// weights whenever the training is saved.
    pub(crate) fn run<M: Module>(
        &self,
        model: M,
        mut loss: impl FnMut(&M, u64) -> t2i::Result<Tensor<1>>,
        export: impl Fn(&M) -> t2i::Result<()>,
    ) -> t2i::Result<()> {
        if self.batch == 0 || self.save_every == 0 {
            let (field, value) =
                if self.batch == 0 { ("batch", self.batch as u64) } else { ("save-every", self.save_every) };
            return Err(t2i::Error::InvalidValue {
                field,
                value: value.to_string(),
                expected: "at least 1".to_owned(),
            });
        }
        let mut training = Training::new(model, self.config());
        if training.resume(&self.state, &self.recipe())? {
            eprintln!("goes on after step {}", training.steps());
        }
        let mut display = Display::open(stderr(), self.steps, training.steps(), self.batch);
        let mut losses = Losses::new(&self.state);
        while training.steps() < self.steps && !display.wants_to_stop() {
            let report = training.step(&mut loss)?;
            display.see(&report).map_err(t2i::Error::io("standard error"))?;
            losses.keep(&report)?;
            if training.steps().is_multiple_of(self.save_every) {
                self.save(&training, &export)?;
            }
        }
        self.save(&training, &export)
    }

    fn save<M: Module>(&self, training: &Training<M>, export: impl Fn(&M) -> t2i::Result<()>) -> t2i::Result<()> {
        training.save(&self.state, &self.recipe())?;
        export(&training.averaged())
    }
}

/// Writes the weights of one network of a model, as halves, where diffusers looks for them.
pub(crate) fn export<M: Module>(path: &Path, module: &M) -> t2i::Result<()> {
    let origin = path.display().to_string();
    Weights::from_module(&origin, module)?.write(path, FloatDType::F16, &[("format", "pt")])
}

/// The losses of a training on disk, for the curve.
struct Losses {
    path: PathBuf,
    mean: f64,
    count: u64,
}

impl Losses {
    /// Steps whose losses are one row.
    const EVERY: u64 = 20;

    fn new(folder: &Path) -> Self {
        Self { path: folder.join("losses.csv"), mean: 0.0, count: 0 }
    }

    fn keep(&mut self, report: &Report) -> t2i::Result<()> {
        self.count += 1;
        self.mean += (report.loss - self.mean) / self.count as f64;
        if !(report.step + 1).is_multiple_of(Self::EVERY) {
            return Ok(());
        }
        let file = std::fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))
            .and_then(|()| std::fs::File::options().create(true).append(true).open(&self.path));
        let row = file.and_then(|mut file| writeln!(file, "{},{:.6}", report.step + 1, self.mean));
        (self.mean, self.count) = (0.0, 0);
        row.map_err(t2i::Error::io(&self.path))
    }
}
