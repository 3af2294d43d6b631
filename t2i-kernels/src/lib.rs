//! The operations that cost the time of text-to-image models, fast on CPUs.
//!
//! | question | answer |
//! |---|---|

#![warn(missing_docs)]

pub mod attention;
mod math;
mod scratch;
