//! What bytes mean, on any machine: small files, read in every way, against what PyTorch and numpy
//! said of them. `.ci/miri` runs this on 64-bit, 32-bit and big-endian machines, so it reads
//! kilobytes and maps nothing.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "torch")]

mod common;

use depickle::pickle::{Policy, assemble, run};
use depickle::python::numpy::{Numpy, Views};
use depickle::torch::{Checkpoint, Element, Error, Options, Scope, TensorRef};
use depickle::{Budget, FileOffset};
use half::{bf16, f16};
use serde_json::Value;
use sha2::{Digest, Sha256};

use common::fixture;

/// Of each container one, of both byte orders, with views in and out of order. Miri interprets some
/// thousand steps a second: it gets the smallest.
const FILES: &[&str] = if cfg!(miri) {
    &["containers/zip_big_endian", "containers/zip_deflated", "containers/big_endian_legacy"]
} else {
    &[
        "dtypes",
        "views",
        "legacy_views",
        "containers/zip_big_endian",
        "containers/zip_deflated",
        "containers/big_endian_legacy",
        "containers/embedded_4",
        "containers/tar",
    ]
};

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// A file, and what PyTorch said of it.
fn opened(name: &str) -> (Checkpoint, Value) {
    let said: Value = serde_json::from_slice(&read(&format!("{name}.json"))).unwrap();
    let file = std::path::Path::new(name).with_file_name(said["file"].as_str().unwrap());
    let options = Options::default().policy(Policy::inspect());
    let bytes = bytes::Bytes::from(read(file.to_str().unwrap()));
    (options.read(bytes).unwrap_or_else(|why| panic!("{name}: {why}")), said)
}

#[test]
fn every_way_of_reading_gives_the_bytes_that_pytorch_has() {
    for name in FILES {
        let (checkpoint, said) = opened(name);
        let list = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
        for want in said["tensors"].as_array().unwrap() {
            let entry = list.find(want["name"].as_str().unwrap()).unwrap();
            let tensor = entry.on(&checkpoint).unwrap();
            let whole = tensor.to_bytes().unwrap();
            let found = Sha256::digest(&whole);
            let found = found.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            assert_eq!(found, want["sha256"].as_str().unwrap(), "{name}, {}", entry.name());
            every_way_agrees(tensor, &whole);
        }
    }
}

fn every_way_agrees(tensor: TensorRef, whole: &[u8]) {
    let mut into = vec![0xa5; whole.len()];
    tensor.read_into(&mut into).unwrap();
    assert_eq!(into, whole);
    let mut chunks = Vec::new();
    tensor
        .for_each_chunk(|chunk| {
            chunks.extend_from_slice(chunk);
            Ok::<(), Error>(())
        })
        .unwrap();
    assert_eq!(chunks, whole);
    macro_rules! elements {
        ($($type:ty: $to_le:expr;)*) => {$(
            if <$type>::reads(tensor.dtype()) {
                let le = |all: &[$type]| -> Vec<u8> { all.iter().flat_map(|&it| $to_le(it)).collect() };
                assert_eq!(le(&tensor.to_vec::<$type>().unwrap()), whole, "{}", tensor.name());
                let each: Result<Vec<$type>, Error> = tensor.elements().unwrap().collect();
                assert_eq!(le(&each.unwrap()), whole, "{}", tensor.name());
                if let Some(lent) = tensor.as_slice::<$type>() {
                    assert_eq!(le(lent), whole, "{}", tensor.name());
                }
            }
        )*};
    }
    elements! {
        u8: u8::to_le_bytes;
        i8: i8::to_le_bytes;
        u16: u16::to_le_bytes;
        i16: i16::to_le_bytes;
        u32: u32::to_le_bytes;
        i32: i32::to_le_bytes;
        u64: u64::to_le_bytes;
        i64: i64::to_le_bytes;
        f16: f16::to_le_bytes;
        bf16: bf16::to_le_bytes;
        f32: f32::to_le_bytes;
        f64: f64::to_le_bytes;
        [f32; 2]: |[re, im]: [f32; 2]| [re.to_le_bytes(), im.to_le_bytes()].concat();
        [f64; 2]: |[re, im]: [f64; 2]| [re.to_le_bytes(), im.to_le_bytes()].concat();
    }
}

