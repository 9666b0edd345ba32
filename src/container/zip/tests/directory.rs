//! The directory: where it is, what it must say truly, and what stands out in it.

use super::*;

#[test]
fn sizes() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Entry>(), if cfg!(target_pointer_width = "64") { 48 } else { 44 });
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
fn many_duplicates_are_found() {
    // So many that comparing each with each would be noticed.
    let parts = vec![stored("same", b""); 60_000];
    assert_eq!(open(&archive(&parts)).unwrap().findings().len(), 59_999);
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
