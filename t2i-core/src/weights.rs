//! Named tensors in files, and their strict way into a module.

mod convert;
mod edit;
mod load;
mod path;
mod pickle;
mod safetensors;
mod save;
mod shards;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Bytes, DType, TensorData};

pub(crate) use self::path::ModulePath;
pub(crate) use self::pickle::{number as pickled_number, text as pickled_text};
pub(crate) use self::safetensors::metadata;
use crate::{Error, Result};

/// The tensors of one part of a model. Nothing but names and shapes is read until a tensor is asked for. On a CPU, the tensors of
/// a safetensors file stay where the file lies in memory, unless they are loaded as another type; elsewhere a tensor's bytes are
/// dropped as soon as they are on the device. So loading needs no more memory than the model and its largest tensor.
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
    pub(crate) read: Arc<dyn Fn() -> Result<Bytes> + Send + Sync>,
}

impl Weights {
    /// Opens a weight file: safetensors, a PyTorch checkpoint (`.ckpt`, `.pt`, `.pth`, `.bin`; no code in it is
    /// run), or the `.json` index of a sharded checkpoint.
    ///
    /// # Errors
    /// If it cannot be read, or is corrupt; if a shard or a tensor that the index lists is missing, or a tensor
    /// is in two shards.
    pub fn open(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let tensors = match extension.to_str().unwrap_or_default() {
            "json" => shards::entries(path),
            _ if is_pickle(path) => pickle::entries(path),
            _ => safetensors::entries(path),
        };
        Ok(Self { origin: path.display().to_string(), tensors: tensors? })
    }

    /// Takes tensors that are in memory already, in the layout of files: a linear layer's weight is `[out, in]`.
    ///
    /// # Errors
    /// If two have one name.
    pub fn from_data(origin: &str, tensors: impl IntoIterator<Item = (String, TensorData)>) -> Result<Self> {
        let mut weights = Self { origin: origin.to_owned(), tensors: BTreeMap::new() };
        for (name, data) in tensors {
            let (shape, dtype) = (data.shape().to_vec(), data.dtype());
            let read = Arc::new(move || Ok(Bytes::from_bytes_vec(data.as_bytes().to_vec())));
            weights.insert(name, Entry { shape, dtype, read })?;
        }
        Ok(weights)
    }

    /// The file that the tensors came from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor whose name starts with `prefix`.
    pub fn has_under(&self, prefix: &str) -> bool {
        self.tensors.range(prefix.to_owned()..).next().is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// The shape of a tensor in the file's layout: a linear layer's weight is `[out, in]`.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The type of a tensor in the file.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        self.tensors.get(name).map(|entry| entry.dtype)
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The number of values in all tensors together.
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(|entry| entry.shape.iter().product::<usize>()).sum()
    }

    /// Reads one tensor, in the file's own type and layout.
    ///
    /// # Errors
    /// If there is none of that name, or its bytes cannot be read.
    pub fn read(&self, name: &str) -> Result<TensorData> {
        let entry = self.tensors.get(name).ok_or_else(|| self.missing(name, self.names()))?;
        self.data(entry, entry.shape.clone())
    }

    /// Reads one tensor as f32.
    ///
    /// # Errors
    /// If it is missing, no float, cannot be read, or holds NaN or infinity.
    pub(crate) fn read_f32(&self, name: &str) -> Result<TensorData> {
        let (origin, tensor) = (self.origin.clone(), name.to_owned());
        let data = self.read(name)?;
        if !data.dtype().is_float() {
            return Err(Error::TensorType { origin, tensor, found: format!("{:?}", data.dtype()) });
        }
        let data = convert::to_float(data, DType::F32).map_err(|e| Error::corrupt(&self.origin, e))?;
        match convert::is_finite(&data) {
            Ok(true) => Ok(data),
            _ => Err(Error::TensorNotFinite { origin, tensor, dtype: DType::F32.name() }),
        }
    }

    fn data(&self, entry: &Entry, shape: Vec<usize>) -> Result<TensorData> {
        TensorData::try_from_bytes((entry.read)()?, shape, entry.dtype).map_err(|e| Error::corrupt(&self.origin, e))
    }

    fn missing<'a>(&self, name: &str, candidates: impl Iterator<Item = &'a str>) -> Error {
        Error::MissingTensor {
            origin: self.origin.clone(),
            tensor: name.to_owned(),
            nearest: crate::nearest(name, candidates).into_iter().next(),
        }
    }
}

/// Whether a file has PyTorch's own format, by its name.
pub(crate) fn is_pickle(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    matches!(extension.to_str(), Some("ckpt" | "pt" | "pth" | "bin"))
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = self.tensors.iter().map(|(name, entry)| (name, &entry.shape));
        f.debug_map().entries(shapes).finish()
    }
}
