//! What t2i takes for one call of a network, for `run.py` and `kernels.py` beside it: `peer CASE FOLDER RUNS OUTPUT`.
//!
//! A case is `unet-256`, `unet-512`, `vae-512`, `text` or `picture-N` with N steps; its inputs are in
//! `FOLDER/inputs.safetensors`. Seconds of every run go to stdout as JSON, the result goes to OUTPUT. Without OUTPUT and
//! with the case `kernels` the second argument is a JSON list of shapes, as `kernels.py` writes it.
#![allow(clippy::print_stdout, reason = "a program")]

#[path = "ours/kernels.rs"]
mod kernels;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use burn::tensor::{Device, FloatDType, Tensor};
use t2i::core::{Checkpoint, Part};
use t2i::prelude::*;
use t2i::text::ClipTextConfig;
use t2i::unet::{Conditioning, UNet, UNetConfig};
use t2i::vae::CodecConfig;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["kernels", shapes, runs] => number(runs).and_then(|runs| kernels::time_all(shapes, runs)),
        [case, folder, runs, output] => {
            number(runs).and_then(|runs| time(case, folder.as_ref(), runs, output.as_ref()))
        }
        _ => Err("peer CASE FOLDER RUNS OUTPUT, or peer kernels SHAPES RUNS".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
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
    // A whole picture is long enough to need no run before the first.
    if !case.starts_with("picture") {
        call()?;
    }
    let mut seconds = Vec::new();
    let mut result = None;
    for _ in 0..runs {
        let started = Instant::now();
        result = Some(call()?);
        seconds.push(started.elapsed().as_secs_f64());
    }
    println!("{}", serde_json::json!({ "load": load, "seconds": seconds }));
    let result = result.ok_or("no run was asked for")?;
    t2i::write_tensors(output, &[("output", result)]).map_err(|error| error.to_string())
}

type Call = Box<dyn Fn() -> Result<burn::tensor::TensorData, String>>;

/// The network of a case with its inputs.
fn call(case: &str, folder: &Path) -> Result<Call, t2i::Error> {
    let device = t2i::device(t2i::DEVICES[0])?;
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
    let unet = checkpoint.weights(Part::Unet)?.load(config.init(&inputs.device), FloatDType::F32)?;
    let (x, timesteps) = (inputs.read::<4>(&format!("latent-{size}"))?, inputs.read::<1>("timesteps")?);
    let conditioning = Conditioning::text(inputs.read("context")?);
    // A step of a run: what the network computes of the text alone is there since the first.
    let unet: &UNet = Box::leak(Box::new(unet));
    let unet = unet.conditioned(conditioning);
    Ok(Box::new(move || Ok(unet.forward(x.clone(), timesteps.clone()).into_data())))
}

/// The first of the two latents.
fn vae(checkpoint: &Checkpoint, inputs: &Inputs<'_>, size: &str) -> Result<Call, t2i::Error> {
    let config = CodecConfig::from_options(checkpoint.options(Part::Vae)?)?;
    let codec = config.load(&checkpoint.weights(Part::Vae)?, &inputs.device, FloatDType::F32)?;
    let latent = inputs.read::<4>(&format!("latent-{size}"))?.narrow(0, 0, 1);
    Ok(Box::new(move || Ok(codec.decode(latent.clone()).into_data())))
}

fn text(checkpoint: &Checkpoint, inputs: &Inputs<'_>) -> Result<Call, t2i::Error> {
    let config = ClipTextConfig::from_options(checkpoint.options(Part::TextEncoder)?)?;
    let encoder = checkpoint.weights(Part::TextEncoder)?.load(config.init(&inputs.device), FloatDType::F32)?;
    let ids = inputs.read::<2>("ids")?.int();
    Ok(Box::new(move || Ok(encoder.forward(ids.clone()).last_hidden_state.into_data())))
}

fn picture(folder: &Path, device: &Device, steps: &str) -> Result<Call, t2i::Error> {
    let pipeline = Pipeline::load(folder, device, FloatDType::F32)?;
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
