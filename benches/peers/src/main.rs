//! One measurement of one reader: how long it takes over a file, and the memory it takes at most.
//!
//!     depickle-peers READER WORK FILE
//!
//! prints `{"ms":…,"cpu_ms":…,"peak_kib":…,"answer":"…"}`, or says on standard error why it cannot. Each
//! measurement is a process of its own, so that its peak memory is its own. `compare.py` runs these
//! in turn with the Python readers, and makes the tables. `depickle-peers --versions` names the
//! peers with their versions, and `depickle-peers --run [--to FILE] COMMAND…` measures a command in the
//! same way: `{"ms":…,"cpu_ms":…,"peak_kib":…,"code":…}`. Processor time is there for machines that do
//! other things beside, where time on the clock says nothing.
//!
//! The work is done once to warm up, and then again until [`ENOUGH`] has passed; the median counts.
//! The first time, what was read is checked: `answer` is the same for all who saw the same names,
//! shapes and bytes.

mod checkpoints;
mod command;
mod pickles;
mod seen;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time on the clock and of the processor, and what was seen.
type Answer = Result<(Duration, Duration, u64), Box<dyn Error>>;

/// How long the work is repeated.
const ENOUGH: Duration = Duration::from_millis(200);

/// What takes this long is not done again: the file was made just before.
const LONG: Duration = Duration::from_secs(3);

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Opening a checkpoint and listing its tensors: names and shapes.
    List,
    /// That, and reading every byte.
    Read,
    /// Opening a whole model and printing its tree.
    Tree,
    /// Writing a checkpoint again, on disk before it has its name.
    Save,
    /// Reading a pickle.
    Load,
    /// Writing what was read.
    Dump,
}

impl Work {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "list" => Self::List,
            "read" => Self::Read,
            "tree" => Self::Tree,
            "save" => Self::Save,
            "load" => Self::Load,
            "dump" => Self::Dump,
            _ => return None,
        })
    }
}

/// One contestant.
struct Reader {
    name: &'static str,
    run: fn(&Path, Work) -> Answer,
}

/// Times `work`, which is told whether it is the first time.
fn timed(mut work: impl FnMut(bool) -> Result<u64, Box<dyn Error>>) -> Answer {
    let mut once = |first| {
        let (start, busy) = (Instant::now(), command::busy(libc::RUSAGE_SELF));
        let answer = work(first)?;
        let spent = command::busy(libc::RUSAGE_SELF) - busy;
        Ok::<_, Box<dyn Error>>((start.elapsed(), spent, answer))
    };
    let (warm, spent, answer) = once(true)?;
    let (mut times, mut busy) = (Vec::new(), Vec::new());
    while warm < LONG && times.iter().sum::<Duration>() < ENOUGH {
        let (time, spent, _) = once(false)?;
        times.push(time);
        busy.push(spent);
    }
    let median = |mut times: Vec<Duration>, otherwise| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(otherwise)
    };
    Ok((median(times, warm), median(busy, spent), answer))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The most memory that this process ever held, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Versions of the peers, as this crate's lock file has them.
fn versions() -> String {
    const PEERS: [&str; 8] = [
        "depickle",
        "pytorch-reader",
        "candle-core",
        "burn-store",
        "pt-loader",
        "repugnant-pickle",
        "safetensors",
        "serde-pickle",
    ];
    let lock = include_str!("../Cargo.lock");
    let version = |peer: &str| {
        let after = lock.split(&format!("name = \"{peer}\"\nversion = \"")).nth(1)?;
        Some(format!("{peer} {}", after.split('"').next()?))
    };
    PEERS.into_iter().filter_map(version).collect::<Vec<_>>().join(", ")
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--versions"] {
        println!("{}", versions());
        return Ok(());
    }
    if let [first, command @ ..] = &arguments[..]
        && first == "--run"
    {
        return command::measure(command);
    }
    let [reader, work, path] = &arguments[..] else {
        return Err("usage: depickle-peers READER WORK FILE".into());
    };
    let path = Path::new(path);
    let plain = path.extension().is_some_and(|extension| extension == "pkl");
    let readers = if plain { pickles::READERS } else { checkpoints::READERS };
    let reader = readers.iter().find(|known| known.name == reader).ok_or("no such reader")?;
    let work = Work::named(work).ok_or("no such work")?;
    let (time, busy, answer) = (reader.run)(path, work)?;
    let [ms, cpu_ms] = [time, busy].map(milliseconds);
    let peak = peak();
    println!(
        "{{\"ms\":{ms},\"cpu_ms\":{cpu_ms},\"peak_kib\":{peak},\"answer\":\"{answer:016x}\"}}"
    );
    Ok(())
}
