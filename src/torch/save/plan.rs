//! What is to be written, settled: its length is known before the first byte.

use std::fmt;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::draft::Stored;
use super::{legacy, zip};
use crate::base::{Existing, Output};
use crate::torch::DType;
use crate::torch::error::{Error, Kind};

/// How a checkpoint lies in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// As PyTorch has written since 1.6.
    #[default]
    Zip,
    /// As it wrote before, and does with `_use_new_zipfile_serialization=False`.
    Legacy,
}

/// A checkpoint that is ready to be written.
pub struct Plan<'run> {
    pub(super) form: Form,
    folder: Option<Box<str>>,
    pub(super) pickle: Vec<u8>,
    pub(super) storages: Vec<PlannedStorage<'run>>,
}

/// A storage that is to be written.
pub struct PlannedStorage<'run> {
    pub(super) key: Box<str>,
    pub(super) dtype: Option<DType>,
    pub(super) stored: Stored<'run>,
}

impl PlannedStorage<'_> {
    /// What the file will call it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Bytes of it.
    #[must_use]
    pub const fn nbytes(&self) -> u64 {
        self.stored.nbytes
    }

    /// The dtype of its class; none if it has no type.
    #[must_use]
    pub const fn dtype(&self) -> Option<DType> {
        self.dtype
    }

    /// The device it will load to.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.stored.device
    }
}

impl<'run> Plan<'run> {
    pub(super) fn new(form: Form, pickle: Vec<u8>, storages: Vec<PlannedStorage<'run>>) -> Self {
        Self { form, folder: None, pickle, storages }
    }

    /// Another name for the folder in a zip archive than `archive`, which PyTorch gives what it
    /// writes to no file.
    #[must_use]
    pub fn folder(mut self, name: &str) -> Self {
        self.folder = Some(name.into());
        self
    }

    /// The folder that PyTorch would give what it writes to this path: the file's name without
    /// its extension. [`save`](Self::save) does so where no other was asked for.
    #[must_use]
    pub fn named_for(mut self, path: &Path) -> Self {
        self.folder = self.folder.or_else(|| folder_of(path).map(Into::into));
        self
    }

    pub(super) fn folder_name(&self) -> &str {
        self.folder.as_deref().unwrap_or("archive")
    }

    /// The storages, in the order in which they will be written, but for the older layout, which
    /// sorts them by key.
    #[must_use]
    pub fn storages(&self) -> &[PlannedStorage<'run>] {
        &self.storages
    }

    /// Bytes of the pickle.
    #[must_use]
    pub fn pickle_len(&self) -> u64 {
        self.pickle.len() as u64
    }

    /// Bytes of the whole file; in a zip archive the name of the folder counts.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        match self.form {
            Form::Zip => zip::len(self),
            Form::Legacy => legacy::len(self),
        }
    }

    /// Writes the file to any sink, which need neither seek nor be buffered. Returns how many
    /// bytes went out.
    ///
    /// # Errors
    /// [`Kind::Write`]; what reading the tensors' bytes gives, with the tensor's name: also that
    /// they do not have the checksum of the file they are from.
    pub fn write(self, out: impl Write) -> Result<u64, Error> {
        /// Bytes of headers that are gathered; data are passed on as they are.
        const GATHERED: usize = 64 << 10;
        let out = BufWriter::with_capacity(GATHERED, out);
        match self.form {
            Form::Zip => zip::write(self, out),
            Form::Legacy => legacy::write(self, out),
        }
    }

    /// Writes the file beside `path`, and gives it that name once it is whole and on the disk.
    /// Returns how many bytes it has.
    ///
    /// ```
    /// use depickle::Budget;
    /// use depickle::base::Existing;
    /// use depickle::torch::{Checkpoint, Draft};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("model.pth");
    /// let checkpoint = Checkpoint::open("tests/fixtures/mlp_state_dict.pth")?;
    /// let mut budget = Budget::default();
    /// let draft = Draft::of(&checkpoint, &mut budget)?;
    /// let root = draft.root();
    /// draft.finish(root)?.save(&path, Existing::Refuse)?;
    /// assert_eq!(Checkpoint::open(&path)?.tensors()?.len(), checkpoint.tensors()?.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`write`](Self::write), and as [`Output::create`] and [`Output::commit`]. Whatever was
    /// at `path` is as it was then, and nothing is left beside it.
    pub fn save(self, path: impl AsRef<Path>, existing: Existing) -> Result<u64, Error> {
        let path = path.as_ref();
        let failed = |why| Error::new(Kind::Write(why)).in_file(path);
        let mut output = Output::create(path, existing).map_err(failed)?.early();
        let written = self.named_for(path).write(&mut output);
        let written = written.map_err(|why| match why.kind() {
            Kind::Write(_) => why.in_file(path),
            _ => why,
        })?;
        output.commit().map_err(failed)?;
        Ok(written)
    }
}

/// The folder that PyTorch gives an archive of this path; none for names that it does not use.
///
/// Source: `caffe2/serialize/inline_container.cc` (`basename`), `torch/serialization.py`
/// (`_open_zipfile_writer_file`).
fn folder_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str().filter(|_| path.to_str().is_some_and(str::is_ascii))?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    (!stem.is_empty()).then(|| stem.to_owned())
}

impl fmt::Debug for PlannedStorage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedStorage")
            .field("key", &self.key)
            .field("nbytes", &self.stored.nbytes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("form", &self.form)
            .field("pickle", &self.pickle.len())
            .field("storages", &self.storages.len())
            .finish_non_exhaustive()
    }
}
