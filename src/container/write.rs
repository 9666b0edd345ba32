//! Writing archives: stored members, each beginning on a boundary, in one pass over a sink that
//! need not seek.
//!
//! Byte for byte what PyTorch's writer gives for the same members: no times, sizes and checksums
//! in descriptors behind the data, room before it in an extra field, zip64 records at the end.
//!
//! Source: PyTorch 2.15 `caffe2/serialize/inline_container.cc` (`getPadding`, `writeRecord`),
//! `third_party/miniz` (`mz_zip_writer_add_mem_ex_v2`, `mz_zip_writer_finalize_archive`);
//! APPNOTE 6.3.10.

use std::io::{self, Write};

use crc32fast::Hasher;

/// Data begin at multiples of this many bytes, unless another number is asked for.
pub const ALIGNMENT: u64 = 64;

/// Sizes and offsets from here on stand in zip64 fields.
const ONES: u64 = 0xffff_ffff;
const LOCAL_LEN: u64 = 30;
/// The data are followed by a descriptor.
const DESCRIPTOR: u16 = 8;
/// Names are UTF-8.
const UTF8: u16 = 0x800;

/// Writes an archive of stored members.
///
/// ```
/// use depickle::container::{Zip, ZipWriter};
///
/// let mut zip = ZipWriter::new(Vec::new());
/// zip.add("model/version", b"3\n")?;
/// let archive = bytes::Bytes::from(zip.finish()?);
/// let zip = Zip::open(&archive, &mut depickle::Budget::default()).unwrap();
/// assert!(zip.find(b"model/version").unwrap().is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ZipWriter<W> {
    out: W,
    /// Bytes written so far.
    at: u64,
    alignment: u64,
    entries: Vec<Entry>,
    /// Whether a member was begun and not finished.
    open: bool,
}

/// What the directory will say of a member.
#[derive(Clone, Debug)]
struct Entry {
    name: Box<str>,
    size: u64,
    crc: u32,
    at: u64,
}

impl<W: Write> ZipWriter<W> {
    /// An archive that begins where `out` is. Headers are written in pieces: buffer what is slow.
    #[must_use]
    pub const fn new(out: W) -> Self {
        Self { out, at: 0, alignment: ALIGNMENT, entries: Vec::new(), open: false }
    }

    /// Another boundary (bytes) for members' data; at most 32 KiB, and 1 for none.
    #[must_use]
    pub fn align(mut self, bytes: u16) -> Self {
        self.alignment = u64::from(bytes).clamp(1, 1 << 15);
        self
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// Writes a member whole. Returns its checksum.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<u32> {
        let mut member = self.begin(name, bytes.len() as u64)?;
        member.write_all(bytes)?;
        member.finish()
    }

    /// Begins a member of `size` bytes, which are then written to what is returned.
    ///
    /// # Errors
    /// What the sink says; [`io::ErrorKind::InvalidInput`] for a name that is empty or over
    /// 32 KiB, or if the member before was not finished.
    pub fn begin(&mut self, name: &str, size: u64) -> io::Result<MemberWriter<'_, W>> {
        self.ready()?;
        let name_len = u16::try_from(name.len()).ok().filter(|len| (1..1 << 15).contains(len));
        let name_len = name_len.ok_or_else(|| invalid("a member's name has 1 to 32,767 bytes"))?;
        let at = self.at;
        let extra = local_extra(at, name.len() as u64, size, self.alignment);
        let mut head = Vec::with_capacity(name.len().saturating_add(256));
        head.extend_from_slice(b"PK\x03\x04\0\0");
        head.extend_from_slice(&flags(size).to_le_bytes());
        // Method, time, date, checksum and sizes: all of them 0.
        head.extend_from_slice(&[0; 18]);
        head.extend_from_slice(&name_len.to_le_bytes());
        head.extend_from_slice(&u16::try_from(extra.len()).unwrap_or_default().to_le_bytes());
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(&extra);
        self.open = true;
        self.put(&head)?;
        let entry = Entry { name: name.into(), size, crc: 0, at };
        Ok(MemberWriter { zip: self, entry, left: size, hasher: Hasher::new() })
    }

    /// Writes the directory. Returns the sink, flushed.
    ///
    /// # Errors
    /// What the sink says; [`io::ErrorKind::InvalidInput`] if the last member was not finished.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_directory()?;
        Ok(self.out)
    }

    /// As [`finish`](Self::finish), returning how many bytes were written in all.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_counted(mut self) -> io::Result<u64> {
        self.write_directory()?;
        Ok(self.at)
    }

    fn write_directory(&mut self) -> io::Result<()> {
        /// Bytes of the directory that are gathered before they are written.
        const GATHERED: usize = 64 << 10;
        self.ready()?;
        let (start, count) = (self.at, self.entries.len() as u64);
        let mut buffer = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            entry.central(&mut buffer);
            if buffer.len() >= GATHERED {
                self.put(&buffer)?;
                buffer.clear();
            }
        }
        self.put(&buffer)?;
        let end = end(start, self.at, count);
        self.put(&end)?;
        self.out.flush()
    }

    fn ready(&self) -> io::Result<()> {
        if self.open { Err(invalid("the member before was not finished")) } else { Ok(()) }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at = self.at.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

/// A member in the making. Dropped before [`finish`](Self::finish), it spoils the archive, which
/// then refuses to go on.
#[derive(Debug)]
pub struct MemberWriter<'zip, W> {
    zip: &'zip mut ZipWriter<W>,
    entry: Entry,
    /// Bytes announced and not written yet.
    left: u64,
    hasher: Hasher,
}

