//! Parts of files as memory.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::MmapOptions;

/// `len` bytes of a file from `offset` on, which are read when they are looked at and need no memory of their own.
///
/// The file must stay as it is while they are in use: who would change it puts another in its place.
///
/// # Errors
///
/// If the system cannot map this file.
pub fn map_file(file: &File, offset: u64, len: usize) -> io::Result<Bytes> {
    if len == 0 {
        return Ok(Bytes::new()); // which systems refuse to map
    }
    // SAFETY: it would be unsound if the file changed meanwhile, which no program here does and none should with weights; every
    // program that maps its weights relies on it.
    #[allow(unsafe_code)]
    let map = unsafe { MmapOptions::new().offset(offset).len(len).map(file) }?;
    Ok(Bytes::from_owner(map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn parts_are_what_was_written() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        let bytes: Vec<u8> = (0..20_000).map(|i| (i % 251) as u8).collect();
        file.write_all(&bytes).expect("room");
        for (offset, len) in [(0, 20_000), (4096, 10), (5001, 9000), (7, 0)] {
            let part = map_file(&file, offset as u64, len).expect("a file of the disk");
            assert_eq!(part, bytes[offset..offset + len]);
        }
    }
}
