//! What a step of the UNet costs, both halves of guidance in one batch: `cargo bench --bench unet`, and
//! `cargo bench --bench unet -- sd15_256` for one size. `common` says how to choose device and type.
#![allow(missing_docs, reason = "a program")]

mod common;

use burn::tensor::Tensor;
use divan::{AllocProfiler, Bencher};
use t2i_unet::{Conditioning, UNetConfig};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

/// The prompt and its negative.
const BATCH: usize = 2;
/// What CLIP makes of every prompt.
const TOKENS: usize = 77;

fn main() -> std::process::ExitCode {
    common::main()
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn sd15_256(bencher: Bencher<'_, '_>) {
    step(bencher, UNetConfig::sd15(), 32);
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn sd15_512(bencher: Bencher<'_, '_>) {
    step(bencher, UNetConfig::sd15(), 64);
}

#[divan::bench(sample_count = 2, sample_size = 1)]
fn sdxl_512(bencher: Bencher<'_, '_>) {
    step(bencher, UNetConfig::sdxl(), 64);
}

fn step(bencher: Bencher<'_, '_>, config: UNetConfig, side: usize) {
    let device = common::device();
    let unet = common::random_weights(config.init(&device));
    let x = common::random([BATCH, config.in_channels, side, side]);
    let timesteps = Tensor::full([BATCH], 500.0, &device);
    let unet = unet.conditioned(conditioning(&config));
    common::time(bencher, || unet.forward(x.clone(), timesteps.clone()));
}

fn conditioning(config: &UNetConfig) -> Conditioning {
    let text = Conditioning::text(common::random([BATCH, TOKENS, config.cross_attention_dim]));
    let Some(added) = config.text_time else {
        return text;
    };
    let ids = 6;
    let pooled = added.projection_class_embeddings_input_dim - ids * added.addition_time_embed_dim;
    Conditioning {
        pooled: Some(common::random([BATCH, pooled])),
        time_ids: Some(common::random([BATCH, ids]) * 512.0),
        ..text
    }
}
