//! The operations that cost the time of text-to-image models, fast on CPUs.
//!
//! | question | answer |
//! |---|---|

mod conv;
mod matmul;
mod scratch;

pub use self::{
    conv::{Conv2d, Window},
    matmul::{Matrix, PackedMatrix, linear, matmul},
};
