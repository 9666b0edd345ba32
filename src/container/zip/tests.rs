//! Archives built byte by byte, so that every lie can be told.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

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

#[test]
fn sizes() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Entry>(), 48);
}

#[test]
fn small_archive_lists_and_reads() {
    let bytes = archive(&[stored("a/data.pkl", b"pickle"), deflated("a/code", b"text")]);
    let zip = open(&bytes).unwrap();
    assert_eq!(zip.findings(), []);
    let members: Vec<_> = zip.members().collect();
    assert_eq!(members.iter().map(Member::name).collect::<Vec<_>>(), ["a/data.pkl", "a/code"]);
    assert_eq!(members[1].method(), Method::Deflated);
    assert_eq!((members[1].size(), members[1].compressed_size()), (4, 9));
    assert_eq!(zip.member(members[1].id()).unwrap().name_bytes(), b"a/code");
    assert_eq!(members[0].entry_offset(), zip.directory().at);
    assert!(zip.member(MemberId(2)).is_none());
    assert_eq!(zip.find(b"a/data.pkl").unwrap().unwrap().id(), MemberId(0));
    assert!(zip.find(b"a/data").unwrap().is_none());
    assert_eq!(read(&bytes, "a/data.pkl").unwrap(), "pickle");
    assert_eq!(read(&bytes, "a/code").unwrap(), "text");
    assert_eq!(format!("{:?}", members[0]), "`a/data.pkl` (Stored, 6 bytes)");
}

#[test]
fn every_root_length_in_torchs_layout() {
    for len in 1..=64 {
        let root = "r".repeat(len);
        let mut parts: Vec<Part> = vec![];
        let names = ["data.pkl", ".format_version", "data/0", "data/1", "version"];
        for (index, name) in names.iter().enumerate() {
            let at = parts.iter().map(|part| part.local().len()).sum();
            let data = vec![b'0' + u8::try_from(index).unwrap(); 10 * index + len];
            parts.push(torch(&format!("{root}/{name}"), &data, at));
        }
        let bytes = archive_after(b"", &parts, &Close { zip64: true, ..Close::default() });
        let zip = open(&bytes).unwrap();
        assert_eq!(zip.findings(), []);
        let source = source(&bytes);
        for part in &parts {
            let member = zip.find(&part.name).unwrap().unwrap();
            let data = zip.locate(&source, member).unwrap();
            assert_eq!(data.at.0 % 64, 0);
            assert_eq!(zip.lend(&source, member).unwrap().unwrap(), part.data);
            zip.check_crc(&source, member, &Limits::default()).unwrap();
        }
    }
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

#[test]
fn many_members_cost_two_reads_and_each_lookup_one() {
    let parts: Vec<_> = (0..50_000).map(|key| stored(&format!("m/data/{key}"), b"1234")).collect();
    let bytes = archive(&parts);
    let source = Counting { bytes: bytes.into(), reads: Mutex::default() };
    let mut budget = Budget::default();
    let zip = Zip::open(&source, &mut budget).unwrap();
    assert_eq!(zip.members().len(), 50_000);
    let reads = std::mem::take(&mut *source.reads.lock().unwrap());
    assert_eq!(reads.len(), 2);
    assert_eq!(reads[1], (zip.directory().at.0, usize::try_from(zip.directory().len).unwrap()));
    assert!(budget.memory_taken() < zip.directory().len + 50_000 * 150);
    let member = zip.find(b"m/data/49999").unwrap().unwrap();
    let data = zip.locate(&source, member).unwrap();
    assert_eq!(source.reads.lock().unwrap().len(), 1);
    assert_eq!(&source.bytes[usize::try_from(data.at.0).unwrap()..][..4], b"1234");
    assert_eq!(zip.lend(&source, member).unwrap(), None);
}

/// Zeros, with a few bytes among them.
struct Sparse {
    len: u64,
    parts: Vec<(u64, Vec<u8>)>,
}

impl Source for Sparse {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        for (byte, at) in into.iter_mut().zip(at..) {
            let part = self.parts.iter().find_map(|(start, bytes)| {
                bytes.get(usize::try_from(at.checked_sub(*start)?).ok()?)
            });
            *byte = part.copied().unwrap_or_default();
        }
        Ok(())
    }
}

fn zip64_field(values: &[u64]) -> Vec<u8> {
    let len = u16::try_from(values.len() * 8).unwrap();
    let values = values.iter().flat_map(|value| value.to_le_bytes());
    [1_u16.to_le_bytes(), len.to_le_bytes()].concat().into_iter().chain(values).collect()
}

