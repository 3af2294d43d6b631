//! The operations that cost the time of text-to-image models, fast on CPUs.
//!
//! | question | answer |
//! |---|---|

mod matmul;
mod scratch;

pub use self::matmul::{Matrix, PackedMatrix, linear, matmul};
