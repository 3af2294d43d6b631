//! The operations that cost the time of text-to-image models, fast on CPUs.
//!
//! | question | answer |
//! |---|---|
//! | what do networks call? | [`ops`]: operations on tensors of Burn, with gradients |
//! | `softmax(scale * q k^T + mask) v`? | [`attention`], in either layout, with its gradient |
//! | SiLU, GELU, GEGLU? | [`activation`] |
//! | group norm, with SiLU or without; layer norm? | [`norm`] |
//! | softmax of rows? | [`softmax`] |
//! | convolution? | [`Conv2d`], and [`conv3x3_weight_gradient`] |
//! | products of matrices? | [`linear`], [`linears`], [`perceptron`], [`matmul`] |
//! | sums of tensors? | [`sum`] |
//! | other axes, other sizes, side by side? | [`rearrange`] |
//! | weights where they lie in a file? | [`map_file`] |

pub mod activation;
mod arch;
pub mod attention;
mod conv;
#[cfg(test)]
mod expect;
mod file;
mod math;
mod matmul;
mod memory;
pub mod norm;
mod number;
pub mod ops;
mod parallel;
mod prefetch;
pub mod rearrange;
mod scratch;
pub mod softmax;
pub mod sum;

pub use self::conv::{Conv2d, Window, conv3x3_weight_gradient};
pub use self::file::map_file;
pub use self::matmul::{Layer, Matrix, linear, linears, matmul, perceptron};
pub use self::number::Number;
