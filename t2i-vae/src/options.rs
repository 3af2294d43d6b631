//! Numbers that must not be 0.

use serde_json::json;

use t2i_core::{Options, Result};

/// A count.
pub(crate) fn positive(options: &mut Options, option: &str, default: usize) -> Result<usize> {
    match options.get(option, default)? {
        0 => Err(options.unsupported(option, &json!(0), "a number above 0")),
        value => Ok(value),
    }
}

/// A factor that must have an inverse.
pub(crate) fn nonzero(options: &mut Options, option: &str, default: f64) -> Result<f64> {
    match options.get(option, default)? {
        0.0 => Err(options.unsupported(option, &json!(0.0), "a number other than 0")),
        value => Ok(value),
    }
}
