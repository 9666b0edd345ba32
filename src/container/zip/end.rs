//! From the file's last bytes to its directory.

use std::io;

use bytes::Bytes;

use super::finding::{Finding, Oddity};
use super::record::{self, End, ONES, ONES16};
use super::{Extent, starts_as_zip};
use crate::base::{Cursor, Exceeded, FileOffset, Source};
use crate::container::{Error, Kind};

/// A comment of full length, the END record before it and the zip64 records before that.
const TAIL: u64 = ONES16
    .saturating_add(record::END_LEN)
    .saturating_add(record::ZIP64_LOCATOR_LEN)
    .saturating_add(record::ZIP64_END_LEN);

/// The end of a file, read once: in small archives it holds the directory too.
pub(super) struct Tail<'source> {
    source: &'source dyn Source,
    at: u64,
    bytes: Bytes,
}

/// What the END records say.
pub(super) struct Ending {
    pub(super) directory: Extent,
    pub(super) entries: u64,
    /// Where the END record is.
    pub(super) at: FileOffset,
    /// Bytes between the directory and the records that end the archive.
    pub(super) gap: u64,
    /// Nothing of it is in the file: it was made from the local headers.
    pub(super) recovered: bool,
    pub(super) findings: Vec<Finding>,
}

impl<'source> Tail<'source> {
    pub(super) fn read(source: &'source dyn Source) -> io::Result<Self> {
        let len = source.len().min(TAIL);
        let at = source.len().saturating_sub(len);
        Ok(Self { source, at, bytes: source.fetch(at, len)? })
    }

    /// Where END records may begin, the last first: four bytes of signature, and room.
    pub(super) fn candidates(&self) -> impl Iterator<Item = u64> {
        let signature = record::END.to_le_bytes();
        let [first, ..] = signature;
        memchr::memrchr_iter(first, &self.bytes)
            .filter(move |&place| {
                let from = self.bytes.get(place..).unwrap_or_default();
                from.len() as u64 >= record::END_LEN && from.starts_with(&signature)
            })
            .map(|place| self.at.saturating_add(place as u64))
    }

