//! Reading golden data, and comparing with it.
#![allow(dead_code, unused_imports, reason = "each test file uses a part")]

#[path = "../../../tests/support/device.rs"]
mod device;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, FloatDType, Tensor};
use serde_json::Value;
use t2i_core::{Options, Weights};
use t2i_vae::{Codec, CodecConfig};

pub(crate) use device::{arithmetic, computed, device};

/// The largest error allowed, as a part of the largest value of the reference.
pub(crate) const TOLERANCE: f32 = 2e-5;

pub(crate) fn golden(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/vae")).join(path)
}

/// The reference data beside the workspace, or `None`, with a message, where it is absent.
#[allow(clippy::print_stderr, reason = "says why a test checks nothing")]
pub(crate) fn reference(path: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/reference")).join(path);
    let found = path.exists();
    if !found {
        eprintln!("skipped: {} is not there", path.display());
    }
    found.then_some(path)
}

pub(crate) fn numbers() -> Value {
    let text = std::fs::read_to_string(golden("numbers.json")).expect("golden numbers");
    serde_json::from_str(&text).expect("JSON")
}

pub(crate) fn options(json: Value) -> Options {
    Options::from_json("config.json", json).expect("an object")
}

/// The codec of a golden folder.
pub(crate) fn codec(case: &str, dtype: FloatDType) -> Codec {
    let config = Options::read(&golden(case).join("config.json")).and_then(CodecConfig::from_options);
    let weights = Weights::open(&golden(case).join("weights.safetensors"));
    let (config, weights) = (config.expect("a golden config"), weights.expect("golden weights"));
    weights.load(config.init(&device()), dtype).expect("golden weights fit")
}

/// Tensors of a golden file, by name.
pub(crate) struct Golden(Weights);

impl Golden {
    pub(crate) fn open(path: &str) -> Self {
        Self(Weights::open(&golden(path)).expect("golden tensors"))
    }

    pub(crate) fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let data = self.0.read(name).expect("a golden tensor");
        Tensor::from_data(data, (&device(), DType::F32))
    }

    /// The names that end with `.key`, without that.
    pub(crate) fn runs(&self, key: &str) -> Vec<String> {
        let runs: Vec<_> = self.0.names().filter_map(|n| n.strip_suffix(key)?.strip_suffix('.')).collect();
        assert!(!runs.is_empty(), "no run has {key}");
        runs.into_iter().map(str::to_owned).collect()
    }
}

/// The largest error as a part of the largest value that was expected, both finite.
pub(crate) fn error(got: &Tensor<4>, expected: &Tensor<4>) -> f32 {
    assert_eq!(got.dims(), expected.dims());
    for tensor in [got, expected] {
        assert!(tensor.clone().is_finite().all().into_scalar::<bool>(), "not finite");
    }
    let largest = |t: Tensor<4>| t.abs().max().into_scalar::<f32>();
    largest(got.clone() - expected.clone()) / largest(expected.clone())
}

/// Prints a line for `tests/golden/parity.py`; the last word of `what` is the quantity.
#[allow(clippy::print_stdout, reason = "docs/parity.md is made of it")]
pub(crate) fn assert_close(what: &str, got: Tensor<4>, expected: Tensor<4>) {
    let error = error(&got, &expected);
    let (case, quantity) = what.rsplit_once(' ').unwrap_or((what, "batch"));
    println!("parity | codec: {quantity} | {case} | {TOLERANCE:.1e} | {error:.1e}");
    assert!(error <= TOLERANCE, "{what}: {error:e}");
}
