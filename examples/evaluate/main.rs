//! Measures a model that was trained on emoji scenes: does a picture show what its prompt says?

#[path = "../common/mod.rs"]
mod common;
mod frechet;
mod prompts;

use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::{FloatDType, Tensor, TensorData};
use clap::Parser;
use indicatif::ProgressBar;
use t2i::core::{Checkpoint, Part};
use t2i::prelude::*;
use t2i::vae::{Codec, CodecConfig};
use t2i_data::{Archives, Judge, Library, Scene};

/// Measures a model that was trained on emoji scenes
#[derive(Parser)]
struct Options {
    /// The folder of the model
    #[arg(long)]
    model: PathBuf,
    /// The folder of the emoji packages
    #[arg(long, default_value_os_t = Archives::default_folder())]
    archives: PathBuf,
    /// Steps of the sampler
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Prompts a row of the table
    #[arg(long, default_value_t = 200)]
    prompts: usize,
    /// Scale of classifier-free guidance
    #[arg(long, default_value_t = 3.0)]
    guidance: f64,
    /// Chooses the prompts, and the noise of the first picture; each further one counts one up
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A sampler's name [default: the model's]
    #[arg(long)]
    sampler: Option<String>,
    /// Pictures made at a time
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Where to compute; each name is a Cargo feature
    #[arg(long, default_value = t2i::DEVICES[0])]
    device: String,
    /// Also writes the table as JSON
    #[arg(long)]
    output: Option<PathBuf>,
}

/// What was right, out of how many.
#[derive(Default)]
struct Row {
    prompts: usize,
    objects: usize,
    background: usize,
    frechet: f64,
}

fn main() -> ExitCode {
    common::report(evaluate(&Options::parse()))
}

fn evaluate(options: &Options) -> t2i::Result<()> {
    let device = t2i::device(&options.device)?;
    let mut pipeline = Pipeline::load(&options.model, &device, FloatDType::F32)?;
    if let Some(name) = &options.sampler {
        pipeline.set_sampler(name)?;
    }
    let checkpoint = Checkpoint::open(&options.model)?;
    let codec = CodecConfig::from_options(checkpoint.options(Part::Vae)?)?;
    let codec = codec.load(&checkpoint.weights(Part::Vae)?, &device, FloatDType::F32)?;
    let size = checkpoint.options(Part::Unet)?.require::<usize>("sample_size")? * codec.factor();
    let library = Library::load(&Archives::open(&options.archives)?, size)?;
    let known = library.concepts().iter().filter(|concept| !concept.held_out).count();
    println!(
        "{known} concepts in training, {} to be told apart: chance is {:.2} %",
        library.concepts().len(),
        100.0 / library.concepts().len() as f64
    );
    println!("\n| prompts | number | right objects | right background | Fréchet distance |\n|---|---|---|---|---|");
    let mut table = serde_json::Map::new();
    for kind in prompts::Kind::ALL {
        let scenes = prompts::scenes(&library, kind, options.prompts, options.seed);
        let row = row(options, &pipeline, &codec, &library, &scenes)?;
        let percent = |right: usize| 100.0 * right as f64 / row.prompts as f64;
        println!(
            "| {} | {} | {:.1} % | {:.1} % | {:.2} |",
            kind.name(),
            row.prompts,
            percent(row.objects),
            percent(row.background),
            row.frechet
        );
        table.insert(
            kind.name().to_owned(),
            serde_json::json!({
            "prompts": row.prompts, "right_objects": percent(row.objects),
            "right_background": percent(row.background), "frechet": row.frechet }),
        );
    }
    match &options.output {
        Some(path) => std::fs::write(path, serde_json::Value::Object(table).to_string()).map_err(t2i::Error::io(path)),
        None => Ok(()),
    }
}

fn row(options: &Options, pipeline: &Pipeline, codec: &Codec, library: &Library, scenes: &[Scene]) -> t2i::Result<Row> {
    let judge = Judge::new(library);
    let mut row = Row { prompts: scenes.len(), ..Row::default() };
    let (mut painted, mut rendered) = (Vec::new(), Vec::new());
    let bar = ProgressBar::new(scenes.len() as u64);
    for (i, part) in scenes.chunks(options.batch).enumerate() {
        let first = options.seed + (i * options.batch) as u64;
        let request = Request {
            prompts: part.iter().map(|scene| library.caption(scene)).collect(),
            seeds: (first..first + part.len() as u64).collect(),
            steps: Some(options.steps),
            guidance: Some(options.guidance),
            ..Request::new("")
        };
        let pixels = pipeline.generate(&request)?.pixels;
        let real: Vec<f32> = part.iter().flat_map(|scene| library.render(scene)).collect();
        let real = Tensor::from_data(TensorData::new(real, pixels.dims()), pipeline.device());
        painted.extend(frechet::features(codec, pixels.clone()));
        rendered.extend(frechet::features(codec, real));
        let values: Vec<f32> = pixels.into_data().iter().collect();
        for (scene, picture) in part.iter().zip(values.chunks(values.len() / part.len())) {
            row.background += usize::from(judge.background(picture) == scene.colour());
            row.objects += usize::from(shows(&judge, picture, scene));
        }
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    row.frechet = frechet::distance(&painted, &rendered);
    Ok(row)
}

/// Whether a picture shows the objects of a scene, where they should be.
fn shows(judge: &Judge<'_>, picture: &[f32], scene: &Scene) -> bool {
    match *scene {
        Scene::One { object, colour, .. } => judge.object(picture, colour) == object,
        Scene::Two { objects, relation, colour, .. } => judge.objects(picture, relation, colour) == objects,
    }
}