    /// Bytes of the file, from here if they are here.
    pub(super) fn fetch(&self, part: Extent, what: &'static str) -> Result<Bytes, Error> {
        let here = part.at.0.checked_sub(self.at).and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(part.len).ok()?)?;
            Some(self.bytes.slice_ref(self.bytes.get(start..end)?))
        });
        match here {
            Some(bytes) => Ok(bytes),
            None => (self.source.fetch(part.at.0, part.len))
                .map_err(|why| Error::io(what, why, part.at)),
        }
    }

    /// Reads the END records.
    ///
    /// Takes the last of several, as PyTorch and Python do.
    pub(super) fn ending(&self) -> Result<Ending, Error> {
        let at = match self.candidates().next() {
            Some(at) => FileOffset(at),
            None => return Err(self.no_end()),
        };
        let end = self.record(at, record::END_LEN, "END record", record::end)?;
        let (whole, records_at, findings) = match self.locator(at)? {
            Some((locator_at, locator)) => self.zip64(end, locator_at, locator)?,
            None => (end, at, Vec::new()),
        };
        if whole.disk != 0 || whole.directory_disk != 0 || whole.entries_here != whole.entries {
            return Err(Error::new(Kind::MultiDisk, at));
        }
        let directory = Extent { at: FileOffset(whole.at), len: whole.size };
        let directory_end = whole.at.saturating_add(whole.size);
        let Some(gap) = records_at.0.checked_sub(directory_end) else {
            let by = directory_end.saturating_sub(records_at.0);
            return Err(Error::new(Kind::DirectoryOutside(by), at));
        };
        let (entries, recovered) = (whole.entries, false);
        let mut ending = Ending { directory, entries, at, gap, recovered, findings };
        self.look_around(&mut ending, end.more);
        Ok(ending)
    }

    fn no_end(&self) -> Error {
        match starts_as_zip(self.source) {
            Ok(true) => Error::new(Kind::Truncated, FileOffset(self.source.len())),
            Ok(false) => Error::new(Kind::NotZip, FileOffset(0)),
            Err(why) => Error::io("file's first bytes", why, FileOffset(0)),
        }
    }

    fn record<T>(
        &self,
        at: FileOffset,
        len: u64,
        name: &'static str,
        parser: fn(&[u8]) -> nom::IResult<&[u8], T>,
    ) -> Result<T, Error> {
        let bytes = self.fetch(Extent { at, len }, name)?;
        record::read(&mut Cursor::new(&bytes), at, name, parser)
    }

    /// The zip64 locator before an END record, if there is one.
    fn locator(&self, end: FileOffset) -> Result<Option<(FileOffset, record::Locator)>, Error> {
        let Some(at) = end.0.checked_sub(record::ZIP64_LOCATOR_LEN).map(FileOffset) else {
            return Ok(None);
        };
        let len = record::ZIP64_LOCATOR_LEN;
        match self.record(at, len, "zip64 locator", record::locator) {
            Ok(locator) => Ok(Some((at, locator))),
            Err(why) if matches!(why.kind(), Kind::Io { .. } | Kind::Over(_)) => Err(why),
            Err(_) => Ok(None),
        }
    }

    /// Merges an END record with the zip64 one that the locator points to, which wins where it
    /// may, and tells where the earlier of them begins.
    ///
    /// PyTorch and Python prefer the zip64 record always; APPNOTE only for fields of all ones.
    /// Where that would matter, the archive is refused.
    fn zip64(
        &self,
        end: End,
        locator_at: FileOffset,
        locator: record::Locator,
    ) -> Result<(End, FileOffset, Vec<Finding>), Error> {
        const NAME: &str = "zip64 END record";
        if locator.disk != 0 || locator.disks > 1 {
            return Err(Error::new(Kind::MultiDisk, locator_at));
        }
        let at = FileOffset(locator.at);
        let left = locator_at.0.saturating_sub(at.0);
        let between = left.checked_sub(record::ZIP64_END_LEN);
        let Some(between) = between else {
            return Err(Error::new(Kind::Ended { record: NAME, left }, at));
        };
        let zip64 = self.record(at, record::ZIP64_END_LEN, NAME, record::zip64_end)?;
        if zip64.more > between {
            return Err(Error::new(Kind::Ended { record: NAME, left }, at));
        }
        let agree = |field, end: u64, zip64: u64, ones: u64| {
            if end == ones || end == zip64 {
                return Ok(());
            }
            Err(Error::new(Kind::EndRecordsDisagree { field, end, zip64 }, at))
        };
        agree("disk", end.disk, zip64.disk, ONES16)?;
        agree("directory's disk", end.directory_disk, zip64.directory_disk, ONES16)?;
        agree("entries on this disk", end.entries_here, zip64.entries_here, ONES16)?;
        agree("number of entries", end.entries, zip64.entries, ONES16)?;
        agree("directory's size", end.size, zip64.size, ONES)?;
        agree("directory's offset", end.at, zip64.at, ONES)?;
        let mut findings = Vec::new();
        if between > 0 {
            // Python looks for the record right before its locator.
            let behind = at.plus(record::ZIP64_END_LEN);
            findings.push(Finding::new(Oddity::Gap(between), behind));
        }
        Ok((zip64, at, findings))
    }

    /// Notes what is odd around the END record, whose comment has `comment` bytes.
    fn look_around(&self, ending: &mut Ending, comment: u64) {
        let len = self.source.len();
        let behind = |end: u64, comment| FileOffset(end).plus(record::END_LEN).plus(comment);
        let directory_end = ending.directory.end();
        if ending.gap > 0 {
            ending.findings.push(Finding::new(Oddity::Gap(ending.gap), directory_end));
        }
        let comment_end = behind(ending.at.0, comment);
        if let Some(trailing @ 1..) = len.checked_sub(comment_end.0) {
            ending.findings.push(Finding::new(Oddity::Trailing(trailing), comment_end));
        }
        if let Some(missing @ 1..) = comment_end.0.checked_sub(len) {
            ending.findings.push(Finding::new(Oddity::CommentCut(missing), ending.at));
        }
        // Some readers want a comment that ends the file, others one behind the directory.
        let other = self.candidates().skip(1).find(|&at| {
            at >= directory_end.0 || behind(at, self.comment_len(at)) == FileOffset(len)
        });
        if let Some(other) = other {
            ending.findings.push(Finding::new(Oddity::SecondEnd, FileOffset(other)));
        }
    }

    fn comment_len(&self, end: u64) -> u64 {
        let at = FileOffset(end);
        self.record(at, record::END_LEN, "END record", record::end).map_or(0, |end| end.more)
    }
}

/// A limit met while reading the directory.
pub(super) fn over(at: FileOffset) -> impl Fn(Exceeded) -> Error {
    move |why| Error::new(Kind::Over(why), at)
}
