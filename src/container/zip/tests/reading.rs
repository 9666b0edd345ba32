//! Members: where their data lie, what their headers say of them, and what comes out.

use super::*;

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

/// In pieces, and all of it, also where it ends early.
#[test]
fn checking_tells_how_far_it_is() {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    let noise: Vec<u8> = (0..1_000_000).map(|_| next()).collect();
    let wrong_crc = Part { crc: 5, ..stored("wrong", &noise) };
    let unknown = Part { method: 99, ..stored("unknown", &noise) };
    let bytes = archive(&[stored("stored", &noise), wrong_crc, unknown]);
    let deflated = packed("deflated", &noise);
    for (bytes, pieces) in [(bytes, 16), (deflated, 10)] {
        let (zip, source) = (open(&bytes).unwrap(), source(&bytes));
        for member in zip.members() {
            let told = std::cell::RefCell::new(vec![]);
            let tell = |bytes| told.borrow_mut().push(bytes);
            let checked = zip.check_crc_with(&source, member, &Limits::default(), &tell);
            let (name, told) = (member.name(), told.into_inner());
            assert_eq!(told.iter().sum::<u64>(), member.compressed_size(), "{name}");
            assert_eq!(checked.is_ok(), matches!(&*name, "stored" | "deflated"), "{name}");
            if name != "unknown" {
                assert!(told.len() >= pieces, "{name}: {told:?}");
                assert!(told.iter().all(|&piece| piece <= 64 << 10), "{name}: {told:?}");
            }
        }
    }
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
