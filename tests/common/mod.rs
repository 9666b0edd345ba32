//! The fixtures that real PyTorch made, and what it said of them.
#![allow(unreachable_pub, dead_code, reason = "each test uses its part")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(all(feature = "torch", feature = "mmap"))]
pub mod forward;

use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// A fixture with its record.
pub struct Record {
    pub name: String,
    pub path: PathBuf,
    pub json: Value,
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Every fixture that has a record.
pub fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for entry in std::fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let path = fixture(json["file"].as_str().unwrap());
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            records.push(Record { name, path, json });
        }
    }
    assert!(records.len() >= 10, "only {} records", records.len());
    records
}

/// A zip archive with every member changed by `change`, or left out.
pub fn rezip(bytes: &[u8], mut change: impl FnMut(&str, Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut from = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for index in 0..from.len() {
        let mut member = from.by_index(index).unwrap();
        let name = member.name().unwrap().into_owned();
        let mut data = Vec::new();
        member.read_to_end(&mut data).unwrap();
        if let Some(data) = change(&name, data) {
            to.start_file(&name, stored.with_alignment(64)).unwrap();
            to.write_all(&data).unwrap();
        }
    }
    to.finish().unwrap().into_inner()
}
