//! What it costs to make pixels of latents, and latents of pixels: `cargo bench --bench vae`. `common` says how to choose
//! device and type.
#![allow(missing_docs, reason = "a program")]

mod common;

use divan::{AllocProfiler, Bencher};
use t2i_vae::{AutoencoderKlConfig, Codec, CodecConfig};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() -> std::process::ExitCode {
    common::main()
}

#[divan::bench(args = [256, 512], sample_count = 3, sample_size = 1)]
fn decode(bencher: Bencher<'_, '_>, side: usize) {
    let codec = codec();
    let latent = common::random([1, codec.latent_channels(), side / codec.factor(), side / codec.factor()]);
    common::time(bencher, || codec.decode(latent.clone()));
}

#[divan::bench(args = [256, 512], sample_count = 3, sample_size = 1)]
fn encode(bencher: Bencher<'_, '_>, side: usize) {
    let codec = codec();
    let pixels = common::random([1, 3, side, side]);
    common::time(bencher, || codec.encode(pixels.clone()).mode());
}

/// The codec of Stable Diffusion 1 and 2; that of XL has other numbers in layers of the same sizes.
fn codec() -> Codec {
    let config = CodecConfig::Kl(AutoencoderKlConfig::sd());
    common::random_weights(config.init(&common::device()))
}
