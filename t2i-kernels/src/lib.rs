//! The operations that cost the time of text-to-image models, fast on CPUs.
//!
//! | question | answer |
//! |---|---|

#![warn(missing_docs)]

pub mod activation;
mod arch;
pub mod attention;
mod math;
pub mod norm;
mod parallel;
mod scratch;
pub mod softmax;
