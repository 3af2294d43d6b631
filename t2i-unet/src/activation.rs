//! The activation functions that a config can name.

use burn::nn::GroupNorm;
use burn::tensor::{Tensor, activation};
use serde::Deserialize;
use t2i_kernels::ops::{gelu, group_norm, group_norm_silu, silu};

/// A function between two layers, by its name in diffusers' configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Activation {
    /// `x * sigmoid(x)`: `silu` or `swish`.
    Silu,
    /// `x * tanh(ln(1 + e^x))`: `mish`.
    Mish,
    /// `x * Phi(x)`, the exact one with the error function: `gelu`.
    Gelu,
    /// `max(x, 0)`: `relu`.
    Relu,
}

impl Activation {
    /// Applies the function to every value.
    pub(crate) fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Silu => silu(x),
            Self::Mish => activation::mish(x),
            Self::Gelu => gelu(x),
            Self::Relu => activation::relu(x),
        }
    }

    /// Normalises, then applies the function.
    ///
    /// # Shapes
    /// - x, output: `[batch, channels, height, width]`
    pub(crate) fn of_norm(self, norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Silu => group_norm_silu(norm, x),
            _ => self.forward(group_norm(norm, x)),
        }
    }
}

impl TryFrom<String> for Activation {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.to_lowercase().as_str() {
            "silu" | "swish" => Ok(Self::Silu),
            "mish" => Ok(Self::Mish),
            "gelu" => Ok(Self::Gelu),
            "relu" => Ok(Self::Relu),
            _ => Err("silu, swish, mish, gelu or relu"),
        }
    }
}
