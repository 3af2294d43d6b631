//! From the parameters of a module to named tensors in files.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use safetensors::SafeTensorError;
use safetensors::tensor::TensorView;

use super::Weights;
use super::convert::{is_finite, to_float};
use super::path::ModulePath;
use crate::{Error, Result, files};

impl Weights {
    /// The parameters of a module, under the names and in the layout of files: what [`load`](Self::load) takes back.
    ///
    /// # Errors
    /// If two parameters have one name.
    pub fn from_module<M: Module>(origin: &str, module: &M) -> Result<Self> {
        let mut collector = Collector { path: ModulePath::default(), tensors: Vec::new() };
        module.visit(&mut collector);
        Self::from_data(origin, collector.tensors)
    }

    /// Writes all tensors as `dtype` to a safetensors file, with `metadata`.
    ///
    /// # Errors
    /// If a tensor is no float or cannot be read, or the file cannot be written; what was there then stays as it was.
    pub fn write(&self, path: impl AsRef<Path>, dtype: FloatDType, metadata: &[(&str, &str)]) -> Result<()> {
        let path = path.as_ref();
        let tensors = self.names().map(|name| Ok((name, self.cast(name, dtype)?))).collect::<Result<Vec<_>>>()?;
        let views = tensors.iter().map(|(name, data)| Ok((*name, view(data)?)));
        let views = views.collect::<Result<Vec<_>, SafeTensorError>>().map_err(|e| Error::corrupt(path, e))?;
        let metadata: HashMap<_, _> = metadata.iter().map(|(k, v)| (String::from(*k), String::from(*v))).collect();
        let metadata = (!metadata.is_empty()).then_some(metadata);
        let bytes = safetensors::serialize(views, metadata).map_err(|e| Error::corrupt(path, e))?;
        files::replace(path, |file| file.write_all(&bytes))
    }

    /// One tensor, as floats of that type. Finite values that `dtype` cannot hold are an error.
    fn cast(&self, name: &str, dtype: FloatDType) -> Result<TensorData> {
        let (origin, tensor) = (self.origin.clone(), name.to_owned());
        let data = self.read(name)?;
        if !data.dtype().is_float() {
            return Err(Error::TensorType { origin, tensor, found: format!("{:?}", data.dtype()) });
        }
        let was_finite = is_finite(&data).unwrap_or(false);
        let cast = to_float(data, dtype.into()).map_err(|e| Error::corrupt(&self.origin, e))?;
        match was_finite && !is_finite(&cast).unwrap_or(false) {
            true => Err(Error::TensorNotFinite { origin, tensor, dtype: DType::from(dtype).name() }),
            false => Ok(cast),
        }
    }
}

fn view(data: &TensorData) -> Result<TensorView<'_>, SafeTensorError> {
    let dtype = match data.dtype() {
        DType::F16 => safetensors::Dtype::F16,
        DType::BF16 => safetensors::Dtype::BF16,
        DType::F64 => safetensors::Dtype::F64,
        _ => safetensors::Dtype::F32,
    };
    TensorView::new(dtype, data.shape().to_vec(), data.as_bytes())
}

struct Collector {
    path: ModulePath,
    tensors: Vec<(String, TensorData)>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val().inner();
        let tensor = if self.path.is_transposed(D) { tensor.swap_dims(0, 1) } else { tensor };
        self.tensors.push((self.path.name(), tensor.into_data()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Small {
        to_out: [Linear; 1],
        norm: GroupNorm,
    }

    fn small() -> Small {
        let device = Device::flex();
        Small { to_out: [LinearConfig::new(2, 3).init(&device)], norm: GroupNormConfig::new(1, 2).init(&device) }
    }

    #[test]
    fn names_and_layout_are_those_of_files() {
        let weights = Weights::from_module("small", &small()).expect("distinct names");
        assert_eq!(
            weights.names().collect::<Vec<_>>(),
            ["norm.bias", "norm.weight", "to_out.0.bias", "to_out.0.weight"]
        );
        assert_eq!(weights.shape("to_out.0.weight"), Some(&[3, 2][..]));
    }

    #[test]
    fn what_is_written_is_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("small.safetensors");
        let (one, other) = (small(), small());
        let weights = Weights::from_module("small", &one).expect("distinct names");
        weights.write(&path, FloatDType::F32, &[("format", "pt")]).expect("written");
        let other = Weights::open(&path).expect("opened").load(other, FloatDType::F32).expect("loaded");
        assert_eq!(other.to_out[0].weight.val().into_data(), one.to_out[0].weight.val().into_data());
    }
}
