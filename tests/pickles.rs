//! Streams that CPython wrote, over every type, opcode and protocol: the JSON of what is read
//! here equals the JSON of what its own C unpickler made of them.
//!
//! `tests/python/pickles.py` writes the fixture.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use depickle::pickle::{Content, Disassembly, Opcode, Policy, assemble, disassemble, run};
use depickle::python::json;
use depickle::{Budget, FileOffset};
use serde_json::Value;

fn values() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pickles/values.zip");
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut values = Vec::new();
    archive.by_name("values").unwrap().read_to_end(&mut values).unwrap();
    values
}

/// Each stream and its JSON.
fn records(mut values: &[u8]) -> Vec<(&[u8], &str)> {
    let mut next = || {
        let (len, rest) = values.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at(u32::from_le_bytes(*len) as usize);
        values = rest;
        Some(part)
    };
    let mut records = Vec::new();
    while let Some(stream) = next() {
        records.push((stream, std::str::from_utf8(next().unwrap()).unwrap()));
    }
    records
}

fn policy() -> Policy {
    Policy::inspect()
        .with_extension(1, "__main__", "Registered")
        .with_extension(300, "__main__", "Plain")
        .with_extension(70_000, "__main__", "Slots")
}

fn ours(stream: &[u8]) -> String {
    let mut budget = Budget::default();
    let outcome = run(stream.to_vec().into(), FileOffset(0), &policy(), &mut budget);
    assert_eq!(outcome.end, Ok(stream.len() as u64), "{}", disassemble(stream));
    let mut out = Vec::new();
    json::write(outcome.graph.root().unwrap(), &json::Nothing, &mut budget, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// CPython keeps no order in sets.
fn sort_sets(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(sort_sets),
        Value::Object(members) => {
            for (key, value) in members {
                sort_sets(value);
                if let ("$set" | "$frozenset", Value::Array(items)) = (key.as_str(), value) {
                    items.sort_by_key(ToString::to_string);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn what_cpython_wrote_is_read_as_cpython_reads_it() {
    let values = values();
    let records = records(&values);
    assert!(records.len() > 4_000);
    for (stream, theirs) in records {
        let ours = ours(stream);
        if ours == theirs {
            continue;
        }
        let sorted = |text: &str| {
            let mut value: Value = serde_json::from_str(text).unwrap();
            sort_sets(&mut value);
            value.to_string()
        };
        assert_eq!(sorted(&ours), sorted(theirs), "{}", disassemble(stream));
    }
}

#[test]
fn the_streams_hold_every_opcode_that_cpython_writes() {
    let values = values();
    let mut seen = BTreeSet::new();
    for (stream, _) in records(&values) {
        for line in Disassembly::new(stream, FileOffset(0)) {
            let Content::Op(op) = line.content else { panic!("{line}") };
            seen.insert(op.opcode());
        }
    }
    let never: Vec<&str> =
        Opcode::all().filter(|opcode| !seen.contains(opcode)).map(Opcode::name).collect();
    // Of older Pythons; of values larger than a fixture should be; of none at all.
    let expected = [
        "POP_MARK",
        "DUP",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "INST",
        "OBJ",
        "LONG4",
        "BINUNICODE8",
        "BINBYTES8",
    ];
    for name in &never {
        assert!(expected.contains(name), "{name} stands in no stream");
    }
}

#[test]
fn assembling_the_disassembly_gives_each_stream_again() {
    for (stream, _) in records(&values()) {
        assert_eq!(assemble(&disassemble(stream)).unwrap(), stream);
    }
}
