//! Properties that hold for any bytes. Each is a fuzz target, and a test over corpora and
//! fixtures (`tests/corpora.rs`).
//!
//! See `README.md` for how to run them and how to add one.

mod archives;
mod checkpoints;
mod converts;
mod cpython;
mod faults;
pub mod generate;
mod json;
mod made;
mod modules;
mod numpy;
mod pickles;
mod scans;
mod views;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use depickle::pickle::{Outcome, Policy, Reading, run};
use depickle::{Budget, FileOffset, Limits, Source};

pub use archives::{legacy, tar, zip};
pub use checkpoints::checkpoint;
pub use converts::convert;
pub use cpython::cpython;
pub use faults::faults;
pub use json::{json, one_value, some_values};
pub use made::{made_file, made_pickle};
pub use modules::modules;
pub use numpy::numpy;
pub use pickles::{assembly, decode, encode, machine};
pub use scans::scan;
pub use views::views;

/// A property of any bytes: it panics where it does not hold.
pub type Property = fn(&[u8]);

/// What the bytes of a target are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A pickle.
    Pickle,
    /// A file: an archive, a checkpoint, anything.
    File,
    /// Choices of a generator.
    Choices,
}

/// All targets but `cli`, which is a crate of its own.
pub const TARGETS: &[(&str, Input, Property)] = &[
    ("decode", Input::Pickle, decode),
    ("machine", Input::Pickle, machine),
    ("assembly", Input::Pickle, assembly),
    ("encode", Input::Pickle, encode),
    ("views", Input::Pickle, views),
    ("numpy", Input::Pickle, numpy),
    ("json", Input::Pickle, json),
    ("cpython", Input::Pickle, cpython),
    ("zip", Input::File, zip),
    ("tar", Input::File, tar),
    ("legacy", Input::Pickle, legacy),
    ("checkpoint", Input::File, checkpoint),
    ("modules", Input::File, modules),
    ("scan", Input::File, scan),
    ("convert", Input::File, convert),
    ("faults", Input::File, faults),
    ("made_pickle", Input::Choices, made_pickle),
    ("made_file", Input::Choices, made_file),
];

/// Every operation follows the one before, as `pickle.load` reads: the laws of pickles, not of
/// joblib's arrays between them.
fn plain() -> Policy {
    Policy::inspect().with_reading(Reading::Plain)
}

/// What a stream builds when read so.
fn plain_graph_of(bytes: &[u8]) -> Outcome {
    run(bytes.to_vec().into(), FileOffset(0), &plain(), &mut Budget::default())
}

/// What running a pickle gives when nothing is refused.
fn graph_of(bytes: &[u8]) -> Outcome {
    run(bytes.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut Budget::default())
}

/// Enough for honest files of a megabyte; what needs more is refused before it takes long.
fn small() -> Budget {
    let limits = Limits::default().with_memory(64 << 20).with_visits(1 << 16);
    Budget::new(limits.with_materialised(1 << 20))
}

/// Bytes that are read and never lent, as those of a file are.
struct Unlent(Bytes);

impl Source for Unlent {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(at, into)
    }
}

/// A path of this thread's own, in memory where there is such a place.
fn scratch(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let folder = if memory.exists() { memory.to_owned() } else { std::env::temp_dir() };
    let (process, thread) = (std::process::id(), std::thread::current().id());
    folder.join(format!("depickle-{process}-{thread:?}-{name}"))
}

/// A number that depends on all bytes, for choices that a property makes.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
