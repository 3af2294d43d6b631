//! What it costs to encode a prompt and its negative, padded to CLIP's 77 tokens: `cargo bench --bench text`. `common`
//! says how to choose device and type.
#![allow(missing_docs, reason = "a program")]

mod common;

use burn::tensor::{Int, Tensor};
use divan::{AllocProfiler, Bencher};
use t2i_text::ClipTextConfig;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() -> std::process::ExitCode {
    common::main()
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn clip_l(bencher: Bencher<'_, '_>) {
    encode(bencher, ClipTextConfig::clip_l());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn open_clip_h(bencher: Bencher<'_, '_>) {
    encode(bencher, ClipTextConfig::open_clip_h());
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn open_clip_bigg(bencher: Bencher<'_, '_>) {
    encode(bencher, ClipTextConfig::open_clip_bigg());
}

fn encode(bencher: Bencher<'_, '_>, config: ClipTextConfig) {
    let device = common::device();
    let encoder = common::random_weights(config.init(&device));
    let ids = Tensor::<1, Int>::arange(0..2 * config.positions as i64, &device).reshape([2, config.positions]);
    common::time(bencher, || encoder.forward(ids.clone()));
}
