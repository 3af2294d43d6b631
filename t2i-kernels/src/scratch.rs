//! Memory that a thread keeps from one call to the next: fresh memory costs more time than to fill it.

use std::cell::RefCell;

use crate::memory::Memory;

/// One line of a cache, in values.
pub(crate) const LINE: usize = 16;
/// Pieces that a thread keeps: more than are lent at a time.
const MOST_KEPT: usize = 8;

thread_local! {
    static KEPT: RefCell<Vec<Memory>> = const { RefCell::new(Vec::new()) };
}

/// Memory of this thread, until it is dropped.
///
/// A value, not a closure: a closure would be compiled without the vector instructions of its caller.
pub(crate) struct Scratch(Memory);

impl Scratch {
    /// Memory for `len` values.
    pub(crate) fn of(len: usize) -> Self {
        Self(fitting(len + LINE).unwrap_or_else(|| Memory::zeroed(len + LINE)))
    }

    /// Memory for [`split`](Self::split) into such buffers.
    pub(crate) fn of_all(lens: &[usize]) -> Self {
        Self::of(lens.iter().map(|len| len.next_multiple_of(LINE)).sum())
    }

    /// The values, which begin at a line of the cache: a vector that lies over two lines costs two loads. What they hold is
    /// left from earlier uses.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        let skipped = skipped(&self.0);
        &mut self.0[skipped..]
    }

    /// `N` buffers of the given lengths, each from a line on.
    ///
    /// # Panics
    /// If there is less memory.
    pub(crate) fn split<const N: usize>(&mut self, lens: [usize; N]) -> [&mut [f32]; N] {
        let mut rest = self.values_mut();
        lens.map(|len| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len.next_multiple_of(LINE));
            rest = after;
            &mut part[..len]
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.0);
        // A thread that ends may have none left to keep it in.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < MOST_KEPT {
                kept.push(memory);
            }
        });
    }
}

/// Lends `len` values of any content, which begin at a line of the cache. Calls may be nested.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    f(&mut Scratch::of(len).values_mut()[..len])
}

/// The smallest kept memory of at least `len` values. Where there is none, the largest makes room for a larger one.
fn fitting(len: usize) -> Option<Memory> {
    KEPT.with_borrow_mut(|kept| {
        let size = |i: &usize| kept[*i].len();
        let fits = (0..kept.len()).filter(|i| size(i) >= len).min_by_key(size);
        let best = fits.or_else(|| (0..kept.len()).max_by_key(size))?;
        Some(kept.swap_remove(best)).filter(|memory| memory.len() >= len)
    })
}

/// Values before the first whole line.
fn skipped(values: &[f32]) -> usize {
    values.as_ptr().align_offset(4 * LINE).min(LINE)
}
