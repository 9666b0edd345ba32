//! Writes `VALUES-PROTOCOL.pkl` and `TUPLES-PROTOCOL.pkl` into the folder that the argument
//! names: Rust values of every kind in every protocol. For `tests/python/serde_read.py`, which
//! has CPython read them.
#![allow(clippy::arithmetic_side_effects, reason = "of small numbers")]
#![allow(clippy::type_complexity, clippy::zero_sized_map_values, reason = "all forms of values")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use depickle::python::serde::{self as pickle, SerOptions};
use serde::Serialize;

#[derive(Serialize)]
enum Variant {
    Unit,
    Newtype(u8),
    Tuple(u8, bool),
    Struct { a: Option<u8> },
}

#[derive(Serialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Serialize)]
struct Values {
    units: ((), Option<u8>, [bool; 2]),
    integers: Vec<i128>,
    largest: u128,
    floats: Vec<f64>,
    texts: Vec<String>,
    long_text: String,
    chars: Vec<char>,
    bytes: Vec<serde_bytes::ByteBuf>,
    tuples: ((), (u8,), (u8, u8), (u8, u8, u8), (u8, u8, u8, u8)),
    lists: Vec<Vec<u16>>,
    points: Vec<Point>,
    numbered: BTreeMap<i64, String>,
    keyed: BTreeMap<(u8, Vec<u8>), ()>,
    large: BTreeMap<u32, u32>,
    variants: Vec<Variant>,
}

fn values() -> Values {
    let edges = [0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 126].map(|bits| 1_i128 << bits);
    let around = |edge: i128| [edge - 1, edge, -edge, -edge - 1];
    Values {
        units: ((), None, [true, false]),
        integers: edges.into_iter().flat_map(around).chain([i128::MIN, i128::MAX]).collect(),
        largest: u128::MAX,
        floats: vec![0.0, -0.0, 0.1, -1.5e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY],
        texts: ["", "a", "é€😀", "\\u0041 \n \r \0 \u{1a} '\"", "\u{85}\u{2028}"]
            .map(String::from)
            .into(),
        long_text: "€".repeat(50_000),
        chars: vec!['a', '\u{10ffff}'],
        bytes: vec![b"".to_vec().into(), (0..=255).collect::<Vec<u8>>().into()],
        tuples: ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        lists: vec![vec![], vec![7], (0..1000).collect(), (0..2001).collect()],
        points: (0..3).map(|n| Point { x: n, y: -n }).collect(),
        numbered: [(-1, "minus".into()), (1 << 40, "large".into())].into(),
        keyed: [((1, vec![]), ()), ((1, vec![2, 3]), ())].into(),
        large: (0..1001).map(|n| (n, n * n)).collect(),
        variants: vec![
            Variant::Unit,
            Variant::Newtype(5),
            Variant::Tuple(1, true),
            Variant::Struct { a: None },
            Variant::Unit,
        ],
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("which folder?")?.into();
    for protocol in 0..=5 {
        for (name, tuples) in [("VALUES", false), ("TUPLES", true)] {
            let options = SerOptions::default().protocol(protocol).tuple_variants(tuples);
            let path = folder.join(format!("{name}-{protocol}.pkl"));
            std::fs::write(path, pickle::to_vec_with(&values(), &options)?)?;
        }
    }
    Ok(())
}
