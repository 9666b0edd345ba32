//! Memory maps: the only `unsafe` code of this crate.
#![expect(unsafe_code, reason = "mapping a file cannot be expressed safely")]

use std::fs::File;
use std::io;

use bytes::Bytes;

/// Maps a file into memory, for reading without a copy.
///
/// # Hazards
/// The kernel shows changes of the file through the map. If another process truncates it,
/// touching the lost part raises SIGBUS, which ends this process; if another process writes
/// it, values already checked may change under the reader (numbers differ; nothing runs and
/// no memory is corrupted, since every access is bounds-checked against the map's own length).
/// Read by position ([`FileSource`](super::FileSource)) where the file's owner is not trusted
/// to leave it alone.
///
/// # Errors
/// What the system says.
pub fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: the map is private and read-only, and lives as long as the `Bytes` that owns
    // it. That nobody writes the file meanwhile cannot be proved here; the hazard is handed
    // to the caller in the words above, as every mapping library does.
    let map = unsafe { memmap2::Mmap::map(file)? };
    Ok(Bytes::from_owner(map))
}
