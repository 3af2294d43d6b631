//! The safetensors format: a JSON header, then the bytes. <https://github.com/huggingface/safetensors#format>

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{AllocationProperty, Bytes, DType};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use t2i_kernels::map_file;

use super::Entry;
use crate::{Error, Result};

/// Reads the header of a file; the entries map their bytes when asked.
pub(super) fn entries(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let file_len = file.metadata().map_err(Error::io(path))?.len();
    let (data_start, header) = header(&mut file, file_len).map_err(|detail| Error::corrupt(path, detail))?;
    if data_start + header.data_len() as u64 != file_len {
        let needed = data_start + header.data_len() as u64;
        return Err(Error::corrupt(path, format!("{file_len} bytes long, but its header needs {needed}")));
    }
    let file = Arc::new(file);
    let mut entries = BTreeMap::new();
    for (name, info) in header.tensors() {
        let dtype = known_dtype(info.dtype).ok_or_else(|| Error::TensorType {
            origin: path.display().to_string(),
            tensor: name.clone(),
            found: format!("{:?}", info.dtype),
        });
        let (start, end) = info.data_offsets;
        let (dtype, file, path) = (dtype?, file.clone(), path.to_owned());
        let read = Arc::new(move || {
            let bytes = map_file(&file, data_start + start as u64, end - start).map_err(Error::io(&path))?;
            Ok(aligned(bytes, dtype))
        });
        entries.insert(name, Entry { shape: info.shape.clone(), dtype, read });
    }
    Ok(entries)
}

/// What stands beside the tensors of a file: names and texts.
pub(crate) fn metadata(path: &Path) -> Result<BTreeMap<String, String>> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let file_len = file.metadata().map_err(Error::io(path))?.len();
    let (_, header) = header(&mut file, file_len).map_err(|detail| Error::corrupt(path, detail))?;
    Ok(header.metadata().iter().flatten().map(|(name, text)| (name.clone(), text.clone())).collect())
}

fn header(file: &mut File, file_len: u64) -> Result<(u64, Metadata), String> {
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| "too short for a safetensors file".to_owned())?;
    let length = u64::from_le_bytes(length);
    if length > file_len - 8 {
        return Err(format!("the safetensors header claims {length} of {file_len} bytes"));
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json).map_err(|e| e.to_string())?;
    let metadata = serde_json::from_slice(&json).map_err(|e| format!("safetensors header: {e}"))?;
    Ok((8 + length, metadata))
}

/// The bytes in place, or a copy of them if they begin where no number of that type may: old files have headers of any length.
fn aligned(bytes: bytes::Bytes, dtype: DType) -> Bytes {
    match bytes.as_ptr().align_offset(dtype.size()) {
        0 => Bytes::from_shared(bytes, AllocationProperty::File),
        _ => Bytes::from_bytes_vec(bytes.to_vec()),
    }
}

/// Integers are kept, for the position tables that old text encoders store; loading a weight from one is an error.
fn known_dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 | Dtype::BOOL => DType::U8,
        _ => return None,
    })
}
