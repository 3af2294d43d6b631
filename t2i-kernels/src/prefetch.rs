//! Memory that is needed soon, and asked for before: without it the arithmetic waits for the caches.

use crate::scratch::LINE;

/// Rows of memory.
#[derive(Clone, Copy)]
pub(crate) struct Soon {
    /// The first row.
    first: *const f32,
    /// Values from one row to the next.
    step: usize,
    rows: usize,
    /// Lines of the cache in a row.
    lines: usize,
}

impl Soon {
    /// None.
    pub(crate) const NOTHING: Self = Self { first: std::ptr::null(), step: 0, rows: 0, lines: 0 };

    /// So many rows of so many values, `step` values from one to the next.
    #[inline(always)]
    pub(crate) fn rows(first: *const f32, step: usize, [rows, values]: [usize; 2]) -> Self {
        Self { first, step, rows, lines: values.div_ceil(LINE) }
    }

    /// A row of so many values.
    #[inline(always)]
    pub(crate) fn row(first: *const f32, values: usize) -> Self {
        Self::rows(first, 0, [1, values])
    }
}

/// Lines that are asked for at a time: more wait for each other, and what is not asked for the CPU foresees as well.
const AT_A_TIME: usize = 4;

/// Memory that is asked for one row after another.
pub(crate) struct Requests<const N: usize> {
    /// What has not begun.
    soon: [Soon; N],
    /// The next line of the row at hand.
    next: *const f32,
    /// Lines that are left of it.
    lines: usize,
}

impl<const N: usize> Requests<N> {
    #[inline(always)]
    pub(crate) fn of(soon: [Soon; N]) -> Self {
        Self { soon, next: std::ptr::null(), lines: 0 }
    }

    /// Asks the second cache for the next lines. The last of a row may be followed by some more.
    #[inline(always)]
    pub(crate) fn ask(&mut self) {
        let mut next = [std::ptr::null(); 1];
        self.write(&mut next);
        if !next[0].is_null() {
            prefetch::<SECOND, _>(next[0], AT_A_TIME * LINE);
        }
    }

    /// Writes where the next lines begin, as far as there are any, for somebody else to ask for [`AT_A_TIME`] of them each.
    #[inline(always)]
    pub(crate) fn write(&mut self, mut places: &mut [*const f32]) {
        while !places.is_empty() && (self.lines > 0 || self.begin_row()) {
            let count = self.lines.div_ceil(AT_A_TIME).min(places.len());
            let (now, later) = places.split_at_mut(count);
            for place in now {
                *place = self.next;
                self.next = self.next.wrapping_add(AT_A_TIME * LINE);
            }
            self.lines = self.lines.saturating_sub(count * AT_A_TIME);
            places = later;
        }
    }

    /// Whether there is another row.
    #[inline(always)]
    fn begin_row(&mut self) -> bool {
        for soon in &mut self.soon {
            if soon.rows > 0 {
                (self.next, self.lines) = (soon.first, soon.lines);
                soon.first = soon.first.wrapping_add(soon.step);
                soon.rows -= 1;
                return true;
            }
        }
        false
    }
}

/// The first cache, as `_MM_HINT_T0` numbers it.
pub(crate) const FIRST: i32 = 3;
/// The second cache, as `_MM_HINT_T1` numbers it.
const SECOND: i32 = 2;

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
