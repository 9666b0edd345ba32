//! Carries a plan out: files that appear whole, all of them or none.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{error, fmt, thread};

use super::error::{Error, Kind};
use super::moving::Sink;
use super::plan::{Format, How, Item, Plan};
use super::{npz, pth, safetensors, shards};
use crate::base::{Budget, Existing, FileSource, Output, Source};
use crate::container::{Zip, ZipWriter};
use crate::python::policy;
use crate::torch::{Checkpoint, Layout, Options, Quantizer, StorageId, TensorRef};

/// Files that were written and have not got their names yet. Dropped, they leave nothing behind.
#[derive(Debug)]
pub struct Written<'plan, 'file> {
    plan: &'plan Plan<'file>,
    outputs: Vec<(Output, FileWritten)>,
    index: Option<Output>,
}

/// One of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileWritten {
    /// Its path.
    pub path: PathBuf,
    /// How many tensors it holds.
    pub tensors: usize,
    /// Bytes of their elements.
    pub nbytes: u64,
    /// Bytes of the file; 0 if it was not written yet.
    pub file_nbytes: u64,
}

impl<'file> Plan<'file> {
    /// The files that there will be for an output of this path: of several, each has a number in
    /// its name. The index comes last.
    #[must_use]
    pub fn paths(&self, path: &Path) -> Vec<PathBuf> {
        let count = self.files.len();
        let mut paths: Vec<PathBuf> =
            (0..count).map(|index| shards::name(path, index, count)).collect();
        if count > 1 {
            paths.push(shards::index_name(path));
        }
        paths
    }

    /// What will be in each file.
    #[must_use]
    pub fn contents(&self, path: &Path) -> Vec<FileWritten> {
        let described = self.paths(path).into_iter().zip(&self.files).map(|(path, items)| {
            let sizes = items.iter().filter_map(|&index| self.items.get(index));
            let nbytes = sizes.map(Item::nbytes).fold(0, u64::saturating_add);
            FileWritten { path, tensors: items.len(), nbytes, file_nbytes: 0 }
        });
        described.collect()
    }