/// As torch 2.15 writes 5 GiB: local zip64 fields beside sizes of zero, the directory's offset
/// only in the zip64 END record.
#[test]
fn five_gibibytes_by_torch() {
    let big = 5 << 30;
    let first = Part {
        size: big,
        compressed: big,
        extra: zip64_field(&[big, big]),
        local_extra: zip64_field(&[big, big]),
        ..torch("archive/data/1", b"", 0)
    };
    let mut head = first.local();
    head.truncate(head.len() - first.descriptor.len());
    let second_at = head.len() as u64 + big + 24;
    let second = Part {
        header_at: Some(u32::MAX),
        extra: zip64_field(&[second_at]),
        local_extra: zip64_field(&[second_at]),
        ..torch("archive/version", b"3\n", 0)
    };
    let directory_at = second_at + second.local().len() as u64;
    let directory = [first.entry(0), second.entry(0)].concat();
    let records_at = directory_at + directory.len() as u64;
    let mut tail = [second.local(), directory.clone()].concat();
    tail.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x1e\x03-\0\0\0\0\0\0\0\0\0");
    for field in [2, 2, directory.len() as u64, directory_at] {
        tail.extend(field.to_le_bytes());
    }
    tail.extend(b"PK\x06\x07\0\0\0\0");
    tail.extend(records_at.to_le_bytes());
    tail.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0\x02\0\x02\0");
    tail.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    tail.extend(b"\xff\xff\xff\xff\0\0");
    let source = Sparse {
        len: second_at + tail.len() as u64,
        parts: vec![(0, head.clone()), (second_at, tail)],
    };
    let zip = Zip::open(&source, &mut Budget::default()).unwrap();
    assert_eq!(zip.findings(), []);
    let member = zip.find(b"archive/data/1").unwrap().unwrap();
    let data = Extent { at: FileOffset(head.len() as u64), len: big };
    assert_eq!(zip.locate(&source, member).unwrap(), data);
    let member = zip.find(b"archive/version").unwrap().unwrap();
    assert_eq!(zip.read(&source, member, &mut Budget::default()).unwrap(), "3\n");
}

#[test]
fn zip64_sizes_are_compared_where_the_local_header_has_them() {
    let honest = Part {
        local_sizes: (u32::MAX, u32::MAX),
        local_extra: zip64_field(&[4, 4]),
        ..stored("a", b"1234")
    };
    assert_eq!(read(&archive(std::slice::from_ref(&honest)), "a").unwrap(), "1234");
    let liar = Part { local_extra: zip64_field(&[4, 5]), ..honest.clone() };
    assert_eq!(wrong(read(&archive(&[liar]), "a")), ("Local(Size)".into(), 0));
    let short = Part { local_extra: zip64_field(&[4]), ..honest };
    assert_eq!(wrong(read(&archive(&[short]), "a")), ("Zip64Extra".into(), 0));
}

#[test]
fn a_directory_entry_without_its_zip64_values() {
    let part = Part { size: u64::MAX, extra: zip64_field(&[]), ..stored("a", b"1234") };
    let bytes = archive(&[part]);
    let at = find(&bytes, b"PK\x01\x02");
    let why = open(&bytes).unwrap_err();
    assert_eq!(why.member(), Some(&b"a"[..]));
    assert_eq!(wrong::<Zip>(Err(why)), ("Zip64Extra".into(), at));
}

#[test]
fn every_prefix_is_truncated() {
    let bytes = archive(&[stored("a", b"data")]);
    for len in 0..bytes.len() {
        let kind = if len < 4 { ("NotZip".into(), 0) } else { ("Truncated".into(), len as u64) };
        assert_eq!(wrong(open(&bytes[..len])), kind, "{len}");
    }
    assert_eq!(
        open(&bytes[..20]).unwrap_err().to_string(),
        "the archive ends early: its END record is missing at byte 20 (0x14); \
         the file was cut off: download or copy it again"
    );
    let pickle = open(b"\x80\x02}.").unwrap_err();
    assert_eq!(pickle.category(), Category::Malformed);
    assert_eq!(wrong::<Zip>(Err(pickle)), ("NotZip".into(), 0));
}

#[test]
fn bytes_missing_in_the_middle() {
    let bytes = archive(&[stored("a", &[7; 100])]);
    let end = find(&bytes, b"PK\x05\x06");
    let cut = [&bytes[..50], &bytes[60..]].concat();
    assert_eq!(wrong(open(&cut)), ("DirectoryOutside(10)".into(), end - 10));
}

#[test]
fn the_directory_is_where_the_end_record_says() {
    let parts = [stored("a", b"data")];
    let bytes = archive(&parts);
    let directory = find(&bytes, b"PK\x01\x02");
    let shifted = [b"#!/bin/sh\n", &bytes[..]].concat();
    assert_eq!(wrong(open(&shifted)), ("DirectoryElsewhere(10)".into(), directory));
    let early = archive_after(b"", &parts, &Close { at: -1, ..Close::default() });
    assert_eq!(wrong(open(&early)), ("DirectoryElsewhere(1)".into(), directory - 1));
    let short = archive_after(b"", &parts, &Close { size: -1, ..Close::default() });
    let ended = "Ended { record: \"directory entry\", left: 46 }";
    assert_eq!(wrong(open(&short)), (ended.into(), directory));
    let far = archive_after(b"", &parts, &Close { at: -30, size: 30, ..Close::default() });
    let found = "Signature { record: \"directory entry\", found: 0 }";
    assert_eq!(wrong(open(&far)), (found.into(), directory - 30));
}

#[test]
fn counts_must_be_true() {
    let parts = [stored("a", b"1"), stored("b", b"2")];
    for (by, told) in [(1, 3), (-1, 1), (100, 102)] {
        let bytes = archive_after(b"", &parts, &Close { count: by, ..Close::default() });
        let end = find(&bytes, b"PK\x05\x06");
        let kind = format!("Count {{ told: {told}, found: 2 }}");
        assert_eq!(wrong(open(&bytes)), (kind, end));
    }
    let none = archive_after(b"", &[], &Close { count: 1, ..Close::default() });
    assert_eq!(wrong(open(&none)), ("Count { told: 1, found: 0 }".into(), 0));
}

