//! What a checkpoint is, and what it lacks.
//!
//! `cargo run --release --example inspect -- PATH`

#![allow(clippy::print_stdout, reason = "the report is the program's output")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser, Debug)]
#[command(about = "What a checkpoint is, and what it lacks")]
struct Args {
    /// A diffusers folder, or a single .safetensors or .ckpt file
    path: PathBuf,
}

fn main() -> ExitCode {
    match t2i::inspect(&Args::parse().path) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
