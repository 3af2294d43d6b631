//! A sampler of one's own: the midpoint method, in the coordinates of the levels that the model's scheduler visits.
//!
//! `cargo run --release --example custom_sampler -- "a lighthouse at night" --model PATH`

mod common;

use std::process::ExitCode;

use clap::Parser;
use t2i::prelude::*;

#[derive(Parser, Debug)]
#[command(about = "A prompt to a picture, by a sampler of one's own")]
struct Args {
    #[command(flatten)]
    common: common::Options,
}

fn main() -> ExitCode {
    common::report(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), t2i::Error> {
    let pipeline = args.common.pipeline()?;
    let request = args.common.request(&pipeline)?;
    args.common.watch(pipeline.steps_with(&request, midpoint)?)
}

/// Looks at the noise half-way, and goes the whole way by it.
fn midpoint(x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
    let eps = |x: Tensor<4>, level: Level, x0: Tensor<4>| level.eps(x, x0);
    let x0 = denoise(x.clone(), from);
    let first = eps(x.clone(), from, x0.clone());
    if to.is_clean() {
        return to.mix(x0, first);
    }
    let middle = between(from, to);
    let half = from.transfer(x.clone(), first, middle);
    let x0 = denoise(half.clone(), middle);
    from.transfer(x, eps(half, middle, x0), to)
}

/// Half-way in `sigma / alpha`.
fn between(from: Level, to: Level) -> Level {
    let sigma = (from.to_ve().sigma + to.to_ve().sigma) / 2.0;
    if from.alpha == 1.0 { Level::ve(sigma) } else { Level::ve(sigma).to_vp() }
}
