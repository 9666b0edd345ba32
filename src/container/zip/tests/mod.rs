//! Archives built byte by byte, so that every lie can be told.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

mod damage;
mod directory;
mod reading;
mod recovery;

use std::io::{Cursor, Write};
use std::sync::Mutex;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::base::{Category, Limits};
use crate::container::Disagreement;

/// One member, and what its two headers say about it.
#[derive(Clone)]
struct Part {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    /// As they stand in the archive.
    data: Vec<u8>,
    /// What the directory says.
    size: u64,
    compressed: u64,
    crc: u32,
    method: u16,
    flags: u16,
    disk: u16,
    extra: Vec<u8>,
    comment: Vec<u8>,
    header_at: Option<u32>,
    /// What the local header says.
    local_method: u16,
    local_flags: u16,
    local_sizes: (u32, u32),
    local_extra: Vec<u8>,
    descriptor: Vec<u8>,
}

fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 }
        })
    })
}

fn stored(name: &str, data: &[u8]) -> Part {
    let len = u32::try_from(data.len()).unwrap();
    Part {
        name: name.into(),
        local_name: None,
        data: data.into(),
        size: len.into(),
        compressed: len.into(),
        crc: crc(data),
        method: 0,
        flags: 0,
        disk: 0,
        extra: vec![],
        comment: vec![],
        header_at: None,
        local_method: 0,
        local_flags: 0,
        local_sizes: (len, len),
        local_extra: vec![],
        descriptor: vec![],
    }
}

/// One deflate block that compresses nothing.
fn deflated(name: &str, data: &[u8]) -> Part {
    let len = u16::try_from(data.len()).unwrap();
    let block = [&[1][..], &len.to_le_bytes(), &(!len).to_le_bytes(), data].concat();
    Part {
        method: 8,
        local_method: 8,
        compressed: block.len() as u64,
        local_sizes: (u32::try_from(block.len()).unwrap(), len.into()),
        data: block,
        ..stored(name, data)
    }
}

/// As torch writes them: flags 3 and 11, sizes behind the data, aligned by an `FB` field.
fn torch(name: &str, data: &[u8], at: usize) -> Part {
    let before = at + 30 + name.len() + 4;
    let padding = before.next_multiple_of(64) - before;
    let part = stored(name, data);
    let len = u32::try_from(data.len()).unwrap().to_le_bytes();
    Part {
        flags: 0x808,
        local_flags: 0x808,
        local_sizes: (0, 0),
        local_extra: [
            b"FB",
            &u16::try_from(padding).unwrap().to_le_bytes()[..],
            &vec![b'Z'; padding],
        ]
        .concat(),
        descriptor: [b"PK\x07\x08", &part.crc.to_le_bytes()[..], &len, &len].concat(),
        ..part
    }
}

/// What the END records say; `None`: the truth.
#[derive(Clone, Default)]
struct Close {
    zip64: bool,
    /// Bytes between directory and END records.
    gap: Vec<u8>,
    /// Added to what the END record says of the number of entries, the size and the offset.
    count: i16,
    size: i32,
    at: i32,
    disk: u16,
    comment: Vec<u8>,
    comment_len: Option<u16>,
    after: Vec<u8>,
}

impl Part {
    fn local(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut out = b"PK\x03\x04\0\0".to_vec();
        for field in [self.local_flags, self.local_method, 0, 0] {
            out.extend(field.to_le_bytes());
        }
        for field in [self.crc, self.local_sizes.0, self.local_sizes.1] {
            out.extend(field.to_le_bytes());
        }
        for len in [name.len(), self.local_extra.len()] {
            out.extend(u16::try_from(len).unwrap().to_le_bytes());
        }
        [out, name.clone(), self.local_extra.clone(), self.data.clone(), self.descriptor.clone()]
            .concat()
    }

    fn entry(&self, at: u32) -> Vec<u8> {
        let narrow = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        let mut out = b"PK\x01\x02\0\0\0\0".to_vec();
        for field in [self.flags, self.method, 0, 0] {
            out.extend(field.to_le_bytes());
        }
        for field in [self.crc, narrow(self.compressed), narrow(self.size)] {
            out.extend(field.to_le_bytes());
        }
        for len in [self.name.len(), self.extra.len(), self.comment.len()] {
            out.extend(u16::try_from(len).unwrap().to_le_bytes());
        }
        out.extend(self.disk.to_le_bytes());
        out.extend([0; 6]);
        out.extend(self.header_at.unwrap_or(at).to_le_bytes());
        [out, self.name.clone(), self.extra.clone(), self.comment.clone()].concat()
    }
}

