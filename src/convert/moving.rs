//! Bytes from a checkpoint into a file: by the system where they stay as they are, through a
//! buffer otherwise.

use std::fs::File;
use std::io::{self, Write};

use super::error::{Error, Kind};
use super::plan::{How, Item};
use crate::base::{FileSource, Output, Source};
use crate::torch::{Checkpoint, TensorRef};

/// Bytes gathered before they are written.
const GATHERED: usize = 1 << 20;
/// Runs below this are read and gathered: a call of the system for each would cost more.
const SMALL: u64 = 256 << 10;
/// What the system is asked to move at once, so that progress shows.
const AT_ONCE: u64 = 64 << 20;

/// Writes a file from its beginning, gathering what is small.
pub(crate) struct Sink<'out> {
    out: &'out mut Output,
    buffer: Vec<u8>,
    at: u64,
}

impl<'out> Sink<'out> {
    pub(crate) fn new(out: &'out mut Output) -> Self {
        Self { out, buffer: Vec::with_capacity(GATHERED), at: 0 }
    }

    /// Bytes handed over so far.
    pub(crate) const fn written(&self) -> u64 {
        self.at
    }

    /// Writes what is still gathered.
    fn settle(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Appends `len` bytes of another file, from `at` on. `each` is told how many were moved, and
    /// may say that it is enough.
    fn append(
        &mut self,
        from: &File,
        at: u64,
        len: u64,
        each: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        if len >= SMALL {
            self.settle()?;
            done = by_system(from, at, self.out.file(), len, each)?;
            self.at = self.at.saturating_add(done);
        }
        if done == len {
            return Ok(());
        }
        let source = FileSource::new(from.try_clone()?)?;
        while done < len {
            let count = len.saturating_sub(done).min(GATHERED as u64);
            let bytes = source.fetch(at.saturating_add(done), count)?;
            self.write_all(&bytes)?;
            done = done.saturating_add(count);
            each(count)?;
        }
        Ok(())
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len().saturating_add(bytes.len()) > GATHERED {
            self.settle()?;
        }
        if bytes.len() >= GATHERED {
            self.out.write_all(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.at = self.at.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.settle()?;
        self.out.flush()
    }
}

/// Lets the system move bytes to where `to` stands; returns how many it did. Where it cannot, none.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn by_system(
    from: &File,
    at: u64,
    to: &File,
    len: u64,
    each: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<u64> {
    use rustix::io::Errno;
    let (mut done, mut from_at) = (0, at);
    while done < len {
        let count = usize::try_from(len.saturating_sub(done).min(AT_ONCE)).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(from, Some(&mut from_at), to, None, count) {
            Ok(0) => break,
            Ok(moved) => {
                done = done.saturating_add(moved as u64);
                each(moved as u64)?;
            }
            Err(Errno::INTR) => {}
            // Reading and writing would fail in the same way.
            Err(why @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO)) => {
                return Err(why.into());
            }
            Err(_) => break,
        }
    }
    Ok(done)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn by_system(
    _: &File,
    _: u64,
    _: &File,
    _: u64,
    _: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<u64> {
    Ok(0)
}

impl Item {
    /// The tensor with the means to read it.
    pub(crate) fn on<'plan>(&'plan self, checkpoint: &'plan Checkpoint) -> TensorRef<'plan> {
        checkpoint.named(self.from(), &self.tensor)
    }

    /// Hands over the bytes that it will have, in pieces of whole elements.
    pub(crate) fn for_each_chunk(
        &self,
        checkpoint: &Checkpoint,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let tensor = self.on(checkpoint);
        match self.how {
            How::Kept => tensor.for_each_chunk(each),
            How::Cast => tensor.for_each_chunk_as(self.dtype(), each),
            How::Dense => each(&tensor.to_dense_as(self.dtype())?),
        }
    }

    /// Appends its bytes to a file. `each` is told how many were written, and may say that it is
    /// enough.
    pub(crate) fn append_to(
        &self,
        sink: &mut Sink,
        checkpoint: &Checkpoint,
        each: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<(), Error> {
        if self.how == How::Kept
            && let Some((file, at)) = self.on(checkpoint).in_file()
        {
            return Ok(sink.append(file, at, self.nbytes(), each)?);
        }
        self.for_each_chunk(checkpoint, |chunk| {
            sink.write_all(chunk)?;
            Ok(each(chunk.len() as u64)?)
        })
    }

    /// Compares its bytes with those that `read` finds from some byte of it on.
    pub(crate) fn compare(
        &self,
        checkpoint: &Checkpoint,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), Error>,
        each: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let mut at = 0_u64;
        let mut found = Vec::new();
        self.for_each_chunk(checkpoint, |chunk| {
            found.resize(chunk.len(), 0);
            read(at, &mut found)?;
            if found != chunk {
                let place = found.iter().zip(chunk).position(|(a, b)| a != b).unwrap_or(0);
                let byte = at.saturating_add(place as u64);
                return Err(self.differs(&format!("byte {byte} of its data differs")));
            }
            at = at.saturating_add(chunk.len() as u64);
            each(chunk.len() as u64);
            Ok(())
        })
    }

    pub(crate) fn differs(&self, why: &str) -> Error {
        Error::new(Kind::Differs { name: self.name().into(), why: why.into() })
    }
}
