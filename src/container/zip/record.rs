//! The records that reading needs (APPNOTE 4.3). Parsers borrow and allocate nothing.

use nom::bytes::complete::take;
use nom::combinator::{map_opt, verify};
use nom::error::ErrorKind;
use nom::number::complete::{le_u16, le_u32, le_u64};
use nom::{IResult, Parser};

use crate::base::{Cursor, FileOffset};
use crate::container::{Error, Kind};

pub(super) const LOCAL: u32 = 0x0403_4b50;
pub(super) const END: u32 = 0x0605_4b50;
pub(super) const DESCRIPTOR: u32 = 0x0807_4b50;
pub(super) const ENTRY: u32 = 0x0201_4b50;
pub(super) const ZIP64_END: u32 = 0x0606_4b50;
const ZIP64_LOCATOR: u32 = 0x0706_4b50;

/// Bytes of a record, without what varies in length.
pub(super) const LOCAL_LEN: u64 = 30;
pub(super) const ENTRY_LEN: u64 = 46;
pub(super) const END_LEN: u64 = 22;
pub(super) const ZIP64_END_LEN: u64 = 56;
pub(super) const ZIP64_LOCATOR_LEN: u64 = 20;

/// In a field of 32 or 16 bits: the zip64 record or extra field has the value.
pub(super) const ONES: u64 = u32::MAX as u64;
pub(super) const ONES16: u64 = u16::MAX as u64;

/// Extra field ids (APPNOTE 4.5.2 and 4.6.9).
pub(super) const ZIP64_EXTRA: u16 = 0x0001;
const UNICODE_PATH: u16 = 0x7075;

/// End of central directory record (4.3.16), or the zip64 one (4.3.14).
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) disk: u64,
    pub(super) directory_disk: u64,
    pub(super) entries_here: u64,
    pub(super) entries: u64,
    pub(super) size: u64,
    pub(super) at: u64,
    /// Bytes that follow the record and belong to it.
    pub(super) more: u64,
}

/// Zip64 end of central directory locator (4.3.15).
#[derive(Clone, Copy, Debug)]
pub(super) struct Locator {
    pub(super) disk: u32,
    pub(super) at: u64,
    pub(super) disks: u32,
}

/// Central directory file header (4.3.12), zip64 fields in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'data> {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    pub(super) disk: u16,
    pub(super) at: u64,
    pub(super) name: &'data [u8],
    pub(super) extra: &'data [u8],
}

/// Local file header (4.3.7), without name and extra field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    pub(super) name_len: u16,
    pub(super) extra_len: u16,
}

/// Reads a record; `base` is where the cursor's bytes begin in the file.
pub(super) fn read<'data, T>(
    cursor: &mut Cursor<'data>,
    base: FileOffset,
    record: &'static str,
    parser: fn(&'data [u8]) -> IResult<&'data [u8], T>,
) -> Result<T, Error> {
    let rest = cursor.rest();
    let at = base.plus(cursor.position() as u64);
    cursor.parse(parser).map_err(|why| {
        let found = rest.first_chunk().copied().map(u32::from_le_bytes);
        Error::new(
            match (why, found) {
                (nom::Err::Error(why), Some(found)) if why.code == ErrorKind::Verify => {
                    Kind::Signature { record, found }
                }
                _ => Kind::Ended { record, left: rest.len() as u64 },
            },
            at,
        )
    })
}

fn signature(input: &[u8], wanted: u32) -> IResult<&[u8], u32> {
    verify(le_u32, move |found| *found == wanted).parse(input)
}

pub(super) fn end(input: &[u8]) -> IResult<&[u8], End> {
    let (input, _) = signature(input, END)?;
    let fields = (le_u16, le_u16, le_u16, le_u16, le_u32, le_u32, le_u16);
    fields
        .map(|(disk, directory_disk, entries_here, entries, size, at, more)| End {
            disk: disk.into(),
            directory_disk: directory_disk.into(),
            entries_here: entries_here.into(),
            entries: entries.into(),
            size: size.into(),
            at: at.into(),
            more: more.into(),
        })
        .parse(input)
}

