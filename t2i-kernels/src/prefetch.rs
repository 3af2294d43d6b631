//! Memory that is needed soon, and asked for before: without it the arithmetic waits for the caches.

use crate::scratch::LINE;

/// Pieces of memory, which are asked for in rounds.
#[derive(Clone, Copy)]
pub(crate) struct Soon {
    /// The first piece of the next round.
    next: *const f32,
    /// Pieces in a round.
    each: usize,
    /// Values from one of them to the next.
    step: usize,
    /// Values from one round to the next.
    round: usize,
    /// Rounds that are left.
    rounds: usize,
}

impl Soon {
    /// None.
    pub(crate) const NOTHING: Self = Self { next: std::ptr::null(), each: 0, step: 0, round: 0, rounds: 0 };

    /// So many pieces, `step` values from one to the next, in at most so many rounds. The last may ask for some more.
    #[inline(always)]
    pub(crate) fn pieces(next: *const f32, pieces: usize, step: usize, rounds: usize) -> Self {
        let each = pieces.div_ceil(rounds.max(1));
        Self { next, each, step, round: each * step, rounds: pieces.div_ceil(each.max(1)) }
    }

    /// So many rows, `step` values from one to the next, in each round a line of each.
    #[inline(always)]
    pub(crate) fn rows(next: *const f32, rows: usize, step: usize, rounds: usize) -> Self {
        Self { next, each: rows, step, round: LINE, rounds }
    }

    /// Asks for the pieces of a round, each of so many values.
    #[inline(always)]
    pub(crate) fn ask<const CACHE: i32>(&mut self, len: usize) {
        if self.rounds == 0 {
            return;
        }
        let mut piece = self.next;
        for _ in 0..self.each {
            prefetch::<CACHE, _>(piece, len);
            piece = piece.wrapping_add(self.step);
        }
        self.next = self.next.wrapping_add(self.round);
        self.rounds -= 1;
    }
}

/// The first cache, as `_MM_HINT_T0` numbers it.
pub(crate) const FIRST: i32 = 3;
/// The second cache, as `_MM_HINT_T1` numbers it.
pub(crate) const SECOND: i32 = 2;

/// Asks the CPU to bring the lines of `len` values to a cache, as far as there are such addresses.
#[inline(always)]
pub(crate) fn prefetch<const CACHE: i32, T>(first: *const T, len: usize) {
    for value in (0..len).step_by(LINE * size_of::<f32>() / size_of::<T>()) {
        prefetch_line::<CACHE>(first.wrapping_add(value).cast());
    }
}

#[inline(always)]
fn prefetch_line<const CACHE: i32>(address: *const i8) {
    // SAFETY: a request for an address that does not exist has no effect.
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<CACHE>(address);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
