//! Memory for numbers, in large pages where it is large.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Values from which memory is worth pages of its own: one of 2 MiB.
const LARGE: usize = 1 << 19;

/// Values that are 0 at first.
///
/// Large memory asks the system for pages of 2 MiB: 512 times fewer to fetch and to look up, and its lines lie evenly over
/// the second cache, as those of scattered pages do only by luck.
pub(crate) enum Memory {
    Small(Vec<f32>),
    Large(MmapMut),
}

impl Memory {
    pub(crate) fn zeroed(len: usize) -> Self {
        if len >= LARGE
            && let Ok(map) = MmapMut::map_anon(len * size_of::<f32>())
        {
            // Where the system has no such pages, those that it has do.
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            return Self::Large(map);
        }
        Self::Small(vec![0.0; len])
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

impl Deref for Memory {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Small(values) => values,
            Self::Large(map) => bytemuck::cast_slice(map),
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Small(values) => values,
            Self::Large(map) => bytemuck::cast_slice_mut(map),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_memory_is_zero_and_keeps_what_is_written() {
        for len in [0, 1, LARGE - 1, LARGE, LARGE + 1000] {
            let mut memory = Memory::zeroed(len);
            assert!(memory.len() == len && memory.iter().all(|value| *value == 0.0));
            memory.fill(2.0);
            assert!(memory.iter().all(|value| *value == 2.0));
        }
    }
}
