//! Converting: a checkpoint of large tensors, one of many small ones, one that is cast.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking"
)]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod common;

use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use depickle::Budget;
use depickle::base::Existing;
use depickle::convert::{Convert, Format};
use depickle::torch::{Checkpoint, DType, Draft};

/// A `.pth` of `count` tensors of `numel` floats.
fn checkpoint(folder: &Path, count: usize, numel: usize) -> PathBuf {
    let path = folder.join(format!("{count}.pth"));
    let data: Vec<f32> = (0..numel).map(|n| f32::from(u16::try_from(n % 9973).unwrap())).collect();
    let mut budget = Budget::default();
    let mut draft = Draft::new(&mut budget);
    let mut entries = Vec::new();
    for index in 0..count {
        let tensor = draft.tensor(&[numel as u64], &data).unwrap();
        entries.push((format!("layer.{index}.weight"), tensor));
    }
    let root = draft.state_dict(entries).unwrap();
    draft.finish(root).unwrap().save(&path, Existing::Replace).unwrap();
    path
}

fn run(path: &Path, out: &Path, convert: &Convert) {
    let checkpoint = Checkpoint::open(path).unwrap();
    let plan = convert.plan(&checkpoint).unwrap();
    plan.write(out, Existing::Refuse, &|_| {}).unwrap().commit().unwrap();
    std::fs::remove_file(out).unwrap();
}

fn convert(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (name, count, numel) in [("large", 16, 4 << 20), ("small", 5_000, 256)] {
        let (count, numel) = common::size((count, numel), (4, 64));
        let path = checkpoint(folder.path(), count, numel);
        let mut group = c.benchmark_group(format!("convert/{name}"));
        group.throughput(Throughput::Bytes((count * numel * 4) as u64)).sample_size(10);
        let plain = Convert::to(Format::Safetensors);
        group.bench_function("safetensors", |b| b.iter(|| run(&path, &out, &plain)));
        let unchecked = plain.clone().without_checksums();
        group.bench_function("safetensors, no checksums", |b| {
            b.iter(|| run(&path, &out, &unchecked));
        });
        let cast = plain.clone().dtype(DType::BFloat16);
        group.bench_function("safetensors, bf16", |b| b.iter(|| run(&path, &out, &cast)));
        for format in [Format::Pth, Format::Npz] {
            let convert = Convert::to(format);
            group.bench_function(format.name(), |b| b.iter(|| run(&path, &out, &convert)));
        }
        // What the system needs for the same bytes.
        group.bench_function("std::fs::copy", |b| {
            b.iter(|| {
                std::fs::copy(&path, &out).unwrap();
                std::fs::remove_file(&out).unwrap();
            });
        });
        group.finish();
    }
}

criterion_group!(benches, convert);
criterion_main!(benches);
