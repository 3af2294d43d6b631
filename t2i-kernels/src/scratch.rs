//! Memory that a thread keeps from one call to the next.

use std::cell::RefCell;

/// One line of a cache, in values.
const LINE: usize = 16;

thread_local! {
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Memory of this thread, until it is dropped.
///
/// A value, not a closure: a closure would be compiled without the vector instructions of its caller.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    pub(crate) fn take() -> Self {
        Self(KEPT.with_borrow_mut(Vec::pop).unwrap_or_default())
    }

    /// `N` buffers of the given lengths that start at lines of the cache: a vector that lies over two lines costs two
    /// loads. What they hold is left from earlier uses.
    pub(crate) fn split<const N: usize>(&mut self, lens: [usize; N]) -> [&mut [f32]; N] {
        let total: usize = lens.iter().map(|len| len.next_multiple_of(LINE)).sum();
        if self.0.len() < total + LINE {
            self.0.resize(total + LINE, 0.0);
        }
        let mut rest = aligned(&mut self.0);
        lens.map(|len| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len.next_multiple_of(LINE));
            rest = after;
            &mut part[..len]
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        KEPT.with_borrow_mut(|kept| kept.push(std::mem::take(&mut self.0)));
    }
}

/// Lends `len` values of any content, which begin at a line of the cache. Calls may be nested.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut scratch = Scratch::take();
    let [values] = scratch.split([len]);
    f(values)
}

/// The values from the first whole line on.
pub(crate) fn aligned(values: &mut [f32]) -> &mut [f32] {
    let skipped = values.as_ptr().align_offset(4 * LINE).min(LINE);
    &mut values[skipped..]
}
