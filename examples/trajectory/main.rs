//! Follows one sampler along a model whose answers are known, step by step: for teaching, and for checks against
//! diffusers and k-diffusion.
//!
//! `cargo run --release --example trajectory -- --sampler "DPM++ 2M" --schedule karras --sigma-min 0.03 --sigma-max 14.6
//!  --steps 10 --model gaussian --start noise.safetensors --dump path.safetensors`

#[path = "../common/chart.rs"]
mod chart;
#[path = "../common/mod.rs"]
mod common;
mod course;
mod models;
mod plot;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args as Group, Parser, ValueEnum};
use course::{Course, Watched};
use models::Model;
use t2i::prelude::*;
use t2i::sched::{Brownian, SharedNoise, State, try_steps};
use t2i::{Error, Result};

#[derive(Parser, Debug)]
#[command(about = "One sampler along a known model, step by step")]
struct Args {
    #[command(flatten)]
    which: Which,
    /// Spacing of a sampler by name, as "karras" or "Align Your Steps" [default: karras]
    #[arg(long, requires = "sampler", conflicts_with = "sigmas")]
    schedule: Option<String>,
    /// The lowest sigma of a sampler by name [default: Stable Diffusion's]
    #[arg(long, requires = "sampler", conflicts_with = "sigmas")]
    sigma_min: Option<f64>,
    /// The highest sigma of a sampler by name [default: Stable Diffusion's]
    #[arg(long, requires = "sampler", conflicts_with = "sigmas")]
    sigma_max: Option<f64>,
    /// The sigmas that a sampler by name visits, all of them: 14.6,3,0.5,0
    #[arg(long, requires = "sampler", value_delimiter = ',', conflicts_with = "steps")]
    sigmas: Option<Vec<f64>>,
    /// Steps of the sampler
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Seed of the sampler's own noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where a stochastic sampler draws from
    #[arg(long, default_value = "torch")]
    noise: Source,
    /// The share of the noise that a stochastic sampler draws anew [default: the sampler's own]
    #[arg(long)]
    eta: Option<f64>,
    /// The model that is followed
    #[arg(long)]
    model: Model,
    /// Tensor `noise` of this safetensors file, of variance 1 and rank 4, is the start
    #[arg(long)]
    start: PathBuf,
    /// Where timesteps, sigmas and the states x [steps + 1, ...] go, as safetensors
    #[arg(long)]
    dump: Option<PathBuf>,
    /// A chart of the run, as PNG or SVG
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Stop after this many steps, and save the run to `--state`
    #[arg(long, requires = "state")]
    stop_after: Option<usize>,
    /// Where a stopped run is saved
    #[arg(long, requires = "stop_after")]
    state: Option<PathBuf>,
    /// Go on where the run of this file stopped; all other options as there
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Where to compute; each name is a Cargo feature
    #[arg(long, default_value = t2i::DEVICES[0])]
    device: String,
}

#[derive(Group, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// A scheduler_config.json of diffusers
    #[arg(long)]
    scheduler_config: Option<PathBuf>,
    /// A sampler by name, as "DPM++ 2M SDE" or "dpmpp_2m_sde", at variance-exploding levels
    #[arg(long)]
    sampler: Option<String>,
}

/// The sources of noise.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    /// torch's generator on the CPU
    Torch,
    /// torch's generator on a CUDA device
    Cuda,
    /// One Brownian path, as k-diffusion's SDE samplers draw by default: the increments of torchsde's
    Brownian,
    /// Noise that depends on seed, image and number of the draw alone
    Counter,
}

fn main() -> ExitCode {
    common::report(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let device = t2i::device(&args.device)?;
    let course = Course::new(args)?;
    let mut noise = match args.noise {
        Source::Torch => SharedNoise::seeded(args.seed),
        Source::Cuda => SharedNoise::philox(args.seed),
        Source::Brownian => SharedNoise::new(Brownian::new(args.seed, &course.levels)),
        Source::Counter => SharedNoise::counter(args.seed, 0),
    };
    let start = t2i::read_tensor::<4>(&args.start, "noise", &device)?;
    args.model.check(&start)?;
    let x = start.mul_scalar(course.init_scale);
    let denoise = |x: Tensor<4>, level: Level| finite(args.model.x0(&course, x, level), level);
    let watched = Watched::default();
    let mut steps = try_steps(course.sampler(args, &noise, &watched), x.clone(), &course.levels, denoise);
    let mut states = vec![x];
    if let Some(path) = &args.resume {
        steps.resume(&read_state(path)?, &mut noise, &device)?;
        states = steps.latent().into_iter().collect();
    }
    for step in steps.by_ref().take(args.stop_after.unwrap_or(usize::MAX)) {
        states.push(step?.x);
    }
    if let Some(path) = &args.state {
        let bytes = steps.save(&mut noise).to_bytes()?;
        std::fs::write(path, bytes).map_err(Error::io(path))?;
    }
    let trace = course.trace(states, watched.take());
    if let Some(path) = &args.dump {
        trace.write(path)?;
    }
    match &args.plot {
        Some(path) => plot::plot(path, &trace),
        None => Ok(()),
    }
}

fn read_state(path: &Path) -> Result<State> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    State::from_bytes(&path.display().to_string(), &bytes)
}

fn finite(x0: Tensor<4>, level: Level) -> Result<Tensor<4>> {
    match x0.clone().is_finite().all().into_scalar::<bool>() {
        true => Ok(x0),
        false => Err(Error::NotFinite { stage: format!("the model at sigma {}", level.sigma), latent: None }),
    }
}
