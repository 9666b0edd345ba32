//! Reading a stream holds at most [`BYTES_PER_BYTE`] of memory for each of its bytes, as the
//! allocator sees it, whatever the stream says. Stated in `docs/limits.md`.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "common/heap.rs"]
mod heap;
mod streams;

use depickle::pickle::{Encoder, Opcode, Outcome, Policy, assemble, run};
use depickle::python::json;
use depickle::{Budget, FileOffset};
use heap::{alone, peak};
use proptest::prelude::*;

/// For each byte of a stream.
const BYTES_PER_BYTE: usize = 100;
/// Whatever the stream.
const BYTES_ANYWAY: usize = 4 << 10;
/// The same for writing again what was read, the frame that is being filled included.
const WRITING_PER_BYTE: usize = 300;
/// And for writing it as JSON.
const JSON_PER_BYTE: usize = 500;
const WRITING_ANYWAY: usize = 192 << 10;

fn read(stream: Vec<u8>, policy: &Policy) -> (Outcome, Budget) {
    let mut budget = Budget::default();
    let outcome = run(stream.into(), FileOffset(0), policy, &mut budget);
    (outcome, budget)
}

/// What makes an operation possible, and operations to be repeated, the costliest for each
/// opcode that could be thought of.
const WORST: &[(&str, &str, &str)] = &[
    ("MARK", "", "MARK"),
    ("STOP", "", "NONE\nSTOP"),
    ("POP", "", "EMPTY_LIST\nPOP"),
    ("POP_MARK", "", "MARK\nEMPTY_LIST\nPOP_MARK"),
    ("DUP", "NONE", "DUP"),
    ("FLOAT", "", "FLOAT 1"),
    ("INT", "", "INT 999999999"),
    ("BININT", "", "BININT 999999999"),
    ("BININT1", "", "BININT1 1"),
    ("BININT2", "", "BININT2 1"),
    ("LONG", "", "LONG 99999999999999999999"),
    ("LONG1", "", "LONG1 99999999999999999999"),
    ("LONG4", "", "LONG4 99999999999999999999"),
    ("BINFLOAT", "", "BINFLOAT 1.0"),
    ("NONE", "", "NONE"),
    ("NEWTRUE", "", "NEWTRUE"),
    ("NEWFALSE", "", "NEWFALSE"),
    ("PERSID", "", "PERSID \"\""),
    ("BINPERSID", "NONE", "BINPERSID"),
    ("REDUCE", "GLOBAL m f", "EMPTY_TUPLE\nREDUCE"),
    ("STRING", "", "STRING ''"),
    ("BINSTRING", "", "BINSTRING \"\""),
    ("SHORT_BINSTRING", "", "SHORT_BINSTRING \"\""),
    ("UNICODE", "", "UNICODE \"\""),
    ("BINUNICODE", "", "BINUNICODE \"\""),
    ("SHORT_BINUNICODE", "", "SHORT_BINUNICODE \"\""),
    ("BINUNICODE8", "", "BINUNICODE8 \"\""),
    ("BINBYTES", "", "BINBYTES \"\""),
    ("SHORT_BINBYTES", "", "SHORT_BINBYTES \"\""),
    ("BINBYTES8", "", "BINBYTES8 \"\""),
    ("BYTEARRAY8", "", "BYTEARRAY8 \"\""),
    ("NEXT_BUFFER", "", "NEXT_BUFFER"),
    ("READONLY_BUFFER", "", "NEXT_BUFFER\nREADONLY_BUFFER"),
    ("APPEND", "GLOBAL m f\nEMPTY_TUPLE\nREDUCE", "NONE\nAPPEND"),
    ("APPENDS", "GLOBAL m f\nEMPTY_TUPLE\nREDUCE", "MARK\nNONE\nAPPENDS"),
    // Items that do not lie together in the pool move into a vector of their own.
    ("APPENDS", "", "EMPTY_LIST\nNONE\nAPPEND\nNONE\nTUPLE1\nAPPEND"),
    ("BUILD", "GLOBAL m f\nEMPTY_TUPLE\nREDUCE", "NONE\nBUILD"),
    ("BUILD", "", "NEXT_BUFFER\nBINPERSID\nNONE\nBUILD"),
    ("GLOBAL", "", "GLOBAL a b"),
    ("STACK_GLOBAL", "SHORT_BINUNICODE \"a\"\nMEMOIZE", "BINGET 0\nDUP\nSTACK_GLOBAL"),
    ("INST", "", "MARK\nINST a b"),
    ("OBJ", "GLOBAL m f\nMEMOIZE", "MARK\nBINGET 0\nOBJ"),
    ("DICT", "", "MARK\nDICT"),
    ("EMPTY_DICT", "", "EMPTY_DICT"),
    ("SETITEM", "EMPTY_DICT", "NONE\nNONE\nSETITEM"),
    ("SETITEMS", "EMPTY_DICT", "MARK\nNONE\nNONE\nSETITEMS"),
    ("SETITEMS", "GLOBAL m f\nEMPTY_TUPLE\nREDUCE", "MARK\nNONE\nNONE\nSETITEMS"),
    ("LIST", "", "MARK\nLIST"),
    ("EMPTY_LIST", "", "EMPTY_LIST"),
    ("EMPTY_SET", "", "EMPTY_SET"),
    ("ADDITEMS", "EMPTY_SET", "MARK\nNONE\nADDITEMS"),
    ("FROZENSET", "", "MARK\nFROZENSET"),
    ("TUPLE", "", "MARK\nTUPLE"),
    ("EMPTY_TUPLE", "", "EMPTY_TUPLE"),
    ("TUPLE1", "NONE", "TUPLE1"),
    ("TUPLE2", "NONE", "DUP\nTUPLE2"),
    ("TUPLE3", "NONE", "DUP\nDUP\nTUPLE3"),
    ("GET", "NONE\nPUT 0", "GET 0"),
    ("BINGET", "NONE\nPUT 0", "BINGET 0"),
    ("LONG_BINGET", "NONE\nPUT 0", "LONG_BINGET 0"),
    ("MEMOIZE", "NONE", "MEMOIZE"),
    ("MEMOIZE", "NONE\nLONG_BINPUT 4294967295", "MEMOIZE"),
    ("PROTO", "", "PROTO 5"),
    ("NEWOBJ", "GLOBAL m f", "EMPTY_TUPLE\nNEWOBJ"),
    ("NEWOBJ_EX", "GLOBAL m f", "EMPTY_TUPLE\nEMPTY_DICT\nNEWOBJ_EX"),
    ("EXT1", "", "EXT1 1"),
    ("EXT2", "", "EXT2 1"),
    ("EXT4", "", "EXT4 1"),
    ("FRAME", "", "FRAME 0"),
];

