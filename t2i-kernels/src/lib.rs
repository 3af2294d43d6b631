//! The operations that cost the time of text-to-image models, fast on CPUs.
//!
//! | question | answer |
//! |---|---|

mod conv;
mod matmul;
mod scratch;

pub use self::conv::{Conv2d, Window, conv3x3_weight_gradient};
pub use self::matmul::{Matrix, PackedMatrix, linear, matmul};
