//! Positioned reads, so that listing a file costs its index and not its data.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::Exceeded;
use super::limits::make_room;

/// Bytes that can be read at any position, from several threads.
///
/// Implement [`len`](Self::len) and [`read_at`](Self::read_at) to read from anywhere: an
/// object store, a range-serving web server, an encrypted volume.
pub trait Source: Send + Sync {
    /// Bytes in all.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the source ends before `into` is full, or what
    /// the system says.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;

    /// Lends `len` bytes from `at` on without copying, if they are in memory.
    fn lend(&self, at: u64, len: u64) -> Option<&[u8]> {
        let _ = (at, len);
        None
    }

    /// The file that byte `at` is in, and where it is there, if bytes of this source lie in one
    /// file as they lie here: whoever copies them can then leave it to the system.
    fn file(&self, at: u64) -> Option<(&File, u64)> {
        let _ = at;
        None
    }

    /// The `len` bytes from `at` on, shared where they are in memory and read otherwise.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at). Nothing is allocated for bytes that are not there.
    fn fetch(&self, at: u64, len: u64) -> io::Result<Bytes> {
        within(at, len, self.len())?;
        let mut fresh = zeroed(len)?;
        self.read_at(at, &mut fresh)?;
        Ok(fresh.into())
    }
}

/// The `len` bytes of `source` from `at` on, in a vector of their own.
///
/// # Errors
/// As [`Source::fetch`].
pub fn read_vec(source: &dyn Source, at: u64, len: u64) -> io::Result<Vec<u8>> {
    // A buffer that nobody else holds turns into a vector without a copy.
    source.fetch(at, len).map(Vec::from)
}

/// An empty vector for `len` bytes.
///
/// # Errors
/// [`io::ErrorKind::OutOfMemory`], with an [`Exceeded`] in it.
fn room(len: u64) -> io::Result<Vec<u8>> {
    let mut room = Vec::new();
    make_room(&mut room, usize::try_from(len).map_err(|_| Exceeded::refused(len))?)?;
    Ok(room)
}

/// So many zeros, as [`room`].
pub(crate) fn zeroed(len: u64) -> io::Result<Vec<u8>> {
    let mut fresh = room(len)?;
    fresh.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
    Ok(fresh)
}

fn within(at: u64, len: u64, all: u64) -> io::Result<()> {
    if at.checked_add(len).is_some_and(|end| end <= all) {
        return Ok(());
    }
    let why = format!("{len} bytes at {at} reach past the end at {all}");
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))
}

impl Source for Bytes {
    fn len(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        within(at, into.len() as u64, Source::len(self))?;
        let bytes = self.lend(at, into.len() as u64).unwrap_or_default();
        into.copy_from_slice(bytes);
        Ok(())
    }

    fn lend(&self, at: u64, len: u64) -> Option<&[u8]> {
        let start = usize::try_from(at).ok()?;
        self.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }

    fn fetch(&self, at: u64, len: u64) -> io::Result<Bytes> {
        within(at, len, Source::len(self))?;
        Ok(self.slice_ref(self.lend(at, len).unwrap_or_default()))
    }
}

/// A source somebody else wrote, held to its word: as many bytes as were asked for, or an error.
#[cfg(feature = "torch")]
pub(crate) struct Exact<S>(pub S);

#[cfg(feature = "torch")]
impl<S: Source> Source for Exact<S> {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_at(at, into)
    }

    fn lend(&self, at: u64, len: u64) -> Option<&[u8]> {
        self.0.lend(at, len).filter(|bytes| bytes.len() as u64 == len)
    }

    fn fetch(&self, at: u64, len: u64) -> io::Result<Bytes> {
        let bytes = self.0.fetch(at, len)?;
        if bytes.len() as u64 == len {
            return Ok(bytes);
        }
        let why = format!("{len} bytes at {at} were asked for, {} given", bytes.len());
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))
    }
}

/// A run of another source's bytes, as a source of its own.
#[derive(Clone)]
pub struct Window {
    source: Arc<dyn Source>,
    at: u64,
    len: u64,
}

impl Window {
    /// The `len` bytes of `source` from `at` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the source has no such bytes.
    pub fn new(source: Arc<dyn Source>, at: u64, len: u64) -> io::Result<Self> {
        within(at, len, source.len())?;
        Ok(Self { source, at, len })
    }
}

impl Source for Window {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        within(at, into.len() as u64, self.len)?;
        self.source.read_at(self.at.saturating_add(at), into)
    }

    fn lend(&self, at: u64, len: u64) -> Option<&[u8]> {
        within(at, len, self.len).ok()?;
        self.source.lend(self.at.saturating_add(at), len)
    }

    fn file(&self, at: u64) -> Option<(&File, u64)> {
        self.source.file(self.at.saturating_add(at))
    }

    fn fetch(&self, at: u64, len: u64) -> io::Result<Bytes> {
        within(at, len, self.len)?;
        self.source.fetch(self.at.saturating_add(at), len)
    }
}

/// A file, read at positions; its length is taken once, when opened.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    len: u64,
}

impl FileSource {
    /// Reads `file`, which must be seekable.
    ///
    /// # Errors
    /// What the system says when asked for its length, or that it is a folder.
    pub fn new(file: File) -> io::Result<Self> {
        let facts = file.metadata()?;
        if facts.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { file, len: facts.len() })
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn file(&self, at: u64) -> Option<(&File, u64)> {
        Some((&self.file, at))
    }

    #[cfg(unix)]
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, into, at)
    }

    #[cfg(windows)]
    fn read_at(&self, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&self.file, into, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    into = into.get_mut(n..).unwrap_or_default();
                    at = at.saturating_add(n as u64);
                }
            }
        }
        Ok(())
    }

    /// Reads into memory that is not zeroed first.
    #[cfg(unix)]
    fn fetch(&self, at: u64, len: u64) -> io::Result<Bytes> {
        within(at, len, self.len)?;
        let mut fresh = room(len)?;
        let wanted = usize::try_from(len).map_err(io::Error::other)?;
        while fresh.len() < wanted {
            let at = at.saturating_add(fresh.len() as u64);
            match rustix::io::pread(&self.file, rustix::buffer::spare_capacity(&mut fresh), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
            }
        }
        // Capacity may exceed what was reserved, and the file may have grown.
        fresh.truncate(wanted);
        Ok(fresh.into())
    }
}

/// Any seekable reader, behind a lock.
#[derive(Debug)]
pub struct ReaderSource<R> {
    reader: Mutex<R>,
    len: u64,
}

impl<R: Read + Seek + Send> ReaderSource<R> {
    /// Reads `reader`, whose length is where seeking to its end leads.
    ///
    /// # Errors
    /// What seeking says.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let len = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader: Mutex::new(reader), len })
    }
}

impl<R: Read + Seek + Send> Source for ReaderSource<R> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(at))?;
        reader.read_exact(into)
    }
}