/// Streams that differ as they go on, so that no text repeats them.
fn counted() -> Vec<(&'static str, Vec<u8>)> {
    let numbers = 0..60_000_u32;
    let lines = |before: &str, after: &str| {
        let line = |number| format!("{before}{number:x}{after}");
        numbers.clone().map(line).collect::<String>().into_bytes()
    };
    let put = |number: u32| [&b"r"[..], &(u32::MAX - number).to_le_bytes()].concat();
    let code = |number: u32| [&b"\x84"[..], &(number + 1).to_le_bytes(), b"N", b"b"].concat();
    vec![
        ("PUT", [b"N", &lines("p", "\n")[..]].concat()),
        ("BINPUT", [&b"N"[..], &(0..=255).flat_map(|n| [b'q', n]).collect::<Vec<u8>>()].concat()),
        ("LONG_BINPUT", [&b"N"[..], &numbers.clone().flat_map(put).collect::<Vec<u8>>()].concat()),
        ("GLOBAL", short_globals()),
        ("GLOBAL", lines("c", "\nb\n")),
        ("GLOBAL", lines("ca\n", "\n")),
        ("INST", lines("(ia\n", "\n")),
        ("BUILD", numbers.clone().flat_map(code).collect()),
        ("BUILD", lines("ca\n", "\nNb")),
    ]
}

