//! NaN and infinity, caught where they come out.

use burn::tensor::Tensor;

use t2i_core::{Error, Result};

/// Gives `x` back if every value is finite.
pub(crate) fn check_finite<const D: usize>(stage: &str, x: Tensor<D>) -> Result<Tensor<D>> {
    match is_finite(&x) {
        true => Ok(x),
        false => Err(Error::NotFinite { stage: stage.to_owned(), latent: None }),
    }
}

/// Whether every value is finite. Waits for the device.
pub(crate) fn is_finite<const D: usize>(x: &Tensor<D>) -> bool {
    x.clone().is_finite().all().into_scalar()
}
