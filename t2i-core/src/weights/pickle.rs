//! PyTorch's own format: pickles, read without running what is in them.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Bytes, DType};
use pytorch_reader::{DType as TorchType, PickleValue, PytorchError, PytorchReader, Tensor};

use super::Entry;
use crate::{Error, Result};

/// Finds the tensors of a file. Where the weights stand under `state_dict`, all else, such as the state of an
/// optimizer, is left out.
pub(super) fn entries(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let reader = PytorchReader::new(path).map_err(|error| typed(path, error))?;
    let mut tensors = reader.into_tensors();
    while tensors.keys().any(|name| name.starts_with(STATE_DICT)) {
        tensors = nested(tensors);
    }
    if tensors.is_empty() {
        return Err(Error::corrupt(path, "holds no tensors"));
    }
    Ok(tensors.into_iter().map(|(name, tensor)| (name, entry(path, tensor))).collect())
}

/// A whole number that stands beside the weights, such as `global_step`.
pub(crate) fn number(path: &Path, name: &str) -> Option<i64> {
    match PytorchReader::read_pickle_data(path, Some(name)) {
        Ok(PickleValue::Int(number)) => Some(number),
        _ => None,
    }
}

/// A text that stands beside the weights, such as `name`.
pub(crate) fn text(path: &Path, name: &str) -> Option<String> {
    match PytorchReader::read_pickle_data(path, Some(name)) {
        Ok(PickleValue::String(text)) => Some(text),
        _ => None,
    }
}

const STATE_DICT: &str = "state_dict.";

fn nested(tensors: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let inner = |(name, tensor): (String, Tensor)| Some((name.strip_prefix(STATE_DICT)?.to_owned(), tensor));
    tensors.into_iter().filter_map(inner).collect()
}

fn entry(path: &Path, tensor: Tensor) -> Entry {
    let path = path.to_owned();
    Entry {
        shape: tensor.shape().to_vec(),
        dtype: dtype(tensor.dtype()),
        read: Arc::new(move || {
            let bytes = tensor.read().map_err(|error| typed(&path, error.into()))?;
            Ok(Bytes::from_bytes_vec(bytes))
        }),
    }
}

/// A file that contradicts itself is corrupt; all else is the operating system's.
fn typed(path: &Path, error: PytorchError) -> Error {
    match error {
        PytorchError::Io(e) if !matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
            Error::io(path)(e)
        }
        other => Error::corrupt(path, other),
    }
}

fn dtype(dtype: TorchType) -> DType {
    match dtype {
        TorchType::F64 => DType::F64,
        TorchType::F32 => DType::F32,
        TorchType::F16 => DType::F16,
        TorchType::BF16 => DType::BF16,
        TorchType::I64 => DType::I64,
        TorchType::I32 => DType::I32,
        TorchType::I16 => DType::I16,
        TorchType::I8 => DType::I8,
        TorchType::U64 => DType::U64,
        TorchType::U32 => DType::U32,
        TorchType::U16 => DType::U16,
        TorchType::U8 | TorchType::Bool => DType::U8,
    }
}
