//! Safetensors files, read as checkpoints: what the official writer wrote, and what nobody should.
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

use std::fs;

use common::fixture;
use depickle::torch::{Checkpoint, Container, DType, ObjectKind, Scope};
use depickle::{Category, Limits};

/// A file of this header and so many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend((0..data).map(|index| u8::try_from(index % 251).unwrap()));
    file
}

fn refused(header: &str, data: usize) -> String {
    let why = Checkpoint::from_bytes(file(header, data)).map(drop).unwrap_err();
    assert_eq!(why.category(), Category::Malformed, "{why}");
    why.to_string()
}

#[test]
fn every_tensor_of_the_official_writer_is_that_of_the_pth() {
    for (name, key, shared) in [("state", "", 1), ("tied", "model", 1)] {
        let pth = Checkpoint::open(fixture(&format!("convert/{name}.pth"))).unwrap();
        let found = Checkpoint::open(fixture(&format!("convert/{name}.safetensors"))).unwrap();
        assert_eq!(found.container(), Container::Safetensors);
        assert_eq!(found.kind_of(found.root()).unwrap(), ObjectKind::StateDict);
        let wanted = pth.tensors_in(pth.at(key).unwrap(), Scope::StateDict).unwrap();
        assert_eq!(found.tensors().unwrap().len(), wanted.len() - shared);
        for entry in found.tensors().unwrap() {
            let (one, other) = (entry.on(&found).unwrap(), wanted.find(entry.name()).unwrap());
            let other = other.on(&pth).unwrap();
            assert_eq!((one.dtype(), one.shape()), (other.dtype(), other.shape()), "{one:?}");
            assert_eq!(one.to_bytes().unwrap(), other.to_bytes().unwrap(), "{one:?}");
        }
    }
    let tied = Checkpoint::open(fixture("convert/tied.safetensors")).unwrap();
    assert_eq!(tied.metadata(), [("format", "pt"), ("wte.weight", "lm_head.weight")]);
    assert!(tied.verify().unwrap().is_sound());
}

#[test]
fn shards_are_one_checkpoint() {
    let pth = Checkpoint::open(fixture("convert/layers.pth")).unwrap();
    for path in ["convert/shards", "convert/shards/model.safetensors.index.json"] {
        let found = Checkpoint::open(fixture(path)).unwrap();
        assert_eq!(found.container(), Container::Sharded);
        assert_eq!(found.tensors().unwrap().len(), 8);
        for entry in found.tensors().unwrap() {
            let wanted = pth.tensor(entry.name()).unwrap().to_bytes().unwrap();
            assert_eq!(entry.on(&found).unwrap().to_bytes().unwrap(), wanted);
        }
        // The index or folder, and the shards.
        assert_eq!(found.files().count(), 5);
    }
}

#[test]
fn tensors_come_in_the_order_of_their_data() {
    let header = r#"{"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},
        "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"later":[{"x":null}]},
        "e":{"data_offsets":[3,3],"shape":[0,9223372036854775807],"dtype":"F32"},
        "__metadata__":null}   "#;
    let found = Checkpoint::from_bytes(file(header, 3)).unwrap();
    let names: Vec<&str> =
        found.tensors().unwrap().iter().map(depickle::torch::Entry::name).collect();
    assert_eq!(names, ["a", "b", "e"]);
    assert_eq!(found.tensor("b").unwrap().to_vec::<u8>().unwrap(), [1, 2]);
    assert_eq!(found.tensor("e").unwrap().numel(), 0);
    assert!(found.metadata().is_empty());
}

#[test]
fn packed_types_count_their_bytes() {
    let header = r#"{"four":{"dtype":"F4","shape":[2,4],"data_offsets":[0,4]},
        "odd":{"dtype":"F4","shape":[2,1],"data_offsets":[4,5]},
        "six":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[5,8]}}"#;
    let found = Checkpoint::from_bytes(file(header, 8)).unwrap();
    let four = found.tensor("four").unwrap();
    assert_eq!((four.dtype(), four.shape()), (DType::Float4E2M1FnX2, &[2, 2][..]));
    // What PyTorch has no type for hides no other.
    for name in ["odd", "six"] {
        let why = found.tensor(name).map(drop).unwrap_err().to_string();
        assert!(why.contains("is no dtype of PyTorch"), "{why}");
    }
}

