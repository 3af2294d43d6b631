//! What it costs to load the UNet of Stable Diffusion 1.5 from a file of f32 or f16, and to read the file's bytes once,
//! which no loading can beat: `cargo bench --bench load`. The file is made on the spot, so that both find it in the
//! system's cache. `common` says how to choose device and type.
#![allow(missing_docs, reason = "a program")]

mod common;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::FloatDType;
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use t2i_core::Weights;
use t2i_unet::UNetConfig;
use tempfile::TempDir;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() -> std::process::ExitCode {
    common::main()
}

#[divan::bench(args = ["f16", "f32"], sample_count = 3, sample_size = 1)]
fn load(bencher: Bencher<'_, '_>, stored: &str) {
    let (_folder, path) = checkpoint(stored);
    let device = common::device();
    let load = || {
        let weights = Weights::open(&path).expect("it was just written");
        weights.load(UNetConfig::sd15().init(&device), common::dtype()).expect("all fits")
    };
    common::time(bencher.counter(bytes(&path)), load);
}

#[divan::bench(args = ["f16", "f32"], sample_count = 3, sample_size = 1)]
fn read_once(bencher: Bencher<'_, '_>, stored: &str) {
    let (_folder, path) = checkpoint(stored);
    let mut buffer = vec![0; 16 << 20];
    bencher.counter(bytes(&path)).bench_local(|| {
        let mut file = File::open(&path).expect("it was just written");
        while file.read(&mut buffer).expect("a readable file") > 0 {}
    });
}

fn checkpoint(stored: &str) -> (TempDir, PathBuf) {
    let dtype = if stored == "f16" { FloatDType::F16 } else { FloatDType::F32 };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("diffusion_pytorch_model.safetensors");
    let unet = common::random_weights_as(dtype, UNetConfig::sd15().init(&common::device()));
    let weights = Weights::from_module("random", &unet).expect("one name each");
    drop(unet); // makes room
    weights.write(&path, dtype, &[]).expect("room for 3.4 GB");
    (folder, path)
}

fn bytes(path: &Path) -> BytesCount {
    BytesCount::new(path.metadata().expect("it was just written").len())
}
