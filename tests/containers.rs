//! Every container that PyTorch has written tensors into: what is read is what PyTorch says.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(all(feature = "torch", feature = "mmap"))]

mod common;

use std::path::PathBuf;

use depickle::torch::{Checkpoint, Entry, List, Scope};
use serde_json::Value;
use sha2::{Digest, Sha256};

use common::fixture;

struct Record {
    name: String,
    path: PathBuf,
    json: Value,
}

fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for entry in std::fs::read_dir(fixture("containers")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let path = fixture("containers").join(json["file"].as_str().unwrap());
            records.push(Record { name, path, json });
        }
    }
    assert!(records.len() >= 20, "only {} records", records.len());
    records
}

fn hex(hash: impl AsRef<[u8]>) -> String {
    hash.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[test]
fn tensors_are_what_pytorch_says() {
    for record in records() {
        for way in ["by position", "mapped"] {
            let at = format!("{} {way}", record.name);
            let opened = match way {
                "mapped" => Checkpoint::open_mapped(&record.path),
                _ => Checkpoint::open(&record.path),
            };
            let checkpoint = opened.unwrap_or_else(|why| panic!("{at}: {why}"));
            assert_eq!(checkpoint.container().name(), record.json["container"], "{at}");
            let list = checkpoint.tensors().unwrap();
            // `state_dict` as PyTorch has it, or its own error, which is no reason for one here.
            if record.json["error"].is_null() {
                let wanted = record.json["tensors"].as_array().unwrap();
                let names: Vec<&str> = list.iter().map(Entry::name).collect();
                let wanted_names: Vec<&str> =
                    wanted.iter().map(|want| want["name"].as_str().unwrap()).collect();
                assert_eq!(names, wanted_names, "{at}");
                compare(&at, &checkpoint, list, wanted);
            }
            let all = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
            compare(&at, &checkpoint, &all, record.json["extra_tensors"].as_array().unwrap());
        }
    }
}

fn compare(at: &str, checkpoint: &Checkpoint, list: &List, wanted: &[Value]) {
    for want in wanted {
        let name = want["name"].as_str().unwrap();
        let at = format!("{at} {name}");
        let entry = list.find(name).unwrap_or_else(|why| panic!("{at}: {why}"));
        let tensor = entry.on(checkpoint).unwrap_or_else(|why| panic!("{at}: {why}"));
        let shape: Vec<u64> =
            want["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap()).collect();
        assert_eq!(tensor.dtype().name(), want["dtype"], "{at}");
        assert_eq!(tensor.shape(), shape, "{at}");
        assert_eq!(tensor.requires_grad(), want["requires_grad"].as_bool().unwrap(), "{at}");
        let role = entry.role().map(depickle::torch::Role::name);
        assert_eq!(role, want["role"].as_str(), "{at}");
        let sha256 = want["sha256"].as_str().unwrap();
        assert_eq!(hex(Sha256::digest(tensor.to_bytes().unwrap())), sha256, "{at}");
        let mut streamed = Sha256::new();
        let stream = |chunk: &[u8]| -> Result<(), depickle::torch::Error> {
            streamed.update(chunk);
            Ok(())
        };
        tensor.for_each_chunk(stream).unwrap();
        assert_eq!(hex(streamed.finalize()), sha256, "{at} streamed");
    }
}

#[test]
fn modules_print_as_in_python() {
    let mut modules = 0;
    for record in records() {
        if let Some(want) = record.json["repr"].as_str() {
            let checkpoint = Checkpoint::open(&record.path).unwrap();
            assert_eq!(checkpoint.module().unwrap().to_string(), want, "{}", record.name);
            modules += 1;
        }
    }
    assert!(modules >= 4, "only {modules} modules");
}
