//! UNet and text encoder, in the latents of a codec that is trained.

use burn::tensor::{Device, FloatDType};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use t2i::core::{Checkpoint, Part};
use t2i::sched::SchedulerConfig;
use t2i::text::{ClipTextConfig, Tokenizer};
use t2i::unet::UNetConfig;
use t2i::vae::CodecConfig;
use t2i_data::{Archives, Library, Scenes};
use t2i_train::{Batch, Conditioned, DiffusionLoss, TrainingLevels, Weighting, initialise, step_noise};

use crate::latents::Latents;
use crate::run::{self, Special, export};

/// How many captions are left out, so that the model also learns what pictures look like without one, which guidance needs.
/// [Ho and Salimans 2022](https://arxiv.org/abs/2207.12598), section 3.2
const WITHOUT_CAPTION: f64 = 0.1;

/// Options of this training.
#[derive(clap::Args, Clone)]
pub(crate) struct Options {
    #[command(flatten)]
    run: run::Options,
    /// Starts from the weights in the model's folder, not from fresh ones
    #[arg(long)]
    finetune: bool,
    /// Above 1, noisy levels are drawn more often
    #[arg(long, default_value_t = 1.0)]
    shift: f64,
    /// The learning rate of the text encoder, as a share of that of the UNet
    #[arg(long, default_value_t = 0.1)]
    text_rate: f64,
}

pub(crate) fn train(Options { run: options, finetune, shift, text_rate }: &Options) -> t2i::Result<()> {
    let device = options.device()?;
    let library = Library::load(&Archives::open(&options.common.archives)?, options.size)?;
    let scenes = Scenes::new(library.concepts(), options.seed, options.pairs)?;
    let checkpoint = Checkpoint::open(&options.common.model)?;
    let codec = CodecConfig::from_options(checkpoint.options(Part::Vae)?)?;
    let plain = t2i::device(&options.device)?;
    let codec = codec.load(&checkpoint.weights(Part::Vae)?, &plain, FloatDType::F32)?;
    let scheduler = SchedulerConfig::from_options(checkpoint.options(Part::Scheduler)?)?;
    let tokenizer = Tokenizer::from_folder(options.common.model.join(Part::Tokenizer.name()))?;
    let objective = DiffusionLoss { prediction: scheduler.prediction(), weighting: Weighting::Uniform };
    let levels = TrainingLevels::new(scheduler.schedule()).shifted(*shift)?;
    let mut latents = Latents::new(&codec, &library, &scenes, plain);
    let losses = |step: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(step);
        let first = step * (options.batch as u64).div_ceil(4);
        let window: Vec<_> = (first..first + Latents::WINDOW).collect();
        let numbers: Vec<_> = window.choose_multiple(&mut random, options.batch).copied().collect();
        let captions = numbers.iter().enumerate().map(|(i, number)| match random.random_bool(WITHOUT_CAPTION) {
            true => String::new(),
            false => scenes.caption(&latents.scene(*number), step * options.batch as u64 + i as u64),
        });
        let captions = tokenizer.encode_batch(&captions.collect::<Vec<String>>());
        let x0 = latents.of(&numbers, first, &device);
        let eps = step_noise(options.seed, step, x0.dims(), &device);
        let levels = levels.sample(options.batch, &mut random);
        let shards = Batch { x0, eps, levels, captions }.split(options.shards)?.into_iter();
        Ok(shards.map(|batch| move |model: &Conditioned| Ok(model.loss(&objective, batch))).collect())
    };
    let export = |model: &Conditioned| {
        let file = |part: Part, name: &str| options.common.model.join(part.name()).join(name);
        export(&file(Part::Unet, "diffusion_pytorch_model.safetensors"), &model.unet)?;
        export(&file(Part::TextEncoder, "model.safetensors"), &model.text_encoder)
    };
    let recipe = [("shift", json!(shift)), ("finetune", json!(finetune)), ("text_rate", json!(text_rate))];
    let special = Special { recipe: &recipe, part_rates: &[("text_encoder", *text_rate)] };
    options.run(model(&checkpoint, *finetune, &device)?, &special, losses, export)
}

fn model(checkpoint: &Checkpoint, finetune: bool, device: &Device) -> t2i::Result<Conditioned> {
    let unet = UNetConfig::from_options(checkpoint.options(Part::Unet)?)?.init(device);
    let text_encoder = ClipTextConfig::from_options(checkpoint.options(Part::TextEncoder)?)?.init(device);
    if !finetune {
        return Ok(initialise(Conditioned { unet, text_encoder }));
    }
    let unet = checkpoint.weights(Part::Unet)?.load(unet, FloatDType::F32)?;
    let text_encoder = checkpoint.weights(Part::TextEncoder)?.load(text_encoder, FloatDType::F32)?;
    Ok(Conditioned { unet, text_encoder })
}
