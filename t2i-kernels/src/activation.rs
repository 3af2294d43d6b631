//! Functions of each number by itself, in one pass over memory.
//!
//! [SiLU and GELU](https://arxiv.org/abs/1606.08415), and [GEGLU](https://arxiv.org/abs/2002.05202). Each has a second
//! form that works in place, and a gradient.

mod function;
mod gated;
mod map;
#[cfg(test)]
mod tests;

pub(crate) use self::function::{Function, Identity, Silu};
use self::function::{Gelu, GeluQuick, GeluTanh};
pub use self::gated::{geglu, geglu_backward};

/// An activation: out of place, in place, and its gradient.
macro_rules! activation {
    ($function:expr, $formula:literal, $name:ident, $inplace:ident, $backward:ident) => {
        #[doc = concat!($formula, " of each number.\n\n# Panics\n\nIf the lengths differ.")]
        pub fn $name(x: &[f32], out: &mut [f32]) {
            map::map($function, x, out);
        }

        #[doc = concat!($formula, " of each number, in place.")]
        pub fn $inplace(x: &mut [f32]) {
            map::map_inplace($function, x);
        }

        #[doc = concat!("The gradient of ", $formula, ": `grad` times its slope at `x`.")]
        ///
        /// # Panics
        ///
        /// If the lengths differ.
        pub fn $backward(x: &[f32], grad: &[f32], out: &mut [f32]) {
            map::map_gradient($function, x, grad, out);
        }
    };
}

activation!(Silu, "`x / (1 + e^-x)`", silu, silu_inplace, silu_backward);
activation!(Gelu, "`x (1 + erf(x / sqrt(2))) / 2`", gelu, gelu_inplace, gelu_backward);
activation!(
    GeluTanh,
    "`x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`",
    gelu_tanh,
    gelu_tanh_inplace,
    gelu_tanh_backward
);
activation!(
    GeluQuick,
    "`x / (1 + e^(-1.702 x))`, which CLIP has for GELU,",
    gelu_quick,
    gelu_quick_inplace,
    gelu_quick_backward
);
