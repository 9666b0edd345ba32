//! Members' data: where they are, and reading them.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::{error, fmt};

use ::zip::read::{ZipReadOptions, read_zipfile_from_stream_with_options};
use bytes::Bytes;

use super::record::{self, LOCAL_LEN, ONES};
use super::{DESCRIPTOR, ENCRYPTED, Member, Method, PATCH, Zip};
use crate::base::{Budget, Cursor, Exceeded, FileOffset, Limit, Limits, Source};
use crate::container::{Disagreement, Error, Kind};

/// Bytes inflated or checked at once.
const CHUNK: usize = 64 << 10;

/// A run of bytes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The first byte.
    pub at: FileOffset,
    /// How many bytes.
    pub len: u64,
}

impl Extent {
    /// The first byte behind it.
    #[must_use]
    pub const fn end(&self) -> FileOffset {
        self.at.plus(self.len)
    }
}

/// What a member's local header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalHeader {
    /// Where the data are, of the length that the directory gives; always between the header
    /// and the directory.
    pub data: Extent,
    /// Where it says otherwise than the directory: empty in honest files.
    pub disagreements: Vec<Disagreement>,
}

impl Zip {
    /// Where a member's data are, with the header's disagreements for information.
    ///
    /// For judging a file; whoever wants the data takes [`locate`](Self::locate). Costs one
    /// positioned read, of the header and the name; a second one if sizes stand in a zip64
    /// extra field.
    ///
    /// Checksums are not compared, and sizes only where the header does not leave them to a
    /// data descriptor, as torch's headers all do.
    ///
    /// # Errors
    /// [`Kind::Signature`] or [`Kind::Ended`] if there is no local header,
    /// [`Kind::DataOutside`] if the data reach into the directory, [`Kind::Zip64Extra`], `Io`.
    pub fn local_header(
        &self,
        source: &dyn Source,
        member: Member<'_>,
    ) -> Result<LocalHeader, Error> {
        const NAME: &str = "local header";
        let at = member.header_offset();
        let (directory, name) = (self.directory().at, member.name_bytes());
        let room = directory.0.saturating_sub(at.0);
        let len = LOCAL_LEN.saturating_add(name.len() as u64).min(room);
        let read = |at: FileOffset, len| {
            source.fetch(at.0, len).map_err(|why| Error::io(NAME, why, at).within(name))
        };
        let bytes = if room == 0 { Bytes::new() } else { read(at, len)? };
        let mut cursor = Cursor::new(&bytes);
        let mut local =
            record::read(&mut cursor, at, NAME, record::local).map_err(|why| why.within(name))?;
        let extra_at = at.plus(LOCAL_LEN).plus(local.name_len.into());
        let data_at = extra_at.plus(local.extra_len.into());
        let data = Extent { at: data_at, len: member.compressed_size() };
        if let Some(by @ 1..) = data.end().0.checked_sub(directory.0) {
            return Err(Error::of(Kind::DataOutside(by), at, name));
        }
        if local.flags & DESCRIPTOR == 0 && (local.size == ONES || local.compressed == ONES) {
            let extra = read(extra_at, local.extra_len.into())?;
            record::widen(&extra, [&mut local.size, &mut local.compressed])
                .ok_or_else(|| Error::of(Kind::Zip64Extra, at, name))?;
        }
        let same_name = usize::from(local.name_len) == name.len() && cursor.rest() == name;
        Ok(LocalHeader { data, disagreements: disagreements(member, &local, same_name) })
    }

    /// Where a member's data are: compressed if it is, and all before the directory.
    ///
    /// Costs what [`local_header`](Self::local_header) costs.
    ///
    /// # Errors
    /// As `local_header`; [`Kind::Local`] if readers could take it for another member or other
    /// data; [`Kind::Flags`], [`Kind::Method`] and [`Kind::StoredSizes`] if it could not be
    /// read there.
    pub fn locate(&self, source: &dyn Source, member: Member<'_>) -> Result<Extent, Error> {
        let error = |kind, at| Error::of(kind, at, member.name_bytes());
        if let Some(kind) = unreadable(member) {
            return Err(error(kind, member.entry_offset()));
        }
        let header = self.local_header(source, member)?;
        match header.disagreements.first() {
            Some(what) => Err(error(Kind::Local(*what), member.header_offset())),
            None => Ok(header.data),
        }
    }

