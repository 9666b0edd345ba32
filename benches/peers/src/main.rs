//! Times depickle beside other readers: the same files, in turn, in one run.
//!
//!     cargo run --release -- [--python PATH] [--rounds N] FILE…
//!
//! `benches/run.sh` makes the files and does that.
//!
//! `.pth` files are opened, listed and read; `.pkl` files are loaded and dumped (`pickles.py make
//! FOLDER` makes those that the README speaks of). Each measurement is a process of its own, so
//! that its peak memory is its own; within it the work is done once to warm up and then timed.
//! Prints medians, and ratios to depickle: a table of Markdown for each kind of file, with date,
//! versions and machine.

mod checkpoints;
mod pickles;

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Milliseconds.
type Answer = Result<f64, Box<dyn Error>>;

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Opening a checkpoint and listing its tensors.
    List,
    /// That, and reading every byte.
    Read,
    /// Reading a pickle.
    Load,
    /// Writing what was read.
    Dump,
}

impl Work {
    const ALL: [Self; 4] = [Self::List, Self::Read, Self::Load, Self::Dump];

    const fn verb(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Load => "load",
            Self::Dump => "dump",
        }
    }
}

/// One contestant; a Python script's if it has no `run`.
struct Reader {
    name: &'static str,
    run: Option<fn(&Path, Work) -> Answer>,
}

/// Who reads a file and what is asked of them.
struct Contest {
    readers: &'static [Reader],
    script: &'static str,
    works: &'static [Work],
}

fn contest(path: &Path) -> Contest {
    if path.extension().is_some_and(|extension| extension == "pkl") {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/pickles.py");
        return Contest { readers: pickles::READERS, script, works: &[Work::Load, Work::Dump] };
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/torch_load.py");
    Contest { readers: checkpoints::READERS, script, works: &[Work::List, Work::Read] }
}

/// Milliseconds that `work` takes the second time.
fn second<T>(mut work: impl FnMut() -> Result<T, Box<dyn Error>>) -> Answer {
    black_box(work()?);
    let start = Instant::now();
    black_box(work()?);
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Touches every byte, as cheaply as can be.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word)).fold(0, u64::wrapping_add);
    rest.iter().map(|byte| u64::from(*byte)).fold(words, u64::wrapping_add)
}

/// One measurement in this process: milliseconds, then peak memory in KiB.
fn measure(reader: &str, verb: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let readers = contest(path).readers;
    let run = readers.iter().find(|known| known.name == reader).and_then(|reader| reader.run);
    let work = Work::ALL.into_iter().find(|work| work.verb() == verb).ok_or("no such work")?;
    let elapsed = run.ok_or("no such reader")?(path, work)?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.split_whitespace().next()).unwrap_or("0");
    println!("{elapsed} {peak}");
    Ok(())
}

/// Runs one measurement as a child process.
fn child(python: Option<&str>, reader: &Reader, work: Work, path: &str) -> Option<(f64, f64)> {
    let mut command = if reader.run.is_none() {
        let mut command = Command::new(python?);
        command.arg(contest(Path::new(path)).script);
        command
    } else {
        let mut command = Command::new(std::env::current_exe().ok()?);
        command.arg("--case");
        command
    };
    let output = command.args([reader.name, work.verb(), path]).output().ok()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = why.trim().lines().last().unwrap_or_default();
        eprintln!("{}, {}, {path}: {why}", reader.name, work.verb());
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
            return measure(reader, verb, Path::new(path));
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
    for (name, what) in [("date", "date -u '+%Y-%m-%d %H:%M UTC'"), ("machine", MACHINE)] {
        let said = Command::new("sh").args(["-c", what]).output()?;
        println!("{name}: {}", String::from_utf8_lossy(&said.stdout).trim());
    }
    println!("versions: {}\n", versions().join(", "));
    let kinds: [fn(&String) -> bool; 2] =
        [|file| !file.ends_with(".pkl"), |file| file.ends_with(".pkl")];
    for kind in kinds {
        let files: Vec<&String> = files.iter().filter(|&file| kind(file)).collect();
        let Some(first) = files.first() else { continue };
        let Contest { readers, works, .. } = contest(Path::new(first));
        let names: Vec<&str> = readers.iter().map(|reader| reader.name).collect();
        println!("Times are {}'s; the others' are multiples of them, then of its peak memory.\n", names[0]);
        println!("| file | work | {} |", names.join(" | "));
        println!("|---|---|{}", "---:|".repeat(names.len()));
        for file in files {
            for &work in works {
                compare(python.as_deref(), readers, work, file, rounds);
            }
        }
        println!();
    }
    Ok(())
}

const MACHINE: &str = "echo $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)";

/// Versions of the peers, as this crate's lock file has them.
fn versions() -> Vec<String> {
    let lock = include_str!("../Cargo.lock");
    let peers = ["burn-store", "candle-core", "depickle", "pt-loader", "pytorch-reader", "repugnant-pickle", "safetensors", "serde-pickle"];
    let version = |peer: &str| {
        let after = lock.split(&format!("name = \"{peer}\"\nversion = \"")).nth(1)?;
        Some(format!("{peer} {}", after.split('"').next()?))
    };
    peers.into_iter().filter_map(version).collect()
}

/// All readers in turn, round after round, and their rows of the table.
fn compare(python: Option<&str>, readers: &[Reader], work: Work, file: &str, rounds: usize) {
    let mut found: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for round in 0..rounds {
        for reader in readers {
            // Who could not do it in the first round is not asked again.
            if round > 0 && !found.contains_key(reader.name) {
                continue;
            }
            if let Some((time, peak)) = child(python, reader, work, file) {
                let (times, peaks) = found.entry(reader.name).or_default();
                times.push(time);
                peaks.push(peak);
            }
        }
    }
    let Some((ours, our_peak)) =
        found.get_mut(readers[0].name).map(|(times, peaks)| (median(times), median(peaks)))
    else {
        return;
    };
    let cells = readers.iter().enumerate().map(|(index, Reader { name, .. })| {
        let Some((times, peaks)) = found.get_mut(name) else { return String::new() };
        let (time, peak) = (median(times), median(peaks));
        match index {
            0 => format!("{time:.2} ms, {:.0} MiB", peak / 1024.0),
            _ => format!("{:.2}×, {:.1}×", time / ours, peak / our_peak),
        }
    });
    let cells: Vec<String> = cells.collect();
    let file = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    println!("| {file} | {} | {} |", work.verb(), cells.join(" | "));
}
