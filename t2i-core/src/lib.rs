//! What every t2i crate shares and what touches the outside: weights, configs, errors and images.
//!
//! | question | answer |
//! |---|---|
//! | what went wrong, and whose fault is it | [`Error`] |
//! | what does a `config.json` say | [`Options`] |
//! | where is the tensor of that name | [`Weights`] |
//! | what do several networks compute | [`nn`] |

mod error;
mod nearest;
pub mod nn;
mod options;
mod weights;

pub use error::{Error, Result};
pub use nearest::nearest;
pub use options::Options;
pub use weights::Weights;
