//! Reading what `tests/golden/make_train.py` has made.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod case;
pub(crate) mod values;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor};
use t2i_core::Weights;

/// A file of the golden data.
pub(crate) fn golden(path: impl AsRef<Path>) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden")).join(path)
}

/// Tensors of a golden file, by name.
pub(crate) struct Golden(Weights);

impl Golden {
    pub(crate) fn open(path: &str) -> Self {
        Self(Weights::open(&golden(path)).expect("golden tensors"))
    }

    pub(crate) fn values(&self, name: &str) -> Vec<f32> {
        self.0.read(name).expect("a golden tensor").try_to_vec().expect("f32")
    }

    pub(crate) fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let data = self.0.read(name).expect("a golden tensor");
        Tensor::from_data(data, (device, DType::F32))
    }

    pub(crate) fn find<const D: usize>(&self, name: &str, device: &Device) -> Option<Tensor<D>> {
        self.0.shape(name)?;
        Some(self.tensor(name, device))
    }
}