impl<W: Write> MemberWriter<'_, W> {
    /// Ends the member. Returns the CRC-32 of its data.
    ///
    /// # Errors
    /// What the sink says; [`io::ErrorKind::UnexpectedEof`] if fewer bytes were written than
    /// announced.
    pub fn finish(mut self) -> io::Result<u32> {
        if self.left > 0 {
            let why = format!("{} of {} bytes were not written", self.left, self.entry.size);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        self.entry.crc = self.hasher.finalize();
        let crc = self.entry.crc;
        let descriptor = self.entry.descriptor();
        self.zip.put(&descriptor)?;
        self.zip.entries.push(self.entry);
        self.zip.open = false;
        Ok(crc)
    }
}

impl<W: Write> Write for MemberWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(invalid("more bytes than were announced"));
        }
        let written = self.zip.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.left = self.left.saturating_sub(written as u64);
        self.zip.at = self.zip.at.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.out.flush()
    }
}

/// Bytes that an archive of these members takes, each given by the length of its name and the
/// size of its data.
#[must_use]
pub fn zip_len(members: impl IntoIterator<Item = (u64, u64)>, alignment: u64) -> u64 {
    let (mut at, mut directory) = (0_u64, 0_u64);
    for (name, size) in members {
        let extra = local_extra(at, name, size, alignment).len() as u64;
        let central = zip64(size, size, at).len() as u64;
        let descriptor = descriptor_len(size, at);
        directory = [CENTRAL_LEN, name, central].into_iter().fold(directory, u64::saturating_add);
        at = [LOCAL_LEN, name, extra, size, descriptor].into_iter().fold(at, u64::saturating_add);
    }
    at.saturating_add(directory).saturating_add(END_LEN)
}

const CENTRAL_LEN: u64 = 46;
/// Both END records and the zip64 locator.
const END_LEN: u64 = 98;

impl Entry {
    /// What stands behind the data: none if there are none.
    fn descriptor(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match descriptor_len(self.size, self.at) {
            0 => return out,
            len => {
                out.extend_from_slice(b"PK\x07\x08");
                out.extend_from_slice(&self.crc.to_le_bytes());
                for _ in 0..2 {
                    let size = self.size.to_le_bytes();
                    out.extend_from_slice(
                        size.get(..if len > 16 { 8 } else { 4 }).unwrap_or(&size),
                    );
                }
            }
        }
        out
    }

    fn central(&self, out: &mut Vec<u8>) {
        let extra = zip64(self.size, self.size, self.at);
        out.extend_from_slice(b"PK\x01\x02\0\0\0\0");
        out.extend_from_slice(&flags(self.size).to_le_bytes());
        // Method, time and date.
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&low(self.size));
        out.extend_from_slice(&low(self.size));
        out.extend_from_slice(&u16::try_from(self.name.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&u16::try_from(extra.len()).unwrap_or(u16::MAX).to_le_bytes());
        // Comment, disk and attributes.
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&low(self.at));
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&extra);
    }
}

const fn flags(size: u64) -> u16 {
    if size > 0 { UTF8 | DESCRIPTOR } else { UTF8 }
}

const fn descriptor_len(size: u64, at: u64) -> u64 {
    match (size, size >= ONES || at >= ONES) {
        (0, _) => 0,
        (_, false) => 16,
        (_, true) => 24,
    }
}

/// The 32 bits of a field; all ones where a zip64 field has the value.
fn low(value: u64) -> [u8; 4] {
    u32::try_from(value.min(ONES)).unwrap_or(u32::MAX).to_le_bytes()
}

/// The zip64 extra field, if one is needed.
fn zip64(size: u64, compressed: u64, at: u64) -> Vec<u8> {
    let mut values = Vec::new();
    if size >= ONES {
        values.extend_from_slice(&size.to_le_bytes());
        values.extend_from_slice(&compressed.to_le_bytes());
    }
    if at >= ONES {
        values.extend_from_slice(&at.to_le_bytes());
    }
    if values.is_empty() {
        return values;
    }
    let mut field = vec![1, 0, u8::try_from(values.len()).unwrap_or_default(), 0];
    field.append(&mut values);
    field
}

/// Extra fields of a local header: zip64 if needed, then what moves the data to a boundary.
fn local_extra(at: u64, name: u64, size: u64, alignment: u64) -> Vec<u8> {
    /// Identifier and length of a field.
    const HEAD: u64 = 4;
    // What follows the data says their compressed size; miniz leaves it 0 here.
    let mut extra = zip64(size, 0, at);
    let fixed = [LOCAL_LEN, name, extra.len() as u64, HEAD];
    let start = fixed.into_iter().fold(at, u64::saturating_add);
    let room = start.checked_next_multiple_of(alignment).unwrap_or(start).saturating_sub(start);
    // At most the alignment, which 16 bits can say.
    let room = u16::try_from(room).unwrap_or_default();
    extra.extend_from_slice(b"FB");
    extra.extend_from_slice(&room.to_le_bytes());
    extra.resize(extra.len().saturating_add(room.into()), b'Z');
    extra
}

/// The zip64 END record, its locator, and the END record.
fn end(start: u64, end: u64, count: u64) -> Vec<u8> {
    let size = end.saturating_sub(start);
    let mut out = Vec::with_capacity(98);
    out.extend_from_slice(b"PK\x06\x06");
    // What follows of this record; written by (Unix, 3.0); to be read by 4.5.
    out.extend_from_slice(&44_u64.to_le_bytes());
    out.extend_from_slice(&[0x1e, 3, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [count, count, size, start] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    out.extend_from_slice(&end.to_le_bytes());
    out.extend_from_slice(&1_u32.to_le_bytes());
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    out.extend_from_slice(&count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&low(size));
    out.extend_from_slice(&low(start));
    out.extend_from_slice(&[0; 2]);
    out
}

#[cold]
fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
