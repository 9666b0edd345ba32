//! A system that gives no more memory: what needs much of it at once is refused, with an error that
//! says so and whose limit is not the file's; everything else goes on.
//!
//! Allocations of a few pages, and those of the standard library that cannot fail, are not meant.
#![cfg(all(target_os = "linux", target_pointer_width = "64", feature = "torch"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{Cursor, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use depickle::base::FileSource;
use depickle::pickle::{Policy, run};
use depickle::torch::{Checkpoint, Error, Kind};
use depickle::{Budget, Category, FileOffset, Limit, Source};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// More than what is left, and than what glibc keeps for later (bytes).
const MUCH: u64 = 256 << 20;
const LEFT: u64 = 40 << 20;

/// Until it is dropped, no other test of this program runs: all share what the system gives, and
/// so does what they start.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `work` while the system gives this process only [`LEFT`] more.
fn scarce<T>(work: impl FnOnce() -> T) -> T {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split_whitespace().next().unwrap().parse().unwrap();
    let before = getrlimit(Resource::As);
    let now = pages * rustix::param::page_size() as u64 + LEFT;
    setrlimit(Resource::As, Rlimit { current: Some(now), ..before }).unwrap();
    let done = work();
    setrlimit(Resource::As, before).unwrap();
    done
}

/// A tensor of floats as protocol 0 spells it.
fn tensor(key: &str, elements: u64, shape: u64, stride: u64) -> String {
    format!(
        "ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nFloatStorage\nV{key}\nVcpu\n\
         I{elements}\ntQI0\n(I{shape}\nt(I{stride}\ntI00\nccollections\nOrderedDict\n(tRtR"
    )
}

/// A state dict of three: a small one, one whose view repeats a float, one that was deflated.
fn file() -> Bytes {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let deflated = stored.compression_method(CompressionMethod::Deflated);
    let pickle = format!(
        "(dVsmall\n{}sVrepeated\n{}sVdeflated\n{}s.",
        tensor("0", 4, 4, 1),
        tensor("0", 4, MUCH / 4, 0),
        tensor("1", MUCH / 4, MUCH / 4, 1)
    );
    let floats: Vec<u8> =
        [1_f32, 2., 3., 4.].iter().flat_map(|float| float.to_le_bytes()).collect();
    zip.start_file("archive/data.pkl", stored).unwrap();
    zip.write_all(pickle.as_bytes()).unwrap();
    zip.start_file("archive/data/0", stored).unwrap();
    zip.write_all(&floats).unwrap();
    zip.start_file("archive/data/1", deflated).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), MUCH), &mut zip).unwrap();
    zip.start_file("archive/version", stored).unwrap();
    zip.write_all(b"3\n").unwrap();
    zip.finish().unwrap().into_inner().into()
}

/// An error that names the system, not a limit that could be raised.
#[track_caller]
fn is_of_system(why: &Error) {
    assert_eq!(why.category(), Category::OverLimit, "{why}");
    let over = match why.kind() {
        Kind::Over(over) => over,
        Kind::Container(inner) => match inner.kind() {
            depickle::container::Kind::Over(over) => over,
            _ => panic!("{why}"),
        },
        _ => panic!("{why}"),
    };
    assert_eq!(over.limit, Limit::System, "{why}");
    let said = why.to_string();
    assert!(said.contains("which the system does not give"), "{said}");
    assert!(!said.contains("--max-memory"), "{said}");
}

#[test]
fn a_tensor_that_finds_no_memory_is_named_and_hides_no_other() {
    let _turn = alone();
    let checkpoint = Checkpoint::from_bytes(file()).unwrap();
    for name in ["repeated", "deflated"] {
        let it = checkpoint.tensor(name).unwrap();
        let (bytes, floats) = scarce(|| (it.to_bytes().map(drop), it.to_vec::<f32>().map(drop)));
        for why in [bytes.unwrap_err(), floats.unwrap_err()] {
            assert_eq!(why.tensor(), Some(name), "{why}");
            is_of_system(&why);
        }
    }
    let small = checkpoint.tensor("small").unwrap();
    assert_eq!(scarce(|| small.to_vec::<f32>()).unwrap(), [1., 2., 3., 4.]);
    // In pieces there is room.
    let repeated = checkpoint.tensor("repeated").unwrap();
    let mut sum = 0_u64;
    let summed = scarce(|| {
        repeated.for_each_chunk(|chunk| {
            sum += chunk.len() as u64;
            Ok::<(), Error>(())
        })
    });
    summed.unwrap();
    assert_eq!(sum, MUCH);
    // Later, when there is memory again, all of them are had.
    for name in ["repeated", "deflated"] {
        assert_eq!(checkpoint.tensor(name).unwrap().to_bytes().unwrap().len() as u64, MUCH);
    }
}

