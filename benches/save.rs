//! Saving, in bytes per second: to nowhere, to a file, and beside it `dd` writing the same bytes
//! of the same file in the same run.
//!
//!     cargo bench --all-features --bench save
//!
//! `DEPICKLE_SAVE_MIB=2048` makes the checkpoint that large (MiB; 256 otherwise), and
//! `DEPICKLE_SAVE_DIR` says where the files are made.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking"
)]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod common;

use std::hint::black_box;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use depickle::Budget;
use depickle::base::Existing;
use depickle::torch::{Checkpoint, Draft};

fn mebibytes() -> usize {
    let given = std::env::var("DEPICKLE_SAVE_MIB").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(common::size(256, 4))
}

fn folder() -> tempfile::TempDir {
    match std::env::var_os("DEPICKLE_SAVE_DIR") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

/// Tensors of 4 MiB each, no two alike.
fn elements() -> Vec<f32> {
    let count = mebibytes() << 18;
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(state >> 9 | 0x3f80_0000)
    };
    (0..count).map(next).collect()
}

fn save(elements: &[f32], sink: impl Write) -> u64 {
    let mut budget = Budget::default();
    let mut draft = Draft::new(&mut budget);
    let chunks = elements.chunks(1 << 20).enumerate();
    let named: Vec<_> = chunks
        .map(|(number, chunk)| {
            let tensor = draft.tensor(&[chunk.len() as u64], chunk).unwrap();
            (format!("layers.{number}.weight"), tensor)
        })
        .collect();
    let root = draft.state_dict(named).unwrap();
    draft.finish(root).unwrap().write(sink).unwrap()
}

fn resave(checkpoint: &Checkpoint, to: &Path) -> u64 {
    let mut budget = Budget::default();
    let draft = Draft::of(checkpoint, &mut budget).unwrap();
    let root = draft.root();
    let plan = draft.finish(root).unwrap();
    plan.save(to, Existing::Replace).unwrap()
}

fn dd(from: &Path, to: &Path) {
    let [from, to] =
        [("if", from), ("of", to)].map(|(key, path)| format!("{key}={}", path.display()));
    // As `save`, which waits for the disk.
    let arguments = [&*from, &*to, "bs=1M", "conv=fsync"];
    let done = Command::new("dd").args(arguments).stderr(Stdio::null()).status();
    assert!(done.unwrap().success(), "dd works");
}

fn saving(criterion: &mut Criterion) {
    let elements = elements();
    let folder = folder();
    let [from, to]: [PathBuf; 2] = ["from.pth", "to.pth"].map(|name| folder.path().join(name));
    save(&elements, std::fs::File::create(&from).unwrap());
    let mut group = criterion.benchmark_group("save");
    group.throughput(Throughput::Bytes(elements.len() as u64 * 4)).sample_size(10);
    group.bench_function("memory to nowhere", |bench| {
        bench.iter(|| black_box(save(&elements, io::sink())));
    });
    drop(elements);
    let read = Checkpoint::open(&from).unwrap();
    group.bench_function("file to file", |bench| bench.iter(|| resave(&read, &to)));
    let mapped = Checkpoint::open_mapped(&from).unwrap();
    group.bench_function("map to file", |bench| bench.iter(|| resave(&mapped, &to)));
    group.bench_function("dd, file to file", |bench| bench.iter(|| dd(&from, &to)));
    group.finish();
}

criterion_group!(benches, saving);
criterion_main!(benches);