#[test]
fn several_disks() {
    let part = stored("a", b"1");
    let close = Close { disk: 1, ..Close::default() };
    let bytes = archive_after(b"", std::slice::from_ref(&part), &close);
    let why = open(&bytes).unwrap_err();
    assert_eq!(why.category(), Category::Unsupported);
    assert_eq!(wrong::<Zip>(Err(why)), ("MultiDisk".into(), find(&bytes, b"PK\x05\x06")));
    let bytes = archive(&[Part { disk: 1, ..part }]);
    assert_eq!(wrong(open(&bytes)), ("MultiDisk".into(), find(&bytes, b"PK\x01\x02")));
    let mut bytes = archive_after(b"", &[], &Close { zip64: true, ..Close::default() });
    let locator = find(&bytes, b"PK\x06\x07");
    bytes[usize::try_from(locator).unwrap() + 16] = 2;
    assert_eq!(wrong(open(&bytes)), ("MultiDisk".into(), locator));
}

#[test]
fn zip64_records_that_lie() {
    let zip64 = Close { zip64: true, ..Close::default() };
    let honest = archive_after(b"", &[stored("a", b"1")], &zip64);
    let (record, locator) = (find(&honest, b"PK\x06\x06"), find(&honest, b"PK\x06\x07"));
    let patched = |at: u64, by: usize, value: &[u8]| {
        let mut bytes = honest.clone();
        let at = usize::try_from(at).unwrap() + by;
        bytes[at..at + value.len()].copy_from_slice(value);
        wrong(open(&bytes))
    };
    let ended = |left: u64| format!("Ended {{ record: \"zip64 END record\", left: {left} }}");
    // The locator points past itself, past the file, to itself, before the record.
    for at in [u64::MAX, locator + 1, locator, locator - 55] {
        let left = locator.saturating_sub(at);
        assert_eq!(patched(locator, 8, &at.to_le_bytes()), (ended(left), at));
    }
    let found = "Signature { record: \"zip64 END record\", found: 67324752 }";
    assert_eq!(patched(locator, 8, &[0; 8]), (found.into(), 0));
    // The record's length.
    assert_eq!(patched(record, 4, &[43]), (ended(56), record));
    assert_eq!(patched(record, 4, &[45]), (ended(56), record));
    assert_eq!(patched(record, 4, &[0xff; 8]), (ended(56), record));
    let disagree = |field, end: u64, zip64: u64| {
        (format!("EndRecordsDisagree {{ field: {field:?}, end: {end}, zip64: {zip64} }}"), record)
    };
    assert_eq!(patched(record, 32, &[9]), disagree("number of entries", 1, 9));
    assert_eq!(patched(record, 40, &[9]), disagree("directory's size", 47, 9));
    assert_eq!(patched(record, 48, &[9]), disagree("directory's offset", 32, 9));
    assert_eq!(patched(record, 16, &[9]), disagree("disk", 0, 9));
    // All ones in the END record leave the value to the zip64 record.
    let end = find(&honest, b"PK\x05\x06");
    let mut bytes = honest.clone();
    bytes[usize::try_from(end).unwrap() + 8..][..12].fill(0xff);
    assert_eq!(open(&bytes).unwrap().members().len(), 1);
    bytes[usize::try_from(record).unwrap() + 48..][..8].fill(0xff);
    assert_eq!(wrong(open(&bytes)), (format!("DirectoryOutside({})", u64::MAX - record), end));
    bytes[usize::try_from(record).unwrap() + 24..][..16].fill(0xff);
    assert_eq!(wrong(open(&bytes)).1, end);
}

#[test]
fn limits_are_met_before_memory_is_taken() {
    let bytes = archive(&[stored("a", b"1"), stored("b", b"2")]);
    let end = find(&bytes, b"PK\x05\x06");
    let limits = Limits { members: 1, ..Limits::default() };
    let why = Zip::open(&source(&bytes), &mut Budget::new(limits)).unwrap_err();
    assert_eq!((why.category(), why.offset().0), (Category::OverLimit, end));
    for memory in 0..300 {
        let mut budget = Budget::new(Limits::default().with_memory(memory));
        match Zip::open(&source(&bytes), &mut budget) {
            Ok(_) => assert!(memory > 200),
            Err(why) => assert_eq!(why.category(), Category::OverLimit),
        }
    }
}

#[test]
fn duplicates_and_case() {
    let part = |name| stored(name, b"1");
    let bytes = archive(&[part("a/x"), part("a/y"), part("a/x"), part("a/Y"), part("a/Z")]);
    let zip = open(&bytes).unwrap();
    let entry = |id| zip.member(MemberId(id)).unwrap().entry_offset().0;
    assert_eq!(findings(&bytes), [("Duplicate".into(), entry(2)), ("Duplicate".into(), entry(3))]);
    assert_eq!(zip.findings()[0].member.as_deref(), Some(&b"a/x"[..]));
    for (name, id) in [("a/x", 0), ("a/X", 0), ("a/y", 1), ("a/Y", 1), ("a/z", 4)] {
        let why = zip.find(name.as_bytes()).unwrap_err();
        assert_eq!(why.member().unwrap(), zip.member(MemberId(id)).unwrap().name_bytes());
        assert_eq!(wrong::<Zip>(Err(why)), ("Ambiguous".into(), entry(id)), "{name}");
    }
    assert!(zip.find(b"a/Z").unwrap().is_some());
    assert_eq!(
        zip.find(b"a/x").unwrap_err().to_string(),
        format!(
            "readers disagree on which member has this name at byte {at} ({at:#x}), member `a/x`; \
             PyTorch ignores case and may take any of them: the file was made to deceive",
            at = entry(0)
        )
    );
}

