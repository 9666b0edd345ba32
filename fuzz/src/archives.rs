//! Zip and tar archives, and the layout before 1.6.

use bytes::Bytes;
use depickle::Source;
use depickle::container::{Member, Method, Tar, Zip};
use depickle::torch::stretches;

use crate::checkpoints::every_tensor;
use crate::generate::file::{self, repair_tar};
use crate::{Unlent, small};

/// A directory that opens leads to members that can be read or say why not, and each way of
/// reading says the same.
pub fn zip(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let unlent = Unlent(bytes.clone());
    pickles_are_found(&bytes, &unlent);
    let mut budget = small();
    let opened = Zip::open(&bytes, &mut budget);
    let again = Zip::open(&unlent, &mut small());
    let (Ok(zip), Ok(again)) = (&opened, &again) else {
        assert_eq!(
            opened.map_err(|why| why.to_string()).err(),
            again.map_err(|why| why.to_string()).err()
        );
        return;
    };
    assert_eq!(zip.findings(), again.findings());
    for finding in zip.findings() {
        // Where it should be, which need not be in the file.
        assert!(!finding.to_string().is_empty());
    }
    for (member, other) in zip.members().zip(again.members()).take(64) {
        let one = zip.read(&bytes, member, &mut budget).map_err(|why| why.to_string());
        let two = again.read(&unlent, other, &mut small()).map_err(|why| why.to_string());
        assert_eq!(one, two);
        if let Ok(whole) = one {
            read_in_other_ways(zip, &bytes, member, &whole);
        }
        if let Ok(Some(found)) = zip.find(member.name_bytes()) {
            assert_eq!(found.id(), member.id());
        }
    }
}

fn read_in_other_ways(zip: &Zip, bytes: &Bytes, member: Member, whole: &[u8]) {
    assert_eq!(whole.len() as u64, member.size());
    let limits = small();
    if zip.check_crc(bytes, member, limits.limits()).is_ok() {
        assert!(member.method() != Method::Stored || member.size() == member.compressed_size());
    }
    for most in [0, 1, 100, u64::MAX] {
        let head = zip.head(bytes, member, most).expect("it was read");
        assert!(whole.starts_with(&head), "the head is the beginning");
        assert_eq!(head.len() as u64, most.min(member.size()));
    }
    if let Ok(extent) = zip.locate(bytes, member)
        && member.method() == Method::Stored
    {
        assert_eq!(bytes.fetch(extent.at.0, extent.len).expect("it is there"), whole);
    }
}

/// Pickles are found in any file, and are the same whether the file is in memory or read.
fn pickles_are_found(bytes: &Bytes, unlent: &Unlent) {
    let limits = small().limits().clone();
    let (Ok(lent), Ok(read)) = (stretches(bytes, &limits), stretches(unlent, &limits)) else {
        return;
    };
    for (lent, read) in lent.zip(read).take(32) {
        let (Ok(mut lent), Ok(mut read)) = (lent, read) else { continue };
        assert_eq!(
            (lent.member(), lent.start(), lent.end()),
            (read.member(), read.start(), read.end())
        );
        let at = lent.start();
        let one = lent.pickle_at(at, &mut small());
        let two = read.pickle_at(at, &mut small());
        if let (Ok(one), Ok(two)) = (one, two) {
            let (one, two) =
                (depickle::pickle::Ops::at(&one, at), depickle::pickle::Ops::at(&two, at));
            // Debug text, since NaN differs from itself; what is read behind STOP may differ.
            assert!(one.map(|op| format!("{op:?}")).eq(two.map(|op| format!("{op:?}"))));
        }
    }
}

/// Headers lead to members that lie in the file; right checksums change nothing else.
pub fn tar(bytes: &[u8]) {
    let mut repaired = bytes.to_vec();
    repair_tar(&mut repaired);
    for bytes in [Bytes::copy_from_slice(bytes), repaired.into()] {
        let Ok(tar) = Tar::open(&bytes, &mut small()) else { continue };
        for member in tar.members() {
            assert!(member.at.0 < bytes.len() as u64);
            if let Some(data) = member.data {
                assert!(bytes.fetch(data.at.0, data.len).is_ok(), "its bytes are there");
            }
            if let Ok(Some(found)) = tar.find(&member.name) {
                assert_eq!(Some(found), member.data);
            }
        }
        every_tensor(&bytes);
    }
}

/// An object and its storages in the layout before 1.6: the bytes are the object's pickle.
pub fn legacy(bytes: &[u8]) {
    every_tensor(&Bytes::copy_from_slice(bytes));
    every_tensor(&file::legacy(bytes).into());
}
