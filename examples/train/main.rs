//! Trains a model on emoji scenes: first its vocabulary, then its codec, then its UNet and text encoder.
//!
//! The folder of the model holds configs in the layout of diffusers, which say how large everything is; training puts
//! weights beside them. What a stopped training needs to go on is kept in another folder.

#[path = "../common/chart.rs"]
mod chart;
mod codec;
mod curve;
mod diffusion;
mod latents;
mod run;
mod vocabulary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use t2i_data::Archives;

/// Trains a text-to-image model on emoji scenes
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Learns the tokenizer's vocabulary from captions
    Vocabulary(Common),
    /// Trains the image codec
    Codec(#[command(flatten)] run::Options),
    /// Trains UNet and text encoder, with a codec that is trained
    Diffusion(#[command(flatten)] diffusion::Options),
}

/// What every part is told.
#[derive(clap::Args, Clone)]
pub(crate) struct Common {
    /// The folder of the model, in the layout of diffusers
    #[arg(long)]
    model: PathBuf,
    /// The folder of the emoji packages
    #[arg(long, default_value_os_t = Archives::default_folder())]
    archives: PathBuf,
}

fn main() -> ExitCode {
    let result = match Options::parse().part {
        Part::Vocabulary(common) => vocabulary::learn(&common),
        Part::Codec(options) => codec::train(&options),
        Part::Diffusion(options) => diffusion::train(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