    /// Writes everything beside where it belongs. `progress` is told how many bytes of tensors were
    /// written since it was told last.
    ///
    /// The checksums of the archive's members that are copied are compared meanwhile, unless that
    /// was not wanted.
    ///
    /// # Errors
    /// [`Kind::Io`], with [`io::ErrorKind::AlreadyExists`] if something is there and is not to be
    /// replaced; [`Kind::OutputIsInput`]; [`Kind::Torch`] if a tensor cannot be read or its checksum
    /// is wrong. Nothing is left behind then.
    pub fn write<'plan>(
        &'plan self,
        path: impl AsRef<Path>,
        existing: Existing,
        progress: &dyn Fn(u64),
    ) -> Result<Written<'plan, 'file>, Error> {
        let path = path.as_ref();
        for path in self.paths(path) {
            check_output(self.checkpoint, &path)?;
        }
        let create =
            |path: &Path| Output::create(path, existing).map_err(|why| Error::io(path, why));
        let mut outputs = Vec::new();
        for file in self.contents(path) {
            outputs.push((create(&file.path)?, file));
        }
        let index = self.index(path).map(|text| {
            let path = shards::index_name(path);
            let mut output = create(&path)?;
            output.write_all(text.as_bytes()).map_err(|why| Error::io(&path, why))?;
            Ok::<_, Error>(output)
        });
        let index = index.transpose()?;
        self.move_all(&mut outputs, progress)?;
        Ok(Written { plan: self, outputs, index })
    }

    /// The index, if there is one.
    fn index(&self, path: &Path) -> Option<String> {
        let count = self.files.len();
        if count == 1 {
            return None;
        }
        let tensors = self.files.iter().enumerate().flat_map(|(file, items)| {
            let name = shards::name(path, file, count);
            let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let items = items.iter().filter_map(|&index| self.items.get(index));
            items.map(move |item| (item.name(), name.clone()))
        });
        Some(shards::index(self.nbytes(), self.about(), tensors))
    }

    /// What is said beside the tensors, without what every file says.
    fn about(&self) -> &[(String, String)] {
        self.metadata.get(1..).unwrap_or_default()
    }

    /// Writes the files, and compares checksums at the same time: whichever fails stops the other.
    fn move_all(
        &self,
        outputs: &mut [(Output, FileWritten)],
        progress: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let stop = AtomicBool::new(false);
        let stopping = |result: Result<(), Error>| {
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            result
        };
        let going = || if stop.load(Ordering::Relaxed) { Err(stopped()) } else { Ok(()) };
        thread::scope(|scope| {
            let check = || stopping(self.check_sums(&going));
            let spawn = || thread::Builder::new().spawn_scoped(scope, check);
            let checked = self.convert.checksums.then(spawn);
            let mut each = |count| {
                progress(count);
                going()
            };
            let moved = stopping(self.move_files(outputs, &mut each));
            let lost = |_| Err(io::Error::other("the checksums could not be compared").into());
            let checked = match checked {
                Some(Ok(checking)) => checking.join().unwrap_or_else(lost),
                // The system has no thread for it.
                Some(Err(_)) => check(),
                None => Ok(()),
            };
            match (moved, checked) {
                (Err(why), Ok(())) => Err(why),
                (_, checked) if !checked.as_ref().is_err_and(is_stopped) => checked,
                (moved, _) => moved,
            }
        })
    }

    fn move_files(
        &self,
        outputs: &mut [(Output, FileWritten)],
        each: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<(), Error> {
        for ((output, file), items) in outputs.iter_mut().zip(&self.files) {
            let mut sink = Sink::new(output);
            let moved = match self.convert.format {
                Format::Safetensors => self.safetensors(items, &mut sink, each),
                Format::Pth => self.pth(&file.path, &mut sink, each),
                Format::Npz => self.npz(items, &mut sink, each),
            };
            let moved = moved.and_then(|()| Ok(sink.flush()?));
            moved.map_err(|why| match why.kind() {
                Kind::Io(_) => why.placed(&file.path),
                _ => why,
            })?;
            file.file_nbytes = sink.written();
        }
        Ok(())
    }

    fn safetensors(
        &self,
        items: &[usize],
        sink: &mut Sink,
        each: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<(), Error> {
        let order = safetensors::order(&self.items, items);
        let items = || order.iter().filter_map(|&index| self.items.get(index));
        // Of several files, the index says what is not about one of them.
        let metadata = if self.files.len() > 1 { self.metadata.get(..1) } else { None };
        let metadata = metadata.unwrap_or(&self.metadata);
        sink.write_all(&safetensors::header(items(), metadata)?)?;
        items().try_for_each(|item| item.append_to(sink, self.checkpoint, each))
    }

    fn npz(
        &self,
        items: &[usize],
        sink: &mut Sink,
        each: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<(), Error> {
        let mut zip = ZipWriter::new(sink);
        for item in items.iter().filter_map(|&index| self.items.get(index)) {
            let header = npz::header(item);
            let size = item.nbytes().saturating_add(header.len() as u64);
            let mut member = zip.begin(&npz::member(item), size)?;
            member.write_all(&header)?;
            item.for_each_chunk(self.checkpoint, |chunk| {
                member.write_all(chunk)?;
                Ok(each(chunk.len() as u64)?)
            })?;
            member.finish()?;
        }
        zip.finish()?;
        Ok(())
    }

    /// Compares the checksums that the checkpoint has for what is read of it.
    fn check_sums(&self, going: &dyn Fn() -> io::Result<()>) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let uses = pth::uses(&self.items);
        for item in &self.items {
            // Whole storages are checked as they are written.
            let whole = item.how == How::Kept && !self.is_alone(item, &uses);
            if self.convert.format == Format::Pth && (self.convert.whole || whole) {
                continue;
            }
            for storage in storages(self.checkpoint, item) {
                going()?;
                if seen.insert(storage) {
                    let checked = self.checkpoint.check_storage(storage);
                    checked.map_err(|why| why.in_tensor(item.from()))?;
                }
            }
        }
        Ok(())
    }
}

/// The storages that a tensor or its parts are views of.
fn storages(checkpoint: &Checkpoint, item: &Item) -> Vec<StorageId> {
    let parts = checkpoint.parts(&item.tensor);
    let parts = parts.iter().filter_map(|part| part.tensor.as_ref().ok()?.storage());
    item.tensor.storage().into_iter().chain(parts).collect()
}

/// Said by the one of two that was told to stop. An error of its own, and not
/// [`io::ErrorKind::Interrupted`], at which a [`BufWriter`](io::BufWriter) writes the same again.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped, because the other part of the work failed")
    }
}

