//! Sources that fail, and limits that are met, at every point: what comes out is the right bytes
//! or an error that says why.
#![cfg(feature = "torch")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use depickle::pickle::{Encoder, Policy, run};
use depickle::python::json::{self, Nothing};
use depickle::torch::{Checkpoint, Error, Options, Scope};
use depickle::{Budget, Category, FileOffset, Limits, Source};

use common::fixture;

/// One of each layout, and of what is odd within them.
const FILES: &[&str] = &[
    "nested_state.pth",
    "mlp_model.pth",
    "views.pth",
    "legacy_nested_state.pth",
    "legacy_views.pth",
    "containers/tar.pth",
    "containers/zip_deflated.pth",
    "containers/zip_big_endian.pth",
    "containers/zip_descriptors.pth",
    "containers/script.pt",
    "containers/package.pt",
    "containers/export.pt2",
    "containers/embedded_4.pkl",
    "tensors/zip_p4.pth",
    "tensors/quantized_model.pth",
    "convert/state.safetensors",
    "convert/tied.safetensors",
];

/// What goes wrong, at which read.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Nothing: reads are counted.
    None,
    /// This read fails, and all after it.
    From(usize),
    /// This read fails, others do not.
    At(usize),
    /// From this read on, the other content is there.
    Other(usize),
    /// This read gives fewer bytes than were asked for, and says nothing.
    Short(usize),
    /// The source says that it is longer than it is, or shorter (bytes).
    Len(i64),
}

struct Flaky {
    content: Bytes,
    other: Bytes,
    fault: Fault,
    reads: Arc<AtomicUsize>,
}

impl Flaky {
    fn new(content: &Bytes, other: &Bytes, fault: Fault) -> Self {
        let (content, other) = (content.clone(), other.clone());
        Self { content, other, fault, reads: Arc::default() }
    }

    /// The bytes asked for, as many as there are; whether this read is to be cut.
    fn read(&self, at: u64, len: u64) -> io::Result<(Bytes, bool)> {
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        let broken = || Err(io::Error::other("a broken disk"));
        let (mut content, mut short) = (&self.content, false);
        match self.fault {
            Fault::From(from) if read >= from => return broken(),
            Fault::At(at) if read == at => return broken(),
            Fault::Other(from) if read >= from => content = &self.other,
            Fault::Short(at) => short = read == at,
            _ => {}
        }
        content.fetch(at, len).map(|bytes| (bytes, short))
    }
}

