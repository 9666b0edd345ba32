//! What was read is written again: the same graph where the protocol has the operations, the
//! same meaning where it has not, and CPython's own bytes where it is asked to store as CPython
//! does. `tests/python/encode.py` loads what is written here with CPython.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod streams;

use depickle::pickle::{EncodeKind, Encoder, Graph, Object, difference, disassemble, run};
use depickle::python::json;
use depickle::{Budget, FileOffset};
use proptest::prelude::*;

fn read(stream: &[u8]) -> Graph {
    let mut budget = Budget::default();
    run(stream.to_vec().into(), FileOffset(0), &streams::policy(), &mut budget).graph
}

fn write(encoder: Encoder, object: Object) -> Result<Vec<u8>, EncodeKindText> {
    encoder.to_vec(object, &mut Budget::default()).map_err(|why| match why.kind() {
        EncodeKind::Needs { protocol, .. } => EncodeKindText::Needs(*protocol),
        EncodeKind::Endless => EncodeKindText::Endless,
        other => panic!("{other:?}"),
    })
}

#[derive(Debug, PartialEq)]
enum EncodeKindText {
    Needs(u8),
    Endless,
}

fn text(object: Object) -> String {
    let mut out = Vec::new();
    json::write(object, &json::Nothing, &mut Budget::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// That one object comes back, from every protocol that can hold it.
fn check(object: Object, stream: &[u8]) {
    for protocol in 0..=5 {
        for all in [false, true] {
            let encoder = Encoder::new(protocol).memoize_all(all);
            let written = match write(encoder, object) {
                Ok(written) => written,
                Err(EncodeKindText::Needs(least)) => {
                    assert!(protocol < least);
                    continue;
                }
                Err(EncodeKindText::Endless) => {
                    assert!(protocol < 4);
                    continue;
                }
            };
            let graph = read(&written);
            let told = || format!("{}\n{protocol} gives\n{}", dis(stream), dis(&written));
            let root = graph.root().unwrap_or_else(|| panic!("{}", told()));
            let found = difference(object, root, &mut Budget::default()).unwrap();
            if protocol == 5 {
                assert!(found.is_none(), "{}: {}", found.unwrap(), told());
            } else if found.is_some() && !streams::has_opaque_parts(object, protocol) {
                assert_eq!(text(root), text(object), "{}", told());
            }
        }
    }
}

fn dis(stream: &[u8]) -> String {
    if stream.len() < 2_000 { disassemble(stream) } else { String::from("(long)") }
}

#[test]
fn what_cpython_wrote_is_written_again_in_every_protocol() {
    let values = streams::values();
    let records = streams::records(&values);
    for (stream, _) in &records {
        check(read(stream).root().unwrap(), stream);
    }
}

#[test]
fn names_that_are_no_lines_need_protocol_4() {
    for stream in [&b"\x8c\x01m\x8c\x02.a\x93."[..], b"\x8c\x01m\x8c\x03\xed\xa0\x80\x93."] {
        let graph = read(stream);
        let root = graph.root().unwrap();
        for protocol in 0..4 {
            assert_eq!(write(Encoder::new(protocol), root), Err(EncodeKindText::Needs(4)));
        }
        check(root, stream);
    }
}

#[test]
fn storing_as_cpython_does_gives_its_bytes() {
    let values = streams::values();
    let (mut same, mut others) = (0, Vec::new());
    for (stream, _) in streams::records(&values) {
        let graph = read(stream);
        // Protocol 1 does not say that it is not 0.
        let write = |protocol| {
            let encoder = Encoder::new(protocol).memoize_all(true);
            write(encoder, graph.root().unwrap()).unwrap()
        };
        let written = write(graph.protocol());
        if written == stream || graph.protocol() == 0 && write(1) == stream {
            same += 1;
        } else {
            others.push((stream, written));
        }
    }
    // Which texts were one object with a global's name, and which globals had a code, is
    // forgotten in reading.
    for (stream, written) in &others {
        let text = dis(stream);
        // What `Pickler.fast` wrote stores nothing.
        let fast = !text.contains("PUT") && !text.contains("MEMOIZE");
        let lost = text.contains("STACK_GLOBAL") || text.contains("EXT");
        assert!(fast || lost, "{text}\n{}", dis(written));
    }
    assert!(same > 4_500, "{same} of {}", same + others.len());
}

#[test]
fn every_case_of_the_corpus_is_written_again() {
    let mut count = 0;
    for stream in streams::corpus() {
        let graph = read(&stream);
        for object in graph.root().into_iter().chain(graph.objects().take(20)) {
            check(object, &stream);
            count += 1;
        }
    }
    assert!(count > 1_000, "{count}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_a_stream_built_is_written_again(stream in streams::soup()) {
        let graph = read(&stream);
        for object in graph.objects() {
            check(object, &stream);
        }
    }
}
