//! How well a model of emoji scenes does what it is told: right objects, right styles, right backgrounds, and how far its
//! pictures are from renderings.
//!
//! `cargo run --release --example evaluate -- --model models/emoji64 --steps 20 --prompts 200 --output table.json`
//!
//! Each row asks for scenes of one kind. An object is right if, of all concepts in all styles, the nearest rendering is of
//! that concept; in a scene of two objects both must be right, each in its half. The Fréchet distance is between latents of
//! the pictures and of renderings of the same scenes, averaged over a grid of 4 x 4 cells: 0 for a perfect model. Rows
//! "through the codec" judge renderings that were only encoded and decoded, which is the most that a model can reach.

#[path = "../common/mod.rs"]
mod common;
mod features;
mod kinds;
mod ruler;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use t2i::core::Checkpoint;
use t2i::prelude::*;
use t2i_data::{Archives, Judge, Library, Scene};

use features::{Features, each};
use kinds::{KINDS, Kind, Scenery};
use ruler::Ruler;
use table::{Row, Settings, Table};

#[derive(Parser, Debug)]
#[command(about = "How well a model of emoji scenes does what it is told")]
struct Args {
    /// A diffusers folder, or a single .safetensors or .ckpt file
    #[arg(long)]
    model: PathBuf,
    /// Steps of the sampler
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Prompts of each kind
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(2..))]
    prompts: u64,
    /// Scale of classifier-free guidance; 1 turns it off
    #[arg(long, default_value_t = 3.0)]
    guidance: f64,
    /// Seed of the prompts and of the first picture's noise; each further picture has the next one
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A sampler's name, as "DPM++ 2M Karras" or "EulerDiscreteScheduler" [default: the model's]
    #[arg(long)]
    sampler: Option<String>,
    /// Pictures made at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    batch: u64,
    /// Where to compute; each name is a Cargo feature
    #[arg(long, default_value = t2i::DEVICES[0])]
    device: String,
    /// The folder of the emoji packages
    #[arg(long, default_value_os_t = Archives::default_folder())]
    archives: PathBuf,
    /// Also write the table as JSON
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    common::report(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), t2i::Error> {
    let device = t2i::device(&args.device)?;
    let checkpoint = Checkpoint::open(&args.model)?;
    let mut pipeline = Pipeline::from_checkpoint(&checkpoint, &device, FloatDType::F32)?;
    if let Some(name) = &args.sampler {
        pipeline.set_sampler(name)?;
    }
    let features = Features::load(&checkpoint, &device)?;
    let library = Library::load(&Archives::open(&args.archives)?, features.size)?;
    let ruler = Ruler {
        judge: Judge::new(&library)?,
        features,
        library: &library,
        batch: args.batch as usize,
        bar: bar(KINDS.len() as u64 * 2 * args.prompts),
    };
    let mut table = Table { settings: args.settings(), concepts: library.concepts().len(), rows: Vec::new() };
    show(&table.head());
    fill(&mut table, args, &pipeline, &ruler)?;
    ruler.bar.finish_and_clear();
    show(&table.chance());
    Ok(())
}

/// A row of the model for each kind, and a row of the codec alone. Each is shown and written as soon as it is there.
fn fill(table: &mut Table, args: &Args, pipeline: &Pipeline, ruler: &Ruler<'_>) -> Result<(), t2i::Error> {
    let scenery = Scenery::new(ruler.library.concepts(), args.seed)?;
    let scenes = |kind: Kind| (0..args.prompts).map(|index| scenery.scene(kind, index)).collect::<Vec<_>>();
    let by_model = |first: u64, scenes: &[Scene]| generate(args, pipeline, ruler.library, first, scenes);
    let by_codec = |_, scenes: &[Scene]| ruler.features.through_the_codec(&ruler.renderings(scenes));
    let mut add = |row: Row| {
        ruler.bar.suspend(|| show(&row.markdown()));
        table.rows.push(row);
        args.output.as_deref().map_or(Ok(()), |path| table.write(path))
    };
    for kind in KINDS {
        add(ruler.measure(kind.name().to_owned(), &scenes(kind), by_model)?)?;
    }
    for kind in KINDS {
        add(ruler.measure(format!("{}, through the codec", kind.name()), &scenes(kind), by_codec)?)?;
    }
    Ok(())
}

/// The pictures `first`, `first + 1`, ... of scenes, each `[3, size, size]`.
fn generate(
    args: &Args,
    pipeline: &Pipeline,
    library: &Library,
    first: u64,
    scenes: &[Scene],
) -> Result<Vec<Vec<f32>>, t2i::Error> {
    let request = Request {
        prompts: scenes.iter().map(|scene| library.caption(scene)).collect(),
        seeds: (0..scenes.len() as u64).map(|i| args.seed.wrapping_add(first + i)).collect(),
        steps: Some(args.steps),
        guidance: Some(args.guidance),
        width: Some(library.size()),
        height: Some(library.size()),
        ..Request::new("")
    };
    let pixels = pipeline.generate(&request)?.pixels.clamp(-1.0, 1.0);
    Ok(each(pixels))
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            model: self.model.display().to_string(),
            steps: self.steps,
            guidance: self.guidance,
            sampler: self.sampler.clone(),
            seed: self.seed,
        }
    }
}

fn bar(pictures: u64) -> ProgressBar {
    let template = "{wide_bar} {pos}/{len} pictures, {per_sec}, {eta} left {msg}";
    ProgressBar::new(pictures).with_style(ProgressStyle::with_template(template).expect("the template is valid"))
}

#[allow(clippy::print_stdout, reason = "the table is what the program is for")]
fn show(lines: &str) {
    println!("{lines}");
}
