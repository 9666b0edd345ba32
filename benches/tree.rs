//! The tree of a whole model of 1,000 modules, once it is open: printed, counted, named.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking"
)]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use depickle::torch::Checkpoint;

/// Blocks of ten modules each, when measured.
const BLOCKS: usize = 100;

/// What PyTorch 2.15 keeps in every module, besides its dicts and `training`.
const HOOKS: [&str; 12] = [
    "_non_persistent_buffers_set",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
];

fn text(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap();
    [b"X", &len.to_le_bytes()[..], text.as_bytes()].concat()
}

/// `name` and a dict of what is given.
fn dict(name: &str, items: &[u8]) -> Vec<u8> {
    [&text(name)[..], b"}(", items, b"u"].concat()
}

/// A module as protocol 2 has it.
fn module(class: &str, parameters: &[u8], children: &[u8], more: &[u8]) -> Vec<u8> {
    let mut out = [b"c", class.as_bytes(), b"\n)\x81}("].concat();
    out.extend([&text("training")[..], b"\x88"].concat());
    out.extend([dict("_parameters", parameters), dict("_buffers", b"")].concat());
    for hooks in HOOKS {
        out.extend([&text(hooks)[..], b"ccollections\nOrderedDict\n)R"].concat());
    }
    out.extend([dict("_modules", children), more.to_vec(), b"ub".to_vec()].concat());
    out
}

fn parameter(name: &str, key: &mut usize, sizes: &[u8], strides: &[u8]) -> Vec<u8> {
    *key += 1;
    let storage = [b"(", &text("storage")[..], b"ctorch\nFloatStorage\n"].concat();
    let storage = [storage, text(&key.to_string()), text("cpu"), b"M\0\x10tQK\0".to_vec()].concat();
    let view = [&storage[..], sizes, strides, b"\x89ccollections\nOrderedDict\n)RtR"].concat();
    let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n(", &view[..]].concat();
    let start = b"ctorch._utils\n_rebuild_parameter\n".to_vec();
    [text(name), start, tensor, b"\x88ccollections\nOrderedDict\n)R\x87R".to_vec()].concat()
}

fn linear(key: &mut usize) -> Vec<u8> {
    let weight = parameter("weight", key, b"K@K@\x86", b"K@K\x01\x86");
    let bias = parameter("bias", key, b"K@\x85", b"K\x01\x85");
    let sizes = [text("in_features"), b"K@".to_vec(), text("out_features"), b"K@".to_vec()];
    let class = "torch.nn.modules.linear\nLinear";
    module(class, &[weight, bias].concat(), b"", &sizes.concat())
}

fn activation() -> Vec<u8> {
    let more = [text("inplace"), b"\x89".to_vec()].concat();
    module("torch.nn.modules.activation\nReLU", b"", b"", &more)
}

/// Five linear layers and four activations.
fn block(key: &mut usize) -> Vec<u8> {
    let mut layers = Vec::new();
    for index in 0..9 {
        layers.extend(text(&index.to_string()));
        layers.extend(if index % 2 == 0 { linear(key) } else { activation() });
    }
    module("__main__\nBlock", b"", &layers, b"")
}

fn model(count: usize) -> Vec<u8> {
    let (mut blocks, mut key) = (Vec::new(), 0);
    for index in 0..count {
        blocks.extend([text(&format!("block{index}")), block(&mut key)].concat());
    }
    [&b"\x80\x02"[..], &module("__main__\nNet", b"", &blocks, b""), b"."].concat()
}

fn tree(c: &mut Criterion) {
    let blocks = common::size(BLOCKS, 2);
    let stream = model(blocks);
    let checkpoint = Checkpoint::from_bytes(stream.clone()).unwrap();
    let model = checkpoint.module().unwrap();
    assert_eq!(model.named_modules().unwrap().len(), 10 * blocks + 1);
    assert_eq!(model.state_dict().unwrap().entries.len(), 10 * blocks);
    assert_eq!(model.counts().unwrap().parameters, 5 * blocks as u64 * (64 * 64 + 64));
    let mut group = c.benchmark_group("tree");
    group.throughput(Throughput::Elements(10 * blocks as u64 + 1));
    group.bench_function("open", |b| {
        b.iter(|| Checkpoint::from_bytes(black_box(stream.clone())).unwrap());
    });
    group.bench_function("print", |b| b.iter(|| black_box(model).to_string()));
    group.bench_function("tallies", |b| b.iter(|| black_box(model).tallies().unwrap()));
    group.bench_function("state_dict", |b| b.iter(|| black_box(model).state_dict().unwrap()));
    group.bench_function("named_modules", |b| b.iter(|| black_box(model).named_modules().unwrap()));
    group.finish();
}

criterion_group!(benches, tree);
criterion_main!(benches);
