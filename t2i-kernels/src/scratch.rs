//! Memory that a thread keeps from one call to the next.

use std::cell::RefCell;

/// One line of a cache, in values.
const LINE: usize = 16;

thread_local! {
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `len` values of any content, which begin at a line of the cache. Calls may be nested.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut values = KEPT.with_borrow_mut(Vec::pop).unwrap_or_default();
    if values.len() < len + LINE {
        values.resize(len + LINE, 0.0);
    }
    let result = f(&mut aligned(&mut values)[..len]);
    KEPT.with_borrow_mut(|kept| kept.push(values));
    result
}

/// The values from the first whole line on.
pub(crate) fn aligned(values: &mut [f32]) -> &mut [f32] {
    let skipped = values.as_ptr().align_offset(4 * LINE).min(LINE);
    &mut values[skipped..]
}
