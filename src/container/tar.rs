//! Tar archives: their members' names and places, without unpacking anything.
//!
//! Only what lies in one run of bytes is listed with a place. Links, devices and sparse members
//! (whose few bytes stand for many) are listed without one.
//!
//! Source: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Extended Header".

use std::io;

use super::zip::Extent;
use super::{Error, Kind};
use crate::base::{Budget, FileOffset, Limit, Source};

/// Bytes of a header, and what data are padded to.
const BLOCK: u64 = 512;
/// Bytes of one extended header that are looked at; it holds a few attributes.
const LONGEST: u64 = 1 << 20;

/// One member of a [`Tar`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TarMember {
    /// Its name.
    pub name: Box<[u8]>,
    /// Where its header is.
    pub at: FileOffset,
    /// Its bytes; none if it is a link, a folder, a device or sparse.
    pub data: Option<Extent>,
    /// How many bytes of it the file lacks: none but of [`Tar::recover`].
    pub missing: u64,
}

/// The members of a tar archive.
///
/// ```
/// # use depickle::{Budget, container::Tar};
/// # use bytes::Bytes;
/// let mut header = vec![0; 1536];
/// header[..1].copy_from_slice(b"a");
/// header[124..135].copy_from_slice(b"00000000000");
/// header[148..156].copy_from_slice(b"001561\0 ");
/// let tar = Tar::open(&Bytes::from(header), &mut Budget::default())?;
/// assert_eq!(&*tar.members()[0].name, b"a");
/// # Ok::<(), depickle::container::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tar {
    members: Vec<TarMember>,
}

/// Whether a file begins with a tar header: one whose checksum is right.
///
/// # Errors
/// What the source says.
pub fn starts_as_tar(source: &dyn Source) -> io::Result<bool> {
    if source.len() < BLOCK {
        return Ok(false);
    }
    let header = source.fetch(0, BLOCK)?;
    Ok(header.first().is_some_and(|&byte| byte != 0) && has_checksum(&header))
}

impl Tar {
    /// Reads all headers: one positioned read of 512 bytes each.
    ///
    /// # Errors
    /// [`Kind::Tar`] if a header is none, or lies about its member's size; `Over` at
    /// [`Limits::members`](crate::Limits::members) and `memory`; `Io`.
    pub fn open(source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        Self::read(source, false, budget)
    }

    /// As [`open`](Self::open), of an archive that ends early: its last member may lack bytes,
    /// and headers are followed as far as they go.
    ///
    /// # Errors
    /// `Over`; `Io`.
    pub fn recover(source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        Self::read(source, true, budget)
    }

    fn read(source: &dyn Source, cut: bool, budget: &mut Budget) -> Result<Self, Error> {
        let mut members = Vec::new();
        let mut next = Pending::default();
        let mut at = FileOffset(0);
        let mut headers: u64 = 0;
        while at.0.saturating_add(BLOCK) <= source.len() {
            headers = headers.saturating_add(1);
            let over = |why| Error::new(Kind::Over(why), at);
            budget.limits().admit(Limit::Members, headers).map_err(over)?;
            let header = source.fetch(at.0, BLOCK).map_err(|why| unread(why, at))?;
            if header.iter().all(|&byte| byte == 0) {
                break;
            }
            let wrong = |what| Error::new(Kind::Tar(what), at);
            if !has_checksum(&header) {
                if cut {
                    break;
                }
                return Err(wrong("a header has another checksum than it says"));
            }
            let kind = header.get(156).copied().unwrap_or_default();
            let size = match next.size.take() {
                Some(size) => size,
                None => number(&header, 124, 12).ok_or_else(|| wrong("a size is no number"))?,
            };
            // Links have no data, whatever size they say.
            let stored = if matches!(kind, b'1'..=b'6') { 0 } else { size };
            let mut data = Extent { at: at.plus(BLOCK), len: stored };
            let there = stored.min(source.len().saturating_sub(data.at.0));
            let missing = stored.saturating_sub(there);
            if missing > 0 && !cut {
                return Err(wrong("a member is said to reach past the file's end"));
            }
            data.len = there;
            match kind {
                b'x' | b'g' | b'L' | b'K' if missing > 0 => break,
                b'x' | b'g' | b'L' | b'K' => {
                    if stored > LONGEST {
                        return Err(wrong("an extended header is larger than 1 MiB"));
                    }
                    let bytes = source.fetch(data.at.0, stored).map_err(|why| unread(why, at))?;
                    next.take(kind, &bytes).ok_or_else(|| wrong("a damaged extended header"))?;
                }
                _ => {
                    let name = next.name.take().unwrap_or_else(|| name(&header));
                    let whole = matches!(kind, 0 | b'0' | b'7') && !next.sparse;
                    next = Pending::default();
                    budget.memory(name.len() as u64).map_err(over)?;
                    let data = whole.then_some(data);
                    let member = TarMember { name: name.into(), at, data, missing };
                    budget.push(&mut members, member).map_err(over)?;
                }
            }
            at = data.at.plus(stored.div_ceil(BLOCK).saturating_mul(BLOCK));
        }
        Ok(Self { members })
    }