/// Bytes that were never there.
struct Zeros;

impl Source for Zeros {
    fn len(&self) -> u64 {
        MUCH
    }

    fn read_at(&self, _: u64, into: &mut [u8]) -> std::io::Result<()> {
        into.fill(0);
        Ok(())
    }
}

#[test]
fn sources_refuse_what_finds_no_memory() {
    let _turn = alone();
    let file = tempfile::tempfile().unwrap();
    file.set_len(MUCH).unwrap();
    let sources: [&dyn Source; 2] = [&FileSource::new(file).unwrap(), &Zeros];
    for source in sources {
        let (much, little) = scarce(|| (source.fetch(0, MUCH), source.fetch(MUCH - 4, 4)));
        let why = much.unwrap_err();
        assert_eq!(why.kind(), std::io::ErrorKind::OutOfMemory);
        assert!(why.to_string().contains(&MUCH.to_string()), "{why}");
        assert_eq!(little.unwrap(), [0; 4][..]);
    }
}

#[test]
fn a_pickle_whose_graph_finds_no_memory_stops_where_it_is() {
    let _turn = alone();
    // 16 MiB of None, which are more on the stack.
    let stream = Bytes::from(["(".as_bytes(), &vec![b'N'; 16 << 20], b"t."].concat());
    let outcome =
        scarce(|| run(stream.clone(), FileOffset(0), &Policy::inspect(), &mut Budget::default()));
    let why = outcome.end.unwrap_err();
    assert_eq!(why.category(), Category::OverLimit);
    assert!(why.to_string().contains("which the system does not give"), "{why}");
    assert!(why.offset().0 > 1 << 20, "{why}");
    drop(outcome.graph);
    let outcome = run(stream.clone(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
    assert_eq!(outcome.end, Ok(stream.len() as u64));
}

/// The tool where no thread can be had, for each would take more than there are addresses.
#[cfg(feature = "cli")]
#[test]
fn without_threads_one_thing_is_done_after_the_other() {
    let _turn = alone();
    let tool = |arguments: &[&str], stack: u64| {
        let mut tool = common::cli::command(arguments);
        tool.env("RUST_MIN_STACK", stack.to_string()).output().unwrap()
    };
    let (none, usual) = (1 << 46, 2 << 20);
    let scan = ["scan", "--jobs", "4", "--jsonl", "scan"];
    let (alone, together) = (tool(&scan, none), tool(&scan, usual));
    assert!(together.stdout.len() > 1000, "{together:?}");
    assert_eq!(alone, together);
    let folder = tempfile::tempdir().unwrap();
    let convert = |name: &str, stack| {
        let out = folder.path().join(name);
        let converted = tool(&["convert", "mlp_state_dict.pth", out.to_str().unwrap()], stack);
        assert!(converted.status.success(), "{converted:?}");
        std::fs::read(out).unwrap()
    };
    assert!(convert("alone.safetensors", none) == convert("together.safetensors", usual));
}

/// The tool, in a shell that grants it little: what it says, and how it ends.
#[cfg(feature = "cli")]
#[test]
fn the_tool_says_that_memory_is_missing() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("much.pth");
    std::fs::write(&path, file()).unwrap();
    let tool = |arguments: &[&str]| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "ulimit -v 131072; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_depickle")]);
        shell.args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let listed = tool(&["ls", "much.pth"]);
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");
    // Summed in pieces, a view that repeats needs no memory; what was deflated is inflated whole.
    let summed = tool(&["ls", "--sha256", "much.pth"]);
    let said = String::from_utf8(summed.stderr).unwrap();
    assert!(said.contains("deflated"), "{said}");
    assert!(said.contains("which the system does not give"), "{said}");
    assert!(!said.contains("repeated"), "{said}");
    assert!(matches!(summed.status.code(), Some(1..=99)), "{:?}", summed.status);
    let converted = tool(&["convert", "much.pth", "much.safetensors"]);
    assert!(matches!(converted.status.code(), Some(1..=99)), "{converted:?}");
    assert!(!folder.path().join("much.safetensors").exists());
}
