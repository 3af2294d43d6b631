//! A sheet of pictures: a row for each prompt, a column for each seed.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::{FloatDType, Tensor};
use clap::Parser;
use indicatif::ProgressBar;
use t2i::prelude::*;

/// A sheet of pictures: a row for each prompt, a column for each seed
#[derive(Parser)]
struct Options {
    /// The prompts
    #[arg(required = true)]
    prompts: Vec<String>,
    /// A diffusers folder, or a single .safetensors or .ckpt file
    #[arg(long)]
    model: PathBuf,
    /// Pictures of each prompt, of seeds 0, 1, ...
    #[arg(long, default_value_t = 4)]
    seeds: u64,
    /// Steps of the sampler
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Scale of classifier-free guidance [default: the model's]
    #[arg(long)]
    guidance: Option<f64>,
    /// Where to compute; each name is a Cargo feature
    #[arg(long, default_value = t2i::DEVICES[0])]
    device: String,
    /// The sheet
    #[arg(long, default_value = "gallery.png")]
    output: PathBuf,
}

fn main() -> ExitCode {
    common::report(paint(&Options::parse()))
}

fn paint(options: &Options) -> t2i::Result<()> {
    let pipeline = Pipeline::load(&options.model, &t2i::device(&options.device)?, FloatDType::F32)?;
    let bar = ProgressBar::new(options.prompts.len() as u64);
    let mut rows = Vec::new();
    for prompt in bar.wrap_iter(options.prompts.iter()) {
        let request = Request {
            images_per_prompt: options.seeds as usize,
            seeds: (0..options.seeds).collect(),
            steps: Some(options.steps),
            guidance: options.guidance,
            ..Request::new(prompt)
        };
        rows.push(side_by_side(pipeline.generate(&request)?.pixels));
    }
    t2i::write_png(&options.output, Tensor::cat(rows, 2))
}

/// `[n, 3, height, width]` to `[1, 3, height, n * width]`
fn side_by_side(pictures: Tensor<4>) -> Tensor<4> {
    let [n, _, _, _] = pictures.dims();
    Tensor::cat(pictures.chunk(n, 0), 3)
}