#[test]
fn many_duplicates_take_linear_time() {
    let parts = vec![stored("same", b""); 60_000];
    let bytes = archive(&parts);
    let start = std::time::Instant::now();
    assert_eq!(open(&bytes).unwrap().findings().len(), 59_999);
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn overlaps() {
    let mut parts = vec![stored("a", b"12345678"), stored("b", b"1"), stored("c", b"2")];
    parts[0].compressed = 60;
    parts[0].size = 60;
    let bytes = archive(&parts);
    assert_eq!(
        findings(&bytes),
        [("Overlap(FileOffset(0))".into(), 39), ("Overlap(FileOffset(0))".into(), 71)]
    );
    parts[0].compressed = 1000;
    let bytes = archive(&parts);
    let directory = find(&bytes, b"PK\x01\x02");
    let found = findings(&bytes);
    assert_eq!(found[0].0, "StoredSizes { compressed: 1000, size: 60 }");
    assert_eq!(found[1], (format!("Outside({})", 1031 - directory), 0));
    parts[0].header_at = Some(u32::MAX);
    let bytes = archive(&parts);
    assert!(findings(&bytes).contains(&(format!("Prefix({})", 39), 0)));
    assert_eq!(wrong(read_even(&bytes, "a")).1, u64::from(u32::MAX));
}

/// What reading gives, whatever the sizes.
fn read_even(bytes: &[u8], name: &str) -> Result<LocalHeader, Error> {
    let zip = open(bytes)?;
    zip.local_header(&source(bytes), zip.find(name.as_bytes())?.unwrap())
}

#[test]
fn data_that_reach_into_the_directory() {
    let mut part = stored("a", b"1234");
    (part.size, part.compressed, part.local_sizes) = (9, 9, (9, 9));
    let bytes = archive(std::slice::from_ref(&part));
    assert_eq!(wrong(read(&bytes, "a")), ("DataOutside(5)".into(), 0));
    part.size = u64::MAX;
    part.compressed = u64::MAX;
    part.extra = zip64_field(&[u64::MAX, u64::MAX]);
    let kind = format!("DataOutside({})", u64::MAX - 35);
    assert_eq!(wrong(read(&archive(&[part]), "a")), (kind, 0));
}

#[test]
fn header_offsets_that_lead_nowhere() {
    let part = Part { header_at: Some(35), ..stored("a", b"1234") };
    let bytes = archive(std::slice::from_ref(&part));
    let ended = |left| format!("Ended {{ record: \"local header\", left: {left} }}");
    assert_eq!(wrong(read(&bytes, "a")), (ended(0), 35));
    let bytes = archive(&[Part { header_at: Some(34), ..part.clone() }]);
    assert_eq!(wrong(read(&bytes, "a")), (ended(1), 34));
    let long = Part { header_at: Some(1), ..stored("a", &[0; 100]) };
    let signature = "Signature { record: \"local header\", found: 67322 }";
    assert_eq!(wrong(read(&archive(&[long]), "a")).0[..33], signature[..33]);
    let far = Part { header_at: Some(u32::MAX), extra: zip64_field(&[u64::MAX]), ..part };
    assert_eq!(wrong(read(&archive(&[far]), "a")), (ended(0), u64::MAX));
}

#[test]
fn headers_that_disagree() {
    let honest = stored("dir/a", b"1234");
    let cases = [
        (Part { local_name: Some(b"dir/b".to_vec()), ..honest.clone() }, Disagreement::Name),
        (Part { local_name: Some(b"dir/ab".to_vec()), ..honest.clone() }, Disagreement::Name),
        (Part { local_name: Some(b"".to_vec()), ..honest.clone() }, Disagreement::Name),
        (Part { local_method: 8, ..honest.clone() }, Disagreement::Method),
        (Part { local_sizes: (5, 4), ..honest.clone() }, Disagreement::Size),
        (Part { local_sizes: (4, 5), ..honest.clone() }, Disagreement::Size),
        (Part { local_flags: 1, ..honest.clone() }, Disagreement::Flags),
        (Part { local_flags: 0x20, ..honest.clone() }, Disagreement::Flags),
        (Part { local_flags: 0x2000, ..honest.clone() }, Disagreement::Flags),
    ];
    for (part, what) in cases {
        let bytes = archive(&[part]);
        let zip = open(&bytes).unwrap();
        let (source, member) = (source(&bytes), zip.members().next().unwrap());
        assert_eq!(wrong(zip.locate(&source, member)), (format!("Local({what:?})"), 0));
        let header = zip.local_header(&source, member).unwrap();
        assert_eq!(header.disagreements, [what]);
        let data = zip.read_at(&source, member, header.data, &mut Budget::default()).unwrap();
        assert_eq!(data, "1234");
    }
    // Sizes behind the data may be anything before it; reserved flags mean nothing.
    let late = Part { local_sizes: (0, 9), local_flags: 0x808, ..honest };
    assert_eq!(read(&archive(&[late]), "dir/a").unwrap(), "1234");
}

#[test]
fn what_cannot_be_read() {
    let honest = stored("a", b"1234");
    let sizes = "StoredSizes { compressed: 4, size: 5 }";
    let cases = [
        (Part { flags: 1, ..honest.clone() }, "Flags(1)", Category::Unsupported),
        (Part { flags: 0x820, ..honest.clone() }, "Flags(32)", Category::Unsupported),
        (Part { flags: 0x40, ..honest.clone() }, "Flags(64)", Category::Unsupported),
        (Part { flags: 0x2000, ..honest.clone() }, "Flags(8192)", Category::Unsupported),
        (Part { method: 93, ..honest.clone() }, "Method(93)", Category::Unsupported),
        (Part { size: 5, ..honest.clone() }, sizes, Category::Malformed),
    ];
    for (part, kind, category) in cases {
        let bytes = archive(&[stored("first", b""), part]);
        let at = open(&bytes).unwrap().members().nth(1).unwrap().entry_offset().0;
        let why = read(&bytes, "a").unwrap_err();
        assert_eq!((why.category(), why.member()), (category, Some(&b"a"[..])));
        assert_eq!(wrong::<Zip>(Err(why)), (kind.into(), at));
        assert_eq!(findings(&bytes), [(kind.into(), at)]);
        assert_eq!(read(&bytes, "first").unwrap(), "");
    }
}

#[test]
fn names_that_lead_astray() {
    let odd = ["", "a\\b", "/etc/passwd", "C:/x", "../x", "a/../b", "a/..", "a\0b"];
    for name in odd {
        let found = findings(&archive(&[stored(name, b"1")]));
        assert_eq!((found.len(), found[0].1), (1, 32 + name.len() as u64 - 1), "{name:?}");
        assert!(found[0].0.starts_with("Name("), "{found:?}");
    }
    for name in ["a..b/c", "a/...", "archive/.data/serialization_id", "a/", "é"] {
        assert_eq!(findings(&archive(&[stored(name, b"1")])), [], "{name:?}");
    }
    let other = [&[0x75, 0x70, 8, 0, 1, 0, 0, 0, 0][..], b"b/c"].concat();
    let bytes = archive(&[Part { extra: other, ..stored("a", b"1") }]);
    assert_eq!(findings(&bytes), [("OtherName([98, 47, 99])".into(), 32)]);
}

#[test]
fn bytes_before_between_and_after() {
    let parts = [stored("a", b"1")];
    let with = |close: &Close| archive_after(b"", &parts, close);
    assert_eq!(
        findings(&archive_after(b"junk", &parts, &Close::default())),
        [("Prefix(4)".into(), 0)]
    );
    let gap = Close { gap: vec![0; 5], ..Close::default() };
    assert_eq!(findings(&with(&gap)), [("Gap(5)".into(), 32 + 47)]);
    let gap = Close { zip64: true, ..gap };
    assert_eq!(findings(&with(&gap)), [("Gap(5)".into(), 32 + 47)]);
    let after = Close { after: vec![0; 5], ..Close::default() };
    assert_eq!(findings(&with(&after)), [("Trailing(5)".into(), 32 + 47 + 22)]);
    let cut = Close { comment_len: Some(5), ..Close::default() };
    assert_eq!(findings(&with(&cut)), [("CommentCut(5)".into(), 32 + 47)]);
    let comment = Close { comment: vec![b'x'; 65_535], ..Close::default() };
    assert_eq!(findings(&with(&comment)), []);
    let far = Close { after: vec![0; 65_536], ..Close::default() };
    // 76 bytes more are read than a comment can have.
    assert_eq!(findings(&with(&far)), [("Trailing(65536)".into(), 101)]);
    let too_far = Close { after: vec![0; 65_700], ..Close::default() };
    assert_eq!(wrong(open(&with(&too_far))).0, "Truncated");
}

#[test]
fn several_end_records() {
    let inner = archive(&[stored("inner", b"2")]);
    // An archive stored in an archive is no second reading of it.
    assert_eq!(findings(&archive(&[stored("a", &inner)])), []);
    // One in the comment is: PyTorch and Python take it.
    let bytes = archive_after(
        b"",
        &[stored("a", b"1")],
        &Close { comment: inner.clone(), ..Close::default() },
    );
    let kind = wrong(open(&bytes)).0;
    assert!(kind.starts_with("DirectoryElsewhere"), "{kind}");
    // Both are the same archive, ended twice.
    let parts = [stored("a", b"1")];
    let mut bytes =
        archive_after(b"", &parts, &Close { comment_len: Some(22), ..Close::default() });
    let end = bytes[bytes.len() - 22..].to_vec();
    bytes.extend([&end[..20], &[0, 0]].concat());
    assert_eq!(findings(&bytes), [("Gap(22)".into(), 79), ("SecondEnd".into(), 79)]);
}

#[test]
fn inflating_is_checked() {
    let honest = deflated("a", b"1234");
    let at = 31;
    let read = |part: Part| wrong(read(&archive(&[part]), "a"));
    let sized = |size: u32| Part { size: size.into(), local_sizes: (9, size), ..honest.clone() };
    assert_eq!(read(sized(3)), ("Long(3)".into(), at));
    assert_eq!(read(sized(5)), ("Short { told: 5, found: 4 }".into(), at));
    assert_eq!(read(sized(0)), ("Long(0)".into(), at));
    assert_eq!(read(Part { crc: 1, ..honest.clone() }), ("Crc(1)".into(), at));
    let mut broken = honest.clone();
    broken.data[0] = 7;
    let (kind, place) = read(broken);
    assert!(kind.starts_with("Inflate("), "{kind}");
    assert_eq!(place, at);
    let mut cut = honest.clone();
    cut.data.truncate(7);
    (cut.compressed, cut.local_sizes) = (7, (7, 4));
    assert_eq!(read(cut), ("Inflate(\"incomplete deflate stream\")".into(), at));
    let empty = Part { data: vec![3, 0], compressed: 2, local_sizes: (2, 0), ..deflated("a", b"") };
    assert_eq!(super::tests::read(&archive(&[empty]), "a").unwrap(), "");
}

#[test]
fn checksums_are_checked_when_asked() {
    let wrong_crc = Part { crc: 5, ..stored("a", b"1234") };
    let bytes = archive(&[wrong_crc, deflated("b", b"1234"), stored("c", &vec![1; 200_000])]);
    assert_eq!(read(&bytes, "a").unwrap(), "1234");
    let (zip, source) = (open(&bytes).unwrap(), source(&bytes));
    let check =
        |name: &[u8]| zip.check_crc(&source, zip.find(name).unwrap().unwrap(), &Limits::default());
    assert_eq!(wrong(check(b"a")), ("Crc(5)".into(), 31));
    check(b"b").unwrap();
    check(b"c").unwrap();
}

fn packed(name: &str, data: &[u8]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    writer.start_file(name, options).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn inflating_takes_what_comes_out() {
    let data: Vec<u8> = (0..3_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let bytes = packed("a", &data);
    let (zip, source) = (open(&bytes).unwrap(), source(&bytes));
    let member = zip.find(b"a").unwrap().unwrap();
    let mut budget = Budget::default();
    assert_eq!(zip.read(&source, member, &mut budget).unwrap(), data);
    assert_eq!(budget.memory_taken(), data.len() as u64);
    zip.check_crc(&source, member, &Limits::default()).unwrap();
    let mut small = Budget::new(Limits::default().with_memory(1 << 20));
    let why = zip.read(&source, member, &mut small).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit);
    assert!(small.memory_taken() <= 1 << 20);
    let limits = Limits { inflated: data.len() as u64 - 1, ..Limits::default() };
    let why = zip.check_crc(&source, member, &limits).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit);
    let mut budget = Budget::new(limits);
    let why = zip.read(&source, member, &mut budget).unwrap_err();
    assert_eq!((why.category(), budget.memory_taken()), (Category::OverLimit, 0));
}

/// A size announced costs nothing: 4 GiB by 9 bytes.
#[test]
fn sizes_announced_are_not_believed() {
    let liar = Part { size: 0xffff_0000, local_sizes: (9, 0xffff_0000), ..deflated("a", b"1234") };
    let bytes = archive(&[liar]);
    let zip = open(&bytes).unwrap();
    let mut budget = Budget::default();
    let member = zip.members().next().unwrap();
    let why = zip.read(&source(&bytes), member, &mut budget).unwrap_err();
    assert!(matches!(why.kind(), Kind::Short { found: 4, .. }), "{why}");
    assert!(budget.memory_taken() < 100);
}

/// Fails from one position on.
struct Failing(Bytes, u64);

impl Source for Failing {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        if at + into.len() as u64 > self.1 {
            return Err(io::Error::other("the disk is on fire"));
        }
        self.0.read_at(at, into)
    }
}

