//! The bytes of a checkpoint's storages: lent, shared or read, wherever they lie.

use std::fs::File;
use std::io;
use std::sync::PoisonError;

use bytes::Bytes;

use super::checkpoint::Checkpoint;
use super::error::Error;
use super::origin::{Layout, Origin, Place};
use super::storage::StorageId;
use super::verify::{Problem, Verification};
use crate::base::{Budget, Source, zeroed};
use crate::container::Method;

impl Checkpoint {
    /// A part of a storage, without a copy.
    pub(crate) fn lend(&self, storage: StorageId, start: u64, len: u64) -> Option<&[u8]> {
        let (id, start) = self.storages().whole(storage, start);
        let (part, key) = self.holder(id)?;
        match part.place(key).ok()? {
            Place::File(at) => part.source.lend(at.plus(start).0, len),
            Place::Deflated(_) | Place::Stitched(_) => None,
        }
    }

    /// The file that a byte of a storage is in, and where.
    pub(crate) fn place_in_file(&self, storage: StorageId, start: u64) -> Option<(&File, u64)> {
        let (id, start) = self.storages().whole(storage, start);
        let (part, key) = self.holder(id)?;
        match part.place(key).ok()? {
            Place::File(at) => part.source.file(at.plus(start).0),
            Place::Deflated(_) | Place::Stitched(_) => None,
        }
    }

    /// Compares the checksum that the file has for a storage with its bytes, all of which are read.
    /// Only stored members of archives are looked at: compressed ones are checked whenever they
    /// are read, and nothing else has checksums. Returns how many bytes were looked at.
    ///
    /// # Errors
    /// [`Kind::Container`](super::Kind::Container) if they differ, or what the source says.
    pub fn check_storage(&self, storage: StorageId) -> Result<u64, Error> {
        let (id, _) = self.storages().whole(storage, 0);
        let Some((part, key)) = self.holder(id) else { return Ok(0) };
        let check = || match &part.layout {
            Layout::Zip { archive, names } => match archive.storage(*names, key)? {
                // PyTorch writes 0 where it was told to compute none.
                Some(member) if member.method() == Method::Stored && member.crc32() != 0 => {
                    archive.zip.check_crc(&*part.source, member, self.limits())?;
                    Ok(member.size())
                }
                _ => Ok(0),
            },
            Layout::Stitched { tensors, .. } => {
                let mut found = Verification::default();
                let problems =
                    tensors.get(key).map(|tensor| tensor.verify(&mut found)).transpose()?;
                let errors = problems.unwrap_or_default().into_iter().filter_map(|it| match it {
                    Problem::Error(why) => Some(why),
                    Problem::Finding(_) => None,
                });
                errors.map(Err).next().unwrap_or(Ok(found.nbytes))
            }
            Layout::Runs(_) | Layout::Nothing => Ok(0),
        };
        check().map_err(|why: Error| self.name(part.locate(why)))
    }

    /// A part of a storage, shared or read.
    pub(crate) fn fetch(&self, storage: StorageId, start: u64, len: u64) -> Result<Bytes, Error> {
        // Of an empty view the place means nothing: it may lie behind the file's end.
        if len == 0 {
            return Ok(Bytes::new());
        }
        let (id, start) = self.storages().whole(storage, start);
        let Some((part, key)) = self.holder(id) else { return Ok(Bytes::new()) };
        let fetched = match part.place(key).map_err(|why| self.name(part.locate(why)))? {
            Place::File(at) => part.source.fetch(at.plus(start).0, len),
            Place::Deflated(member) => {
                let read = |budget: &mut Budget| {
                    let archive = part.archive().map(|archive| &archive.zip);
                    archive.map_or(Ok(Bytes::new()), |zip| zip.read(&*part.source, member, budget))
                };
                let inflated = self.inflated(id, |budget| Ok(read(budget)?));
                let bytes = inflated.map_err(|why| self.name(part.locate(why)))?;
                Source::fetch(&bytes, start, len)
            }
            Place::Stitched(stitched) => {
                let mut fresh = zeroed(len)?;
                let read = stitched.read_at(start, &mut fresh);
                return read.map(|()| fresh.into()).map_err(|why| self.name(part.locate(why)));
            }
        };
        fetched.map_err(|why| self.unread(why, part, key))
    }

    /// Fills `into` from a storage.
    pub(crate) fn read_at(
        &self,
        storage: StorageId,
        start: u64,
        into: &mut [u8],
    ) -> Result<(), Error> {
        self.read_pieces(storage, std::iter::once(start), into.len(), into)
    }

    /// Fills `into` with pieces of a storage, each of `len` bytes, that begin at `starts`.
    pub(crate) fn read_pieces(
        &self,
        storage: StorageId,
        starts: impl Iterator<Item = u64>,
        len: usize,
        into: &mut [u8],
    ) -> Result<(), Error> {
        // As in `fetch`: what is empty is read nowhere.
        if into.is_empty() {
            return Ok(());
        }
        let (id, first) = self.storages().whole(storage, 0);
        let Some((part, key)) = self.holder(id) else { return Ok(()) };
        let located = |why| self.name(part.locate(why));
        let place = part.place(key).map_err(located)?;
        for (start, piece) in starts.zip(into.chunks_exact_mut(len.max(1))) {
            let start = first.saturating_add(start);
            match &place {
                Place::File(at) => {
                    let read = part.source.read_at(at.plus(start).0, piece);
                    read.map_err(|why| self.unread(why, part, key))?;
                }
                Place::Deflated(_) => {
                    let bytes = self.fetch(id, start, piece.len() as u64)?;
                    piece.copy_from_slice(&bytes);
                }
                Place::Stitched(stitched) => stitched.read_at(start, piece).map_err(located)?,
            }
        }
        Ok(())
    }

    /// Whether the bytes of a storage are big-endian in its file.
    pub(crate) fn is_swapped(&self, storage: StorageId) -> bool {
        let (id, _) = self.storages().whole(storage, 0);
        self.holder(id).is_some_and(|(part, key)| part.is_swapped(key))
    }

    /// The part that a storage lies in, and its key there.
    pub(crate) fn holder(&self, id: StorageId) -> Option<(&Origin, &str)> {
        let storage = self.storages().get(id);
        Some((self.origins().get(storage.part() as usize)?, storage.key()))
    }

    /// A compressed storage, of which the last one is kept.
    fn inflated(
        &self,
        id: StorageId,
        read: impl FnOnce(&mut Budget) -> Result<Bytes, Error>,
    ) -> Result<Bytes, Error> {
        let mut last = self.last_inflated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = last.as_ref().filter(|(last, _)| *last == id) {
            return Ok(bytes.clone());
        }
        let bytes = read(&mut Budget::new(self.limits().clone()))?;
        *last = Some((id, bytes.clone()));
        Ok(bytes)
    }

    #[cold]
    pub(crate) fn unread(&self, why: io::Error, part: &Origin, key: &str) -> Error {
        self.name(part.locate(Error::from(why).in_member(&part.name(key))))
    }
}
