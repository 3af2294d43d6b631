//! A prompt to a picture.
//!
//! `cargo run --release --example txt2img -- "a lighthouse at night" --model PATH --output lighthouse.png`

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use t2i::prelude::*;

#[derive(Parser, Debug)]
#[command(about = "A prompt to a picture")]
struct Args {
    #[command(flatten)]
    common: common::Options,
    /// XL: a refiner that takes over at --handover
    #[arg(long)]
    refiner: Option<PathBuf>,
    /// XL: the share of the noise schedule that the base model does
    #[arg(long, default_value_t = 0.8)]
    handover: f64,
}

fn main() -> ExitCode {
    common::report(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), t2i::Error> {
    let base = args.common.pipeline()?;
    let request = args.common.request(&base)?;
    let Some(path) = &args.refiner else {
        return args.common.run(&base, &request);
    };
    let latent = base.latents(&Request { denoising_end: Some(args.handover), ..request.clone() })?;
    drop(base); // makes room
    let refiner = args.common.load(path)?;
    let start = Start::Latent { latent };
    args.common.run(&refiner, &Request { start, denoising_start: Some(args.handover), ..request })
}
