//! Memory of each thread that kernels use again and again.

use std::cell::RefCell;

thread_local! {
    static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Numbers in a line of the cache.
const LINE: usize = 16;

/// Runs `f` with `N` buffers of the given lengths that start at lines of the cache: a vector that lies over two lines
/// costs two loads. What they hold is left from earlier uses.
pub(crate) fn with_scratch<const N: usize, T>(lens: [usize; N], f: impl FnOnce([&mut [f32]; N]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| {
        let total: usize = lens.iter().map(|len| len.next_multiple_of(LINE)).sum();
        if buffer.len() < total + LINE {
            buffer.resize(total + LINE, 0.0);
        }
        let start = buffer.as_ptr().align_offset(4 * LINE).min(LINE);
        let mut rest = &mut buffer[start..];
        f(lens.map(|len| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len.next_multiple_of(LINE));
            rest = after;
            &mut part[..len]
        }))
    })
}
