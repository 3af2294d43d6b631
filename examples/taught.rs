//! Pictures of a concept that the model of emoji scenes was not trained on, to teach it; and how often it draws it then.
//!
//! ```sh
//! cargo run --release --example taught -- pictures --concept octopus --output lesson
//! cargo run --release --example teach -- --model MODEL --images lesson --token "<it>" --output it.safetensors
//! cargo run --release --example taught -- judge --model MODEL --concept octopus --word "<it>" --embedding it.safetensors
//! ```

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::{Tensor, TensorData};
use clap::{Parser, Subcommand};
use common::adapters;
use t2i::prelude::*;
use t2i_data::{Archives, Colour, Judge, Library, Scene, Style};

#[derive(Parser, Debug)]
#[command(
    about = "Pictures of a concept that a model was not trained on, and how often it draws it once it was taught"
)]
struct Args {
    #[command(subcommand)]
    task: Task,
    /// The folder of the emoji packages
    #[arg(long, default_value_os_t = Archives::default_folder(), global = true)]
    archives: PathBuf,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Writes five pictures with captions, each on another background, none of them green
    Pictures {
        /// The concept, by its name in captions
        #[arg(long)]
        concept: String,
        /// The folder for the pictures
        #[arg(long)]
        output: PathBuf,
        /// The side of the pictures in pixels
        #[arg(long, default_value_t = 64)]
        size: usize,
    },
    /// Asks for the concept on a green background, and counts
    Judge(Question),
}

#[derive(clap::Args, Debug)]
struct Question {
    /// A diffusers folder, or a single .safetensors or .ckpt file
    #[arg(long)]
    model: PathBuf,
    /// The concept, by its name in captions
    #[arg(long)]
    concept: String,
    /// The word that stands for it in the prompt
    #[arg(long)]
    word: String,
    /// A learned embedding; may be repeated
    #[arg(long, value_name = "FILE[:TOKEN]", value_parser = adapters::embedding)]
    embedding: Vec<adapters::Embedding>,
    /// A LoRA; may be repeated
    #[arg(long, value_name = "FILE[:STRENGTH]", value_parser = adapters::lora)]
    lora: Vec<adapters::Lora>,
    /// How many pictures
    #[arg(long, default_value_t = 20)]
    pictures: u64,
    /// Steps of the sampler
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Scale of classifier-free guidance; 1 turns it off
    #[arg(long, default_value_t = 3.0)]
    guidance: f64,
    /// Seed of the first picture; each further picture has the next one
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to compute; each name is a Cargo feature
    #[arg(long, default_value = t2i::DEVICES[0])]
    device: String,
    /// Also writes the pictures side by side
    #[arg(long)]
    output: Option<PathBuf>,
}

/// The style of the lesson: five pictures of one thing.
const STYLE: Style = Style::Glossy;
const BACKGROUND: Colour = Colour::Green;

fn main() -> ExitCode {
    let args = Args::parse();
    common::report(match &args.task {
        Task::Pictures { concept, output, size } => lesson(&args.archives, concept, output.clone(), *size),
        Task::Judge(question) => judge(&args.archives, question),
    })
}

/// The place of a concept in the list.
fn find(library: &Library, name: &str) -> Result<usize, t2i::Error> {
    let names = || library.concepts().iter().map(|concept| concept.name.as_str());
    names().position(|known| known == name).ok_or_else(|| t2i::Error::UnknownName {
        kind: "concept",
        name: name.to_owned(),
        nearest: t2i::core::nearest(name, names()),
    })
}

fn lesson(archives: &PathBuf, concept: &str, folder: PathBuf, size: usize) -> Result<(), t2i::Error> {
    let library = Library::load(&Archives::open(archives)?, size)?;
    let object = find(&library, concept)?;
    std::fs::create_dir_all(&folder).map_err(t2i::Error::io(&folder))?;
    let backgrounds = Colour::ALL.into_iter().filter(|colour| *colour != BACKGROUND).take(5);
    for (i, colour) in backgrounds.enumerate() {
        let scene = Scene::One { object, style: STYLE, colour };
        let path = folder.join(format!("{i}.png"));
        let pixels = TensorData::new(library.render(&scene), [1, 3, size, size]);
        t2i::write_png(&path, Tensor::from_data(pixels, &t2i::device(t2i::DEVICES[0])?))?;
        let path = path.with_extension("txt");
        std::fs::write(&path, scene.caption(|_| "{}")).map_err(t2i::Error::io(&path))?;
    }
    Ok(())
}

fn judge(archives: &PathBuf, question: &Question) -> Result<(), t2i::Error> {
    let mut pipeline = Pipeline::load(&question.model, &t2i::device(&question.device)?, FloatDType::F32)?;
    for adapters::Embedding { path, token } in &question.embedding {
        pipeline.load_embedding(path, token.as_deref())?;
    }
    for adapters::Lora { path, strength } in &question.lora {
        pipeline.load_lora(path, *strength)?;
    }
    let request = Request {
        prompts: vec![format!("a {} on a green background", question.word)],
        images_per_prompt: question.pictures as usize,
        seeds: (question.seed..question.seed + question.pictures).collect(),
        steps: Some(question.steps),
        guidance: Some(question.guidance),
        ..Request::new("")
    };
    let pixels = pipeline.generate(&request)?.pixels.clamp(-1.0, 1.0);
    if let Some(path) = &question.output {
        t2i::write_png(path, side_by_side(pixels.clone()))?;
    }
    let [_, _, size, _] = pixels.dims();
    let library = Library::load(&Archives::open(archives)?, size)?;
    let scene = Scene::One { object: find(&library, &question.concept)?, style: STYLE, colour: BACKGROUND };
    let judge = Judge::new(&library)?;
    let pictures = pixels.into_data().iter::<f32>().collect::<Vec<_>>();
    let verdicts: Vec<_> = pictures.chunks(3 * size * size).map(|picture| judge.judge(&scene, picture)).collect();
    let right = verdicts.iter().filter(|verdict| verdict.objects_right).count();
    let backgrounds = verdicts.iter().filter(|verdict| verdict.background_right).count();
    let mut seen = BTreeMap::new();
    for verdict in &verdicts {
        *seen.entry(library.concepts()[verdict.seen[0].object].name.clone()).or_insert(0) += 1;
    }
    show(&format!("{right} of {} show the concept, {backgrounds} a green background; seen: {seen:?}", verdicts.len()));
    Ok(())
}

/// `[n, 3, size, size] -> [1, 3, size, n * size]`
fn side_by_side(pixels: Tensor<4>) -> Tensor<4> {
    let [n, channels, height, width] = pixels.dims();
    pixels.permute([1, 2, 0, 3]).reshape([1, channels, height, n * width])
}

#[allow(clippy::print_stdout, reason = "the count is what the program is for")]
fn show(line: &str) {
    println!("{line}");
}
