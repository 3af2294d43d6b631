//! Teaches a model a new word or a LoRA from a few pictures.
//!
//! `cargo run --release --example teach -- --model PATH --images FOLDER --token "<name>" --output name.safetensors`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::FloatDType;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use t2i::core::{Checkpoint, Part};
use t2i::{Error, LoraFormat, Result};
use t2i_train::teach::{Frozen, Learner, Lessons, LowRank, Prior, TEMPLATES, Word, read_pictures};
use t2i_train::{Display, LearningRate, Training, TrainingConfig};

/// Teaches a model something new from a few pictures: a word (textual inversion) or, with --lora, a change of its weights.
///
/// What a picture shows may stand in a text file beside it, FILE.txt for FILE.png, with {} in place of the word.
#[derive(Parser, Debug)]
struct Options {
    /// A diffusers folder, or a single .safetensors or .ckpt file
    #[arg(long)]
    model: PathBuf,
    /// The folder of the pictures
    #[arg(long)]
    images: PathBuf,
    /// The word in prompts
    #[arg(long)]
    token: String,
    /// The file: `learned_embeds.safetensors` of diffusers, `clip_l` and `clip_g` for XL, or a LoRA
    #[arg(long)]
    output: PathBuf,
    /// Learns a LoRA of this rank in place of a word
    #[arg(long, value_name = "RANK", conflicts_with_all = ["initial_token", "vectors"])]
    lora: Option<usize>,
    /// LoRA: change the text encoders, too
    #[arg(long, requires = "lora")]
    text_encoder: bool,
    /// LoRA: whose names the file has
    #[arg(long, value_enum, default_value_t = Format::Diffusers, requires = "lora")]
    format: Format,
    /// Word: begins as this one [default: as the mean of all words]
    #[arg(long, value_name = "WORD")]
    initial_token: Option<String>,
    /// Word: how many vectors it has
    #[arg(long, default_value_t = 1)]
    vectors: usize,
    /// What is said of pictures without a caption, with {} in place of the word; may be repeated [default: several
    /// ways to say "a photo of a {}"]
    #[arg(long, value_name = "TEXT")]
    template: Vec<String>,
    /// LoRA: a folder of pictures of other things of the kind, which the model shall not forget
    #[arg(long, value_name = "DIR", requires_all = ["lora", "prior_prompt"])]
    prior_images: Option<PathBuf>,
    /// LoRA: what those of them show that have no caption
    #[arg(long, value_name = "TEXT", requires = "prior_images")]
    prior_prompt: Option<String>,
    /// LoRA: how much those pictures count
    #[arg(long, default_value_t = 1.0, requires = "prior_images")]
    prior_weight: f64,
    /// Steps in all
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// The learning rate of AdamW [default: 5e-3 for a word, 1e-3 for a LoRA]
    #[arg(long, value_parser = learning_rate)]
    learning_rate: Option<f64>,
    /// Pictures a step
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// The side of the pictures in pixels [default: the model's]
    #[arg(long)]
    size: Option<usize>,
    /// Chooses pictures, captions, noise and noise levels
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A folder in which a stopped training is kept, to go on from
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where to compute; each name is a Cargo feature
    #[arg(long, default_value = t2i::DEVICES[0])]
    device: String,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Format {
    /// diffusers' and PEFT's names
    Diffusers,
    /// The names of kohya's scripts, with alphas
    Kohya,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    // Before hours are spent on a file that has no place.
    let folder = options.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::metadata(folder).map_err(Error::io(folder))?;
    let device = t2i::device(&options.device)?.autodiff();
    let mut frozen = Frozen::load(&Checkpoint::open(&options.model)?, &device)?;
    let lessons = lessons(options, &frozen)?;
    let Some(rank) = options.lora else {
        let word = Word::new(&mut frozen, &options.token, options.vectors, options.initial_token.as_deref())?;
        let word = train(options, &frozen, &lessons, word, 5e-3)?;
        return word.embedding(&frozen).write(&options.output);
    };
    let mut parts = vec![Part::Unet];
    if options.text_encoder {
        parts.extend(frozen.encoders().iter().map(|encoder| encoder.part()));
    }
    let format = match options.format {
        Format::Diffusers => LoraFormat::Diffusers,
        Format::Kohya => LoraFormat::Kohya(frozen.family()),
    };
    let lora = LowRank::new(&frozen, &parts, rank, options.seed)?;
    let lora = train(options, &frozen, &lessons, lora, 1e-3)?;
    format.write(&options.output, &lora.layers(), FloatDType::F32)
}

fn lessons(options: &Options, frozen: &Frozen) -> Result<Lessons> {
    let side = options.size.unwrap_or(frozen.side());
    let pictures = read_pictures(&options.images, side, frozen.device())?;
    let templates = match options.template.as_slice() {
        [] => TEMPLATES.map(str::to_owned).to_vec(),
        templates => templates.to_vec(),
    };
    let lessons = Lessons::new(frozen, pictures, &options.token, templates, options.batch, options.seed)?;
    Ok(match (&options.prior_images, &options.prior_prompt) {
        (Some(folder), Some(prompt)) => {
            let pictures = read_pictures(folder, side, frozen.device())?;
            lessons.with_prior(Prior::new(frozen, pictures, prompt, options.prior_weight)?)
        }
        _ => lessons,
    })
}

/// Trains until the last step, and shows how it goes.
fn train<L: Learner>(options: &Options, frozen: &Frozen, lessons: &Lessons, learner: L, rate: f64) -> Result<L> {
    let learning_rate = LearningRate::constant(options.learning_rate.unwrap_or(rate));
    let mut training = Training::new(learner, TrainingConfig { learning_rate, ..TrainingConfig::default() })?;
    if let Some(state) = &options.state {
        training.resume(state, &recipe(options))?;
    }
    let mut display = Display::open(std::io::stderr(), options.steps, training.steps(), lessons.pictures_a_step());
    while training.steps() < options.steps && !display.wants_to_stop() {
        let report = training.step(|learner, step| frozen.loss(learner, &lessons.at(frozen, step)))?;
        display.see(&report).map_err(Error::io("stderr"))?;
        let last = training.steps() == options.steps || display.wants_to_stop();
        if let Some(state) = options.state.as_ref().filter(|_| last || training.steps().is_multiple_of(100)) {
            training.save(state, &recipe(options))?;
        }
    }
    Ok(training.model().clone())
}

/// What has to be the same when a training is resumed.
fn recipe(options: &Options) -> Value {
    json!({ "token": options.token, "lora": options.lora, "text_encoder": options.text_encoder,
            "initial_token": options.initial_token, "vectors": options.vectors, "template": options.template,
            "images": options.images, "prior_images": options.prior_images, "prior_prompt": options.prior_prompt,
            "prior_weight": options.prior_weight, "learning_rate": options.learning_rate, "batch": options.batch,
            "size": options.size, "seed": options.seed })
}

fn learning_rate(text: &str) -> std::result::Result<f64, String> {
    text.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite()).ok_or("must be above 0, as 1e-3".to_owned())
}
