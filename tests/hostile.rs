//! Shapes that files choose cost neither stack nor time out of proportion.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "torch")]

#[path = "common/deep.rs"]
mod common;

use common::{DEEP, on_a_small_stack};
use depickle::pickle::{Graph, Object, Policy, run};
use depickle::torch::{Checkpoint, Kind, Options, Scope};
use depickle::{Budget, FileOffset, Limits};

/// Tuples, lists, dicts or calls, each in the next.
fn deep() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |open: &[u8], core: &[u8], close: &[u8]| {
        [&open.repeat(DEEP)[..], core, &close.repeat(DEEP), b"."].concat()
    };
    vec![
        ("tuples", nested(b"", b"N", b"\x85")),
        ("lists", nested(b"](", b"N", b"e")),
        ("dicts", nested(b"}K\x01", b"N", b"s")),
        ("calls", nested(b"cm\nf\n", b")", b"R\x85")),
        ("states", nested(b"cm\nC\n)\x81}U\x01x", b"N", b"sb")),
        ("persistent ids", nested(b"", b"N", b"Q")),
    ]
}

/// A list, a dict and an object that hold themselves.
const CYCLES: &[(&str, &[u8])] = &[
    ("list", b"]q\x00h\x00a."),
    ("dict", b"}q\x00K\x01h\x00s."),
    ("object", b"cm\nC\n)\x81q\x00}U\x01xh\x00sb."),
];

/// 40 lists, each of two references to the next: 2⁴⁰ paths.
fn bomb() -> Vec<u8> {
    let mut bytes = b"]q\x00".to_vec();
    for level in 1..40_u8 {
        bytes.extend([b']', b'q', level, b'(', b'h', level - 1, b'h', level - 1, b'e']);
    }
    bytes.push(b'.');
    bytes
}

fn graph(bytes: Vec<u8>) -> Graph {
    let budget = &mut Budget::default();
    let outcome = run(bytes.into(), FileOffset(0), &Policy::inspect(), budget);
    outcome.end.unwrap();
    outcome.graph
}

fn checkpoint(bytes: &[u8]) -> Checkpoint {
    let limits = Limits::default().with_visits(1 << 20);
    let bytes = bytes::Bytes::from([b"\x80\x02", bytes].concat());
    Options::default().policy(Policy::inspect()).limits(limits).read(bytes).unwrap()
}

#[test]
fn deep_and_cyclic_graphs_are_walked_on_a_small_stack() {
    on_a_small_stack(|| {
        let cycles = CYCLES.iter().map(|(name, bytes)| (*name, bytes.to_vec()));
        for (name, bytes) in deep().into_iter().chain(cycles) {
            let graph = graph(bytes);
            assert!(graph.reach().count() >= 1, "{name}");
            assert!(!format!("{graph:?}").is_empty());
            drop(graph.clone());
        }
    });
}

#[test]
fn deep_and_cyclic_checkpoints_are_listed_on_a_small_stack() {
    on_a_small_stack(|| {
        let cycles = CYCLES.iter().map(|(name, bytes)| (*name, bytes.to_vec()));
        for (name, bytes) in deep().into_iter().chain(cycles) {
            let checkpoint = checkpoint(&bytes);
            for scope in [Scope::StateDict, Scope::All] {
                match checkpoint.tensors_in(checkpoint.root(), scope) {
                    Ok(list) => assert!(list.is_empty(), "{name}"),
                    Err(why) => assert!(matches!(why.kind(), Kind::Over(_)), "{name}: {why}"),
                }
            }
            checkpoint.kind_of(checkpoint.root()).unwrap();
            let _ = checkpoint.at("1.1.1.x").map(Object::kind);
        }
    });
}

#[test]
fn a_bomb_of_shared_lists_meets_the_limit() {
    let checkpoint = checkpoint(&bomb());
    let why = checkpoint.tensors().map(drop).unwrap_err();
    assert!(
        matches!(why.kind(), Kind::Over(over) if over.limit == depickle::Limit::Visits),
        "{why}"
    );
}
