//! What candle takes for one call of a network: `candle-peer CASE FOLDER RUNS OUTPUT`, as `peer.py` says.
//!
//! `candle.py` makes a package of this file, outside our workspace, so that nobody who builds t2i builds candle.

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, safetensors};
use candle_transformers::models::stable_diffusion::{StableDiffusionConfig, build_clip_transformer, clip};

const LATENT_SCALE: f64 = 0.18215;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, folder, runs, output] = arguments.as_slice() else {
        candle_core::bail!("candle-peer CASE FOLDER RUNS OUTPUT");
    };
    let started = Instant::now();
    let call = call(case, folder)?;
    let load = started.elapsed().as_secs_f64();
    let mut result = call()?;
    let mut seconds = Vec::new();
    for _ in 0..runs.parse().map_err(candle_core::Error::wrap)? {
        let started = Instant::now();
        result = call()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    println!("{{\"load\": {load}, \"seconds\": {seconds:?}}}");
    safetensors::save(&[("output", result)].into(), output)
}

fn call(case: &str, folder: &str) -> Result<Box<dyn Fn() -> Result<Tensor>>> {
    let device = Device::Cpu;
    let inputs = safetensors::load(format!("{folder}/inputs.safetensors"), &device)?;
    let config = StableDiffusionConfig::v1_5(None, None, None);
    let (part, size) = case.split_once('-').unwrap_or((case, ""));
    let latent = format!("latent-{size}");
    Ok(match part {
        "unet" => {
            let path = format!("{folder}/unet/diffusion_pytorch_model.safetensors");
            let unet = config.build_unet(path, &device, 4, false, DType::F32)?;
            let (x, context) = (inputs[&latent].clone(), inputs["context"].clone());
            let timestep = f64::from(inputs["timesteps"].to_vec1::<f32>()?[0]);
            Box::new(move || unet.forward(&x, timestep, &context))
        }
        "vae" => {
            let path = format!("{folder}/vae/diffusion_pytorch_model.safetensors");
            let vae = config.build_vae(path, &device, DType::F32)?;
            let latent = (inputs[&latent].narrow(0, 0, 1)? / LATENT_SCALE)?;
            Box::new(move || vae.decode(&latent))
        }
        _ => {
            let path = format!("{folder}/text_encoder/model.safetensors");
            let encoder = build_clip_transformer(&clip::Config::v1_5(), path, &device, DType::F32)?;
            let ids = inputs["ids"].to_dtype(DType::U32)?;
            // One prompt after the other: its causal mask fits no larger batch.
            let one = move |row| candle_core::Module::forward(&encoder, &ids.narrow(0, row, 1)?);
            Box::new(move || Tensor::cat(&[one(0)?, one(1)?], 0))
        }
    })
}