#[test]
fn systems_errors_say_what_was_read() {
    let bytes = archive(&[deflated("a", b"1234"), stored("b", b"5678")]);
    let zip = open(&bytes).unwrap();
    let len = bytes.len() as u64;
    let read = |name: &[u8], until| {
        let source = Failing(source(&bytes), until);
        zip.read(&source, zip.find(name).unwrap().unwrap(), &mut Budget::default())
            .unwrap_err()
            .to_string()
    };
    let fire = "the disk is on fire at byte";
    assert_eq!(read(b"a", 1), format!("cannot read the local header: {fire} 0 (0x0), member `a`"));
    assert_eq!(
        read(b"a", 31),
        format!("cannot read the member's data: {fire} 31 (0x1f), member `a`")
    );
    assert_eq!(
        read(b"b", 72),
        format!("cannot read the member's data: {fire} 71 (0x47), member `b`")
    );
    let why = Zip::open(&Failing(source(&bytes), 0), &mut Budget::default()).unwrap_err();
    assert_eq!((why.category(), why.offset().0), (Category::Io, len));
    assert!(std::error::Error::source(&why).is_some());
}

#[test]
fn names_are_escaped_and_cut_for_display() {
    let name = format!("\u{1b}[2J{}", "x".repeat(300));
    let bytes = archive(&[Part { flags: 1, ..stored(&name, b"1") }]);
    let text = read(&bytes, &name).unwrap_err().to_string();
    assert!(text.contains("member `\\u{1b}[2Jxxx") && text.contains("xxx…`"), "{text}");
    let finding = open(&bytes).unwrap().findings()[0].to_string();
    assert!(finding.starts_with("`\\u{1b}[2J") && finding.len() < 400, "{finding}");
}

