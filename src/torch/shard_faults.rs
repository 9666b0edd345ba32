//! Checkpoints of several files, of which any may be unreadable, broken or cut at any moment: what
//! comes out is the right bytes or an error. (Those of one file are tried by `tests/faults.rs`,
//! which needs no more than what is public.)
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::checkpoint::Options;
use super::error::Error;
use super::list::Scope;
use crate::base::{Category, Source};
use crate::pickle::Policy;

/// What goes wrong, at which opening of a file or which read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// This file, by order of opening, cannot be opened.
    Open(usize),
    /// This read fails, others do not.
    At(usize),
    /// This read fails, and all after it.
    From(usize),
    /// From this read on, every file has half of its bytes.
    Cut(usize),
}

// Openings take functions, not closures; a test has a thread of its own.
thread_local! {
    static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
    static OPENED: Cell<usize> = const { Cell::new(0) };
    static READS: Cell<usize> = const { Cell::new(0) };
}

struct Flaky(Bytes);

impl Source for Flaky {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let read = READS.replace(READS.get() + 1);
        match FAULT.get() {
            Fault::At(at) if at == read => Err(io::Error::other("a broken disk")),
            Fault::From(from) if from <= read => Err(io::Error::other("a broken disk")),
            Fault::Cut(from) if from <= read => self.0.slice(..self.0.len() / 2).read_at(at, into),
            _ => self.0.read_at(at, into),
        }
    }
}

fn open(path: &Path) -> io::Result<Arc<dyn Source>> {
    let opened = OPENED.replace(OPENED.get() + 1);
    if FAULT.get() == Fault::Open(opened) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(Arc::new(Flaky(fs::read(path)?.into())))
}

/// Every tensor's bytes, or why there are none, by name.
type Found = BTreeMap<String, Result<Vec<u8>, String>>;

/// What a checkpoint holds, how many files were opened for it, and how many reads it took.
fn attempt(path: &Path, fault: Fault) -> (Result<Found, Error>, usize, usize) {
    FAULT.set(fault);
    OPENED.set(0);
    READS.set(0);
    let found = every_tensor(path);
    (found, OPENED.get(), READS.get())
}

fn every_tensor(path: &Path) -> Result<Found, Error> {
    let checkpoint = Options::default().policy(Policy::inspect()).open_with(path, open)?;
    for problem in checkpoint.verify()?.problems {
        assert!(!problem.to_string().is_empty());
    }
    let list = checkpoint.tensors_in(checkpoint.root(), Scope::All)?;
    let read = list.iter().map(|entry| {
        let read = entry.on(&checkpoint).and_then(|tensor| Ok(tensor.to_bytes()?.into_owned()));
        (entry.name().to_owned(), read.map_err(|why| why.to_string()))
    });
    Ok(read.collect())
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn every_file_of_several_may_fail_at_every_point() {
    for name in [
        "containers/sharded",
        "containers/sharded/pytorch_model.bin.index.json",
        "convert/shards",
        "containers/dcp_two",
    ] {
        let path = fixture(name);
        let (whole, opened, reads) = attempt(&path, Fault::None);
        let whole = whole.unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(whole.values().all(Result::is_ok), "{name}: {whole:?}");
        assert!(opened > 2 && reads > 10 && reads < 3000, "{name}: {opened} files, {reads} reads");
        let faults = (0..opened).map(Fault::Open).chain(
            (0..reads).flat_map(|read| [Fault::At(read), Fault::From(read), Fault::Cut(read)]),
        );
        let (mut missed, mut partly) = (0, 0);
        for fault in faults {
            let what = format!("{name}, {fault:?}");
            match attempt(&path, fault).0 {
                // What is cut may be taken for damaged.
                Err(why) if matches!(fault, Fault::Cut(_)) => assert!(!why.to_string().is_empty()),
                Err(why) => assert_eq!(why.category(), Category::Io, "{what}: {why}"),
                Ok(found) => {
                    let listed = whole.keys().all(|name| found.contains_key(name));
                    assert!(listed, "{what}: tensors are missing");
                    // What cannot be read is listed, whether or not it would have been a tensor.
                    let mut more = found.iter().filter(|(name, _)| !whole.contains_key(*name));
                    assert!(more.all(|(_, read)| read.is_err()), "{what}: tensors of nothing");
                    let mut lost = 0;
                    for (name, read) in found.iter().filter(|(name, _)| whole.contains_key(*name)) {
                        match read {
                            Ok(bytes) => assert_eq!(whole[name].as_ref(), Ok(bytes), "{what}"),
                            Err(why) => {
                                assert!(!why.is_empty());
                                lost += 1;
                            }
                        }
                    }
                    missed += usize::from(lost > 0);
                    partly += usize::from(lost > 0 && lost < found.len());
                }
            }
        }
        // One file that fails costs its own tensors, not those of the others.
        assert!(missed > 4 && partly > 2, "{name}: {missed} missed, {partly} in part");
    }
}
