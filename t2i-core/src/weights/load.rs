//! From named tensors to the parameters of a module.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

use super::Weights;
use super::convert::{is_finite, to_float};
use super::path::ModulePath;
use crate::{Error, Result};

impl Weights {
    /// Loads every parameter of `module`, on the device that the module was made for, as `dtype`.
    ///
    /// The path of a parameter in the module is the tensor's name. Three layouts are translated: the weight of a
    /// `Linear`, `[out, in]` in files, becomes `[in, out]`; `weight` and `bias` of a norm become Burn's `gamma`
    /// and `beta`; and the weight of a 1x1 convolution fits a `Linear` on channels.
    ///
    /// # Errors
    /// If a tensor is missing, left over, of another shape, no float, cannot be read, or holds NaN or infinity: in
    /// the file, or after the conversion to `dtype`. If the device does not compute in `dtype`, as many GPUs in bf16.
    pub fn load<M: Module>(&self, module: M, dtype: FloatDType) -> Result<M> {
        let mut loader = Loader {
            weights: self,
            dtype: dtype.into(),
            path: ModulePath::default(),
            used: BTreeSet::new(),
            error: None,
        };
        let module = module.map(&mut loader);
        match loader.error.take() {
            Some(error) => Err(error),
            None => loader.check_all_used().map(|()| module),
        }
    }
}

struct Loader<'a> {
    weights: &'a Weights,
    dtype: DType,
    path: ModulePath,
    used: BTreeSet<String>,
    error: Option<Error>,
}

impl Loader<'_> {
    fn tensor<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Result<Tensor<D>> {
        let name = self.path.name();
        let transposed = self.path.is_transposed(D);
        let mut expected = param.lazy_shape().to_vec();
        if transposed {
            expected.swap(0, 1);
        }
        let device = param.lazy_device();
        check_type(&device, self.dtype)?;
        let data = self.data(&name, expected)?;
        self.used.insert(name);
        let tensor = Tensor::from_data(data, (&device, self.dtype));
        Ok(if transposed { tensor.swap_dims(0, 1) } else { tensor })
    }

    fn data(&self, name: &str, expected: Vec<usize>) -> Result<TensorData> {
        let origin = || self.weights.origin.clone();
        let Some(entry) = self.weights.tensors.get(name) else {
            let unused = self.weights.names().filter(|n| !self.used.contains(*n));
            return Err(self.weights.missing(name, unused));
        };
        if !entry.dtype.is_float() {
            let found = format!("{:?}", entry.dtype);
            return Err(Error::TensorType { origin: origin(), tensor: name.to_owned(), found });
        }
        let pointwise = matches!(entry.shape.as_slice(), [o, i, 1] | [o, i, 1, 1] if [*o, *i] == expected[..]);
        if entry.shape != expected && !pointwise {
            let found = entry.shape.clone();
            return Err(Error::TensorShape { origin: origin(), tensor: name.to_owned(), expected, found });
        }
        let data = to_float(self.weights.data(entry, expected)?, self.dtype);
        let data = data.map_err(|e| Error::corrupt(&self.weights.origin, format!("tensor `{name}`: {e}")))?;
        match is_finite(&data) {
            Ok(true) => Ok(data),
            _ => Err(Error::TensorNotFinite { origin: origin(), tensor: name.to_owned(), dtype: self.dtype.name() }),
        }
    }

    fn check_all_used(self) -> Result<()> {
        let tensors: Vec<_> =
            self.weights.names().filter(|name| !self.used.contains(*name)).map(str::to_owned).collect();
        match tensors.is_empty() {
            true => Ok(()),
            false => Err(Error::UnusedTensors { origin: self.weights.origin.clone(), tensors }),
        }
    }
}

/// Burn's operations panic or give garbage in a type that a device can only store.
fn check_type(device: &Device, dtype: DType) -> Result<()> {
    if device.supports_dtype(dtype) {
        return Ok(());
    }
    let types = [DType::F32, DType::F16, DType::BF16].into_iter().filter(|dtype| device.supports_dtype(*dtype));
    let names: Vec<_> = types.map(|dtype| dtype.name()).collect();
    let expected = format!("{}: {device:?} computes in nothing else", names.join(" or "));
    Err(Error::InvalidValue { field: "dtype", value: dtype.name().to_owned(), expected })
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        match self.tensor(&param) {
            Ok(tensor) => {
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}
