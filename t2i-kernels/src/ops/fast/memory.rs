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
/// Values that are kept at most, 256 MiB of them.
const MOST: usize = 64 << 20;

/// Memory that nobody uses, the longest unused first.
static UNUSED: Mutex<Vec<Memory>> = Mutex::new(Vec::new());

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

/// The smallest unused memory for `len` values, unless it is much too large; else fresh memory.
fn take(len: usize) -> Memory {
    let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
    let size = |i: &usize| unused[*i].len();
    let fits = (0..unused.len()).filter(|i| (len..=len + len / 4).contains(&size(i))).min_by_key(size);
    fits.map(|i| unused.remove(i)).unwrap_or_else(|| {
        drop(unused);
        Memory::zeroed(len)
    })
}

/// Keeps memory, and lets go what has been unused for longest if it is too much.
fn keep(memory: Memory) {
    let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
    unused.push(memory);
    let total: usize = unused.iter().map(|memory| memory.len()).sum();
    let mut excess = total.saturating_sub(MOST);
    let gone = unused.iter().take_while(|memory| {
        let goes = excess > 0;
        excess = excess.saturating_sub(memory.len());
        goes
    });
    let gone = gone.count();
    let gone: Vec<_> = unused.drain(..gone).collect();
    drop(unused);
    drop(gone); // outside of the lock: it goes back to the system
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