/// Globals with the shortest names there are, each another.
fn short_globals() -> Vec<u8> {
    let letters = (b'!'..=b'~').chain(0..b'\n');
    let pair = |module| (b'!'..=b'~').map(move |name| [b'c', module, b'\n', name, b'\n']);
    letters.flat_map(pair).flatten().collect()
}

fn streams() -> Vec<(&'static str, Vec<u8>)> {
    // One more than a vector's capacity is dearest.
    let count = (1 << 15) + 1;
    let repeated = WORST.iter().map(|(name, setup, unit)| {
        let (setup, unit) = (assemble(setup).unwrap(), assemble(unit).unwrap());
        (*name, [&setup[..], &unit.repeat(count)].concat())
    });
    repeated.chain(counted()).collect()
}

#[test]
fn no_operation_holds_more_than_the_stated_memory() {
    let _turn = alone();
    let streams = streams();
    for opcode in Opcode::all() {
        assert!(streams.iter().any(|(name, _)| *name == opcode.name()), "{opcode}");
    }
    let mut worst: Vec<(f64, &str)> = Vec::new();
    for (name, stream) in streams {
        let len = stream.len();
        let ((outcome, budget), held) = peak(|| read(stream, &Policy::inspect()));
        let most = BYTES_PER_BYTE * len + BYTES_ANYWAY;
        assert!(held <= most, "{name}: {held} bytes for {len}");
        // What the budget was told is what there was, but for an allocator moving a vector.
        let told = usize::try_from(budget.memory_taken()).unwrap();
        assert!(held <= 2 * told + BYTES_ANYWAY, "{name}: {held} bytes, {told} told");
        #[expect(clippy::cast_precision_loss, reason = "a ratio to look at")]
        worst.push((held as f64 / len as f64, name));
        drop(outcome);
    }
    worst.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("bytes a byte: {:.0?}", &worst[..12]);
    assert!(worst[0].0 > 50.0, "the streams are not the worst: {:?}", worst[0]);
}

/// A name spelled out again makes nothing new, and costs less than what spells it.
#[test]
fn a_global_that_comes_again_is_held_once() {
    let _turn = alone();
    let stream = b"cm\nf\n0".repeat(100_000);
    let len = stream.len();
    let ((outcome, budget), held) = peak(|| read(stream, &Policy::inspect()));
    assert!(outcome.graph.len() < 4);
    assert!(held < len, "{held} bytes for {len}");
    assert!(budget.memory_taken() < len as u64, "{} told", budget.memory_taken());
}

/// Writing what was read, as a pickle and as JSON, holds memory in proportion to the stream too.
#[test]
fn writing_holds_no_more_than_the_stated_memory() {
    let _turn = alone();
    for (name, stream) in streams() {
        let stream = [&stream[..], b"."].concat();
        let len = stream.len();
        let most = WRITING_PER_BYTE * len + WRITING_ANYWAY;
        let (outcome, _) = read(stream, &Policy::inspect());
        let Some(root) = outcome.graph.root() else { continue };
        for protocol in 0..=5 {
            let mut budget = Budget::default();
            let encoder = Encoder::new(protocol);
            let ((), held) = peak(|| drop(encoder.write(root, &mut budget, &mut std::io::sink())));
            assert!(held <= most, "{name}, {protocol}: {held} bytes, {most} stated");
        }
        let mut budget = Budget::default();
        let ((), held) = peak(|| {
            json::write(root, &json::Nothing, &mut budget, &mut std::io::sink()).unwrap();
        });
        let most = JSON_PER_BYTE * len + WRITING_ANYWAY;
        assert!(held <= most, "{name}: {held} bytes, {most} stated");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_stream_holds_more_than_the_stated_memory(stream in streams::soup(), times in 1..200_usize) {
        let _turn = alone();
        let stream = stream.repeat(times);
        let len = stream.len();
        let ((outcome, budget), held) = peak(|| read(stream, &Policy::inspect()));
        prop_assert!(held <= BYTES_PER_BYTE * len + BYTES_ANYWAY, "{held} bytes for {len}");
        prop_assert!(outcome.graph.len() <= len);
        prop_assert!(budget.memory_taken() <= (BYTES_PER_BYTE * len + BYTES_ANYWAY) as u64);
    }
}