impl error::Error for Stopped {}

fn stopped() -> io::Error {
    io::Error::other(Stopped)
}

fn is_stopped(why: &Error) -> bool {
    let Kind::Io(why) = why.kind() else { return false };
    why.get_ref().is_some_and(<dyn error::Error + Send + Sync>::is::<Stopped>)
}

/// Refuses an output that is a file which is read, by whatever path.
///
/// # Errors
/// [`Kind::OutputIsInput`].
pub fn check_output(checkpoint: &Checkpoint, path: &Path) -> Result<(), Error> {
    let Ok(output) = fs::metadata(path) else { return Ok(()) };
    for input in checkpoint.files() {
        if fs::metadata(input).is_ok_and(|input| same_file(&input, &output)) {
            return Err(Error::new(Kind::OutputIsInput).placed(path));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere, files of other lengths or times are told apart, which is not enough to replace one.
#[cfg(not(unix))]
fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    one.len() == other.len() && one.modified().ok() == other.modified().ok()
}

impl Written<'_, '_> {
    /// The files, the index not among them.
    #[must_use]
    pub fn files(&self) -> impl ExactSizeIterator<Item = &FileWritten> {
        self.outputs.iter().map(|(_, file)| file)
    }

    /// Reads everything back and compares every tensor, bit by bit, with the checkpoint's.
    /// `progress` is told how many bytes were compared since it was told last.
    ///
    /// # Errors
    /// [`Kind::Differs`], or what stands against reading.
    pub fn verify(&self, progress: &dyn Fn(u64)) -> Result<(), Error> {
        for ((output, _), items) in self.outputs.iter().zip(&self.plan.files) {
            let mut items = items.iter().filter_map(|&index| self.plan.items.get(index));
            let source = FileSource::new(output.file().try_clone()?)?;
            match self.plan.convert.format {
                Format::Safetensors | Format::Pth => {
                    // Also that whoever loads weights only can load it.
                    let options = Options::default().policy(policy::weights_only().clone());
                    let limits = self.plan.checkpoint.limits().clone();
                    let back = options.limits(limits).read(source)?;
                    items.try_for_each(|item| self.compare(item, &back, progress))?;
                }
                Format::Npz => {
                    let source: Arc<dyn Source> = Arc::new(source);
                    let budget = &mut Budget::new(self.plan.checkpoint.limits().clone());
                    let zip = Zip::open(&*source, budget).map_err(crate::torch::Error::from)?;
                    items
                        .try_for_each(|item| self.compare_member(item, &zip, &*source, progress))?;
                }
            }
        }
        Ok(())
    }

    fn compare(&self, item: &Item, back: &Checkpoint, progress: &dyn Fn(u64)) -> Result<(), Error> {
        let found = back.tensor(item.name())?;
        if (found.dtype(), found.shape()) != (item.dtype(), item.shape()) {
            let (dtype, shape) = (found.dtype(), found.shape());
            return Err(item.differs(&format!("it is {dtype} of {shape:?}")));
        }
        if !matches!(item.tensor.layout(), Layout::Strided) && item.how == How::Kept {
            return self.compare_parts(item, found, progress);
        }
        let width = item.dtype().width();
        let read = |at: u64, into: &mut [u8]| {
            let first = at.checked_div(width).unwrap_or(0);
            Ok(found.read_range(first, into)?)
        };
        item.compare(self.plan.checkpoint, read, progress)
    }

    /// As [`compare`](Self::compare), of a tensor that consists of others.
    fn compare_parts(
        &self,
        item: &Item,
        found: TensorRef,
        progress: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let wanted = item.on(self.plan.checkpoint);
        let same_steps = match (wanted.quantizer(), found.quantizer()) {
            (Some(Quantizer::PerTensor { .. }), steps) => wanted.quantizer() == steps,
            _ => true,
        };
        let parts = |tensor: TensorRef| tensor.checkpoint().parts(&tensor);
        let (one, other) = (parts(wanted), parts(found));
        if wanted.layout() != found.layout() || one.len() != other.len() || !same_steps {
            return Err(item.differs("its layout differs"));
        }
        for (one, other) in one.iter().zip(&other) {
            let (Ok(one_view), Ok(other_view)) = (&one.tensor, &other.tensor) else {
                return Err(item.differs(&format!("its {} cannot be read", one.name)));
            };
            let (one_view, other_view) = (wanted.part(one_view), found.part(other_view));
            if one_view.shape() != other_view.shape()
                || one_view.to_bytes()? != other_view.to_bytes()?
            {
                return Err(item.differs(&format!("its {} differ", one.name)));
            }
            progress(one_view.nbytes());
        }
        Ok(())
    }

    fn compare_member(
        &self,
        item: &Item,
        zip: &Zip,
        source: &dyn Source,
        progress: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let name = npz::member(item);
        let find = || {
            let member = zip.find(name.as_bytes())?;
            member.map(|member| zip.locate(source, member)).transpose()
        };
        let place = find().map_err(crate::torch::Error::from)?;
        let place = place.ok_or_else(|| item.differs("it is not there"))?;
        let header = npz::header(item);
        let data = header.len() as u64;
        let len = data.saturating_add(item.nbytes());
        if place.len != len || source.fetch(place.at.0, data)? != header {
            return Err(item.differs("its header differs"));
        }
        let read = |at: u64, into: &mut [u8]| {
            Ok(source.read_at(place.at.0.saturating_add(data).saturating_add(at), into)?)
        };
        item.compare(self.plan.checkpoint, read, progress)
    }

    /// Gives the files their names; the index, which names the others, last.
    ///
    /// # Errors
    /// What the system says. Files that have their names already lose them again, unless they have
    /// replaced others.
    pub fn commit(self) -> Result<Vec<FileWritten>, Error> {
        let mut done: Vec<(FileWritten, bool)> = Vec::new();
        let files = self.outputs.into_iter().map(|(output, file)| (output, Some(file)));
        for (output, file) in files.chain(self.index.map(|index| (index, None))) {
            let (path, new) = (output.path().to_owned(), !output.path().exists());
            if let Err(why) = output.commit_soon() {
                for (file, _) in done.iter().filter(|(_, new)| *new) {
                    // What matters is the first error.
                    let _ = fs::remove_file(&file.path);
                }
                return Err(Error::io(&path, why));
            }
            done.extend(file.map(|file| (file, new)));
        }
        Ok(done.into_iter().map(|(file, _)| file).collect())
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::convert::Convert;

    /// What is told to stop does so wherever it is: `.pth` files were written for ever, until the
    /// disk was full, where a checksum was found wrong before their tensors were moved.
    #[test]
    fn whoever_is_told_to_stop_stops() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let checkpoint = Checkpoint::open(fixtures.join("resnet18_tiny.pth")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for format in [Format::Safetensors, Format::Pth, Format::Npz] {
            let plan = Convert::to(format).plan(&checkpoint).unwrap();
            for allowed in 0..3 {
                let path = folder.path().join("out");
                let mut outputs: Vec<_> = plan
                    .contents(&path)
                    .into_iter()
                    .map(|file| (Output::create(&path, Existing::Refuse).unwrap(), file))
                    .collect();
                let asked = Cell::new(0);
                let mut each = |_| {
                    asked.set(asked.get() + 1);
                    assert!(asked.get() < 1000, "{format:?} goes on");
                    if asked.get() > allowed { Err(stopped()) } else { Ok(()) }
                };
                let moved = plan.move_files(&mut outputs, &mut each);
                assert!(moved.is_err() && asked.get() > allowed, "{format:?}");
            }
        }
    }
}