#[test]
fn signs_of_zip() {
    let bytes = archive(&[stored("a", b"1")]);
    let signs = |bytes: &[u8]| {
        let source = source(bytes);
        (starts_as_zip(&source).unwrap(), is_zip(&source).unwrap())
    };
    assert_eq!(signs(&bytes), (true, true));
    assert_eq!(signs(&bytes[..30]), (true, true));
    assert_eq!(signs(&[b"junk", &bytes[..]].concat()), (false, true));
    assert_eq!(signs(&archive(&[])), (false, true));
    assert_eq!(signs(b"\x80\x02."), (false, false));
    assert_eq!(signs(b"PK\x03"), (false, false));
    assert_eq!(signs(b""), (false, false));
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

/// Whatever the bytes: no panic, and no range outside the file.
fn nothing_escapes(bytes: &[u8]) {
    let len = bytes.len() as u64;
    let source = source(bytes);
    let _ = is_zip(&source).unwrap();
    let zip = match open(bytes) {
        Ok(zip) => zip,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    assert!(zip.directory().end().0 <= len);
    for finding in zip.findings() {
        assert!(!finding.to_string().is_empty());
    }
    for member in zip.members() {
        let _ = zip.find(member.name_bytes()).map_err(|why| why.to_string());
        let _ = zip.check_crc(&source, member, &Limits::default()).map_err(|why| why.to_string());
        let Ok(header) = zip.local_header(&source, member) else { continue };
        assert!(header.data.end() <= zip.directory().at);
        let read = zip.read(&source, member, &mut Budget::default());
        assert!(read.is_err() || zip.locate(&source, member).unwrap() == header.data);
        assert!(read.is_err() || read.unwrap().len() as u64 == member.size());
        let _ = zip.read_at(&source, member, header.data, &mut Budget::default());
        let _ = zip.lend(&source, member);
    }
}

#[test]
fn specimen_is_read() {
    let bytes = specimen();
    let zip = open(&bytes).unwrap();
    assert_eq!(zip.findings(), []);
    for member in zip.members() {
        zip.check_crc(&source(&bytes), member, &Limits::default()).unwrap();
    }
}

#[test]
fn every_byte_changed_alone() {
    let bytes = specimen();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at].wrapping_add(1)] {
            let mut changed = bytes.clone();
            changed[at] = value;
            nothing_escapes(&changed);
        }
        nothing_escapes(&bytes[..at]);
        nothing_escapes(&bytes[at..]);
    }
}

