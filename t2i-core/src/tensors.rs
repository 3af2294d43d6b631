//! Tensors to look at, and tensors to start from: plain safetensors files.

use std::path::Path;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

use crate::{Error, Result, Weights};

/// Writes named tensors as f32 to a safetensors file.
///
/// # Errors
/// If two have one name, or the file cannot be written; what was there then stays as it was.
pub fn write_tensors(path: impl AsRef<Path>, tensors: &[(impl AsRef<str>, TensorData)]) -> Result<()> {
    let path = path.as_ref();
    let named = tensors.iter().map(|(name, data)| Ok((name.as_ref().to_owned(), as_f32(path, data)?)));
    let named = named.collect::<Result<Vec<_>>>()?;
    Weights::from_data(&path.display().to_string(), named)?.write(path, FloatDType::F32, &[])
}

/// Reads one tensor of a safetensors file as f32.
///
/// # Errors
/// If the file cannot be read or is corrupt; if it has no tensor of that name, or one of another rank.
pub fn read_tensor<const D: usize>(path: impl AsRef<Path>, name: &str, device: &Device) -> Result<Tensor<D>> {
    let path = path.as_ref();
    let data = as_f32(path, &Weights::open(path)?.read(name)?)?;
    match data.rank() {
        rank if rank == D => Ok(Tensor::from_data(data, (device, DType::F32))),
        rank => Err(Error::corrupt(path, format!("tensor `{name}` has {rank} dimensions, not {D}"))),
    }
}

fn as_f32(path: &Path, data: &TensorData) -> Result<TensorData> {
    data.clone().try_cast(DType::F32).map_err(|e| Error::corrupt(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tensors.safetensors");
        let noise = TensorData::from([[[[1.5f32, -2.0], [0.25, 3.0]]]]);
        write_tensors(&path, &[("noise", noise.clone())]).expect("written");
        let read = read_tensor::<4>(&path, "noise", &Device::flex()).expect("read");
        assert_eq!(read.into_data(), noise);
        let missing = read_tensor::<4>(&path, "nois", &Device::flex()).expect_err("a typo").to_string();
        assert!(missing.contains("`nois`") && missing.contains("`noise`"), "{missing}");
        let rank = read_tensor::<3>(&path, "noise", &Device::flex()).expect_err("four").to_string();
        assert!(rank.contains("4 dimensions"), "{rank}");
    }

    #[test]
    fn two_of_one_name_are_refused() {
        let one = || ("noise", TensorData::from([1f32]));
        let path = tempfile::tempdir().expect("a folder").path().join("tensors.safetensors");
        let error = write_tensors(&path, &[one(), one()]).expect_err("twice");
        assert!(matches!(error, Error::DuplicateTensor { tensor, .. } if tensor == "noise"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error =
            write_tensors("not/there/x.safetensors", &[("x", TensorData::from([1f32]))]).expect_err("no folder");
        assert!(error.to_string().contains("not/there/x.safetensors"), "{error}");
    }
}
