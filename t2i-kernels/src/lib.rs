//! The operations that cost the time of text-to-image models, fast on CPUs.
//!
//! | question | answer |
//! |---|---|
//! | `softmax(scale * q k^T + mask) v`? | [`attention`]: `attention::attention`, in either layout, with its gradient |
//! | SiLU, GELU, GEGLU? | [`activation`] |
//! | group norm, with SiLU or without; layer norm? | [`norm`] |
//! | softmax of rows? | [`softmax`] |

#![warn(missing_docs)]

pub mod activation;
mod arch;
pub mod attention;
mod math;
pub mod norm;
mod parallel;
mod scratch;
pub mod softmax;