proptest! {
    #[test]
    fn any_change_of_an_archive(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        moved in any::<prop::sample::Index>(),
        len in 0_usize..40,
    ) {
        let mut bytes = specimen();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let from = cut.index(bytes.len());
        let part: Vec<u8> = bytes.drain(from..(from + len).min(bytes.len())).collect();
        nothing_escapes(&bytes);
        let to = moved.index(bytes.len());
        bytes.splice(to..to, part);
        nothing_escapes(&bytes);
    }

    #[test]
    fn any_bytes(
        head in prop::collection::vec(any::<u8>(), 0..200),
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        nothing_escapes(&head);
        nothing_escapes(&[&head[..], b"PK\x05\x06", &tail[..]].concat());
        nothing_escapes(&[b"PK\x03\x04", &head[..], b"PK\x01\x02", &tail[..], &specimen()].concat());
    }
}

fn recover(bytes: &[u8]) -> Result<Zip, Error> {
    Zip::recover(&source(bytes), &mut Budget::default())
}

/// Names of the members that are whole, and of those that are not.
fn recovered(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let zip = recover(bytes).unwrap();
    let whole = zip.members().map(|member| {
        zip.check_crc(&source(bytes), member, &Limits::default()).unwrap();
        member.name().into_owned()
    });
    let lost = zip.recovery().unwrap().lost.iter();
    let lost = lost.map(|lost| String::from_utf8(lost.name.to_vec()).unwrap());
    (whole.collect(), lost.collect())
}

fn torchs(data: &[(&str, &[u8])]) -> Vec<Part> {
    let mut parts: Vec<Part> = vec![];
    for (name, data) in data {
        let at = parts.iter().map(|part| part.local().len()).sum();
        parts.push(torch(name, data, at));
    }
    parts
}

#[test]
fn what_is_cut_off_is_recovered_up_to_there() {
    let parts =
        torchs(&[("m/data.pkl", b"pickled"), ("m/data/0", &[7; 300]), ("m/version", b"3\n")]);
    let ends: Vec<usize> = (1..=parts.len())
        .map(|count| parts.iter().take(count).map(|part| part.local().len()).sum())
        .collect();
    let names = ["m/data.pkl", "m/data/0", "m/version"];
    let bytes = archive(&parts);
    for len in 31..=bytes.len() {
        let cut = &bytes[..len];
        let whole = ends.iter().filter(|&&end| end <= len).count();
        let Ok(zip) = recover(cut) else {
            assert!(len < 30 + 10 + 4 + 64, "{len}");
            continue;
        };
        let found: Vec<_> = zip.members().map(|member| member.name().into_owned()).collect();
        assert_eq!(found, names[..whole], "{len}");
        for member in zip.members() {
            zip.check_crc(&source(cut), member, &Limits::default()).unwrap();
            assert_eq!(member.entry_offset(), member.header_offset());
        }
        let recovery = zip.recovery().unwrap();
        assert!(recovery.lost.len() <= 1 && recovery.gaps.is_empty(), "{len}: {recovery:?}");
        for lost in &recovery.lost {
            assert_eq!(&*lost.name, names[whole].as_bytes());
            assert_eq!(lost.data.end().0, len as u64);
        }
        assert_eq!(recovery.directory.is_some(), whole == 3 && len >= ends[2] + 4, "{len}");
    }
}