fn archive_after(prefix: &[u8], parts: &[Part], close: &Close) -> Vec<u8> {
    let mut out = prefix.to_vec();
    let mut directory = vec![];
    for part in parts {
        directory.extend(part.entry(u32::try_from(out.len()).unwrap()));
        out.extend(part.local());
    }
    let (at, size) = (u32::try_from(out.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    let count = u16::try_from(parts.len()).unwrap();
    out.extend(directory);
    out.extend(&close.gap);
    if close.zip64 {
        let here = out.len() as u64;
        out.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x1e\x03-\0\0\0\0\0\0\0\0\0");
        for field in [count.into(), count.into(), size.into(), u64::from(at)] {
            out.extend(field.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(here.to_le_bytes());
        out.extend([1, 0, 0, 0]);
    }
    out.extend(b"PK\x05\x06");
    let told = count.wrapping_add_signed(close.count);
    for field in [close.disk, close.disk, told, told] {
        out.extend(field.to_le_bytes());
    }
    out.extend(size.wrapping_add_signed(close.size).to_le_bytes());
    out.extend(at.wrapping_add_signed(close.at).to_le_bytes());
    let comment = close.comment_len.unwrap_or(u16::try_from(close.comment.len()).unwrap());
    out.extend(comment.to_le_bytes());
    [out, close.comment.clone(), close.after.clone()].concat()
}

fn archive(parts: &[Part]) -> Vec<u8> {
    archive_after(b"", parts, &Close::default())
}

fn open(bytes: &[u8]) -> Result<Zip, Error> {
    Zip::open(&source(bytes), &mut Budget::default())
}

fn source(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn read(bytes: &[u8], name: &str) -> Result<Bytes, Error> {
    let zip = open(bytes)?;
    let member = zip.find(name.as_bytes())?.expect("present");
    zip.read(&source(bytes), member, &mut Budget::default())
}

/// What reading gives, whatever the sizes.
fn read_even(bytes: &[u8], name: &str) -> Result<LocalHeader, Error> {
    let zip = open(bytes)?;
    zip.local_header(&source(bytes), zip.find(name.as_bytes())?.unwrap())
}

/// The kind and the place of an error.
fn wrong<T>(outcome: Result<T, Error>) -> (String, u64) {
    let Err(why) = outcome else { panic!("an error was due") };
    (format!("{:?}", why.kind()), why.offset().0)
}

fn findings(bytes: &[u8]) -> Vec<(String, u64)> {
    let zip = open(bytes).unwrap();
    zip.findings().iter().map(|it| (format!("{:?}", it.oddity), it.at.0)).collect()
}

fn find(bytes: &[u8], needle: &[u8]) -> u64 {
    bytes.windows(needle.len()).position(|it| it == needle).unwrap() as u64
}

/// Counts reads, and lends nothing.
struct Counting {
    bytes: Bytes,
    reads: Mutex<Vec<(u64, usize)>>,
}

impl Source for Counting {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.reads.lock().unwrap().push((at, into.len()));
        self.bytes.read_at(at, into)
    }
}

fn zip64_field(values: &[u64]) -> Vec<u8> {
    let len = u16::try_from(values.len() * 8).unwrap();
    let values = values.iter().flat_map(|value| value.to_le_bytes());
    [1_u16.to_le_bytes(), len.to_le_bytes()].concat().into_iter().chain(values).collect()
}

fn specimen() -> Vec<u8> {
    let parts = [
        torch("m/data.pkl", b"pickled", 0),
        deflated("m/code.py", b"text text"),
        Part {
            extra: zip64_field(&[5, 5]),
            size: u64::MAX,
            compressed: u64::MAX,
            ..stored("m/0", b"01234")
        },
        stored("m/M", b""),
    ];
    archive_after(b"", &parts, &Close { zip64: true, comment: b"hi".into(), ..Close::default() })
}
