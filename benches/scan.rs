//! Verdicts: on a large file of few tensors, on one of many, and on small pickles in a row.
#![allow(
    clippy::cast_precision_loss,
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking"
)]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod common;

use std::hint::black_box;

use common::Shape;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use depickle::scan::{Scanner, Verdict};

const SHAPES: [Shape; 2] = [
    // 2 GiB.
    Shape { name: "scan_large", tensors: 512, rows: 1024, columns: 1024, transposed: false },
    Shape { name: "scan_many", tensors: 5_000, rows: 4, columns: 4, transposed: false },
];

fn checkpoints(criterion: &mut Criterion) {
    let scanner = Scanner::new();
    let mut group = criterion.benchmark_group("scan");
    for shape in SHAPES.map(Shape::sized) {
        let path = shape.file();
        assert_eq!(scanner.scan_path(&path).verdict, Verdict::Clean);
        group.throughput(Throughput::Elements(shape.tensors as u64));
        group.bench_function(shape.name, |bencher| {
            bencher.iter(|| black_box(scanner.scan_path(&path)));
        });
    }
    group.finish();
}

fn small(criterion: &mut Criterion) {
    let scanner = Scanner::new();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench/scan_small");
    std::fs::create_dir_all(&folder).unwrap();
    let paths: Vec<_> = (0..common::size(256, 4))
        .map(|number| {
            let path = folder.join(format!("{number}.pkl"));
            let body = b"X\x01\x00\x00\x00aG?\xe0\x00\x00\x00\x00\x00\x00s".repeat(64);
            std::fs::write(&path, [b"\x80\x02}", &body[..], b"."].concat()).unwrap();
            path
        })
        .collect();
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(paths.len() as u64));
    group.bench_function("small_files", |bencher| {
        bencher.iter(|| {
            for path in &paths {
                black_box(scanner.scan_path(path));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, checkpoints, small);
criterion_main!(benches);
