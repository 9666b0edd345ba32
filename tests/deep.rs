//! Shapes that a file may choose: a million deep, holding itself, unfolding to more than there
//! are atoms. Everything that reads or writes them runs on a stack of 256 KiB.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "common/deep.rs"]
mod common;

use common::{DEEP, on_a_small_stack};
use depickle::pickle::{
    Annotated, Encoder, Graph, GraphBuilder, Keys, Object, Policy, assemble, difference,
    disassemble, run,
};
use depickle::python::{json, show};
use depickle::{Budget, FileOffset, Limits};

const MILLION: usize = 1_000_000;

fn graph(stream: Vec<u8>) -> Graph {
    let outcome = run(stream.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
    outcome.end.unwrap();
    outcome.graph
}

fn budget() -> Budget {
    Budget::new(Limits::default())
}

/// Takes the stream through every door.
fn everything(stream: &[u8]) {
    let text = disassemble(stream);
    assert_eq!(assemble(&text).unwrap(), stream);
    let mut lines = budget();
    let annotated = Annotated::new(stream, FileOffset(0), &mut lines);
    assert!(annotated.map(Result::unwrap).all(|line| line.note.problem.is_none()));
    let graph = graph(stream.to_vec());
    let root = graph.root().unwrap();
    assert!(root.reach().count() <= stream.len());
    as_json(root);
    let shown = show::show(root, &|_| None, show::Extent::default(), &mut budget()).unwrap();
    assert!(shown.len() < 100_000);
    Keys::new().key(root, &mut budget()).unwrap();
    drop(graph.clone());
    written_again(root);
}

/// Writes a graph in every protocol, reads that, copies it.
fn written_again(root: Object) {
    for protocol in 0..=5 {
        let written = Encoder::new(protocol).to_vec(root, &mut budget()).unwrap();
        let again = graph(written);
        let found = difference(root, again.root().unwrap(), &mut budget()).unwrap();
        // What has no operation in a protocol is spelled as a call there.
        assert!(protocol < 4 || found.is_none(), "{found:?}");
    }
    let mut budget = budget();
    let mut build = GraphBuilder::new(&mut budget);
    let copy = build.copy(root).unwrap();
    let copied = build.finish(copy);
    assert_eq!(difference(root, copied.root().unwrap(), &mut self::budget()).unwrap(), None);
}

fn as_json(root: Object) -> usize {
    let mut out = Vec::new();
    json::write(root, &json::Nothing, &mut budget(), &mut out).unwrap();
    out.len()
}

fn nested(open: &str, close: &str, levels: usize) -> Vec<u8> {
    let (open, close) = (assemble(open).unwrap(), assemble(close).unwrap());
    [&open.repeat(levels)[..], b"N", &close.repeat(levels), b"."].concat()
}

#[test]
fn a_million_lists_in_each_other() {
    on_a_small_stack(|| everything(&nested("EMPTY_LIST", "APPEND", MILLION)));
}

#[test]
fn tuples_in_each_other() {
    on_a_small_stack(|| everything(&nested("", "TUPLE1", DEEP)));
}

#[test]
fn dicts_in_each_other() {
    on_a_small_stack(|| everything(&nested("EMPTY_DICT\nNEWTRUE", "SETITEM", DEEP)));
}

#[test]
fn frozensets_in_each_other() {
    on_a_small_stack(|| everything(&nested("MARK", "FROZENSET", DEEP)));
}

#[test]
fn calls_of_what_a_call_gave() {
    let start = assemble("GLOBAL m f").unwrap();
    let call = assemble("EMPTY_TUPLE\nREDUCE").unwrap();
    let stream = [&start[..], &call.repeat(DEEP), b"."].concat();
    on_a_small_stack(move || everything(&stream));
}

#[test]
fn states_in_each_other() {
    on_a_small_stack(|| everything(&nested("GLOBAL m C\nEMPTY_TUPLE\nNEWOBJ", "BUILD", DEEP)));
}

#[test]
fn persistent_ids_in_each_other() {
    on_a_small_stack(|| everything(&nested("", "BINPERSID", DEEP)));
}

#[test]
fn a_million_marks() {
    let stream = [&b"(".repeat(MILLION)[..], b"N."].concat();
    on_a_small_stack(move || everything(&stream));
}

#[test]
fn what_holds_itself() {
    for text in [
        "EMPTY_LIST\nMEMOIZE\nBINGET 0\nAPPEND",
        "EMPTY_DICT\nMEMOIZE\nNONE\nBINGET 0\nSETITEM",
        "EMPTY_LIST\nMEMOIZE\nBINGET 0\nTUPLE1\nAPPEND",
        "GLOBAL m C\nEMPTY_TUPLE\nNEWOBJ\nMEMOIZE\nBINGET 0\nBUILD",
        "GLOBAL m C\nEMPTY_TUPLE\nNEWOBJ\nMEMOIZE\nMARK\nBINGET 0\nAPPENDS",
        "GLOBAL m f\nEMPTY_LIST\nMEMOIZE\nTUPLE1\nREDUCE\nMEMOIZE\nBINGET 0\nBINGET 1\nAPPEND\nPOP",
        "EMPTY_SET\nMEMOIZE\nMARK\nGLOBAL m C\nEMPTY_TUPLE\nNEWOBJ\nBINGET 0\nBUILD\nADDITEMS",
    ] {
        let stream = assemble(&format!("{text}\nSTOP")).unwrap();
        on_a_small_stack(move || everything(&stream));
    }
}

#[test]
fn a_list_that_holds_itself_a_million_times() {
    let text = "EMPTY_LIST\nMEMOIZE\nMARK\n".to_owned() + &"BINGET 0\n".repeat(MILLION);
    let stream = assemble(&(text + "APPENDS\nSTOP")).unwrap();
    on_a_small_stack(move || {
        let graph = graph(stream);
        assert!(as_json(graph.root().unwrap()) < 12 * MILLION);
        written_again(graph.root().unwrap());
    });
}

#[test]
fn a_memo_bomb_costs_what_it_holds() {
    // Each tuple holds the one before twice: 2^200 paths.
    let text = "NONE\nTUPLE1\n".to_owned() + &"DUP\nTUPLE2\n".repeat(200) + "STOP";
    on_a_small_stack(move || everything(&assemble(&text).unwrap()));
}