#[test]
fn members_with_their_sizes_in_front_are_recovered() {
    let bytes = archive(&[stored("a", b"1234"), deflated("b", b"56"), stored("c", &[1; 99])]);
    assert_eq!(recovered(&bytes[..bytes.len() - 1]).0, ["a", "b", "c"]);
    let at = usize::try_from(find(&bytes, &[1; 99])).unwrap();
    let (whole, lost) = recovered(&bytes[..at + 98]);
    assert_eq!((whole, lost), (vec!["a".into(), "b".into()], vec!["c".into()]));
    let zip = recover(&bytes[..at + 98]).unwrap();
    let cut = &zip.recovery().unwrap().lost[0];
    assert_eq!((cut.told, cut.data.len), (Some(99), 98));
}

#[test]
fn what_is_damaged_hides_nothing_behind_it() {
    let parts = torchs(&[("m/a", &[1; 100]), ("m/b", &[2; 100]), ("m/c", &[3; 100])]);
    let bytes = archive(&parts);
    let second = usize::try_from(find(&bytes, b"m/b")).unwrap() - 30;
    // Its header overwritten: the bytes are a gap.
    let mut damaged = bytes.clone();
    damaged[second..second + 4].copy_from_slice(b"junk");
    let zip = recover(&damaged).unwrap();
    let names: Vec<_> = zip.members().map(|member| member.name().into_owned()).collect();
    assert_eq!(names, ["m/a", "m/c"]);
    assert_eq!(zip.recovery().unwrap().gaps.len(), 1);
    assert_eq!(zip.recovery().unwrap().gaps[0].at.0, second as u64);
    // Bytes taken out of its data: the descriptor does not fit.
    let mut shorter = bytes.clone();
    let data = usize::try_from(find(&bytes, &[2; 100])).unwrap();
    shorter.drain(data + 10..data + 20);
    let (whole, lost) = recovered(&shorter);
    assert_eq!((whole, lost), (vec!["m/a".into(), "m/c".into()], vec!["m/b".into()]));
    // Bytes changed: the checksum tells.
    let mut changed = bytes.clone();
    changed[data] ^= 1;
    let zip = recover(&changed).unwrap();
    let member = zip.find(b"m/b").unwrap().unwrap();
    let why = zip.check_crc(&source(&changed), member, &Limits::default()).unwrap_err();
    assert!(matches!(why.kind(), Kind::Crc(_)), "{why}");
}

#[test]
fn signatures_in_data_are_no_members() {
    let inner = archive(&torchs(&[("x/data.pkl", b"inner")]));
    let mut data = b"PK\x03\x04PK\x07\x08PK\x01\x02".to_vec();
    data.extend(&inner);
    data.extend([0; 40]);
    let bytes = archive(&torchs(&[("m/a", &data), ("m/b", b"2")]));
    assert_eq!(recovered(&bytes[..bytes.len() - 22]).0, ["m/a", "m/b"]);
}

#[test]
fn names_that_are_there_twice_are_not_chosen_from() {
    let bytes = archive(&torchs(&[("m/a", b"1"), ("m/a", b"2")]));
    let zip = recover(&bytes).unwrap();
    assert!(matches!(zip.find(b"m/a").unwrap_err().kind(), Kind::Ambiguous));
    assert!(zip.findings().iter().any(|it| it.oddity == Oddity::Duplicate));
}

/// Headers that all claim the rest of the file, descriptors that all count from the start, and
/// signatures without anything: each costs its own bytes.
#[test]
fn hostile_headers_cost_what_they_weigh() {
    let mut late = torch("n", b"", 0).local();
    late.truncate(30 + 1);
    late[28] = 0;
    let mut long = stored("n", b"").local();
    long[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    let descriptors: Vec<u8> = (0..20_000_u32)
        .flat_map(|n| {
            let at = 31 + 24 * n;
            let size = at.to_le_bytes();
            [b"PK\x07\x08\0\0\0\0".as_slice(), &size, &size, &[0; 8]].concat()
        })
        .collect();
    let bare: Vec<u8> = b"PK\x03\x04".repeat(100_000);
    for body in
        [late.repeat(20_000), long.repeat(20_000), [late.clone(), descriptors].concat(), bare]
    {
        let counted = Counting { bytes: source(&body), reads: Mutex::default() };
        let mut budget = Budget::default();
        let _ = Zip::recover(&counted, &mut budget).map_err(|why| why.to_string());
        let (reads, bytes) = {
            let reads = counted.reads.lock().unwrap();
            (reads.len() as u64, reads.iter().map(|(_, len)| *len as u64).sum::<u64>())
        };
        let len = body.len() as u64;
        assert!(bytes <= 4 * len + (1 << 20), "{bytes} bytes read of {len}");
        assert!(reads <= len / 4 + 64, "{reads} reads of {len} bytes");
        assert!(budget.memory_taken() <= 64 * len + 4096, "{} of {len}", budget.memory_taken());
    }
}

proptest! {
    #[test]
    fn recovery_of_any_change(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = specimen();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let source = source(&bytes);
        if let Ok(zip) = Zip::recover(&source, &mut Budget::default()) {
            for member in zip.members() {
                if let Ok(data) = zip.locate(&source, member) {
                    assert!(data.end().0 <= bytes.len() as u64);
                }
                let _ = zip.read(&source, member, &mut Budget::default());
            }
            for lost in &zip.recovery().unwrap().lost {
                assert!(lost.data.end().0 <= bytes.len() as u64);
            }
        }
    }
}
