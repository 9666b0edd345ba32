//! Times depickle beside other readers of `.pth` files: the same files, in turn, in one run.
//!
//!     cargo run --release -- [--python PATH] [--rounds N] FILE…
//!
//! Each measurement is a process of its own, so that its peak memory is its own; within it the
//! work is done once to warm up and then timed. Prints medians, and ratios to depickle.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use depickle::torch::Checkpoint;

type Answer = Result<u64, Box<dyn Error>>;

/// What is timed: opening and listing, or that and reading every byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    List,
    Read,
}

/// Touches every byte, as cheaply as can be.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word)).fold(0, u64::wrapping_add);
    rest.iter().map(|byte| u64::from(*byte)).fold(words, u64::wrapping_add)
}

fn depickle_positioned(path: &Path, work: Work) -> Answer {
    let checkpoint = Checkpoint::open(path)?;
    let list = checkpoint.tensors()?;
    if work == Work::List {
        return Ok(list.len() as u64);
    }
    let mut total = 0_u64;
    for entry in list {
        total = total.wrapping_add(sum(&entry.on(&checkpoint)?.to_bytes()?));
    }
    Ok(total)
}

fn depickle_mapped(path: &Path, work: Work) -> Answer {
    let checkpoint = Checkpoint::open_mapped(path)?;
    let list = checkpoint.tensors()?;
    if work == Work::List {
        return Ok(list.len() as u64);
    }
    let mut total = 0_u64;
    for entry in list {
        total = total.wrapping_add(sum(entry.on(&checkpoint)?.as_bytes().ok_or("not lent")?));
    }
    Ok(total)
}

fn pytorch_reader(path: &Path, work: Work) -> Answer {
    let reader = pytorch_reader::PytorchReader::new(path)?;
    if work == Work::List {
        return Ok(reader.len() as u64);
    }
    let mut total = 0_u64;
    for tensor in reader.tensors().values() {
        total = total.wrapping_add(sum(&tensor.read()?));
    }
    Ok(total)
}

fn candle(path: &Path, work: Work) -> Answer {
    let tensors = candle_core::pickle::PthTensors::new(path, None)?;
    if work == Work::List {
        return Ok(tensors.tensor_infos().len() as u64);
    }
    let mut total = 0_u64;
    for name in tensors.tensor_infos().keys() {
        let tensor = tensors.get(name)?.ok_or("a listed tensor is missing")?;
        let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
        let words = values.iter().map(|value| u64::from(value.to_bits()));
        total = total.wrapping_add(words.fold(0, u64::wrapping_add));
    }
    Ok(total)
}

const READERS: &[(&str, fn(&Path, Work) -> Answer)] = &[
    ("depickle, positioned", depickle_positioned),
    ("depickle, mapped", depickle_mapped),
    ("pytorch-reader", pytorch_reader),
    ("candle-core", candle),
];
const PYTHON: &[&str] = &["torch.load", "torch.load, mmap"];

/// One measurement in this process: milliseconds, then peak memory in KiB.
fn measure(reader: &str, work: Work, path: &Path) -> Result<(), Box<dyn Error>> {
    let (_, read) = READERS.iter().find(|(name, _)| *name == reader).ok_or("no such reader")?;
    std::hint::black_box(read(path, work)?);
    let start = Instant::now();
    std::hint::black_box(read(path, work)?);
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.split_whitespace().next()).unwrap_or("0");
    println!("{elapsed} {peak}");
    Ok(())
}

/// Runs one measurement as a child process.
fn child(python: Option<&str>, name: &str, work: Work, path: &str) -> Option<(f64, f64)> {
    let verb = if work == Work::List { "list" } else { "read" };
    let mut command = if PYTHON.contains(&name) {
        let mut command = Command::new(python?);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/torch_load.py"));
        command
    } else {
        let mut command = Command::new(std::env::current_exe().ok()?);
        command.arg("--case");
        command
    };
    let output = command.args([name, verb, path]).output().ok()?;
    if !output.status.success() {
        eprintln!("{name}, {path}: {}", String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let (time, peak) = text.trim().split_once(' ')?;
    Some((time.parse().ok()?, peak.parse().ok()?))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [case, reader, verb, path] = &arguments[..] {
        if case == "--case" {
            let work = if verb == "list" { Work::List } else { Work::Read };
            return measure(reader, work, Path::new(path));
        }
    }
    let (mut python, mut rounds, mut files) = (None, 7, Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--python" => python = arguments.next(),
            "--rounds" => rounds = arguments.next().ok_or("a number of rounds")?.parse()?,
            _ => files.push(argument),
        }
    }
    let names: Vec<&str> = READERS.iter().map(|(name, _)| *name).chain(PYTHON.iter().copied()).collect();
    println!("| file | work | reader | ms (median of {rounds}) | × depickle | peak MiB |");
    println!("|---|---|---|---:|---:|---:|");
    for file in &files {
        for work in [Work::List, Work::Read] {
            let mut found: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
            for _ in 0..rounds {
                for name in &names {
                    if let Some((time, peak)) = child(python.as_deref(), name, work, file) {
                        let (times, peaks) = found.entry(name).or_default();
                        times.push(time);
                        peaks.push(peak);
                    }
                }
            }
            let ours = found.get_mut(names[0]).map_or(f64::NAN, |(times, _)| median(times));
            for name in &names {
                let Some((times, peaks)) = found.get_mut(name) else { continue };
                let (time, peak) = (median(times), median(peaks) / 1024.0);
                let file = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
                let work = if work == Work::List { "open, list" } else { "read all" };
                println!("| {file} | {work} | {name} | {time:.3} | {:.2} | {peak:.0} |", time / ours);
            }
        }
    }
    Ok(())
}
