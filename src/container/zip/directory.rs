//! The central directory's entries and the index of their names.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap};

use super::end::{Ending, over};
use super::finding::{Notes, Oddity};
use super::record::{self, ENTRY_LEN};
use super::{Member, MemberId};
use crate::base::{Cursor, Exceeded, FileOffset, Limit};
use crate::container::{Error, Kind};

/// Memory of one name in the index, with what a hash map keeps free (bytes).
const NAME_COST: u64 = 40;

/// What is kept of a directory entry.
pub(super) struct Entry {
    /// Where the entry itself is in the file.
    pub(super) at: u64,
    /// Where the local header is.
    pub(super) header: u64,
    pub(super) compressed: u64,
    pub(super) size: u64,
    pub(super) crc: u32,
    name_len: u16,
    pub(super) method: u16,
    pub(super) flags: u16,
    /// Another member has this name, or one that differs in case only.
    pub(super) twin: bool,
    /// It was made from the local header: there is no entry in the file.
    pub(super) recovered: bool,
}

impl Entry {
    fn new(at: FileOffset, parsed: &mut record::Entry<'_>, recovered: bool) -> Result<Self, Kind> {
        if parsed.disk != 0 {
            return Err(Kind::MultiDisk);
        }
        let fields = [&mut parsed.size, &mut parsed.compressed, &mut parsed.at];
        record::widen(parsed.extra, fields).ok_or(Kind::Zip64Extra)?;
        Ok(Self {
            at: at.0,
            header: parsed.at,
            compressed: parsed.compressed,
            size: parsed.size,
            crc: parsed.crc,
            // It was counted in 16 bits.
            name_len: u16::try_from(parsed.name.len()).unwrap_or(u16::MAX),
            method: parsed.method,
            flags: parsed.flags,
            twin: false,
            recovered,
        })
    }

    /// The name, out of the directory's bytes.
    pub(super) fn name<'data>(&self, directory: &'data [u8], base: FileOffset) -> &'data [u8] {
        let start = self.at.saturating_sub(base.0).saturating_add(ENTRY_LEN);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let name = directory.get(start..).and_then(|rest| rest.get(..self.name_len.into()));
        name.unwrap_or_default()
    }
}

/// Reads all entries, of which there must be as many as announced.
pub(super) fn read(
    bytes: &[u8],
    ending: &Ending,
    notes: &mut Notes<'_>,
) -> Result<(Vec<Entry>, Names), Error> {
    let base = ending.directory.at;
    // As many as are announced, if they fit.
    let room = (bytes.len() as u64).checked_div(ENTRY_LEN).unwrap_or(0).min(ending.entries);
    notes.budget.memory(room.saturating_mul(NAME_COST)).map_err(over(ending.at))?;
    let mut reading = Reading { bytes, base, entries: Vec::new(), names: Names::default() };
    let room = usize::try_from(room).unwrap_or(0);
    notes.budget.reserve(&mut reading.entries, room).map_err(over(ending.at))?;
    reading.names.slots.reserve(room);
    let mut cursor = Cursor::new(bytes);
    let mut found: u64 = 0;
    while !cursor.rest().is_empty() {
        let at = base.plus(cursor.position() as u64);
        let mut parsed = record::read(&mut cursor, base, "directory entry", record::entry)
            .map_err(|why| if found == 0 { elsewhere(why, ending) } else { why })?;
        found = found.saturating_add(1);
        // Of entries not announced, only the number is of interest.
        if found <= ending.entries {
            let entry = Entry::new(at, &mut parsed, ending.recovered);
            let entry = entry.map_err(|kind| Error::of(kind, at, parsed.name))?;
            reading.keep(entry, &parsed, notes).map_err(over(at))?;
        }
    }
    if found != ending.entries {
        return Err(Error::new(Kind::Count { told: ending.entries, found }, ending.at));
    }
    Ok((reading.entries, reading.names))
}

/// Where the first entry is missing and there is room for it further on, that explains it.
fn elsewhere(why: Error, ending: &Ending) -> Error {
    match why.kind() {
        Kind::Signature { .. } if ending.gap > 0 => {
            Error::new(Kind::DirectoryElsewhere(ending.gap), why.offset())
        }
        _ => why,
    }
}

struct Reading<'data> {
    bytes: &'data [u8],
    base: FileOffset,
    entries: Vec<Entry>,
    names: Names,
}

impl Reading<'_> {
    fn keep(
        &mut self,
        mut entry: Entry,
        parsed: &record::Entry<'_>,
        notes: &mut Notes<'_>,
    ) -> Result<(), Exceeded> {
        let count = self.entries.len() as u64;
        let id = u32::try_from(count).map_err(|_| Exceeded {
            limit: Limit::Members,
            asked: count,
            ceiling: u32::MAX.into(),
        })?;
        let name = parsed.name;
        let Self { bytes, base, entries, names } = self;
        let earlier = names.find(name, |id| {
            entries
                .get(id as usize)
                .is_some_and(|it| it.name(bytes, *base).eq_ignore_ascii_case(name))
        });
        match earlier {
            Ok(earlier) => {
                entry.twin = true;
                if let Some(earlier) = entries.get_mut(earlier as usize) {
                    earlier.twin = true;
                }
            }
            Err(free) => {
                names.slots.insert(free, id);
            }
        }
        let member = Member { id: MemberId(id), entry: &entry, name };
        if entry.twin {
            notes.note(Oddity::Duplicate, member.entry_offset(), &member)?;
        }
        if let Some(other) = record::unicode_path(parsed.extra).filter(|other| *other != name) {
            notes.note(Oddity::OtherName(other.into()), member.entry_offset(), &member)?;
        }
        notes.look_at(&member)?;
        notes.budget.push(entries, entry)
    }
}

/// Finds members by name but for the case of ASCII letters, as PyTorch does.
///
/// Keyed by a hash of the name, which the file's author cannot foresee; in the odd case that
/// two names share one, the second takes the next free key. So names need not be held twice.
#[derive(Default)]
pub(super) struct Names {
    slots: HashMap<u64, u32>,
    state: DefaultHashBuilder,
}

impl Names {
    /// The member for which `same` holds, or the key that is free for one.
    pub(super) fn find(&self, name: &[u8], same: impl Fn(u32) -> bool) -> Result<u32, u64> {
        let mut key = self.state.hash_one(Folded(name));
        loop {
            match self.slots.get(&key) {
                None => return Err(key),
                Some(&id) if same(id) => return Ok(id),
                Some(_) => key = key.wrapping_add(1),
            }
        }
    }
}

struct Folded<'a>(&'a [u8]);

impl Hash for Folded<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for part in self.0.chunks(64) {
            let mut folded = [0; 64];
            let folded = folded.get_mut(..part.len()).unwrap_or_default();
            folded.copy_from_slice(part);
            folded.make_ascii_lowercase();
            hasher.write(folded);
        }
    }
}