    /// A stored member's bytes without a copy, if the source is in memory. `None` if it is not,
    /// or the member is deflated. The checksum is not compared.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub fn lend<'source>(
        &self,
        source: &'source dyn Source,
        member: Member<'_>,
    ) -> Result<Option<&'source [u8]>, Error> {
        let data = self.locate(source, member)?;
        Ok(if member.method() == Method::Stored { source.lend(data.at.0, data.len) } else { None })
    }

    /// A member's bytes, exactly [`Member::size`] of them.
    ///
    /// Stored ones are shared with a source in memory or read into a buffer of their length,
    /// and their checksum is not compared: PyTorch can write wrong ones on purpose. Deflated
    /// ones are inflated into memory that grows with what comes out, and checked.
    ///
    /// # Errors
    /// As [`locate`](Self::locate); for deflated members also [`Kind::Inflate`],
    /// [`Kind::Short`], [`Kind::Long`], [`Kind::Crc`], and [`Kind::Over`] at
    /// [`Limits::inflated`] or when the memory taken is above the budget; `Io`.
    pub fn read(
        &self,
        source: &dyn Source,
        member: Member<'_>,
        budget: &mut Budget,
    ) -> Result<Bytes, Error> {
        let data = self.locate(source, member)?;
        self.read_at(source, member, data, budget)
    }

    /// As [`read`](Self::read), from where [`local_header`](Self::local_header) found the data:
    /// for judging a file whose headers disagree or bear the flags of encryption.
    ///
    /// # Errors
    /// As `read`, without those of `locate`; [`Kind::Method`].
    pub fn read_at(
        &self,
        source: &dyn Source,
        member: Member<'_>,
        data: Extent,
        budget: &mut Budget,
    ) -> Result<Bytes, Error> {
        match member.method() {
            Method::Stored => source.fetch(data.at.0, data.len).map_err(unread),
            Method::Deflated => inflate(source, member, data, budget),
            Method::Other(method) => Err(Kind::Method(method)),
        }
        .map_err(|kind| Error::of(kind, data.at, member.name_bytes()))
    }

    /// The first bytes of a member, `most` or as many as it has. What follows is not read, so
    /// that a checksum can be compared only where the member ends with them.
    ///
    /// # Errors
    /// As [`read`](Self::read), as far as those bytes show it.
    pub fn head(&self, source: &dyn Source, member: Member<'_>, most: u64) -> Result<Bytes, Error> {
        let data = self.locate(source, member)?;
        let most = usize::try_from(most.min(member.size())).unwrap_or(usize::MAX);
        let mut head = Vec::new();
        let outcome = stream(source, member, data, &|_| {}, &mut |bytes| {
            let room = most.saturating_sub(head.len()).min(bytes.len());
            head.extend_from_slice(bytes.get(..room).unwrap_or_default());
            // The error ends the reading.
            if head.len() < most { Ok(()) } else { Err(Kind::Long(most as u64)) }
        });
        match outcome {
            Err(kind) if head.len() < most => Err(Error::of(kind, data.at, member.name_bytes())),
            _ => Ok(head.into()),
        }
    }

    /// Reads a member through, in pieces, and compares its checksum with the directory's.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Kind::Crc`] for stored members too. No memory is taken.
    pub fn check_crc(
        &self,
        source: &dyn Source,
        member: Member<'_>,
        limits: &Limits,
    ) -> Result<(), Error> {
        self.check_crc_with(source, member, limits, &|_| {})
    }

    /// As [`check_crc`](Self::check_crc). `progress` is told how many of the member's
    /// [`compressed_size`](Member::compressed_size) bytes were done since it was told last: all of
    /// them in the end, whatever comes of it.
    ///
    /// # Errors
    /// As [`check_crc`](Self::check_crc).
    pub fn check_crc_with(
        &self,
        source: &dyn Source,
        member: Member<'_>,
        limits: &Limits,
        progress: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let left = Cell::new(member.compressed_size());
        let tell = |bytes: u64| {
            left.set(left.get().saturating_sub(bytes));
            progress(bytes);
        };
        let inflated = if member.method() == Method::Stored { 0 } else { member.size() };
        let checked = self.locate(source, member).and_then(|data| {
            (limits.admit(Limit::Inflated, inflated).map_err(Kind::Over))
                .and_then(|()| match member.method() {
                    Method::Stored => stored_checksum(source, member, data, &tell),
                    _ => stream(source, member, data, &tell, &mut |_| Ok(())),
                })
                .map_err(|kind| Error::of(kind, data.at, member.name_bytes()))
        });
        progress(left.get());
        checked
    }
}

