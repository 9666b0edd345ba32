//! Whatever the bytes: no panic, and no range outside the file.

use super::*;

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
