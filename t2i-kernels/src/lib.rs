//! The operations that cost the time of text-to-image models, fast on CPUs.

pub mod activation;
mod arch;
pub mod attention;
mod buffers;
mod conv;
mod math;
mod matmul;
pub mod norm;
pub mod ops;
mod parallel;
mod scratch;
pub mod softmax;

pub use self::{
    conv::{Conv2d, Window, conv3x3_weight_gradient},
    matmul::{Matrix, PackedMatrix, linear, matmul},
};
