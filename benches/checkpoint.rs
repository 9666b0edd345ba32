//! Opening, listing and reading checkpoints.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking"
)]

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use depickle::torch::{Checkpoint, Error};

use common::Shape;

const LARGE: Shape =
    Shape { name: "256MiB_64", tensors: 64, rows: 1024, columns: 1024, transposed: false };
const TRANSPOSED: Shape = Shape { name: "transposed_16", tensors: 16, transposed: true, ..LARGE };
const MANY: Shape = Shape { name: "5000", tensors: 5_000, rows: 4, columns: 4, transposed: false };
const MORE: Shape = Shape { name: "50000", tensors: 50_000, ..MANY };

fn open_and_list(c: &mut Criterion) {
    let mut group = c.benchmark_group("open_list");
    for shape in [LARGE, MANY, MORE].map(Shape::sized) {
        let path = shape.file();
        group.throughput(Throughput::Elements(shape.tensors as u64));
        group.bench_function(format!("positioned/{}", shape.name), |b| {
            b.iter(|| Checkpoint::open(&path).unwrap().tensors().unwrap().len());
        });
        group.bench_function(format!("mapped/{}", shape.name), |b| {
            b.iter(|| Checkpoint::open_mapped(&path).unwrap().tensors().unwrap().len());
        });
    }
    group.finish();
}

fn read_all(c: &mut Criterion) {
    let mut group = c.benchmark_group("read_all");
    group.sample_size(20);
    let shape = LARGE.sized();
    let path = shape.file();
    group.throughput(Throughput::Bytes(shape.bytes() as u64));
    group.bench_function("positioned/to_vec", |b| {
        b.iter(|| {
            let checkpoint = Checkpoint::open(&path).unwrap();
            for entry in checkpoint.tensors().unwrap() {
                black_box(entry.on(&checkpoint).unwrap().to_vec::<f32>().unwrap());
            }
        });
    });
    group.bench_function("positioned/chunks", |b| {
        b.iter(|| {
            let checkpoint = Checkpoint::open(&path).unwrap();
            for entry in checkpoint.tensors().unwrap() {
                let tensor = entry.on(&checkpoint).unwrap();
                tensor
                    .for_each_chunk(|chunk| {
                        black_box(chunk);
                        Ok::<(), Error>(())
                    })
                    .unwrap();
            }
        });
    });
    group.bench_function("mapped/sum", |b| {
        b.iter(|| {
            let checkpoint = Checkpoint::open_mapped(&path).unwrap();
            let sums = checkpoint.tensors().unwrap().iter().map(|entry| {
                let tensor = entry.on(&checkpoint).unwrap();
                tensor.as_slice::<f32>().unwrap().iter().sum::<f32>()
            });
            sums.sum::<f32>()
        });
    });
    group.finish();
}

/// Elements that do not lie in the order they are wanted in, and parts of tensors.
fn read_strided(c: &mut Criterion) {
    let mut group = c.benchmark_group("read_strided");
    group.sample_size(20);
    let shape = TRANSPOSED.sized();
    let path = shape.file();
    group.throughput(Throughput::Bytes(shape.bytes() as u64));
    let whole = |checkpoint: &Checkpoint| {
        for entry in checkpoint.tensors().unwrap() {
            black_box(entry.on(checkpoint).unwrap().to_vec::<f32>().unwrap());
        }
    };
    group.bench_function("mapped/transposed_16", |b| {
        b.iter(|| whole(&Checkpoint::open_mapped(&path).unwrap()));
    });
    group.bench_function("positioned/transposed_16", |b| {
        b.iter(|| whole(&Checkpoint::open(&path).unwrap()));
    });
    // A 16th of the rows, or of the columns, of each tensor.
    for (name, axis) in [("rows", 0), ("columns", 1)] {
        let shape = LARGE.sized();
        group.throughput(Throughput::Bytes(shape.bytes() as u64 / 16));
        let path = shape.file();
        group.bench_function(format!("positioned/{name}_of_256MiB_64"), |b| {
            let sixteenth = shape.rows as u64 / 16;
            let range = sixteenth..2 * sixteenth;
            b.iter(|| {
                let checkpoint = Checkpoint::open(&path).unwrap();
                for entry in checkpoint.tensors().unwrap() {
                    let tensor = entry.on(&checkpoint).unwrap();
                    let part = tensor.slice(axis, range.clone()).unwrap();
                    black_box(tensor.part(&part).to_vec::<f32>().unwrap());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, open_and_list, read_all, read_strided);
criterion_main!(benches);