impl Source for Flaky {
    fn len(&self) -> u64 {
        let len = self.content.len() as u64;
        if let Fault::Len(more) = self.fault { len.saturating_add_signed(more) } else { len }
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let (bytes, short) = self.read(at, into.len() as u64)?;
        if short {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into.copy_from_slice(&bytes);
        Ok(())
    }

    fn fetch(&self, at: u64, len: u64) -> io::Result<Bytes> {
        let (bytes, short) = self.read(at, len)?;
        Ok(if short { bytes.slice(..bytes.len() / 2) } else { bytes })
    }
}

/// Every tensor's bytes, or why there are none, by name and place; none if the file did not open.
type Found = BTreeMap<(usize, String), Result<Vec<u8>, String>>;

fn all_of(source: Flaky) -> Result<Found, Error> {
    let options = Options::default().policy(Policy::inspect());
    let checkpoint = options.read(source)?;
    for problem in checkpoint.verify()?.problems {
        assert!(!problem.to_string().is_empty());
    }
    let _ = checkpoint.following()?;
    if let Ok(model) = checkpoint.module() {
        let _ = model.print(depickle::torch::module::Style::default());
    }
    every_tensor(&checkpoint)
}

fn every_tensor(checkpoint: &Checkpoint) -> Result<Found, Error> {
    let list = checkpoint.tensors_in(checkpoint.root(), Scope::All)?;
    let mut found = Found::new();
    for (index, entry) in list.iter().enumerate() {
        let bytes = entry.on(checkpoint).and_then(|tensor| {
            let bytes = tensor.to_bytes()?.into_owned();
            assert_eq!(bytes.len() as u64, tensor.nbytes(), "{}", entry.name());
            let mut chunks = Vec::new();
            tensor.for_each_chunk(|chunk| {
                chunks.extend_from_slice(chunk);
                Ok::<(), Error>(())
            })?;
            assert_eq!(chunks.len(), bytes.len());
            Ok(bytes)
        });
        let bytes = bytes.map_err(|why| {
            assert!(!why.to_string().is_empty());
            why.to_string()
        });
        found.insert((index, entry.name().to_owned()), bytes);
    }
    Ok(found)
}

fn attempt(content: &Bytes, other: &Bytes, fault: Fault) -> (Result<Found, Error>, usize) {
    let source = Flaky::new(content, other, fault);
    let reads = Arc::clone(&source.reads);
    (all_of(source), reads.load(Ordering::Relaxed))
}

fn read(name: &str) -> Bytes {
    std::fs::read(fixture(name)).unwrap().into()
}

/// Each file, what it holds, and how many reads all of it takes.
fn each_file(mut each: impl FnMut(&str, &Bytes, &Found, usize)) {
    for name in FILES {
        let bytes = read(name);
        let (found, reads) = attempt(&bytes, &bytes, Fault::None);
        let found = found.unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(found.values().any(Result::is_ok), "{name}: {found:?}");
        assert!(reads > 2 && reads < 3000, "{name}: {reads} reads");
        each(name, &bytes, &found, reads);
    }
}

/// What could be read is what is in the file.
fn right_or_error(what: &str, found: Result<Found, Error>, whole: &Found) -> bool {
    match found {
        Err(why) => {
            assert!(!why.to_string().is_empty());
            false
        }
        Ok(found) => {
            assert_eq!(found.len(), whole.len(), "{what}: tensors are missing from the list");
            for (name, bytes) in &found {
                if let Ok(bytes) = bytes {
                    assert_eq!(whole[name].as_ref(), Ok(bytes), "{what}: {name:?}");
                }
            }
            found.values().filter(|bytes| bytes.is_ok()).count()
                == whole.values().filter(|bytes| bytes.is_ok()).count()
        }
    }
}

#[test]
fn every_read_may_fail() {
    each_file(|name, bytes, whole, reads| {
        let mut failed = 0;
        for read in 0..reads {
            for fault in [Fault::From(read), Fault::At(read)] {
                let what = format!("{name}, {fault:?}");
                let (found, _) = attempt(bytes, bytes, fault);
                if let Err(why) = &found {
                    assert_eq!(why.category(), Category::Io, "{what}: {why}");
                    assert!(why.to_string().contains("a broken disk"), "{what}: {why}");
                }
                failed += u32::from(!right_or_error(&what, found, whole));
            }
        }
        assert!(failed as usize >= reads / 4, "{name}: only {failed} of {reads} reads were missed");
    });
}

/// The pickles that follow a plain one were left out of what was found where a read failed.
#[test]
fn what_follows_a_pickle_is_seen_or_missed_aloud() {
    let bytes = Bytes::from_static(b"\x80\x02]q\0K\x01a.\x80\x02}q\0.\x80\x02K\x02\x85q\0.");
    let open = |fault| {
        let source = Flaky::new(&bytes, &bytes, fault);
        let reads = Arc::clone(&source.reads);
        let opened = Options::default().read(source).map(|it| it.graph().len());
        (opened, reads.load(Ordering::Relaxed))
    };
    let (whole, reads) = open(Fault::None);
    let whole = whole.unwrap();
    let mut failed = 0;
    for read in 0..reads {
        for fault in [Fault::From(read), Fault::At(read)] {
            match open(fault).0 {
                Ok(found) => assert_eq!(found, whole, "{fault:?}"),
                Err(why) => {
                    assert_eq!(why.category(), Category::Io, "{fault:?}: {why}");
                    failed += 1;
                }
            }
        }
    }
    assert!(failed >= reads, "only {failed} of {reads} reads were missed");
}

/// Reads that nobody missed made the end of a tar archive clean.
#[cfg(feature = "scan")]
#[test]
fn what_was_not_read_is_never_clean() {
    use depickle::scan::{Scanner, Verdict};
    for name in FILES {
        let bytes = read(name);
        let scan = |fault| {
            let source = Flaky::new(&bytes, &bytes, fault);
            let report = Scanner::new().scan(&source);
            (report, source.reads.load(Ordering::Relaxed))
        };
        let (whole, reads) = scan(Fault::None);
        assert!(whole.complete != (whole.verdict == Verdict::Skipped), "{name}");
        assert!(reads > 0, "{name}");
        for read in 0..reads {
            for fault in [Fault::From(read), Fault::At(read)] {
                let (report, _) = scan(fault);
                let what = format!("{name}, {fault:?}: {:?}", report.findings);
                assert!(!report.complete && report.verdict >= Verdict::Error, "{what}");
                let told = report.findings.iter().any(|it| it.message.contains("a broken disk"));
                assert!(told, "{what}");
            }
        }
    }
}

/// Whoever examined a file looked over some reads that failed.
#[cfg(feature = "doctor")]
#[test]
fn what_was_not_read_is_never_healthy() {
    use depickle::doctor::Options;
    for name in FILES {
        let bytes = read(name);
        let examine = |fault| {
            let source = Flaky::new(&bytes, &bytes, fault);
            let reads = Arc::clone(&source.reads);
            let report = Options::default().examine_source(source, name);
            (report, reads.load(Ordering::Relaxed))
        };
        let (whole, reads) = examine(Fault::None);
        let whole = whole.unwrap();
        assert!(!whole.has("unreadable") && reads > 0, "{name}: {:?}", whole.diagnosis);
        for read in 0..reads {
            for fault in [Fault::From(read), Fault::At(read)] {
                let what = format!("{name}, {fault:?}");
                match examine(fault).0 {
                    Err(why) => assert!(why.to_string().contains("a broken disk"), "{what}: {why}"),
                    Ok(report) => {
                        let what = format!("{what}: {:?}", report.diagnosis);
                        let mut said = report.diagnosis.iter().map(|found| &found.message);
                        assert!(said.any(|said| said.contains("a broken disk")), "{what}");
                        assert!(!report.is_healthy() && report.has("unreadable"), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_read_may_be_short() {
    each_file(|name, bytes, whole, reads| {
        for read in 0..reads {
            let fault = Fault::Short(read);
            let (found, _) = attempt(bytes, bytes, fault);
            right_or_error(&format!("{name}, {fault:?}"), found, whole);
        }
    });
}

#[test]
fn a_length_may_be_a_lie() {
    each_file(|name, bytes, whole, _| {
        let len = i64::try_from(bytes.len()).unwrap();
        for more in
            [1, 2, 3, 7, 64, 512, 70_000, i64::MAX, -1, -2, -3, -22, -64, -512, 1 - len, -len]
        {
            let fault = Fault::Len(more);
            let (found, _) = attempt(bytes, bytes, fault);
            let what = format!("{name}, {fault:?}");
            match found {
                // A shorter file may be an older, whole one: of a legacy file, the last storages
                // are missing then.
                Ok(found) => drop(right_or_error(&what, Ok(found), whole)),
                Err(why) => assert!(!why.to_string().is_empty(), "{what}"),
            }
        }
    });
}

/// The same file with other numbers in its storages: all of its structure stays as it is.
fn with_other_numbers(bytes: &Bytes, whole: &Found) -> Bytes {
    let mut other = bytes.to_vec();
    for data in whole.values().flatten().filter(|data| data.len() >= 8) {
        let found = |(_, window): &(usize, &[u8])| window == data;
        let mut places = bytes.windows(data.len()).enumerate().filter(found);
        if let (Some((at, _)), None) = (places.next(), places.next()) {
            other[at..at + data.len()].reverse();
        }
    }
    other.into()
}

#[test]
fn a_file_may_change_between_two_reads() {
    each_file(|name, bytes, whole, reads| {
        let other = with_other_numbers(bytes, whole);
        let (others, _) = attempt(&other, &other, Fault::None);
        for read in 0..reads {
            let fault = Fault::Other(read);
            let what = format!("{name}, {fault:?}");
            let (found, _) = attempt(bytes, &other, fault);
            let (Ok(found), Ok(others)) = (found, &others) else { continue };
            assert_eq!(found.len(), whole.len(), "{what}");
            for (name, bytes) in &found {
                let Ok(bytes) = bytes else { continue };
                let is = |all: &Found| all.get(name).is_some_and(|it| it.as_ref() == Ok(bytes));
                assert!(is(whole) || is(others), "{what}: {name:?} is of neither content");
            }
        }
    });
}

/// Another file altogether takes its place, shorter or longer.
#[test]
fn a_file_may_become_another() {
    let others = ["legacy_views.pth", "containers/tar.pth", "mlp_state_dict.pth", "tensor.pth"];
    let others = others.map(read);
    each_file(|name, bytes, whole, reads| {
        for read in 0..reads.min(60) {
            for other in &others {
                let (found, _) = attempt(bytes, other, Fault::Other(read));
                if let Ok(found) = found {
                    // Names and shapes may be of either; lengths were asserted while reading.
                    assert!(found.len() <= whole.len() + 64, "{name}");
                }
            }
        }
    });
}

/// Shards are files of their own, of which any may be missing or cut.
#[test]
fn every_shard_may_be_cut_or_missing() {
    let from = fixture("containers/sharded");
    let to = std::env::temp_dir().join(format!("depickle-faults-{}", std::process::id()));
    std::fs::create_dir_all(&to).unwrap();
    let names: Vec<_> =
        std::fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for name in &names {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let options = Options::default().policy(Policy::inspect());
    let open = || options.open(&to).and_then(|checkpoint| every_tensor(&checkpoint));
    let whole = open().unwrap();
    for name in &names {
        let bytes = std::fs::read(from.join(name)).unwrap();
        for len in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            std::fs::write(to.join(name), &bytes[..len]).unwrap();
            match open() {
                Err(why) => assert!(!why.to_string().is_empty()),
                Ok(found) => drop(right_or_error(&format!("{name:?} of {len}"), Ok(found), &whole)),
            }
        }
        std::fs::remove_file(to.join(name)).unwrap();
        if let Ok(found) = open() {
            let all = right_or_error(&format!("{name:?} is missing"), Ok(found), &whole);
            assert!(!all, "{name:?} is missing");
        }
        std::fs::write(to.join(name), &bytes).unwrap();
    }
    assert_eq!(open().unwrap(), whole);
    std::fs::remove_dir_all(&to).unwrap();
}

/// What an error says was needed.
fn asked(why: &str) -> Option<u64> {
    let after = why.split("needs ").nth(1)?;
    after.split(' ').next()?.parse().ok()
}

/// Runs `work` under limits that refuse each step in turn: whatever was asked for is granted the
/// next time. Gives how many steps were refused.
fn each_step_refused(
    what: &str,
    grant: fn(Limits, u64) -> Limits,
    mut work: impl FnMut(Limits) -> Result<(), String>,
) -> usize {
    let (mut granted, mut refused) = (0, 0);
    loop {
        let Err(why) = work(grant(Limits::default(), granted)) else { return refused };
        assert!(why.contains("if you trust the file"), "{what}, {granted}: {why}");
        let asked = asked(&why).unwrap_or_else(|| panic!("{what}: {why}"));
        assert!(asked > granted, "{what}: {asked} of {granted}: {why}");
        // One short of it is refused as well.
        if asked - granted > 1 {
            assert!(work(grant(Limits::default(), asked - 1)).is_err(), "{what}: {why}");
        }
        (granted, refused) = (asked, refused + 1);
        assert!(refused < 20_000, "{what}: no end");
    }
}

fn memory(limits: Limits, most: u64) -> Limits {
    limits.with_memory(most)
}

fn visits(limits: Limits, most: u64) -> Limits {
    limits.with_visits(most)
}

/// Opens, lists and reads; the first error is told.
fn open_and_read(bytes: &Bytes, limits: Limits) -> Result<(), String> {
    let options = Options::default().policy(Policy::inspect()).limits(limits);
    let checkpoint = options.read(bytes.clone()).map_err(|why| {
        assert_eq!(why.category(), Category::OverLimit, "{why}");
        why.to_string()
    })?;
    let list = checkpoint.tensors().map_err(|why| why.to_string())?;
    for entry in list {
        let read = entry.on(&checkpoint).and_then(|tensor| tensor.to_bytes().map(drop));
        match read {
            Err(why) if why.category() == Category::OverLimit => return Err(why.to_string()),
            _ => {}
        }
    }
    if let Ok(model) = checkpoint.module() {
        model.state_dict().map_err(|why| why.to_string())?;
        model.print(depickle::torch::module::Style::default()).map_err(|why| why.to_string())?;
    }
    Ok(())
}

#[test]
fn every_step_may_meet_a_limit() {
    let mut refused = 0;
    for name in FILES {
        let bytes = read(name);
        for grant in [memory as fn(Limits, u64) -> Limits, visits] {
            refused += each_step_refused(name, grant, |limits| open_and_read(&bytes, limits));
        }
    }
    assert!(refused > 200, "only {refused} steps were refused");
}

#[test]
fn every_step_of_pickles_may_meet_a_limit() {
    let mut refused = 0;
    for name in ["modules/mlp.pkl", "containers/embedded_4.pkl", "containers/embedded_2.pkl"] {
        let bytes = read(name);
        for grant in [memory as fn(Limits, u64) -> Limits, visits] {
            refused += each_step_refused(name, grant, |limits| {
                let mut budget = Budget::new(limits);
                let outcome = run(bytes.clone(), FileOffset(0), &Policy::inspect(), &mut budget);
                let before = outcome.end.map_err(|why| why.to_string());
                before?;
                let root = outcome.graph.root().unwrap();
                let mut out = Vec::new();
                json::write(root, &Nothing, &mut budget, &mut out)
                    .map_err(|why| why.to_string())?;
                Encoder::new(4).to_vec(root, &mut budget).map_err(|why| why.to_string())?;
                Ok(())
            });
        }
    }
    assert!(refused > 20, "only {refused} steps were refused");
}
