//! Archives that were cut off or damaged, read as far as they go.

use super::*;

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
