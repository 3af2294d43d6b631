//! A part of a picture made anew.
//!
//! `cargo run --release --example inpaint -- "a cat" --model PATH --image bench.jpg --mask where.png`

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use t2i::prelude::*;

#[derive(Parser, Debug)]
#[command(about = "A part of a picture made anew")]
struct Args {
    #[command(flatten)]
    common: common::Options,
    /// The picture
    #[arg(long)]
    image: PathBuf,
    /// A picture of the same size: white where the picture is made anew, black where it stays
    #[arg(long)]
    mask: PathBuf,
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
    let (width, height) = args.common.size(args.picture_size(&pipeline)?);
    let image = t2i::read_image_resized(&args.image, width, height, pipeline.device())?;
    let mask = t2i::read_mask_resized(&args.mask, width, height, pipeline.device())?;
    let start = Start::Inpaint { image, mask };
    args.common.run(&pipeline, &Request { start, strength: args.strength, ..request })
}

impl Args {
    /// (width, height) of the picture, which must be the mask's too.
    fn picture_size(&self, pipeline: &Pipeline) -> Result<(usize, usize), t2i::Error> {
        let image = common::size_of(&t2i::read_image(&self.image, pipeline.device())?);
        let mask = common::size_of(&t2i::read_mask(&self.mask, pipeline.device())?);
        match image == mask {
            true => Ok(image),
            false => Err(t2i::Error::InvalidValue {
                field: "mask",
                value: format!("{} x {}", mask.0, mask.1),
                expected: format!("{} x {}, the size of the picture", image.0, image.1),
            }),
        }
    }
}
