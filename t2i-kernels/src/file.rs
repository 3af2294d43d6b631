//! Files as memory.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::Mmap;

/// The bytes of a file, which are read when they are looked at and need no memory of their own.
///
/// The file must stay as it is while they are in use: who would change it puts another in its place.
///
/// # Errors
///
/// If the system cannot map this file.
pub fn map_file(file: &File) -> io::Result<Bytes> {
    // SAFETY: it would be unsound if the file changed meanwhile, which no program here does and none should with weights; every
    // program that maps its weights relies on it.
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(file) }?;
    Ok(Bytes::from_owner(map))
}