/// Compares the checksum of data that lie as they are.
fn stored_checksum(
    source: &dyn Source,
    member: Member<'_>,
    data: Extent,
    progress: &dyn Fn(u64),
) -> Result<(), Kind> {
    let mut hasher = crc32fast::Hasher::new();
    let (mut at, mut left) = (data.at.0, data.len);
    while left > 0 {
        let len = left.min(CHUNK as u64);
        hasher.update(&source.fetch(at, len).map_err(unread)?);
        progress(len);
        (at, left) = (at.saturating_add(len), left.saturating_sub(len));
    }
    if hasher.finalize() == member.crc32() { Ok(()) } else { Err(Kind::Crc(member.crc32())) }
}

fn unread(why: io::Error) -> Kind {
    Kind::io("member's data", why)
}

/// Why a member can be read by nobody, if so.
fn unreadable(member: Member<'_>) -> Option<Kind> {
    let (compressed, size) = (member.compressed_size(), member.size());
    match member.method() {
        _ if member.bad_flags() != 0 => Some(Kind::Flags(member.bad_flags())),
        Method::Other(method) => Some(Kind::Method(method)),
        Method::Stored if compressed != size => Some(Kind::StoredSizes { compressed, size }),
        Method::Stored | Method::Deflated => None,
    }
}

fn disagreements(member: Member<'_>, local: &record::Local, same_name: bool) -> Vec<Disagreement> {
    let sizes = (local.size, local.compressed) == (member.size(), member.compressed_size());
    let mut found = Vec::new();
    if !same_name {
        found.push(Disagreement::Name);
    }
    if local.method != member.entry.method {
        found.push(Disagreement::Method);
    }
    if local.flags & DESCRIPTOR == 0 && !sizes {
        found.push(Disagreement::Size);
    }
    if local.flags & (ENCRYPTED | PATCH) & !member.flags() != 0 {
        found.push(Disagreement::Flags);
    }
    found
}

