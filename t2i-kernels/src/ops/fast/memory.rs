//! The memory of results, which is used again when they are dropped.
//!
//! Memory fresh from the system comes page by page, and for a large tensor that takes longer than to fill it: a fifth of
//! the time of a codec at 512 x 512.

use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

use burn::tensor::{AllocationProperty, Bytes};
use burn_std::{AccessError, AccessPolicy, AllocationController};

use crate::memory::Memory;

/// Values of results that the allocator serves as fast.
const SMALL: usize = 1 << 14;
/// Values that are kept at most while they are not used, 512 MiB of them.
const MOST: usize = 128 << 20;

static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// The bytes of `len` values, which `write` fills. They hold anything before.
pub(super) fn filled(len: usize, write: impl FnOnce(&mut [f32])) -> Bytes {
    if len < SMALL {
        let mut values = vec![0.0; len];
        write(&mut values);
        return Bytes::from_elems(values);
    }
    let mut memory = Recycled(take(len));
    write(&mut memory.0[..len]);
    let bytes = len * size_of::<f32>();
    // SAFETY: the memory has at least `len` values, all of them initialised.
    #[allow(unsafe_code)]
    unsafe {
        Bytes::from_controller(Box::new(memory), bytes)
    }
}

/// The memory of all results.
struct Pool {
    /// The longest unused first.
    unused: Vec<Memory>,
    /// Values in use, and the most there ever were.
    in_use: usize,
    peak: usize,
}

impl Pool {
    const fn new() -> Self {
        Self { unused: Vec::new(), in_use: 0, peak: 0 }
    }

    /// The smallest unused memory for `len` values, unless it is much too large.
    fn take(&mut self, len: usize) -> Option<Memory> {
        let size = |i: &usize| self.unused[*i].len();
        let fits = (0..self.unused.len()).filter(|i| (len..=2 * len).contains(&size(i))).min_by_key(size);
        let memory = fits.map(|i| self.unused.remove(i));
        self.in_use += memory.as_ref().map_or(len, |memory| memory.len());
        self.peak = self.peak.max(self.in_use);
        memory
    }

    fn keep(&mut self, memory: Memory) {
        self.in_use -= memory.len();
        self.unused.push(memory);
    }

    /// The longest unused memory, as far as there is more than ever was in use, or too much.
    fn excess(&mut self) -> Vec<Memory> {
        let kept = MOST.min(self.peak - self.in_use);
        let mut excess = self.unused.iter().map(|memory| memory.len()).sum::<usize>().saturating_sub(kept);
        let gone = self.unused.iter().take_while(|memory| {
            let goes = excess > 0;
            excess = excess.saturating_sub(memory.len());
            goes
        });
        let gone = gone.count();
        self.unused.drain(..gone).collect()
    }
}

/// Unused memory for `len` values, else fresh memory.
fn take(len: usize) -> Memory {
    with_pool(|pool| pool.take(len)).unwrap_or_else(|| Memory::zeroed(len))
}

fn keep(memory: Memory) {
    with_pool(|pool| pool.keep(memory));
}

fn with_pool<R>(change: impl FnOnce(&mut Pool) -> R) -> R {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let result = change(&mut pool);
    let gone = pool.excess();
    drop(pool);
    drop(gone); // outside of the lock: it goes back to the system
    result
}

/// Memory that is kept when its tensor is dropped.
struct Recycled(Memory);

impl Drop for Recycled {
    fn drop(&mut self) {
        keep(std::mem::take(&mut self.0));
    }
}

#[allow(unsafe_code)]
impl AllocationController for Recycled {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.0);
        // SAFETY: both types have one layout, and the caller promises to write only initialised bytes.
        Ok(unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.0);
        // SAFETY: both types have one layout, and initialised bytes may be read as such that need not be.
        Ok(unsafe { &*(std::ptr::from_ref(bytes) as *const [MaybeUninit<u8>]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 1000;

    /// Memory for `len` values, fresh if the pool has none.
    fn taken(pool: &mut Pool, len: usize) -> Memory {
        pool.take(len).unwrap_or_else(|| Memory::zeroed(len))
    }

    #[test]
    fn memory_that_fits_is_used_again() {
        let mut pool = Pool::new();
        let memory = taken(&mut pool, LEN);
        pool.keep(memory);
        assert!(pool.take(LEN / 2 - 1).is_none(), "much too large");
        assert!(pool.take(LEN + 1).is_none(), "too small");
        assert_eq!(pool.take(LEN - 100).map(|memory| memory.len()), Some(LEN));
        assert!(pool.unused.is_empty());
    }

    #[test]
    fn no_more_is_kept_than_was_ever_in_use() {
        let mut pool = Pool::new();
        let (old, new) = (taken(&mut pool, LEN), taken(&mut pool, 2 * LEN));
        pool.keep(old);
        pool.keep(new);
        assert!(pool.excess().is_empty(), "both were in use");
        let other = taken(&mut pool, 3 * LEN);
        let gone: Vec<usize> = pool.excess().iter().map(|memory| memory.len()).collect();
        assert_eq!(gone, [LEN, 2 * LEN], "all that was in use is the other one");
        pool.keep(other);
        assert!(pool.excess().is_empty() && pool.in_use == 0 && pool.peak == 3 * LEN);
    }
}