pub(super) fn zip64_end(input: &[u8]) -> IResult<&[u8], End> {
    let (input, _) = signature(input, ZIP64_END)?;
    // The length counts neither the signature nor itself.
    let least = ZIP64_END_LEN.saturating_sub(12);
    let (input, more) = map_opt(le_u64, |len| len.checked_sub(least)).parse(input)?;
    let fields = (le_u16, le_u16, le_u32, le_u32, le_u64, le_u64, le_u64, le_u64);
    fields
        .map(|(_, _, disk, directory_disk, entries_here, entries, size, at)| End {
            disk: disk.into(),
            directory_disk: directory_disk.into(),
            entries_here,
            entries,
            size,
            at,
            more,
        })
        .parse(input)
}

pub(super) fn locator(input: &[u8]) -> IResult<&[u8], Locator> {
    let (input, _) = signature(input, ZIP64_LOCATOR)?;
    (le_u32, le_u64, le_u32).map(|(disk, at, disks)| Locator { disk, at, disks }).parse(input)
}

pub(super) fn entry(input: &[u8]) -> IResult<&[u8], Entry<'_>> {
    let (input, _) = signature(input, ENTRY)?;
    let (input, (_made_by, _needed, flags, method, _time, _date)) =
        (le_u16, le_u16, le_u16, le_u16, le_u16, le_u16).parse(input)?;
    let (input, (crc, compressed, size)) = (le_u32, le_u32, le_u32).parse(input)?;
    let (input, (name_len, extra_len, comment_len)) = (le_u16, le_u16, le_u16).parse(input)?;
    let (input, (disk, _internal, _external, at)) =
        (le_u16, le_u16, le_u32, le_u32).parse(input)?;
    (take(name_len), take(extra_len), take(comment_len))
        .map(|(name, extra, _comment)| Entry {
            flags,
            method,
            crc,
            compressed: compressed.into(),
            size: size.into(),
            disk,
            at: at.into(),
            name,
            extra,
        })
        .parse(input)
}

pub(super) fn local(input: &[u8]) -> IResult<&[u8], Local> {
    let (input, _) = signature(input, LOCAL)?;
    let (input, (_needed, flags, method, _time, _date, crc)) =
        (le_u16, le_u16, le_u16, le_u16, le_u16, le_u32).parse(input)?;
    (le_u32, le_u32, le_u16, le_u16)
        .map(|(compressed, size, name_len, extra_len)| Local {
            flags,
            method,
            crc,
            compressed: compressed.into(),
            size: size.into(),
            name_len,
            extra_len,
        })
        .parse(input)
}

/// Puts the values of a zip64 extra field (4.5.3) in place of fields that are all ones, in the
/// order given. `None` if the field is too short; without one, all ones is a value like others.
pub(super) fn widen<const N: usize>(extra: &[u8], fields: [&mut u64; N]) -> Option<()> {
    let Some(block) = extra_field(extra, ZIP64_EXTRA) else { return Some(()) };
    let mut block = Cursor::new(block);
    for field in fields {
        if *field == ONES {
            *field = block.parse(le_u64::<_, ()>).ok()?;
        }
    }
    Some(())
}

/// The name that an Info-ZIP Unicode Path field (4.6.9) puts in place of the header's.
pub(super) fn unicode_path(extra: &[u8]) -> Option<&[u8]> {
    // A version byte and the checksum of the header's name come first.
    extra_field(extra, UNICODE_PATH)?.get(5..)
}

/// The first extra field of that id; what follows a malformed one is not looked at.
fn extra_field(extra: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut fields = Cursor::new(extra);
    while let Ok((id, len)) = fields.parse((le_u16::<_, ()>, le_u16)) {
        let data = fields.take(len.into()).ok()?;
        if id == wanted {
            return Some(data);
        }
    }
    None
}
