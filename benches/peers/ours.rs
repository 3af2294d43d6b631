//! What t2i takes for one call of a network, for `run.py` and `kernels.py` beside it: `peer CASE FOLDER RUNS OUTPUT`.
//!
//! A case is `unet-SIDE` or `vae-SIDE` in pixels, `text`, or `picture-N` with N steps; its inputs are in
//! `FOLDER/inputs.safetensors`. Seconds of every run go to stdout as JSON, the result goes to OUTPUT. Without OUTPUT and
//! with the case `kernels` the second argument is a JSON list of shapes, as `kernels.py` writes it. Device and type are
//! those of `T2I_BENCH_DEVICE` and `T2I_BENCH_DTYPE`.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "../common/mod.rs"]
mod common;
#[path = "ours/kernels.rs"]
mod kernels;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use t2i::core::{Checkpoint, Part};
use t2i::prelude::*;
use t2i::text::ClipTextConfig;
use t2i::unet::{Conditioning, UNet, UNetConfig};
use t2i::vae::CodecConfig;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match common::check_settings().and_then(|()| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), String> {
    match *arguments {
        ["kernels", shapes, runs] => kernels::time_all(shapes, number(runs)?),
        [case, folder, runs, output] => time(case, folder.as_ref(), number(runs)?, output.as_ref()),
        _ => Err("peer CASE FOLDER RUNS OUTPUT, or peer kernels SHAPES RUNS".to_owned()),
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

/// Times a case, and writes what came out.
fn time(case: &str, folder: &Path, runs: usize, output: &Path) -> Result<(), String> {
    let started = Instant::now();
    let call = call(case, folder).map_err(|error| error.to_string())?;
    let load = started.elapsed().as_secs_f64();
    let (first, mut result) = timed(&call)?;
    let mut seconds = Vec::new();
    for _ in 0..runs {
        let (time, output) = timed(&call)?;
        seconds.push(time);
        result = output;
    }
    println!("{}", serde_json::json!({ "load": load, "first": first, "seconds": seconds }));
    t2i::write_tensors(output, &[("output", result)]).map_err(|error| error.to_string())
}

/// Seconds until the result is there, and the result.
fn timed(call: &Call) -> Result<(f64, TensorData), String> {
    let started = Instant::now();
    let result = call()?;
    Ok((started.elapsed().as_secs_f64(), result))
}

type Call = Box<dyn Fn() -> Result<TensorData, String>>;

/// The network of a case with its inputs.
fn call(case: &str, folder: &Path) -> Result<Call, t2i::Error> {
    let device = common::device();
    match case.split_once('-').unwrap_or((case, "")) {
        ("unet", size) => unet(&Checkpoint::open(folder)?, &Inputs { folder, device }, size),
        ("vae", size) => vae(&Checkpoint::open(folder)?, &Inputs { folder, device }, size),
        ("text", _) => text(&Checkpoint::open(folder)?, &Inputs { folder, device }),
        ("picture", steps) => picture(folder, &device, steps),
        _ => Err(t2i::Error::InvalidValue {
            field: "case",
            value: case.to_owned(),
            expected: "unet-256, unet-512, vae-512, text or picture-N".to_owned(),
        }),
    }
}

/// Tensors of `inputs.safetensors`.
struct Inputs<'a> {
    folder: &'a Path,
    device: Device,
}

impl Inputs<'_> {
    fn read<const D: usize>(&self, name: &str) -> Result<Tensor<D>, t2i::Error> {
        t2i::read_tensor(self.folder.join("inputs.safetensors"), name, &self.device)
    }
}

fn unet(checkpoint: &Checkpoint, inputs: &Inputs<'_>, size: &str) -> Result<Call, t2i::Error> {
    let config = UNetConfig::from_options(checkpoint.options(Part::Unet)?)?;
    let unet = checkpoint.weights(Part::Unet)?.load(config.init(&inputs.device), common::dtype())?;
    let (x, timesteps) = (inputs.read::<4>(&format!("latent-{size}"))?, inputs.read::<1>("timesteps")?);
    let text = Conditioning::text(inputs.read("context")?);
    let conditioning = match config.needs_added_conditioning() {
        true => Conditioning { pooled: Some(inputs.read("pooled")?), time_ids: Some(inputs.read("time_ids")?), ..text },
        false => text,
    };
    // A step of a run: what the network computes of the text alone is there since the first.
    let unet: &UNet = Box::leak(Box::new(unet));
    let unet = unet.conditioned(conditioning);
    Ok(Box::new(move || Ok(unet.forward(x.clone(), timesteps.clone()).into_data())))
}

/// The first of the two latents.
fn vae(checkpoint: &Checkpoint, inputs: &Inputs<'_>, size: &str) -> Result<Call, t2i::Error> {
    let config = CodecConfig::from_options(checkpoint.options(Part::Vae)?)?;
    let codec = checkpoint.weights(Part::Vae)?.load(config.init(&inputs.device), common::dtype())?;
    let latent = inputs.read::<4>(&format!("latent-{size}"))?.narrow(0, 0, 1);
    Ok(Box::new(move || Ok(codec.decode(latent.clone()).into_data())))
}

fn text(checkpoint: &Checkpoint, inputs: &Inputs<'_>) -> Result<Call, t2i::Error> {
    let config = ClipTextConfig::from_options(checkpoint.options(Part::TextEncoder)?)?;
    let encoder = checkpoint.weights(Part::TextEncoder)?.load(config.init(&inputs.device), common::dtype())?;
    let ids = inputs.read::<2>("ids")?.int();
    Ok(Box::new(move || Ok(encoder.forward(ids.clone()).last_hidden_state.into_data())))
}

fn picture(folder: &Path, device: &Device, steps: &str) -> Result<Call, t2i::Error> {
    let pipeline = Pipeline::load(folder, device, common::dtype())?;
    let request = Request {
        steps: steps.parse().ok(),
        width: Some(512),
        height: Some(512),
        ..Request::new("a lighthouse at night")
    };
    Ok(Box::new(move || {
        let pictures = pipeline.generate(&request).map_err(|error| error.to_string())?;
        // As diffusers leaves them: what the codec overshoots is cut off.
        Ok(pictures.pixels.clamp(-1.0, 1.0).into_data())
    }))
}
