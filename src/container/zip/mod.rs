//! Zip archives, read through their directory.

mod data;
mod directory;
mod end;
mod finding;
mod record;
mod recover;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::{fmt, io};

use self::directory::{Entry, Names};
use self::end::{Tail, over};
use self::finding::Notes;
use super::error::shown;
use super::{Error, Kind};
use crate::base::{Budget, FileOffset, Limit, Source};

pub use data::{Extent, LocalHeader};
pub use finding::{Finding, Oddity};
pub use recover::{Lost, Recovery};

/// General purpose flags (APPNOTE 4.4.4) that keep a member from being read.
pub(crate) const ENCRYPTED: u16 = 0x0001 | 0x0040 | 0x2000;
pub(super) const PATCH: u16 = 0x0020;
/// Sizes and checksum follow the data.
const DESCRIPTOR: u16 = 0x0008;

/// Whether a file begins as a zip archive does: where PyTorch decides between this and its
/// older formats, by four bytes.
///
/// # Errors
/// What the source says.
pub fn starts_as_zip(source: &dyn Source) -> io::Result<bool> {
    let mut first = [0; 4];
    if source.len() < 4 {
        return Ok(false);
    }
    source.read_at(0, &mut first)?;
    Ok(u32::from_le_bytes(first) == record::LOCAL)
}

/// Whether a file begins as a zip archive does, or ends as one: some readers find an archive
/// behind anything.
///
/// # Errors
/// What the source says.
pub fn is_zip(source: &dyn Source) -> io::Result<bool> {
    Ok(starts_as_zip(source)? || Tail::read(source)?.candidates().next().is_some())
}

/// The directory of a zip archive. Holds no data of members, and not the source they are in.
///
/// ```
/// # use depickle::{Budget, container::Zip};
/// # use bytes::Bytes;
/// let empty = Bytes::from_static(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
/// let zip = Zip::open(&empty, &mut Budget::default())?;
/// assert_eq!(zip.members().len(), 0);
/// assert!(zip.find(b"archive/data.pkl")?.is_none());
/// # Ok::<(), depickle::container::Error>(())
/// ```
pub struct Zip {
    /// The central directory; names are spans of it.
    bytes: Box<[u8]>,
    directory: Extent,
    entries: Vec<Entry>,
    names: Names,
    findings: Vec<Finding>,
    recovery: Option<Recovery>,
}

/// Which member of a [`Zip`], counted from 0 in the directory's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(u32);

/// One member of a [`Zip`], as its directory describes it.
#[derive(Clone, Copy)]
pub struct Member<'zip> {
    id: MemberId,
    entry: &'zip Entry,
    name: &'zip [u8],
}

/// How a member's bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Not at all (0): torch's tensors and pickles.
    Stored,
    /// By deflate (8): `TorchScript`'s code, and archives packed again by hand.
    Deflated,
    /// In a way not supported; the number is APPNOTE's (4.4.5).
    Other(u16),
}

impl Zip {
    /// Reads the directory, at the offset that the END record gives.
    ///
    /// One positioned read of the last 64 KiB, one of the directory if it lies before them, and
    /// one of the zip64 END record if that lies apart. No member is touched. Takes memory for
    /// the directory and some 150 bytes for each entry.
    ///
    /// # Errors
    /// [`Kind::Truncated`] or [`Kind::NotZip`] without an END record; `Ended`, `Signature`,
    /// `DirectoryOutside`, `DirectoryElsewhere`, `EndRecordsDisagree`, `Count` or `Zip64Extra`
    /// for a directory that is malformed, or that readers find in different places;
    /// `MultiDisk`; `Over` at [`Limits::members`](crate::Limits::members) and
    /// [`Limits::memory`](crate::Limits::memory); `Io`.
    pub fn open(source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        let tail = Tail::read(source)
            .map_err(|why| Error::io("file's end", why, FileOffset(source.len())))?;
        let mut ending = tail.ending()?;
        let directory = ending.directory;
        let over = over(ending.at);
        budget.limits().admit(Limit::Members, ending.entries).map_err(&over)?;
        budget.memory(directory.len).map_err(&over)?;
        // Copied even from a map: what was checked here must not change.
        let bytes: Box<[u8]> = Vec::from(tail.fetch(directory, "directory")?).into();
        let findings = std::mem::take(&mut ending.findings);
        let mut notes = Notes { all: findings, budget };
        let (entries, names) = directory::read(&bytes, &ending, &mut notes)?;
        let (findings, recovery) = (Vec::new(), None);
        let mut zip = Self { bytes, directory, entries, names, findings, recovery };
        notes.look_at_places(&zip).map_err(&over)?;
        zip.findings = notes.all;
        Ok(zip)
    }