#[test]
fn numbers_have_the_values_that_were_saved() {
    let (checkpoint, _) = opened("dtypes");
    let halves = checkpoint.tensor("torch.float16").unwrap().to_vec::<f16>().unwrap();
    assert_eq!(halves[2], f16::from_f32(1.5));
    let brain = checkpoint.tensor("torch.bfloat16").unwrap().to_vec::<bf16>().unwrap();
    assert_eq!(brain[3], bf16::from_f32(-2.25));
    let unsigned = checkpoint.tensor("torch.uint64").unwrap().to_vec::<u64>().unwrap();
    assert_eq!(unsigned, [0, 0, 1, u64::MAX]);
    let widened = checkpoint.tensor("torch.bfloat16").unwrap().cast::<f64>().unwrap();
    assert_eq!(widened[3], -2.25);
    for name in ["containers/zip_big_endian", "containers/zip_deflated"] {
        let (checkpoint, _) = opened(name);
        let base = checkpoint.tensor("base").unwrap().to_vec::<f32>().unwrap();
        let turned = checkpoint.tensor("turned").unwrap().to_vec::<f32>().unwrap();
        let at = |row: usize, column: usize| turned[column * 2 + row];
        let again: Vec<f32> = (0..6).map(|index| at(index / 3, index % 3)).collect();
        assert_eq!(base, again, "{name}");
    }
}

/// A tensor is written as it was read.
#[test]
fn what_is_saved_reads_the_same() {
    use depickle::torch::Draft;
    let (checkpoint, _) = opened("views");
    let mut budget = Budget::default();
    let draft = Draft::of(&checkpoint, &mut budget).unwrap();
    let root = draft.root();
    let mut out = Vec::new();
    draft.finish(root).unwrap().write(&mut out).unwrap();
    let again = Checkpoint::from_bytes(out).unwrap();
    for entry in checkpoint.tensors().unwrap() {
        let before = entry.on(&checkpoint).unwrap().to_bytes().unwrap();
        let after = again.tensor(entry.name()).unwrap();
        assert_eq!(after.to_bytes().unwrap(), before, "{}", entry.name());
    }
}

/// Arrays of either byte order, in rows and in columns.
#[test]
fn arrays_have_the_values_that_were_pickled() {
    let data = |order: &str| -> String {
        let number = |number: u8| match order {
            ">" => f32::from(number).to_be_bytes(),
            _ => f32::from(number).to_le_bytes(),
        };
        (1..=6).flat_map(number).fold(String::new(), |text, byte| format!("{text}\\x{byte:02x}"))
    };
    for order in ["<", ">"] {
        for (columns, values) in [
            ("NEWFALSE", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            ("NEWTRUE", [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
        ] {
            let stream = assemble(&format!(
                "PROTO 3\nGLOBAL numpy.core.multiarray _reconstruct\nGLOBAL numpy ndarray\n\
                 BININT1 0\nTUPLE1\nSHORT_BINBYTES \"b\"\nTUPLE3\nREDUCE\nMARK\nBININT1 1\n\
                 BININT1 2\nBININT1 3\nTUPLE2\nGLOBAL numpy dtype\nBINUNICODE \"f4\"\nNEWFALSE\n\
                 NEWTRUE\nTUPLE3\nREDUCE\nMARK\nBININT1 3\nBINUNICODE \"{order}\"\nNONE\nNONE\n\
                 NONE\nBININT -1\nBININT -1\nBININT1 0\nTUPLE\nBUILD\n{columns}\n\
                 SHORT_BINBYTES \"{}\"\nTUPLE\nBUILD\nSTOP\n",
                data(order)
            ))
            .unwrap();
            let outcome =
                run(stream.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
            outcome.end.unwrap();
            let mut views = Views::new(Budget::default());
            let view = views.any(outcome.graph.root().unwrap()).unwrap().unwrap();
            let Numpy::Array(array) = view else { panic!("{view:?}") };
            assert_eq!(array.to_vec::<f32>().unwrap(), values, "{order}, {columns}");
            let little: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(array.little_endian_bytes().unwrap(), little);
            let here = if cfg!(target_endian = "big") { ">" } else { "<" };
            let lent = array.as_slice::<f32>();
            assert!(lent.is_none_or(|lent| lent == values && order == here));
        }
    }
}
