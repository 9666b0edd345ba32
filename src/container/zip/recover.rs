//! Archives whose directory is missing or wrong, read by their local headers.
//!
//! One pass over the file notes every signature; then headers are followed from the first on.
//! Each member's end is what its header says, or where a data descriptor says that so many bytes
//! lie before it. Both passes are linear, whatever the bytes: descriptors are found by the place
//! that they count from, never searched for.

use std::collections::HashMap;

use bytes::Bytes;
use memchr::memmem;

use super::directory;
use super::end::{Ending, over};
use super::finding::Notes;
use super::record::{self, ENTRY_LEN, LOCAL_LEN, Local, ONES};
use super::{DESCRIPTOR, Extent, Zip};
use crate::base::{Budget, Cursor, Exceeded, FileOffset, Limit, Source};
use crate::container::{Error, Kind};

/// Bytes looked through at once.
const CHUNK: u64 = 1 << 20;
/// The longest descriptor: signature, checksum, two sizes of 8 bytes.
const DESCRIPTOR_LEN: u64 = 24;
/// Longer names are taken for other bytes that look like a header.
const LONGEST_NAME: u16 = 4096;

/// What is known of an archive that was read by its local headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Members that begin in the file but whose end is not there, or not where it should be.
    pub lost: Vec<Lost>,
    /// Bytes between members that belong to none.
    pub gaps: Vec<Extent>,
    /// Where the central directory begins, if the file has the beginning of one.
    pub directory: Option<FileOffset>,
    /// Where the last member that is whole ends, its data descriptor included.
    pub end: FileOffset,
}

/// A member of which only a part is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Its name.
    pub name: Box<[u8]>,
    /// Where its local header is.
    pub header: FileOffset,
    /// What there is behind the header.
    pub data: Extent,
    /// Bytes it should have in the archive, if its header says so.
    pub told: Option<u64>,
}

impl Zip {
    /// Reads an archive without its directory: by following the local headers from the first
    /// one. For files that were cut off or damaged; PyTorch and Python would refuse them.
    ///
    /// Only members that are there to their last byte are [members](Self::members) then; of the
    /// others [`recovery`](Self::recovery) tells. Reads the whole file once. Takes memory as
    /// [`open`](Self::open) does, and some 40 bytes for each signature that is found.
    ///
    /// # Errors
    /// [`Kind::NotZip`] if there is no local header; `Over`; `Io`.
    pub fn recover(source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        let len = source.len();
        let at_end = FileOffset(len);
        let marks = Marks::find(source, budget)?;
        let Some(&first) = marks.headers.first() else {
            return Err(Error::new(Kind::NotZip, FileOffset(0)));
        };
        let window = (0, Bytes::new());
        let mut walk =
            Walk { source, marks: &marks, budget, window, entries: 0, bytes: Vec::new() };
        let recovery = walk.run(first)?;
        let (entries, bytes) = (walk.entries, Box::<[u8]>::from(walk.bytes));
        let directory = Extent { at: at_end, len: bytes.len() as u64 };
        let ending =
            Ending { directory, entries, at: at_end, gap: 0, recovered: true, findings: vec![] };
        let mut notes = Notes { all: Vec::new(), budget };
        let (entries, names) = directory::read(&bytes, &ending, &mut notes)?;
        let (findings, recovery) = (Vec::new(), Some(recovery));
        let mut zip = Self { bytes, directory, entries, names, findings, recovery };
        notes.look_at_places(&zip).map_err(over(at_end))?;
        zip.findings = notes.all;
        Ok(zip)
    }

    /// What is known of an archive that was [recovered](Self::recover); none of one whose
    /// directory was read.
    #[must_use]
    pub const fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }
}

/// Where signatures are.
#[derive(Default)]
struct Marks {
    /// Local headers that look honest, in order.
    headers: Vec<u64>,
    /// By where the data begin that it counts: where a descriptor is.
    descriptors: HashMap<u64, u64>,
    /// Directory entries and END records, in order.
    ends: Vec<u64>,
}

