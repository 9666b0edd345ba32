//! Files that are no pickles and hold none, and those that may and are not looked into.

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Holds nothing that loading it would run.
    Plain(&'static str),
    /// Could hold code or pickles.
    Unjudged(&'static str),
    /// Holds other files, and cannot be read.
    Closed(&'static str),
}

/// Where a mark stands, and what it means.
const MARKS: &[(usize, &[u8], Format)] = &[
    (0, b"GGUF", Format::Plain("a GGUF file")),
    (0, b"GGML", Format::Plain("a GGML file")),
    (0, b"\x89PNG\r\n\x1a\n", Format::Plain("a PNG image")),
    (0, b"\xff\xd8\xff", Format::Plain("a JPEG image")),
    (0, b"GIF8", Format::Plain("a GIF image")),
    (8, b"WEBP", Format::Plain("a WebP image")),
    (8, b"WAVE", Format::Plain("a WAV file")),
    (0, b"OggS", Format::Plain("an Ogg file")),
    (0, b"fLaC", Format::Plain("a FLAC file")),
    (4, b"ftyp", Format::Plain("an MP4 file")),
    (0, b"PAR1", Format::Plain("a Parquet file")),
    (0, b"ARROW1", Format::Plain("an Arrow file")),
    (0, b"TFL3", Format::Plain("a TensorFlow Lite file")),
    (4, b"TFL3", Format::Plain("a TensorFlow Lite file")),
    (0, b"%PDF", Format::Plain("a PDF document")),
    (0, b"\x89HDF\r\n\x1a\n", Format::Unjudged("an HDF5 file")),
    (0, b"\x7fELF", Format::Unjudged("an ELF program or library")),
    (0, b"MZ\x90\0", Format::Unjudged("a Windows program or library")),
    (0, b"\xcf\xfa\xed\xfe", Format::Unjudged("a macOS program or library")),
    (0, b"SQLite format 3\0", Format::Unjudged("an SQLite database")),
    (0, b"7z\xbc\xaf\x27\x1c", Format::Closed("a 7z archive")),
    (0, b"Rar!\x1a\x07", Format::Closed("a rar archive")),
    (0, b"\x02\x21\x4c\x18", Format::Closed("an lz4 file of the old format")),
    (0, b"LZIP", Format::Closed("an lzip file")),
    (0, b"\x1f\x9d", Format::Closed("a compress (.Z) file")),
    (0, b"MSCF", Format::Closed("a cabinet archive")),
    (0, b"version https://git-lfs", Format::Closed("a git-LFS pointer, not the file itself")),
];

/// What the first bytes of a file say of it.
pub(super) fn of(head: &[u8], len: u64) -> Option<Format> {
    let marked = |(at, mark, _): &&(usize, &[u8], Format)| {
        head.get(*at..).is_some_and(|bytes| bytes.starts_with(mark))
    };
    if let Some((_, _, format)) = MARKS.iter().find(marked) {
        return Some(*format);
    }
    is_safetensors(head, len).then_some(Format::Plain("a safetensors file"))
}

/// The length of a JSON header, then the header.
fn is_safetensors(head: &[u8], len: u64) -> bool {
    let Some((size, rest)) = head.split_first_chunk::<8>() else { return false };
    let size = u64::from_le_bytes(*size);
    rest.starts_with(b"{")
        && size <= len.saturating_sub(8)
        && matches!(rest.get(1), Some(b'"' | b'}' | b' '))
}

/// Whether bytes read as text.
pub(super) fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut at the end.
        Err(why) if why.error_len().is_none() => {
            let whole = head.get(..why.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.chars().any(|char| char.is_control() && !char.is_whitespace())
}
