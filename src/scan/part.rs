//! A run of a file's bytes as a source of its own.

use std::io;

use bytes::Bytes;

use crate::base::Source;

/// The `len` bytes from `at` on.
#[derive(Clone, Copy)]
pub(super) struct Part<'source> {
    source: &'source dyn Source,
    at: u64,
    len: u64,
}

impl<'source> Part<'source> {
    /// What of it lies in the source.
    pub(super) fn new(source: &'source dyn Source, at: u64, len: u64) -> Self {
        let at = at.min(source.len());
        Self { source, at, len: len.min(source.len().saturating_sub(at)) }
    }

    fn within(&self, at: u64, len: u64) -> io::Result<u64> {
        match at.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.at.saturating_add(at)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Source for Part<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.source.read_at(self.within(at, into.len() as u64)?, into)
    }

    fn lend(&self, at: u64, len: u64) -> Option<&[u8]> {
        self.source.lend(self.within(at, len).ok()?, len)
    }

    fn fetch(&self, at: u64, len: u64) -> io::Result<Bytes> {
        self.source.fetch(self.within(at, len)?, len)
    }
}
