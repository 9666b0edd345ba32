//! Files of which a read fails, at moments that their bytes choose.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{fs, io};

use bytes::Bytes;
use depickle::base::Existing;
use depickle::convert::{Convert, Format};
use depickle::scan::{Scanner, Verdict};
use depickle::torch::{Checkpoint, Error, Scope};
use depickle::{Source, doctor};

use crate::checkpoints::options;
use crate::{hash, scratch, small};

/// What comes of a file whose reads fail is what comes of it otherwise, or an error: whatever was
/// not read is said. Where nothing was written, nothing is left behind.
pub fn faults(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let folder = scratch("faults");
    // One that was killed left it.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a writable folder");
    let (whole, reads) = all_of(&bytes, 0..0, &folder);
    let mut choice = hash(&bytes);
    for _ in 0..3 {
        choice = choice.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let first = choice % reads.max(1);
        let failing = if choice >> 63 == 0 { first..first + 1 } else { first..u64::MAX };
        let (found, _) = all_of(&bytes, failing.clone(), &folder);
        let Ok(found) = found else { continue };
        let whole = whole.as_ref().expect("what opens with a fault opens without");
        right_or_error(&found, whole, &failing);
    }
    fs::remove_dir_all(&folder).expect("it is ours");
}

/// A source of which some reads fail.
#[derive(Clone)]
struct Failing {
    bytes: Bytes,
    failing: Range<u64>,
    reads: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl Failing {
    /// Whether a read has failed, for good, since this was asked last.
    fn failed(&self) -> bool {
        self.failed.swap(false, Ordering::Relaxed)
    }
}

impl Source for Failing {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        // Past the end there is nothing to fail.
        if self.failing.contains(&read) && at.saturating_add(into.len() as u64) <= self.len() {
            // What fails once may be tried again.
            self.failed.store(self.failing.end == u64::MAX, Ordering::Relaxed);
            return Err(io::Error::other("a broken disk"));
        }
        self.bytes.read_at(at, into)
    }
}

type Content = Result<Vec<u8>, String>;

/// What a file gives: a verdict, its tensors by name, and itself in each format.
struct Found {
    verdict: Verdict,
    tensors: Vec<(String, Content)>,
    written: Vec<(Vec<String>, Content)>,
}

/// All of it, and how many reads that took.
fn all_of(bytes: &Bytes, failing: Range<u64>, folder: &Path) -> (Result<Found, Error>, u64) {
    let (reads, failed) = Default::default();
    let source = Failing { bytes: bytes.clone(), failing, reads, failed };
    let report = Scanner::new().limits(small().limits().clone()).scan(&source);
    let told = report.verdict >= Verdict::Error && !report.complete;
    assert!(told || !source.failed(), "what was not read is {}", report.verdict.name());
    let examined = doctor::Options::default().limits(small().limits().clone());
    if let Ok(report) = examined.examine_source(source.clone(), "it") {
        assert!(!(source.failed() && report.is_healthy()), "healthy, but not all was read");
    }
    source.failed();
    let found = options().read(source.clone()).and_then(|checkpoint| {
        let tensors = tensors(&checkpoint)?;
        source.failed();
        let formats = [Format::Safetensors, Format::Pth, Format::Npz].into_iter();
        let written = formats.filter_map(|format| converted(&checkpoint, format, folder, &source));
        let written = written.collect();
        source.failed();
        let verified = checkpoint.verify()?;
        assert!(!(source.failed() && verified.is_sound()), "sound, but not all was read");
        Ok(Found { verdict: report.verdict, tensors, written })
    });
    (found, source.reads.load(Ordering::Relaxed))
}

/// If they are not too many.
fn tensors(checkpoint: &Checkpoint) -> Result<Vec<(String, Content)>, Error> {
    let list = checkpoint.tensors_in(checkpoint.root(), Scope::All)?;
    if list.len() > 256 {
        return Ok(Vec::new());
    }
    let read = list.iter().map(|entry| {
        let bytes = entry.on(checkpoint).and_then(|it| Ok(it.to_bytes()?.into_owned()));
        (entry.name().to_owned(), bytes.map_err(|why| why.to_string()))
    });
    Ok(read.collect())
}

/// The names that were to be in it, and the file.
fn converted(
    checkpoint: &Checkpoint,
    format: Format,
    folder: &Path,
    source: &Failing,
) -> Option<(Vec<String>, Content)> {
    let path = folder.join("out");
    let plan = Convert::to(format).plan(checkpoint).ok()?;
    source.failed();
    if plan.nbytes() > 1 << 18 || plan.files() != 1 {
        return None;
    }
    let written = plan.write(&path, Existing::Refuse, &|_| {}).and_then(|written| {
        written.verify(&|_| {})?;
        written.commit()
    });
    let left: Vec<PathBuf> = fs::read_dir(folder)
        .expect("it is ours")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let content = match written {
        Ok(_) => {
            assert!(!source.failed(), "written, but not all was read");
            assert_eq!(left, std::slice::from_ref(&path));
            let content = fs::read(&path).expect("it was written");
            fs::remove_file(&path).expect("it is ours");
            Ok(content)
        }
        Err(why) => {
            assert!(left.is_empty(), "{left:?} is left of {why}");
            Err(why.to_string())
        }
    };
    let names = plan.items().iter().map(|item| item.name().to_owned()).collect();
    Some((names, content))
}

fn right_or_error(found: &Found, whole: &Found, failing: &Range<u64>) {
    let right = found.verdict >= Verdict::Error || found.verdict == whole.verdict;
    assert!(right, "{failing:?}: {}", found.verdict.name());
    for tensor in &found.tensors {
        let right = tensor.1.is_err() || whole.tensors.contains(tensor);
        assert!(right, "{failing:?}: {} is silently wrong", tensor.0);
    }
    for (name, _) in &whole.tensors {
        // Where what holds it cannot be read, that is named instead.
        let mut told = found.tensors.iter().map(|(told, bytes)| (told, bytes.is_err()));
        let told = told.any(|(told, failed)| told == name || (failed && name.starts_with(&**told)));
        assert!(told, "{failing:?} hides {name}");
    }
    for written in &found.written {
        let right = written.1.is_err() || whole.written.contains(written);
        assert!(right, "{failing:?}: what was written is wrong");
    }
}
