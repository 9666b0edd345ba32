//! Where pickles stand in damaged files: something is found or said, and nothing panics.
#![cfg(feature = "torch")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use bytes::Bytes;
use common::records;
use depickle::torch::stretches;
use depickle::{Budget, Limits};
use proptest::prelude::*;

/// How many stretches there are; all their pickles are read.
fn walk(bytes: Vec<u8>) -> usize {
    let source = Bytes::from(bytes);
    let limits = Limits::default().with_memory(64 << 20);
    let Ok(found) = stretches(&source, &limits) else { return 0 };
    let mut count = 0;
    for mut stretch in found.flatten() {
        assert!(stretch.is_inflated() || stretch.end().0 <= source.len() as u64);
        let mut at = stretch.start();
        let mut budget = Budget::new(limits.clone());
        while let Ok(pickle) = stretch.pickle_at(at, &mut budget) {
            let mut ops = depickle::pickle::Ops::at(&pickle, at);
            if ops.by_ref().any(|op| op.is_err()) {
                break;
            }
            at = at.plus(ops.consumed());
            assert!(at <= stretch.end());
        }
        count += 1;
    }
    count
}

fn small() -> Vec<Vec<u8>> {
    let files = records().into_iter().map(|record| std::fs::read(record.path).unwrap());
    files.filter(|bytes| bytes.len() < 4_000).collect()
}

#[test]
fn truncated_files_say_so() {
    for whole in small() {
        assert_eq!(walk(whole.clone()), 1);
        for len in (0..whole.len()).step_by(13) {
            walk(whole[..len].to_vec());
        }
    }
}

proptest! {
    #[test]
    fn changed_bytes_do_no_harm(file in prop::sample::select(small()), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = file;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        walk(bytes);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        walk(bytes);
    }
}
