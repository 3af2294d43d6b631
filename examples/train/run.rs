//! What trainings have in common: options, the loop, saving.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use serde_json::{Value, json};
use t2i::core::Weights;
use t2i_train::{Decay, LearningRate, Report, Training, TrainingConfig};

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
        let mut training = Training::new(model, self.config());
        if training.resume(&self.state, &self.recipe())? {
            eprintln!("goes on after step {}", training.steps());
        }
        let mut watch = Watch::new(self, training.steps());
        while training.steps() < self.steps {
            watch.see(training.step(&mut loss)?)?;
            if training.steps() % self.save_every == 0 || training.steps() == self.steps {
                training.save(&self.state, &self.recipe())?;
                export(&training.averaged())?;
            }
        }
        Ok(())
    }
}

/// Writes the weights of one network of a model, as halves, where diffusers looks for them.
pub(crate) fn export<M: Module>(path: &Path, module: &M) -> t2i::Result<()> {
    let origin = path.display().to_string();
    Weights::from_module(&origin, module)?.write(path, FloatDType::F16, &[("format", "pt")])
}

/// Prints a line now and then, and keeps the losses.
struct Watch<'a> {
    options: &'a Options,
    first: u64,
    start: Instant,
    losses: Vec<f64>,
}

impl<'a> Watch<'a> {
    const EVERY: usize = 20;

    fn new(options: &'a Options, first: u64) -> Self {
        Self { options, first, start: Instant::now(), losses: Vec::new() }
    }

    fn see(&mut self, report: Report) -> t2i::Result<()> {
        self.losses.push(report.loss);
        if self.losses.len() < Self::EVERY {
            return Ok(());
        }
        let loss = self.losses.iter().sum::<f64>() / self.losses.len() as f64;
        self.losses.clear();
        let made = (report.step + 1 - self.first) as f64;
        let per_second = made * self.options.batch as f64 / self.start.elapsed().as_secs_f64();
        let Report { step, gradient, learning_rate, .. } = report;
        eprintln!(
            "step {:>6}  loss {loss:.4}  gradient {gradient:.3}  rate {learning_rate:.2e}  {per_second:.1} pictures/s",
            step + 1
        );
        let path = self.options.state.join("losses.csv");
        let file = std::fs::create_dir_all(&self.options.state)
            .and_then(|()| std::fs::File::options().create(true).append(true).open(&path));
        file.and_then(|mut file| writeln!(file, "{},{loss}", step + 1)).map_err(t2i::Error::io(path))
    }
}
