//! Decoding, running and writing plain pickles, beside CPython's own `pickle` in the same run
//! where there is a `python3` (or `PYTHON` names one).
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking"
)]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod common;

use std::cell::RefCell;
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use depickle::pickle::{BuildError, Encoder, Graph, GraphBuilder, NodeId, Ops, Policy, run};
use depickle::{Budget, FileOffset};

use common::size;

/// Names of the shapes; `benches/peers/files.py` makes the same values.
const SHAPES: [&str; 4] = ["dicts", "ints", "floats", "state_dict"];

/// The pickle of a shape, as CPython writes it: protocol 4, 2 for the state dict.
fn stream(shape: &str) -> Bytes {
    let mut budget = Budget::default();
    let mut build = GraphBuilder::new(&mut budget);
    let (root, protocol) = match shape {
        "dicts" => (dicts(&mut build, size(500_000, 50)).unwrap(), 4),
        "ints" => (ints(&mut build, size(5_000_000, 500)).unwrap(), 4),
        "floats" => (floats(&mut build, size(1_000_000, 100)).unwrap(), 4),
        _ => (state_dict(&mut build, size(5_000, 5)).unwrap(), 2),
    };
    let graph = build.finish(root);
    let encoder = Encoder::new(protocol).memoize_all(true);
    encoder.to_vec(graph.root().unwrap(), &mut Budget::default()).unwrap().into()
}

/// Records, as a JSON-like data set has them.
fn dicts(build: &mut GraphBuilder, count: i32) -> Result<NodeId, BuildError> {
    let keys = ["id", "split", "label", "score"].map(|key| build.value(key).unwrap());
    let kinds = ["train", "validation", "test"].map(|kind| build.value(kind).unwrap());
    let mut records = Vec::new();
    for number in 0..count {
        let [id, split, label, score] = keys;
        let kind = kinds.iter().cycle().nth(number.rem_euclid(3).unsigned_abs() as usize);
        records.push(build.value(&number)?);
        let values = [
            (id, records.pop().unwrap()),
            (split, *kind.unwrap()),
            (label, build.value(&(number % 10))?),
            (score, build.value(&(f64::from(number) / 7.0))?),
        ];
        records.push(build.dict(&values)?);
    }
    build.list(&records)
}

fn ints(build: &mut GraphBuilder, count: usize) -> Result<NodeId, BuildError> {
    let items: Result<Vec<NodeId>, _> =
        (0..count).map(|number| build.value(&(number % 256))).collect();
    build.list(&items?)
}

fn floats(build: &mut GraphBuilder, count: i32) -> Result<NodeId, BuildError> {
    let mut pairs = Vec::new();
    for number in 0..count {
        let name = build.value(&format!("parameter.{number}"))?;
        pairs.push((name, build.value(&(f64::from(number) / 3.0))?));
    }
    build.dict(&pairs)
}

/// The `data.pkl` of tensors of float32, 4 by 4.
fn state_dict(build: &mut GraphBuilder, count: i32) -> Result<NodeId, BuildError> {
    let rebuild = build.global("torch._utils", "_rebuild_tensor_v2")?;
    let class = build.global("torch", "FloatStorage")?;
    let ordered = build.global("collections", "OrderedDict")?;
    let (word, cpu) = (build.value("storage")?, build.value("cpu")?);
    let empty = build.tuple(&[])?;
    let mut pairs = Vec::new();
    for number in 0..count {
        let (key, sixteen) = (build.value(&number.to_string())?, build.value(&16)?);
        let id = build.tuple(&[word, class, key, cpu, sixteen])?;
        let storage = build.persistent(id)?;
        let (size, stride) = (build.value(&(4, 4))?, build.value(&(4, 1))?);
        let (offset, no) = (build.value(&0)?, build.bool(false));
        let hooks = build.call(ordered, empty)?;
        let args = build.tuple(&[storage, offset, size, stride, no, hooks])?;
        let name = build.value(&format!("layers.{number}.weight"))?;
        pairs.push((name, build.call(rebuild, args)?));
    }
    let state = build.call(ordered, empty)?;
    build.insert(state, &pairs)?;
    Ok(state)
}

fn load(stream: &Bytes) -> Graph {
    let outcome = run(stream.clone(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
    outcome.end.unwrap();
    outcome.graph
}

/// A Python process that times its own pickle, so that both are measured in one run.
struct Python {
    child: Child,
    said: RefCell<BufReader<ChildStdout>>,
}

impl Python {
    fn start(work: &str, shape: &str, stream: &[u8]) -> Option<Self> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{shape}.pkl"));
        fs::write(&path, stream).unwrap();
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/python_pickle.py");
        let mut command = Command::new(python);
        command.args([script, "serve", work]).arg(path);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let said = RefCell::new(BufReader::new(child.stdout.take()?));
        Some(Self { child, said })
    }

    fn time(&self, rounds: u64) -> Duration {
        let mut line = String::new();
        writeln!(self.child.stdin.as_ref().unwrap(), "{rounds}").unwrap();
        self.said.borrow_mut().read_line(&mut line).unwrap();
        Duration::from_secs_f64(line.trim().parse().unwrap())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What is timed in a group: a benchmark a shape, and beside it CPython's.
struct Group {
    name: &'static str,
    python: Option<&'static str>,
    time: fn(&mut Bencher, &Bytes),
}

const GROUPS: [Group; 3] = [
    Group {
        name: "decode",
        python: None,
        time: |b, stream| b.iter(|| Ops::new(stream).map(black_box).count()),
    },
    Group { name: "machine", python: Some("load"), time: |b, stream| b.iter(|| load(stream)) },
    Group {
        name: "encode",
        python: Some("dump"),
        time: |b, stream| {
            let graph = load(stream);
            let (root, encoder) = (graph.root().unwrap(), Encoder::new(4));
            b.iter(|| encoder.to_vec(root, &mut Budget::default()).unwrap());
        },
    },
];

fn shapes(c: &mut Criterion) {
    let streams = SHAPES.map(|shape| (shape, stream(shape)));
    for Group { name, python, time } in GROUPS {
        let mut group = c.benchmark_group(name);
        group.sample_size(10);
        for (shape, stream) in &streams {
            group.throughput(Throughput::Bytes(stream.len() as u64));
            group.bench_function(*shape, |b| time(b, stream));
            if let Some(python) = python.and_then(|work| Python::start(work, shape, stream)) {
                group.bench_function(format!("{shape}, CPython"), |b| {
                    b.iter_custom(|rounds| python.time(rounds));
                });
            }
        }
        group.finish();
    }
}

/// Bytes a second that stay the same, whatever the length.
fn linear(c: &mut Criterion) {
    let mut group = c.benchmark_group("linear");
    group.sample_size(10);
    for (name, unit) in [("lists", &b"]\x940"[..]), ("calls", b"cm\nf\n)R0"), ("ints", b"K\x010")] {
        for millions in [1, 2, 4, 8] {
            let count = size(millions << 20 >> 1, 1_000);
            let stream = Bytes::from([&unit.repeat(count)[..], b"N."].concat());
            group.throughput(Throughput::Bytes(stream.len() as u64));
            group.bench_function(format!("{name}/{millions}"), |b| b.iter(|| load(&stream)));
        }
    }
    group.finish();
}

criterion_group!(benches, shapes, linear);
criterion_main!(benches);
