//! What is asked of the system about memory: the only `unsafe` code of this crate.
#![expect(unsafe_code, reason = "neither maps nor advice about memory can be expressed safely")]

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;

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

/// Asks for large pages under room that is about to be filled, if it is worth it. The first
/// touch of small ones, 4 KiB each, costs as much as half of all else that reading does.
///
/// Only whole large pages inside the room are asked for, so what is held may grow by less than
/// one of them. Where the system has none to give, nothing changes.
#[cfg(target_os = "linux")]
pub(super) fn prefer_large_pages<T>(room: &mut [MaybeUninit<T>]) {
    /// On x86-64, and on ARM with pages of 4 KiB.
    const LARGE: usize = 2 << 20;
    let start = room.as_mut_ptr().cast::<std::ffi::c_void>();
    let before = start.align_offset(LARGE);
    let whole = size_of_val(room).saturating_sub(before) / LARGE;
    if whole < 2 {
        return;
    }
    let (start, len) = (start.wrapping_byte_add(before), whole.saturating_mul(LARGE));
    // SAFETY: the range lies inside the room, which is borrowed exclusively; this advice
    // changes neither what the memory holds nor whether it may be accessed.
    // That it fails only means that pages stay small.
    let _ = unsafe { rustix::mm::madvise(start, len, rustix::mm::Advice::LinuxHugepage) };
}
