//! Memory of each thread that kernels use again and again.

use std::cell::RefCell;

thread_local! {
    static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Numbers in a line of the cache.
const LINE: usize = 16;

/// The memory of this thread, until it is dropped.
///
/// A value, not a closure: a closure would be compiled without the vector instructions of its caller.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    pub(crate) fn take() -> Self {
        Self(BUFFER.take())
    }

    /// `N` buffers of the given lengths that start at lines of the cache: a vector that lies over two lines costs two
    /// loads. What they hold is left from earlier uses.
    pub(crate) fn split<const N: usize>(&mut self, lens: [usize; N]) -> [&mut [f32]; N] {
        let total: usize = lens.iter().map(|len| len.next_multiple_of(LINE)).sum();
        if self.0.len() < total + LINE {
            self.0.resize(total + LINE, 0.0);
        }
        let start = self.0.as_ptr().align_offset(4 * LINE).min(LINE);
        let mut rest = &mut self.0[start..];
        lens.map(|len| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len.next_multiple_of(LINE));
            rest = after;
            &mut part[..len]
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        BUFFER.set(std::mem::take(&mut self.0));
    }
}
