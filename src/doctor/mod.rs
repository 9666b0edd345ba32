//! What is wrong with a file, what can be done about it, and what can be saved.
//!
//! Says of any file or folder what it is, in a line; what keeps PyTorch from loading it, each with
//! an id, a place and an advice; the Python that loads it; and the PyTorch that this needs. Nothing
//! of a file runs, and no file is too damaged to be looked at.
//!
//! ```
//! let report = depickle::doctor::examine("tests/fixtures/mlp_state_dict.pth")?;
//! assert!(report.is_healthy());
//! assert_eq!(report.load[1].contains("weights_only=True"), true);
//! # Ok::<(), depickle::torch::Error>(())
//! ```

mod archive;
mod cut;
mod diagnosis;
mod folder;
pub mod globals;
mod object;
mod other;
mod packed;
mod python;
mod salvage;
mod survey;
mod text;
mod versions;
mod weights;
mod words;

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use crate::base::{FileOffset, FileSource, Limits, Source, Watched, Window};
use crate::torch::{Checkpoint, Error};

pub use diagnosis::{Diagnosis, Report, Severity};
pub use salvage::{Salvaged, salvage};
pub use survey::{Lost, Survey};
pub use versions::Requires;
pub use weights::obstacle;
pub use words::{human, thousands};

/// What a file is expected to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expected {
    /// Names → tensors, to be given to `load_state_dict`, or a checkpoint that has them.
    Weights,
    /// A whole pickled model.
    Model,
    /// What `torch.jit.save` writes.
    TorchScript,
    /// What `torch.export.save` writes.
    Export,
}

/// How closely to look.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Leave out what needs the tensors' data: checksums. Otherwise all of a file is read once.
    pub quick: bool,
    /// Something else than this is a finding.
    pub expected: Option<Expected>,
    /// What looking may cost, for each file.
    pub limits: Limits,
}

impl Options {
    /// Sets [`quick`](Self::quick).
    #[must_use]
    pub const fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// Sets [`expected`](Self::expected).
    #[must_use]
    pub const fn expected(mut self, expected: Option<Expected>) -> Self {
        self.expected = expected;
        self
    }

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// As [`examine`].
    ///
    /// # Errors
    /// As [`examine`].
    pub fn examine(&self, path: impl AsRef<Path>) -> Result<Report, Error> {
        self.examine_with(path, &|_| {})
    }

    /// As [`examine`]. `progress` is told how many bytes of the file were compared with their
    /// checksums since it was told last.
    ///
    /// # Errors
    /// As [`examine`].
    pub fn examine_with(
        &self,
        path: impl AsRef<Path>,
        progress: &dyn Fn(u64),
    ) -> Result<Report, Error> {
        let path = path.as_ref();
        let named = |why: std::io::Error| Error::from(why).in_file(path);
        let facts = fs::metadata(path).map_err(named)?;
        if facts.is_dir() {
            return folder::examine(path, self);
        }
        if !facts.is_file() {
            let why = "this is a device or pipe: give it by standard input, as `-`";
            return Err(named(std::io::Error::other(why)));
        }
        let file = File::open(path).and_then(FileSource::new).map_err(named)?;
        let looked = Look { path: Some(path), packed: false, options: self, progress };
        let source: Arc<dyn Source> = Arc::new(file);
        looked.at(&source).map_err(|why| why.in_file(path))
    }

    /// Examines what can be read at positions; `name` is what reports call it.
    ///
    /// # Errors
    /// What the source says.
    pub fn examine_source(
        &self,
        source: impl Source + 'static,
        name: &str,
    ) -> Result<Report, Error> {
        let looked = Look { path: None, packed: false, options: self, progress: &|_| {} };
        let source: Arc<dyn Source> = Arc::new(source);
        let mut report = looked.at(&source)?;
        name.clone_into(&mut report.path);
        Ok(report)
    }
}

/// Examines a file or folder. All of a file is read once, to compare checksums:
/// [`Options::quick`] leaves that out.
///
/// # Errors
/// It is not there, or the system cannot read it. Whatever is in it is a diagnosis.
pub fn examine(path: impl AsRef<Path>) -> Result<Report, Error> {
    Options::default().examine(path)
}

/// Whether a file is a zip archive without members.
fn is_empty_zip(source: &dyn Source) -> std::io::Result<bool> {
    Ok(source.len() >= 22 && source.fetch(0, 4)? == b"PK\x05\x06"[..])
}

/// One look at one file.
struct Look<'run> {
    /// None for what has none: standard input.
    path: Option<&'run Path>,
    /// Whether this was inside of a compressed file.
    packed: bool,
    options: &'run Options,
    /// Told of bytes whose checksums were compared.
    progress: &'run dyn Fn(u64),
}

impl Look<'_> {
    fn at(&self, source: &Arc<dyn Source>) -> Result<Report, Error> {
        let watched = Arc::new(Watched::new(Arc::clone(source)));
        let mut report = self.at_watched(&(Arc::clone(&watched) as Arc<dyn Source>))?;
        if let Some((at, why)) = watched.failure().filter(|_| !report.has("unreadable")) {
            report.add(object::unreadable(why.as_str()).at(FileOffset(*at)));
        }
        Ok(report)
    }

    fn at_watched(&self, source: &Arc<dyn Source>) -> Result<Report, Error> {
        let mut report = Report::new(&self.label(), source.len());
        if source.is_empty() {
            report.what("empty", "an empty file");
            report.add(
                Diagnosis::error("empty", "the file has no bytes")
                    .advice("get it again from where it came; a disk may have been full"),
            );
            return Ok(report);
        }
        if crate::container::starts_as_zip(&**source)? || is_empty_zip(&**source)? {
            archive::examine(self, source, &mut report)?;
        } else if !text::examine(self, source, &mut report)?
            && !other::examine(&**source, &mut report)?
        {
            cut::examine(self, source, &mut report)?;
        }
        if report.has("compressed") && !self.packed {
            packed::examine(self, &**source, &mut report)?;
        }
        other::extension(self.path, &mut report);
        Ok(report)
    }

    /// The path as it is shown and written in Python.
    fn label(&self) -> String {
        self.path.map_or_else(|| "-".to_owned(), |path| path.display().to_string())
    }

    fn open(&self, source: &Arc<dyn Source>, salvage: bool) -> Result<Checkpoint, Error> {
        let whole = Window::new(Arc::clone(source), 0, source.len())?;
        self.reading().salvage(salvage).read(whole)
    }

    fn reading(&self) -> crate::torch::Options {
        let policy = crate::pickle::Policy::inspect();
        crate::torch::Options::default().policy(policy).limits(self.options.limits.clone())
    }
}
