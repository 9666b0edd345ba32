//! What is asked of the system about memory: the only `unsafe` code of this crate.
#![expect(unsafe_code, reason = "neither maps nor advice about memory can be expressed safely")]

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

/// Asks for large pages under a vector that is about to be filled, if it is worth it. The first
/// touch of small ones, 4 KiB each, costs as much as half of all else that reading does.
///
/// What is held may grow by less than one large page, 2 MiB as a rule. Where the system has none
/// to give, nothing changes.
#[cfg(target_os = "linux")]
pub(super) fn prefer_large_pages<T>(vec: &mut Vec<T>) {
    /// Below it, large pages are no gain (bytes).
    const WORTH_IT: usize = 4 << 20;
    let bytes = vec.capacity().saturating_mul(size_of::<T>());
    if bytes < WORTH_IT {
        return;
    }
    // From the beginning of its first page to the end of its last: the allocator maps what is
    // so large by itself, and could not move a mapping of which only a part was advised.
    let page = rustix::param::page_size();
    let start = vec.as_mut_ptr().cast::<std::ffi::c_void>();
    let before = start.addr().checked_rem(page).unwrap_or_default();
    let len = bytes.saturating_add(before).next_multiple_of(page);
    // SAFETY: this advice changes neither what memory holds nor whether it may be accessed, be
    // it the vector's or, at either end of its pages, somebody else's. All of it is mapped,
    // since the vector lies in each of the pages. That it fails only means that pages stay small.
    let _ = unsafe {
        rustix::mm::madvise(start.wrapping_byte_sub(before), len, rustix::mm::Advice::LinuxHugepage)
    };
}
