//! A model under training: weights, their running mean, optimiser, and how far it is.

use burn::lr_scheduler::LrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrSchedulerConfig};
use burn::module::{Module, ParamGroup};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;

use t2i_core::{Error, Result};

use crate::parameters::{number_parameters, values, with_values};
use crate::{Ema, LearningRate, clip_global_norm, shards};

/// The running mean takes the weights in every so many steps: a pass over all weights costs as much as a picture or two.
const EMA_EVERY: u64 = 4;

/// How weights are changed.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingConfig {
    /// The length of a step, and how it changes on the way.
    pub learning_rate: LearningRate,
    /// What AdamW takes from every weight at each step, as a share of the learning rate.
    /// [Loshchilov and Hutter 2019](https://arxiv.org/abs/1711.05101)
    pub weight_decay: f32,
    /// AdamW's memory of the gradient and of its square.
    pub betas: [f32; 2],
    /// The longest gradient, over all weights together.
    pub max_gradient: f64,
    /// How much of the running mean of the weights stays at each step.
    pub ema_decay: f64,
    /// Parts of the model, by a name in the paths of their weights, whose learning rate is so many times the other.
    pub part_rates: Vec<(String, f64)>,
}

/// A model under training: its weights, their running mean, the optimiser's memory, and the number of steps made.
///
/// A step is a function of these and of what the loss draws by the number of the step. So a run that is saved, stopped
/// and resumed ends with the same bits as one that is not.
pub struct Training<M: Module> {
    model: M,
    pub(crate) ema: Ema,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) steps: u64,
    config: TrainingConfig,
}

/// What a step tells of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// The number of the step, from 0.
    pub step: u64,
    /// The loss before the step.
    pub loss: f64,
    /// The length of the gradient over all weights, before it was cut.
    pub gradient: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            learning_rate: LearningRate::constant(1e-4),
            weight_decay: 1e-2,
            betas: [0.9, 0.99],
            max_gradient: 1.0,
            ema_decay: 0.999,
            part_rates: Vec::new(),
        }
    }
}

impl TrainingConfig {
    fn check(&self) -> Result<()> {
        self.learning_rate.check()?;
        let [beta_1, beta_2] = self.betas;
        let (share, positive) = ("from 0 to 1, and less than 1", "a number above 0");
        let rules = [
            ("beta 1", f64::from(beta_1), (0.0..1.0).contains(&beta_1), share),
            ("beta 2", f64::from(beta_2), (0.0..1.0).contains(&beta_2), share),
            ("ema decay", self.ema_decay, (0.0..1.0).contains(&self.ema_decay), share),
            ("weight decay", f64::from(self.weight_decay), self.weight_decay >= 0.0, "a number, 0 or more"),
            ("max gradient", self.max_gradient, self.max_gradient > 0.0, positive),
        ];
        let factors =
            self.part_rates.iter().map(|(_, factor)| ("part rate", *factor, *factor >= 0.0, "a number, 0 or more"));
        match rules.into_iter().chain(factors).find(|(_, value, holds, _)| !holds || !value.is_finite()) {
            Some((field, value, _, expected)) => {
                Err(Error::InvalidValue { field, value: value.to_string(), expected: expected.to_owned() })
            }
            None => Ok(()),
        }
    }
}

impl<M: Module> Training<M> {
    /// Starts with a model on an autodiff device.
    ///
    /// # Errors
    /// If `config` has a rate or a share that is none.
    pub fn new(model: M, config: TrainingConfig) -> Result<Self> {
        config.check()?;
        let model = number_parameters(model);
        let [beta_1, beta_2] = config.betas;
        let optimizer = AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(1e-8)
            .with_weight_decay(config.weight_decay)
            .init();
        Ok(Self { ema: Ema::of(&model), model, optimizer, steps: 0, config })
    }

    /// The model as it is trained.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The model with the running mean of its weights, without autodiff: what is kept in the end.
    pub fn averaged(&self) -> M {
        self.ema.put_into(self.model.valid())
    }

    /// How many steps were made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step down the gradient of `loss`, which is told the model and the number of the step.
    ///
    /// # Shapes
    /// - the loss: `[1]`
    ///
    /// # Errors
    /// If `loss` fails, or it or its gradient is NaN or infinite; the weights then stay as they were.
    pub fn step(&mut self, loss: impl FnOnce(&M, u64) -> Result<Tensor<1>>) -> Result<Report> {
        let loss = loss(&self.model, self.steps)?;
        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        self.descend(f64::from(loss.into_scalar::<f32>()), gradients)
    }

    /// One step down the gradient of the mean of several losses, which are computed side by side: on a CPU several parts
    /// of a batch take less time than the whole.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_in_shards<F>(&mut self, losses: Vec<F>) -> Result<Report>
    where
        M: Sync,
        F: FnOnce(&M) -> Result<Tensor<1>> + Send,
    {
        let (loss, gradients) = shards::gradients(&self.model, losses)?;
        self.descend(loss, gradients)
    }

    /// The rate of each weight.
    fn rates(&self, rate: f64) -> ModuleLearningRate {
        let constant = |factor: f64| LrSchedulerConfig::Constant(rate * factor);
        let rates = ModuleLrSchedulerConfig::new(constant(1.0));
        let with = |rates: ModuleLrSchedulerConfig, (part, factor): &(String, f64)| {
            rates.with_group(ParamGroup::from_predicate(part), constant(*factor))
        };
        let rates = self.config.part_rates.iter().fold(rates, with);
        rates.init().expect("constants have nothing that could be wrong").step()
    }

    fn descend(&mut self, loss: f64, gradients: GradientsParams) -> Result<Report> {
        let learning_rate = self.config.learning_rate.at(self.steps);
        let (gradients, gradient) = clip_global_norm(gradients, &self.model, self.config.max_gradient);
        if !(loss + gradient).is_finite() {
            let stage = format!("training step {} (loss {loss}, gradient {gradient})", self.steps);
            return Err(Error::NotFinite { stage, latent: None });
        }
        self.model = self.optimizer.step(self.rates(learning_rate), self.model.clone(), gradients);
        self.steps += 1;
        if self.steps.is_multiple_of(EMA_EVERY) {
            self.ema.update(&self.model, self.ema_decay());
        }
        Ok(Report { step: self.steps - 1, loss, gradient, learning_rate })
    }

    /// The decay of [`EMA_EVERY`] steps. In the first steps the mean is over few, or it would remember where the
    /// weights began.
    fn ema_decay(&self) -> f64 {
        let steps = self.steps as f64;
        self.config.ema_decay.min((1.0 + steps) / (10.0 + steps)).powi(EMA_EVERY as i32)
    }

    /// Loaded weights may be views with their axes swapped, and products of those add up in another order: so that a
    /// resumed training has the same bits, they are laid out as they were.
    pub(crate) fn replace_model(&mut self, model: M) {
        let values = values(&model);
        self.model = number_parameters(with_values(model, values));
    }
}