fn inflate(
    source: &dyn Source,
    member: Member<'_>,
    data: Extent,
    budget: &mut Budget,
) -> Result<Bytes, Kind> {
    let size = member.size();
    budget.limits().admit(Limit::Inflated, size).map_err(Kind::Over)?;
    let mut out = Vec::new();
    stream(source, member, data, &|_| {}, &mut |bytes| {
        make_room(&mut out, bytes.len(), size, budget).map_err(Kind::Over)?;
        out.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(out.into())
}

/// Room for `more` bytes, doubling up to the size announced.
fn make_room(
    out: &mut Vec<u8>,
    more: usize,
    size: u64,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    let (now, needed) = (out.capacity(), out.len().saturating_add(more));
    if needed <= now {
        return Ok(());
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let wanted = now.saturating_mul(2).min(size).max(needed);
    budget.memory(wanted.saturating_sub(now) as u64)?;
    let reserved = out.try_reserve_exact(wanted.saturating_sub(out.len()));
    reserved.map_err(|_| Exceeded::refused(wanted as u64))
}

/// Hands a member's bytes to `sink` in pieces: as many as announced, and with its checksum.
/// `progress` is told how many were read of the archive's.
///
/// The `zip` crate inflates and compares. It does not accept all directories that torch
/// writes, so it sees none, but a local header of ours before the data.
fn stream(
    source: &dyn Source,
    member: Member<'_>,
    data: Extent,
    progress: &dyn Fn(u64),
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Kind>,
) -> Result<(), Kind> {
    let [low, high] = member.entry.method.to_le_bytes();
    // Flag 3 leaves sizes and checksum to the options.
    let header = [b'P', b'K', 3, 4, 20, 0, 8, 0, low, high];
    let header = header.as_slice().chain([0; 20].as_slice());
    let done = Cell::new(false);
    let data_reader = Positioned { source, at: data.at.0, left: data.len, done: &done, progress };
    let mut input = header.chain(BufReader::with_capacity(chunk(data.len), data_reader));
    // What is too long is told from what is damaged below, not by the crate.
    let options = ZipReadOptions::new()
        .override_compressed_size(data.len)
        .override_uncompressed_size(u64::MAX)
        .override_crc(member.crc32());
    let refused = || Kind::Inflate("the member was not recognised".into());
    let mut file = read_zipfile_from_stream_with_options(&mut input, options)
        .map_err(|why| Kind::Inflate(why.to_string().into()))?
        .ok_or_else(refused)?;
    let outcome = drain(&mut file, member, sink);
    done.set(true);
    outcome
}

/// Room for so many bytes, at most for a chunk of them.
fn chunk(len: u64) -> usize {
    usize::try_from(len).unwrap_or(CHUNK).clamp(1, CHUNK)
}

fn drain(
    file: &mut dyn Read,
    member: Member<'_>,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Kind>,
) -> Result<(), Kind> {
    let told = member.size();
    // One more shows that there is more.
    let mut chunk = vec![0; chunk(told.saturating_add(1))];
    let mut found: u64 = 0;
    loop {
        let bytes = match file.read(&mut chunk) {
            Ok(n) => chunk.get(..n).unwrap_or_default(),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(failure(why, member, found)),
        };
        found = found.saturating_add(bytes.len() as u64);
        match bytes {
            _ if found > told => return Err(Kind::Long(told)),
            [] if found < told => return Err(Kind::Short { told, found }),
            [] => return Ok(()),
            _ => sink(bytes)?,
        }
    }
}

/// What the crate's error means after so many bytes.
fn failure(why: io::Error, member: Member<'_>, found: u64) -> Kind {
    let why = match why.downcast::<Unread>() {
        Ok(Unread(why)) => return unread(why),
        Err(why) => why,
    };
    // Said of checksums only, and only at the end.
    let checksum = why.kind() == io::ErrorKind::InvalidData;
    match (checksum, member.size()) {
        (true, told) if found < told => Kind::Short { told, found },
        (true, _) => Kind::Crc(member.crc32()),
        (false, _) => Kind::Inflate(why.to_string().into()),
    }
}

/// Reads a source from one position on.
struct Positioned<'a> {
    source: &'a dyn Source,
    at: u64,
    left: u64,
    /// Nothing more is wanted: the crate reads to the end when dropped.
    done: &'a Cell<bool>,
    progress: &'a dyn Fn(u64),
}

impl Read for Positioned<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let into = into.get_mut(..n).unwrap_or_default();
        if into.is_empty() || self.done.get() {
            return Ok(0);
        }
        self.source.read_at(self.at, into).map_err(|why| io::Error::other(Unread(why)))?;
        self.at = self.at.saturating_add(n as u64);
        self.left = self.left.saturating_sub(n as u64);
        (self.progress)(n as u64);
        Ok(n)
    }
}

/// A source's error on its way through the `zip` crate.
#[derive(Debug)]
struct Unread(io::Error);

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl error::Error for Unread {}