    /// All members in the directory's order, duplicates included.
    #[must_use]
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'_>> + DoubleEndedIterator {
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.iter().zip(0..count).map(|(entry, id)| self.view(MemberId(id), entry))
    }

    /// The member of that number, if there are so many.
    #[must_use]
    pub fn member(&self, id: MemberId) -> Option<Member<'_>> {
        Some(self.view(id, self.entries.get(id.0 as usize)?))
    }

    fn view<'zip>(&'zip self, id: MemberId, entry: &'zip Entry) -> Member<'zip> {
        Member { id, entry, name: entry.name(&self.bytes, self.directory.at) }
    }

    /// The member of exactly that name, in O(its length).
    ///
    /// # Errors
    /// [`Kind::Ambiguous`] if several members have the name, or if one has it but for the case
    /// of ASCII letters: PyTorch ignores case, and among several takes one by its place in the
    /// directory; Python minds case and takes the last.
    pub fn find(&self, name: &[u8]) -> Result<Option<Member<'_>>, Error> {
        let same = |id: u32| self.member(MemberId(id)).is_some_and(|it| it.is_called(name));
        let Ok(id) = self.names.find(name, same) else { return Ok(None) };
        match self.member(MemberId(id)) {
            Some(member) if member.name == name && !member.entry.twin => Ok(Some(member)),
            Some(other) => Err(Error::of(Kind::Ambiguous, other.entry_offset(), other.name)),
            None => Ok(None),
        }
    }

    /// What is odd about the archive, from its directory alone: about its ends first, then
    /// entry by entry, then about the members' places.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Where the central directory is; in an archive that was [recovered](Self::recover), the
    /// file's end, and nothing is there.
    #[must_use]
    pub const fn directory(&self) -> Extent {
        self.directory
    }
}

impl fmt::Debug for Zip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zip")
            .field("members", &self.entries.len())
            .field("directory", &self.directory)
            .field("findings", &self.findings.len())
            .finish_non_exhaustive()
    }
}

impl<'zip> Member<'zip> {
    /// Its number.
    #[must_use]
    pub const fn id(&self) -> MemberId {
        self.id
    }

    /// Its name as the file spells it; folders are separated by `/`.
    #[must_use]
    pub const fn name_bytes(&self) -> &'zip [u8] {
        self.name
    }

    /// Its name for people; what is not UTF-8 is replaced. Escape it before printing: it may
    /// hold control characters.
    #[must_use]
    pub fn name(&self) -> Cow<'zip, str> {
        String::from_utf8_lossy(self.name)
    }

    /// Whether the name is this one, but for the case of ASCII letters.
    fn is_called(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// How its bytes are compressed.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self.entry.method {
            0 => Method::Stored,
            8 => Method::Deflated,
            other => Method::Other(other),
        }
    }

    /// Bytes it has when read: what the directory claims, checked only by reading.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.entry.size
    }

    /// Bytes it has in the archive: a claim too, until [`Zip::locate`] finds them there.
    #[must_use]
    pub const fn compressed_size(&self) -> u64 {
        self.entry.compressed
    }

    /// CRC-32 of its bytes when read; [`Zip::check_crc`] compares. 0 where torch was told to
    /// write none (`torch.serialization.set_crc32_options`).
    #[must_use]
    pub const fn crc32(&self) -> u32 {
        self.entry.crc
    }

    /// General purpose bit flags (APPNOTE 4.4.4).
    #[must_use]
    pub const fn flags(&self) -> u16 {
        self.entry.flags
    }

    /// The flags that keep it from being read.
    const fn bad_flags(&self) -> u16 {
        self.entry.flags & (ENCRYPTED | PATCH)
    }

    /// Where its local header is said to be.
    #[must_use]
    pub const fn header_offset(&self) -> FileOffset {
        FileOffset(self.entry.header)
    }

    /// Where its directory entry is; in an archive that was [recovered](Zip::recover), where its
    /// local header is.
    #[must_use]
    pub const fn entry_offset(&self) -> FileOffset {
        if self.entry.recovered { self.header_offset() } else { FileOffset(self.entry.at) }
    }

    /// Where its data end at the soonest: extra fields in the local header may push them on.
    const fn soonest_end(&self) -> FileOffset {
        self.header_offset()
            .plus(record::LOCAL_LEN)
            .plus(self.name.len() as u64)
            .plus(self.entry.compressed)
    }
}

impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}, {} bytes)", shown(self.name), self.method(), self.size())
    }
}