#[test]
fn headers_that_describe_another_file_are_refused() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"x.y":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (header, data, want) in [
        (one("F32", "[2]", "[0,7]"), 7, "\"x.y\": this is no sound safetensors file: F32 elements of [2] take 8 bytes, but it has 7"),
        (one("F32", "[2]", "[1,9]"), 9, "\"x.y\": this is no sound safetensors file: its data begin at byte 1 and leave a hole: those before end at 0"),
        (one("F32", "[2]", "[8,0]"), 8, "end at byte 0, before they begin at 8"),
        (one("F32", "[2]", "[0,8]"), 9, "its last tensor ends at byte"),
        (one("F33", "[2]", "[0,8]"), 8, "\"F33\" is no type of the format"),
        (one("F4", "[3]", "[0,1]"), 1, "ends within a byte"),
        (one("U8", "[4294967296,4294967296]", "[0,0]"), 0, "its size exceeds 64 bits"),
        (one("U8", "[-1]", "[0,1]"), 1, "tensor \\\"x.y\\\""),
        (one("U8", "[1.5]", "[0,1]"), 1, "x.y"),
        (one("U8", "[1]", "[0]"), 1, "x.y"),
        (one("U8", "[1]", "[0,1,2]"), 1, "x.y"),
        (one("U8", "7", "[0,1]"), 1, "x.y"),
        (r#"{"x":["U8",[1],[0,1]]}"#.to_owned(), 1, "x"),
        (r#"{"x":{"dtype":"U8","shape":[1]}}"#.to_owned(), 1, "`data_offsets` is missing"),
        (r#"{"x":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.to_owned(), 1, "`dtype` stands there twice"),
        (r#"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#.to_owned(), 2, "\"x\": this is no sound safetensors file: the header names it twice"),
        (r#"{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"z":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#.to_owned(), 3, "\"z\": this is no sound safetensors file: its data begin at byte 1 and overlap: those before end at 2"),
        (r#"{"__metadata__":{"a":"b","a":"c"}}"#.to_owned(), 0, "the key \\\"a\\\" twice"),
        (r#"{"__metadata__":{"a":1}}"#.to_owned(), 0, "invalid type: integer `1`"),
        (r#"{"__metadata__":{},"__metadata__":{}}"#.to_owned(), 0, "stand there twice"),
        (r#"{"x"}"#.to_owned(), 0, "expected `:`"),
        ("{} x".to_owned(), 0, "trailing characters"),
        (format!("{{\"x\":{}", "[".repeat(100_000)), 0, "x"),
    ] {
        let why = refused(&header, data);
        let want = want.replace("\\\"", "\"");
        assert!(why.contains(&want), "{header:.200}\n{why}\n{want}");
    }
}

#[test]
fn lengths_are_bounded_before_they_cost() {
    for (len, want) in [
        (100_000_001_u64, "its header of 100000001 bytes is above 100000000"),
        (1000, "its header should end at byte 1008, but the file has 10: get it again"),
        (u64::from(u32::MAX), "is above 100000000"),
    ] {
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"{}");
        let why = Checkpoint::from_bytes(bytes).map(drop).unwrap_err().to_string();
        assert!(why.contains(want), "{why}");
    }
    let mut bytes = (1_u64 << 40).to_le_bytes().to_vec();
    bytes.extend_from_slice(b"{\"x\":{}}");
    let why = Checkpoint::from_bytes(bytes).map(drop).unwrap_err().to_string();
    assert!(why.contains("no length of a header"), "{why}");
    let many: Vec<String> = (0..1000)
        .map(|at| format!(r#""{at}":{{"dtype":"U8","shape":[],"data_offsets":[{at},{}]}}"#, at + 1))
        .collect();
    let bytes = file(&format!("{{{}}}", many.join(",")), 1000);
    let limits = Limits::default().with_memory(1 << 16);
    let options = depickle::torch::Options::default().limits(limits);
    let why = options.read(bytes::Bytes::from(bytes)).map(drop).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit, "{why}");
}

#[test]
fn what_is_there_of_a_cut_file_can_be_read() {
    let whole = fs::read(fixture("convert/state.safetensors")).unwrap();
    let full = Checkpoint::from_bytes(whole.clone()).unwrap();
    let cut = Checkpoint::from_bytes(whole[..whole.len() - 100].to_vec()).unwrap();
    let mut lost = 0;
    for entry in cut.tensors().unwrap() {
        match entry.on(&cut) {
            Ok(found) => {
                let wanted = full.tensor(entry.name()).unwrap();
                assert_eq!(found.to_bytes().unwrap(), wanted.to_bytes().unwrap());
            }
            Err(why) => {
                lost += 1;
                assert!(why.to_string().contains("its storage should have"), "{why}");
            }
        }
    }
    assert!(lost > 0 && lost < full.tensors().unwrap().len(), "{lost}");
}

#[test]
fn no_prefix_and_no_changed_byte_panics() {
    let whole = fs::read(fixture("convert/tied.safetensors")).unwrap();
    for len in 0..whole.len() {
        let _ = Checkpoint::from_bytes(whole[..len].to_vec()).map(|it| it.tensors().map(drop));
    }
    for at in 0..whole.len() {
        for flip in [1, 0x20, 0x80] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            let Ok(found) = Checkpoint::from_bytes(changed) else { continue };
            for entry in found.tensors().unwrap() {
                let _ = entry.on(&found).map(|tensor| tensor.to_bytes().map(drop));
            }
        }
    }
}
