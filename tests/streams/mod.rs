//! Streams to try things on: CPython's, the corpus', and random ones.
#![allow(unreachable_pub, dead_code, reason = "each test uses its part")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use depickle::pickle::{EffectKind, Object, Policy, Value, assemble};
use proptest::prelude::*;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Streams of CPython with their JSON, one after the other, each behind its length.
pub fn values() -> Vec<u8> {
    let path = root().join("tests/fixtures/pickles/values.zip");
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut values = Vec::new();
    archive.by_name("values").unwrap().read_to_end(&mut values).unwrap();
    values
}

/// Each stream and its JSON.
pub fn records(mut values: &[u8]) -> Vec<(&[u8], &str)> {
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

pub fn policy() -> Policy {
    Policy::inspect()
        .with_extension(1, "__main__", "Registered")
        .with_extension(300, "__main__", "Plain")
        .with_extension(70_000, "__main__", "Slots")
}

/// The files of cases, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    let mut paths: Vec<PathBuf> =
        nested.filter(|path| path.extension().is_some_and(|ext| ext == "pkla")).collect();
    paths.sort();
    paths
}

/// The heading of a file, and its cases from `;;` to `;;`.
pub fn cases(text: &str) -> Vec<String> {
    let mut cases = vec![String::new()];
    for line in text.lines() {
        if line.starts_with(";; ") {
            cases.push(String::new());
        }
        let case = cases.last_mut().unwrap();
        case.push_str(line);
        case.push('\n');
    }
    cases
}

/// The stream of every case.
pub fn corpus() -> Vec<Vec<u8>> {
    let mut streams = Vec::new();
    for path in files(&root().join("tests/corpus")) {
        let text = fs::read_to_string(path).unwrap();
        streams.extend(cases(&text).iter().skip(1).map(|case| assemble(case).unwrap()));
    }
    streams
}

/// Operations that need nothing.
const MAKERS: &[&[u8]] = &[
    b"(",
    b"(",
    b"]",
    b"}",
    b"\x8f",
    b")",
    b"N",
    b"\x88",
    b"K\x07",
    b"G@\t!\xfbTD-\x18",
    b"X\x01\0\0\0k",
    b"U\x01s",
    b"C\x02b\xff",
    b"\x96\x01\0\0\0\0\0\0\0a",
    b"\x97",
    b"\x97\x98",
    b"\x8a\x09\0\0\0\0\0\0\0\0\x01",
    b"ca\nB\n",
    b"cos\nsystem\n",
    b"ca\nA.B\n",
    b"\x82\x09",
    b"Pid\n",
    b"V\xe9\\u20ac\n",
    b"L12345678901234567890L\n",
    b"J\0\0\0\x80",
];

/// Operations on what is there.
const USERS: &[&[u8]] = &[
    b"a",
    b"e",
    b"s",
    b"u",
    b"\x90",
    b"\x91",
    b"t",
    b"\x85",
    b"\x86",
    b"\x87",
    b"l",
    b"d",
    b"R",
    b"\x81",
    b"\x92",
    b"b",
    b"Q",
    b"o",
    b"ia\nC\n",
    b"2",
    b"0",
    b"1",
    b"ca\nB\n)R",
    b"ca\nB\n)\x81",
    b"ca\nB\n)}\x92",
    b"(ca\nB\no",
    b"(ia\nC\n",
];

/// Operations in any order, of which a reader makes what it can.
pub fn soup() -> impl Strategy<Value = Vec<u8>> {
    let op = prop_oneof![
        4 => proptest::sample::select(MAKERS).prop_map(<[u8]>::to_vec),
        3 => proptest::sample::select(USERS).prop_map(<[u8]>::to_vec),
        3 => (0_u8..12).prop_map(|index| vec![b'q', index]),
        4 => (0_u8..12).prop_map(|index| vec![b'h', index]),
        1 => Just(b"\x94".to_vec()),
    ];
    proptest::collection::vec(op, 1..60).prop_map(|ops| {
        let mut stream = ops.concat();
        stream.push(b'.');
        stream
    })
}

/// Whether something in it has no spelling in `protocol` that means the same to a reader who
/// performs no calls: a call of what is no global, attributes of classes, the three forms of
/// instances.
pub fn has_opaque_parts(object: Object, protocol: u8) -> bool {
    object.reach().any(|part| match part.value() {
        Value::Recipe(recipe) => {
            use depickle::pickle::Make::{Inst, NewObj, NewObjEx, Obj, Reduce};
            match recipe.make() {
                NewObj => protocol < 2,
                NewObjEx => protocol < 4,
                Inst | Obj | Reduce => false,
                _ => true,
            }
        }
        Value::Global(global) => protocol < 4 && global.name.contains(&b'.'),
        // Equal keys are not told apart once calls make them.
        Value::Dict(dict) => protocol < 4 && dict.iter().any(|(key, _)| !is_plain(key)),
        Value::Set(items) | Value::FrozenSet(items) => {
            protocol < 4 && items.iter().any(|key| !is_plain(key))
        }
        _ => part.effects().any(|effect| effect.kind == EffectKind::AddItems),
    })
}

fn is_plain(key: Object) -> bool {
    !matches!(key.value(), Value::Bytes(_) | Value::Tuple(_) | Value::FrozenSet(_))
}