impl Marks {
    fn find(source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        let mut marks = Self::default();
        let len = source.len();
        let mut at = 0_u64;
        while at < len {
            // What begins in this chunk may end in the next.
            let take = CHUNK.saturating_add(DESCRIPTOR_LEN).min(len.saturating_sub(at));
            let bytes = source.fetch(at, take);
            let bytes = bytes.map_err(|why| Error::io("local headers", why, FileOffset(at)))?;
            let own = usize::try_from(CHUNK).unwrap_or(usize::MAX);
            for place in memmem::find_iter(&bytes, b"PK").take_while(|&place| place < own) {
                let here = at.saturating_add(place as u64);
                let rest = bytes.get(place..).unwrap_or_default();
                marks.note(here, rest, budget).map_err(over(FileOffset(here)))?;
            }
            at = at.saturating_add(CHUNK);
        }
        Ok(marks)
    }

    fn note(&mut self, at: u64, bytes: &[u8], budget: &mut Budget) -> Result<(), Exceeded> {
        let Some(&signature) = bytes.first_chunk::<4>() else { return Ok(()) };
        match u32::from_le_bytes(signature) {
            record::LOCAL => budget.push(&mut self.headers, at),
            record::ENTRY | record::END | record::ZIP64_END => budget.push(&mut self.ends, at),
            record::DESCRIPTOR => {
                // The compressed size follows the checksum, in 4 or in 8 bytes.
                let narrow = bytes.get(8..).and_then(|rest| rest.first_chunk().copied());
                let wide = bytes.get(8..).and_then(|rest| rest.first_chunk().copied());
                let narrow = narrow.map(|size| u64::from(u32::from_le_bytes(size)));
                let wide = wide.map(u64::from_le_bytes);
                for size in [narrow, wide].into_iter().flatten() {
                    if let Some(start) = at.checked_sub(size) {
                        budget.memory(40)?;
                        self.descriptors.entry(start).or_insert(at);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// One local header, with what follows it.
struct Header {
    local: Local,
    name: Box<[u8]>,
    data_at: u64,
}

struct Walk<'run> {
    source: &'run dyn Source,
    marks: &'run Marks,
    budget: &'run mut Budget,
    /// What was read last for headers, and from where on.
    window: (u64, Bytes),
    entries: u64,
    /// A directory, made up.
    bytes: Vec<u8>,
}

impl Walk<'_> {
    fn run(&mut self, first: u64) -> Result<Recovery, Error> {
        let mut found = Recovery::default();
        // How many of the headers lie before what is looked at.
        let mut passed = 0_usize;
        let mut at = first;
        loop {
            let here = FileOffset(at);
            let over = over(here);
            let next = match self.header(at)? {
                Some(header) => {
                    let next = self.member(at, &header, &mut found)?;
                    if let Some(end) = next {
                        found.end = FileOffset(end);
                    }
                    next
                }
                None => None,
            };
            // Behind a member that is whole stands the next one, or the directory.
            let after = next.unwrap_or_else(|| at.saturating_add(1));
            if self.marks.ends.binary_search(&after).is_ok() {
                found.directory = Some(FileOffset(after));
                return Ok(found);
            }
            let skip = self.marks.headers.get(passed..).unwrap_or_default();
            let skip = skip.iter().take_while(|&&header| header < after).count();
            passed = passed.saturating_add(skip);
            let Some(&header) = self.marks.headers.get(passed) else {
                let place = self.marks.ends.partition_point(|&end| end < after);
                found.directory = self.marks.ends.get(place).copied().map(FileOffset);
                return Ok(found);
            };
            if let (Some(end), Some(len @ 1..)) = (next, header.checked_sub(after)) {
                let gap = Extent { at: FileOffset(end), len };
                self.budget.push(&mut found.gaps, gap).map_err(over)?;
            }
            at = header;
        }
    }

    /// The header at `at`; none if other bytes look like one.
    fn header(&mut self, at: u64) -> Result<Option<Header>, Error> {
        let fixed = self.look(at, LOCAL_LEN)?;
        let mut cursor = Cursor::new(&fixed);
        let local = record::read(&mut cursor, FileOffset(at), "local header", record::local);
        let Ok(mut local) = local else { return Ok(None) };
        let (name_len, extra_len) = (u64::from(local.name_len), u64::from(local.extra_len));
        // From its beginning on, so that the next header is in what is held.
        let all = self.look(at, LOCAL_LEN.saturating_add(name_len).saturating_add(extra_len))?;
        let rest = part(&all, LOCAL_LEN, u64::MAX);
        let Some((name, extra)) = rest.split_at_checked(local.name_len.into()) else {
            return Ok(None);
        };
        let whole = extra.len() as u64 == extra_len;
        if !whole || !is_honest(&local, name) {
            return Ok(None);
        }
        if local.size == ONES || local.compressed == ONES {
            let sizes = [&mut local.size, &mut local.compressed];
            if record::widen(extra, sizes).is_none() {
                return Ok(None);
            }
        }
        let data_at = at.saturating_add(LOCAL_LEN).saturating_add(rest.len() as u64);
        Ok(Some(Header { local, name: name.into(), data_at }))
    }

    /// Up to `most` bytes from `at` on. Headers may claim to reach over many others: what stands
    /// close together is read once.
    fn look(&mut self, at: u64, most: u64) -> Result<Bytes, Error> {
        const FIRST: u64 = 4 << 10;
        let most = most.min(self.source.len().saturating_sub(at));
        let (start, window) = &self.window;
        let held = window.len() as u64;
        let within = at.checked_sub(*start).filter(|from| from.saturating_add(most) <= held);
        if let Some(from) = within {
            return Ok(part(window, from, most));
        }
        let is_close = at <= start.saturating_add(held).saturating_add(FIRST) && at >= *start;
        let len = if is_close { held.saturating_mul(2).clamp(FIRST, CHUNK) } else { FIRST };
        let len = len.max(most).min(self.source.len().saturating_sub(at));
        let bytes = self.source.fetch(at, len);
        let bytes = bytes.map_err(|why| Error::io("local header", why, FileOffset(at)))?;
        self.window = (at, bytes);
        Ok(part(&self.window.1, 0, most))
    }

    /// Where the member ends if it is there to its end; it is listed then, else among the lost.
    fn member(
        &mut self,
        at: u64,
        header: &Header,
        found: &mut Recovery,
    ) -> Result<Option<u64>, Error> {
        let len = self.source.len();
        let Header { local, name, data_at } = header;
        let over = over(FileOffset(at));
        let late = local.flags & DESCRIPTOR != 0;
        if let Some(&descriptor) = self.marks.descriptors.get(data_at).filter(|_| late)
            && let Some((crc, size, end)) = self.descriptor(descriptor, *data_at)?
        {
            let compressed = descriptor.saturating_sub(*data_at);
            let local = Local { crc, compressed, size, ..*local };
            self.list(at, name, &local).map_err(over)?;
            return Ok(Some(end));
        }
        let told = (!late || local.compressed > 0).then_some(local.compressed);
        let end = told.and_then(|told| data_at.checked_add(told)).filter(|&end| end <= len);
        // Where sizes were to follow and do not, only the header's are left.
        if let Some(end) = end
            && !late
        {
            self.list(at, name, local).map_err(over)?;
            return Ok(Some(end));
        }
        let next = self.next_mark(*data_at).unwrap_or(len).min(len);
        let data = Extent { at: FileOffset(*data_at), len: next.saturating_sub(*data_at) };
        self.budget.memory(name.len() as u64).map_err(&over)?;
        let lost = Lost { name: name.clone(), header: FileOffset(at), data, told };
        self.budget.push(&mut found.lost, lost).map_err(over)?;
        Ok(None)
    }

    /// The first header or directory at or behind `at`.
    fn next_mark(&self, at: u64) -> Option<u64> {
        let first = |marks: &[u64]| {
            let place = marks.partition_point(|&mark| mark < at);
            marks.get(place).copied()
        };
        let marks = [first(&self.marks.headers), first(&self.marks.ends)];
        marks.into_iter().flatten().min()
    }

    /// The checksum, the size and the end of the descriptor at `at`, for data from `start` on.
    fn descriptor(&self, at: u64, start: u64) -> Result<Option<(u32, u64, u64)>, Error> {
        let room = self.source.len().saturating_sub(at).min(DESCRIPTOR_LEN);
        let bytes = self.source.fetch(at, room);
        let bytes = bytes.map_err(|why| Error::io("data descriptor", why, FileOffset(at)))?;
        let word = |at: usize| {
            let word = bytes.get(at..).and_then(|rest| rest.first_chunk().copied());
            word.map(u32::from_le_bytes)
        };
        let long = |at: usize| {
            let long = bytes.get(at..).and_then(|rest| rest.first_chunk().copied());
            long.map(u64::from_le_bytes)
        };
        let len = at.saturating_sub(start);
        let Some(crc) = word(4) else { return Ok(None) };
        // The wide form first: of a small one, the second size would be the next signature.
        let wide = (long(8), long(16), DESCRIPTOR_LEN);
        let narrow = (word(8).map(u64::from), word(12).map(u64::from), 16);
        for (compressed, size, width) in [wide, narrow] {
            if let (Some(compressed), Some(size)) = (compressed, size)
                && compressed == len
            {
                return Ok(Some((crc, size, at.saturating_add(width))));
            }
        }
        Ok(None)
    }

    /// Adds an entry to the directory that is made up.
    fn list(&mut self, at: u64, name: &[u8], local: &Local) -> Result<(), Exceeded> {
        self.entries = self.entries.saturating_add(1);
        self.budget.limits().admit(Limit::Members, self.entries)?;
        let mut entry = Vec::with_capacity(usize::try_from(ENTRY_LEN).unwrap_or(0));
        let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
        entry.extend(record::ENTRY.to_le_bytes());
        for field in [20, 20, local.flags, local.method, 0, 0] {
            entry.extend(u16::to_le_bytes(field));
        }
        // All values stand in the zip64 field, as they may.
        let ones = u32::MAX;
        for field in [local.crc, ones, ones] {
            entry.extend(field.to_le_bytes());
        }
        for field in [name_len, 28, 0, 0, 0, 0, 0] {
            entry.extend(u16::to_le_bytes(field));
        }
        entry.extend(ones.to_le_bytes());
        entry.extend(name);
        entry.extend(record::ZIP64_EXTRA.to_le_bytes());
        entry.extend(24_u16.to_le_bytes());
        for field in [local.size, local.compressed, at] {
            entry.extend(field.to_le_bytes());
        }
        self.budget.extend(&mut self.bytes, &entry)
    }
}

/// `len` bytes from `at` on, as far as there are.
fn part(bytes: &Bytes, at: u64, len: u64) -> Bytes {
    let has = bytes.len();
    let start = usize::try_from(at).unwrap_or(has).min(has);
    let end = usize::try_from(at.saturating_add(len)).unwrap_or(has).clamp(start, has);
    bytes.slice(start..end)
}

/// Whether a header looks like one that a program wrote: any four bytes of a tensor may be the
/// signature.
fn is_honest(local: &Local, name: &[u8]) -> bool {
    let text = std::str::from_utf8(name);
    matches!(local.method, 0 | 8 | 9 | 12 | 14 | 93 | 95 | 99)
        && (1..=LONGEST_NAME).contains(&local.name_len)
        && text.is_ok_and(|name| !name.chars().any(char::is_control))
}
