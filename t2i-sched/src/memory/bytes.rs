//! A saved run as the bytes of a safetensors file: tensors as they are, numbers in its header.

use std::collections::HashMap;

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use t2i_core::{Error, Result};

use super::State;

impl State {
    /// The state as a safetensors file.
    ///
    /// # Errors
    /// If a tensor is of a type that no sampler keeps.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let views =
            self.tensors.iter().map(|(name, data)| Ok((name, view(name, data)?))).collect::<Result<Vec<_>>>()?;
        let numbers: HashMap<String, String> =
            self.numbers.iter().map(|(name, number)| (name.clone(), number.to_string())).collect();
        safetensors::serialize(views, Some(numbers)).map_err(|e| corrupt("the saved run", &e))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `origin` is the file's name, for errors.
    ///
    /// # Errors
    /// If the bytes are not a safetensors file, or not one of a run.
    pub fn from_bytes(origin: &str, bytes: &[u8]) -> Result<Self> {
        let wrong = |detail: &dyn std::fmt::Display| corrupt(origin, detail);
        let (_, header): (_, Metadata) = SafeTensors::read_metadata(bytes).map_err(|e| wrong(&e))?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| wrong(&e))?;
        let mut state = Self::default();
        for (name, number) in header.metadata().iter().flatten() {
            let number = number.parse().map_err(|_| wrong(&format!("`{name}` is {number}, not a whole number")))?;
            state.numbers.insert(name.clone(), number);
        }
        for (name, view) in file.iter() {
            let data = data(&view).ok_or_else(|| wrong(&format!("tensor `{name}` is {:?}", view.dtype())))?;
            state.tensors.insert(name.to_owned(), data);
        }
        Ok(state)
    }
}

fn view<'a>(name: &str, data: &'a TensorData) -> Result<TensorView<'a>> {
    let dtype = match data.dtype() {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I32 => Dtype::I32,
        other => return Err(corrupt("the saved run", &format!("tensor `{name}` is {other:?}"))),
    };
    TensorView::new(dtype, data.shape().to_vec(), data.as_bytes()).map_err(|e| corrupt("the saved run", &e))
}

fn data(view: &TensorView<'_>) -> Option<TensorData> {
    let (bytes, shape) = (view.data(), view.shape().to_vec());
    Some(match view.dtype() {
        Dtype::F32 => TensorData::new(words(bytes, f32::from_le_bytes), shape),
        Dtype::F64 => TensorData::new(words(bytes, f64::from_le_bytes), shape),
        Dtype::I32 => TensorData::new(words(bytes, i32::from_le_bytes), shape),
        _ => return None,
    })
}

fn words<const N: usize, T>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}

fn corrupt(origin: &str, detail: &dyn std::fmt::Display) -> Error {
    Error::corrupt(origin, detail)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut state = State::default();
        state.numbers.insert("index".to_owned(), 3);
        state.numbers.insert("h".to_owned(), (0.1f64 + 0.2).to_bits());
        state.tensors.insert("x".to_owned(), TensorData::from([[1.5f32, -2.0]]));
        state.tensors.insert("words".to_owned(), TensorData::from([i32::MIN, 7]));
        state.tensors.insert("fine".to_owned(), TensorData::from([0.1f64]));
        let bytes = state.to_bytes().unwrap();
        assert_eq!(State::from_bytes("run.safetensors", &bytes).unwrap(), state);
        assert_eq!(serde_json::from_str::<State>(&serde_json::to_string(&state).unwrap()).unwrap(), state);
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [&b""[..], b"not a run"] {
            let error = State::from_bytes("run.safetensors", bytes).unwrap_err().to_string();
            assert!(error.contains("run.safetensors"), "{error}");
        }
    }
}
