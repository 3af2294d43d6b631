//! Named tensors in files, and their strict way into a module.

mod load;
mod safetensors;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{DType, TensorData};

use crate::{Error, Result};

/// The tensors of one part of a model. Nothing but names and shapes is read until a tensor is asked for, and a
/// tensor's bytes are dropped as soon as they are on the device: loading needs no more memory than the model
/// and its largest tensor.
#[derive(Clone)]
pub struct Weights {
    origin: String,
    tensors: BTreeMap<String, Entry>,
}

/// One tensor that can be read.
#[derive(Clone)]
pub(crate) struct Entry {
    /// In the file's layout: a linear layer's weight is `[out, in]`.
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: DType,
    pub(crate) read: Arc<dyn Fn() -> Result<Vec<u8>> + Send + Sync>,
}

impl Weights {
    /// Opens one weight file.
    ///
    /// # Errors
    /// If it cannot be read, or its header is corrupt.
    pub fn open(path: &Path) -> Result<Self> {
        let tensors = safetensors::entries(path)?;
        Ok(Self {
            origin: path.display().to_string(),
            tensors,
        })
    }

    /// The file that the tensors came from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor in the file's layout: a linear layer's weight is `[out, in]`.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Gives every tensor the name that `new_name` makes of its own, and drops those for which it says `None`.
    ///
    /// # Errors
    /// If two tensors get one name.
    pub fn rename(self, new_name: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for (old, entry) in self.tensors {
            let Some(name) = new_name(&old) else { continue };
            if tensors.insert(name.clone(), entry).is_some() {
                return Err(Error::DuplicateTensor {
                    origin: self.origin,
                    tensor: name,
                });
            }
        }
        Ok(Self {
            origin: self.origin,
            tensors,
        })
    }

    /// Reads one tensor, in the file's own type and layout.
    ///
    /// # Errors
    /// If there is none of that name, or its bytes cannot be read.
    pub fn read(&self, name: &str) -> Result<TensorData> {
        let entry = self.tensors.get(name).ok_or_else(|| self.missing(name, self.names()))?;
        Ok(TensorData::from_bytes_vec(
            (entry.read)()?,
            entry.shape.clone(),
            entry.dtype,
        ))
    }

    fn missing<'a>(&self, name: &str, candidates: impl Iterator<Item = &'a str>) -> Error {
        Error::MissingTensor {
            origin: self.origin.clone(),
            tensor: name.to_owned(),
            nearest: crate::nearest(name, candidates).into_iter().next(),
        }
    }
}