    /// All of them, in order.
    #[must_use]
    pub fn members(&self) -> &[TarMember] {
        &self.members
    }

    /// Where the bytes of the member of this name are; none if there is no such member.
    ///
    /// # Errors
    /// [`Kind::Ambiguous`] if several have the name; [`Kind::Tar`] if it has no bytes of its own.
    pub fn find(&self, name: &[u8]) -> Result<Option<Extent>, Error> {
        let wanted = name.strip_prefix(b"./").unwrap_or(name);
        let same = |member: &&TarMember| {
            let own = member.name.strip_prefix(b"./").unwrap_or(&member.name);
            own == wanted
        };
        let mut found = self.members.iter().filter(same);
        let Some(member) = found.next() else { return Ok(None) };
        if let Some(second) = found.next() {
            return Err(Error::of(Kind::Ambiguous, second.at, name));
        }
        match member.data {
            Some(data) => Ok(Some(data)),
            None => Err(Error::of(Kind::Tar("a link or sparse member"), member.at, name)),
        }
    }
}

/// What extended headers say of the member that follows.
#[derive(Default)]
struct Pending {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Pending {
    fn take(&mut self, kind: u8, bytes: &[u8]) -> Option<()> {
        match kind {
            b'L' => {
                let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                self.name = Some(bytes.get(..end)?.to_vec());
            }
            b'x' => self.records(bytes)?,
            _ => {}
        }
        Some(())
    }

    /// Reads `LENGTH KEYWORD=VALUE\n` records.
    fn records(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let space = bytes.iter().take(20).position(|&byte| byte == b' ')?;
            let len: usize = std::str::from_utf8(bytes.get(..space)?).ok()?.parse().ok()?;
            let record = bytes.get(..len)?;
            bytes = bytes.get(len..)?;
            let text = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
            let equals = text.iter().position(|&byte| byte == b'=')?;
            let value = text.get(equals.checked_add(1)?..)?;
            match text.get(..equals)? {
                b"path" => self.name = Some(value.to_vec()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                keyword if keyword.starts_with(b"GNU.sparse") => self.sparse = true,
                _ => {}
            }
        }
        Some(())
    }
}

#[cold]
fn unread(why: io::Error, at: FileOffset) -> Error {
    Error::io("tar header", why, at)
}

/// The checksum counts its own field as spaces.
fn has_checksum(header: &[u8]) -> bool {
    let Some(told) = number(header, 148, 8) else { return false };
    let byte = |(index, &byte): (usize, &u8)| match index {
        148..156 => u64::from(b' '),
        _ => u64::from(byte),
    };
    header.iter().enumerate().map(byte).sum::<u64>() == told
}

/// A number field: octal digits, or big-endian binary if its top bit is set.
fn number(header: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = header.get(at..at.checked_add(len)?)?;
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // 0xff begins a negative number.
        let head = u64::from(first & 0x7f);
        return rest
            .iter()
            .try_fold(head, |sum, &byte| sum.checked_mul(256)?.checked_add(byte.into()));
    }
    let text = field.split(|&byte| byte == 0).next()?.trim_ascii();
    let digit = |sum: u64, &byte: &u8| match byte {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(byte.wrapping_sub(b'0'))),
        _ => None,
    };
    text.iter().try_fold(0, digit)
}

/// The name, with the prefix that ustar headers may hold.
fn name(header: &[u8]) -> Vec<u8> {
    let text = |at: usize, len: usize| {
        let field = header.get(at..at.saturating_add(len)).unwrap_or_default();
        field.split(|&byte| byte == 0).next().unwrap_or_default()
    };
    let prefix = if header.get(257..263) == Some(b"ustar\0") { text(345, 155) } else { b"" };
    match prefix {
        [] => text(0, 100).to_vec(),
        _ => [prefix, b"/", text(0, 100)].concat(),
    }
}
