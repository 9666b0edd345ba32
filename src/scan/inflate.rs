//! Compressed pickles and archives, as joblib and others write them: known by content, inflated
//! within the budget.

use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;

use crate::base::{Budget, Source};

/// Bytes taken at once.
const CHUNK: usize = 64 << 10;
/// What a decoder may hold of what it gave (KiB): the largest window of `xz -9` and `zstd -19`.
const WINDOW: u32 = 128 << 10;

/// A way of compressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Zstd,
    Zlib,
    Lz4,
    /// zlib behind a length in text, as joblib before 0.10 wrote it.
    ZFile,
}

impl Packing {
    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::Zlib => "zlib",
            Self::Lz4 => "lz4",
            Self::ZFile => "old joblib's zlib",
        }
    }

    /// By the first bytes. Those of zlib and lzma are short: they are a guess until inflated.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        Some(match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => {
                Self::Bzip2
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x5d, 0, 0, _, _, size @ ..] if size.len() >= 8 && lzma_size(size) => Self::Lzma,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Lz4,
            [b'Z', b'F', b'0', b'x', ..] => Self::ZFile,
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [first @ 0x78, second @ (0x01 | 0x5e | 0x9c | 0xda), ..]
                if (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31) =>
            {
                Self::Zlib
            }
            _ => return None,
        })
    }

    /// Whether a few bytes are enough to know it.
    pub(super) const fn is_sure(self) -> bool {
        !matches!(self, Self::Zlib | Self::Lzma)
    }
}

/// Unknown, or below a terabyte.
fn lzma_size(size: &[u8]) -> bool {
    matches!(size, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..])
        || matches!(size, [_, _, _, _, _, 0, 0, 0, ..])
}

/// Whether bytes begin as something compressed that is known without inflating.
pub(super) fn is_compressed(head: &[u8]) -> bool {
    Packing::of(head).is_some()
}

/// What inflating gave.
pub(crate) struct Inflated {
    pub bytes: Bytes,
    /// Why it ended early, if it did.
    pub end: Result<(), String>,
}

/// Inflates all of `source`, or the first `most` bytes. `progress` is told how many bytes were read
/// since it was told last.
pub(crate) fn inflate(
    packing: Packing,
    source: &dyn Source,
    most: u64,
    budget: &mut Budget,
    progress: &dyn Fn(u64),
) -> Inflated {
    let at = if packing == Packing::ZFile { zfile_data(source) } else { 0 };
    let input = BufReader::with_capacity(CHUNK, Reading { source, at, progress });
    let mut reader: Box<dyn Read + '_> = match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Packing::Lz4 => Box::new(Lz4 { frames: lz4_flex::frame::FrameDecoder::new(input) }),
        Packing::Zlib | Packing::ZFile => Box::new(flate2::bufread::ZlibDecoder::new(input)),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, WINDOW)),
        Packing::Lzma => match lzma_rust2::LzmaReader::new_mem_limit(input, WINDOW, None) {
            Ok(reader) => Box::new(reader),
            Err(why) => return Inflated { bytes: Bytes::new(), end: Err(why.to_string()) },
        },
        Packing::Zstd => Box::new(Frames { input, frame: None }),
    };
    let mut out = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let end = loop {
        if out.len() as u64 >= most {
            break Ok(());
        }
        match reader.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(n) => {
                let new = chunk.get(..n).unwrap_or_default();
                if let Err(why) = budget.extend(&mut out, new) {
                    break Err(why.to_string());
                }
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => break Err(why.to_string()),
        }
    };
    Inflated { bytes: out.into(), end }
}

/// Where the data begin of a file that joblib before 0.10 compressed.
///
/// Source: joblib 1.6 `joblib/numpy_pickle_compat.py` (`read_zfile`).
fn zfile_data(source: &dyn Source) -> u64 {
    const HEADER: u64 = 2 + 19;
    let mut next = [0];
    // With Python 2 the header was a space longer.
    let space = source.read_at(HEADER, &mut next).is_ok() && next == *b" ";
    HEADER.saturating_add(space.into())
}

/// One lz4 frame after the other. A block has 8 MiB at most, which is all that is held.
struct Lz4<'source> {
    frames: lz4_flex::frame::FrameDecoder<BufReader<Reading<'source>>>,
}

impl Read for Lz4<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.frames.read(into)?;
            // Nothing ends a frame, or all of them.
            if read > 0 || self.frames.get_mut().fill_buf()?.is_empty() {
                return Ok(read);
            }
        }
    }
}

/// One zstd frame after the other; what is skippable is skipped.
struct Frames<'source> {
    input: BufReader<Reading<'source>>,
    frame: Option<ruzstd::decoding::FrameDecoder>,
}

impl Read for Frames<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
        use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
        loop {
            let Some(frame) = &mut self.frame else {
                if self.input.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                let mut frame = FrameDecoder::new();
                match frame.init(&mut self.input) {
                    Ok(()) => self.frame = Some(frame),
                    Err(FrameDecoderError::ReadFrameHeaderError(
                        ReadFrameHeaderError::SkipFrame { length, .. },
                    )) => {
                        let mut skipped = (&mut self.input).take(length.into());
                        io::copy(&mut skipped, &mut io::sink())?;
                    }
                    Err(why) => return Err(io::Error::other(why.to_string())),
                }
                continue;
            };
            while frame.can_collect() == 0 && !frame.is_finished() {
                frame
                    .decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBytes(into.len()))
                    .map_err(|why| io::Error::other(why.to_string()))?;
            }
            let read = frame.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            self.frame = None;
        }
    }
}

/// Reads a source from its beginning.
struct Reading<'source> {
    source: &'source dyn Source,
    at: u64,
    progress: &'source dyn Fn(u64),
}

impl Read for Reading<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.source.len().saturating_sub(self.at);
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let into = into.get_mut(..n).unwrap_or_default();
        if !into.is_empty() {
            self.source.read_at(self.at, into)?;
        }
        self.at = self.at.saturating_add(n as u64);
        (self.progress)(n as u64);
        Ok(n)
    }
}
