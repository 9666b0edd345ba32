//! A source that remembers that it failed.

use std::io;
use std::ops::Deref;
use std::sync::OnceLock;

use bytes::Bytes;

use super::Source;

/// Remembers the first read that failed, whoever looks over it: what was not read is never clean,
/// nor healthy.
pub(crate) struct Watched<S> {
    source: S,
    failed: OnceLock<(u64, String)>,
}

impl<S: Deref<Target: Source>> Watched<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self { source, failed: OnceLock::new() }
    }

    /// Where it was, and why.
    pub(crate) fn failure(&self) -> Option<&(u64, String)> {
        self.failed.get()
    }

    fn watch<T>(&self, at: u64, len: u64, read: io::Result<T>) -> io::Result<T> {
        let why = match read {
            Ok(read) => return Ok(read),
            Err(why) => why,
        };
        // Past its end there is nothing that was not read.
        if at.checked_add(len).is_some_and(|end| end <= self.source.len()) {
            self.failed.get_or_init(|| (at, why.to_string()));
        }
        Err(why)
    }
}

impl<S: Deref<Target: Source> + Send + Sync> Source for Watched<S> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let len = into.len() as u64;
        self.watch(at, len, self.source.read_at(at, into))
    }

    fn lend(&self, at: u64, len: u64) -> Option<&[u8]> {
        self.source.lend(at, len)
    }

    fn fetch(&self, at: u64, len: u64) -> io::Result<Bytes> {
        self.watch(at, len, self.source.fetch(at, len))
    }
}
