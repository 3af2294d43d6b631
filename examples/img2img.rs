//! A picture and a prompt to another picture.
//!
//! `cargo run --release --example img2img -- "in winter" --model PATH --image summer.jpg --strength 0.6`

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use t2i::prelude::*;

#[derive(Parser, Debug)]
#[command(about = "A picture and a prompt to another picture")]
struct Args {
    #[command(flatten)]
    common: common::Options,
    /// The picture to start from
    #[arg(long)]
    image: PathBuf,
    /// How much of the picture is forgotten, above 0 and at most 1 [default: the model's]
    #[arg(long)]
    strength: Option<f64>,
}

fn main() -> ExitCode {
    common::report(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), t2i::Error> {
    let pipeline = args.common.pipeline()?;
    let request = args.common.request(&pipeline)?;
    let image = t2i::read_image(&args.image, pipeline.device())?;
    let (width, height) = args.common.size(common::size_of(&image));
    let image = t2i::read_image_resized(&args.image, width, height, pipeline.device())?;
    let start = Start::Image { image };
    args.common.run(&pipeline, &Request { start, strength: args.strength, ..request })
}
