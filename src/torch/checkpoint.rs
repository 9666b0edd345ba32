//! A file that `torch.save` wrote, opened: its object, its storages, its tensors.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;

use super::DType;
use super::archive::Archive;
#[cfg(doc)]
use super::error::Kind;
use super::error::{Error, Fault};
use super::kind::ObjectKind;
use super::list::{List, Scope};
use super::module::Class;
use super::open::{self, Opened};
use super::origin::{Layout, Origin};
use super::read::TensorRef;
use super::sniff::Container;
use super::storage::{Storage, StorageId, Storages};
use super::stretch;
use super::tensor::Tensor;
use crate::base::{Budget, Exact, FileOffset, FileSource, Limits, ReaderSource, Source};
use crate::container::{Finding, Recovery};
use crate::pickle::{Graph, NodeId, Object, Policy};

/// An open checkpoint: a state dict, a whole model, or anything else that `torch.save` takes.
///
/// Opening reads the directory and the pickle, and nothing of the tensors' data.
///
/// ```no_run
/// use depickle::torch::Checkpoint;
///
/// let checkpoint = Checkpoint::open("model.pth")?;
/// for entry in checkpoint.tensors()? {
///     println!("{entry:?}");
/// }
/// let weight: Vec<f32> = checkpoint.tensor("fc.weight")?.to_vec()?;
/// # Ok::<(), depickle::torch::Error>(())
/// ```
pub struct Checkpoint {
    /// If it was opened by path; errors name it.
    path: Option<PathBuf>,
    opened: Opened,
    storages: Storages,
    findings: Vec<Finding>,
    limits: Limits,
    list: OnceLock<List>,
    /// The compressed storage that was read last.
    pub(crate) last_inflated: Mutex<Option<(StorageId, Bytes)>>,
}

/// What follows a plain pickle in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Following {
    /// Nothing.
    Nothing,
    /// Another pickle, to be opened with [`Options::stream`].
    Pickle(FileOffset),
    /// So many bytes that begin no pickle.
    Bytes(u64),
}

/// How to open a checkpoint: under which policy and limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which globals are admitted. By default [`crate::python::policy::models`].
    pub policy: Policy,
    /// What reading may cost.
    pub limits: Limits,
    /// Which pickle of a plain file of several, from 0.
    pub stream: usize,
    /// Whether archives that are cut off or damaged are read as far as they go.
    pub salvage: bool,
}

impl Default for Options {
    fn default() -> Self {
        let policy = crate::python::policy::models().clone();
        Self { policy, limits: Limits::default(), stream: 0, salvage: false }
    }
}

impl Options {
    /// Another policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Other limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Another pickle of a plain file of several than the first, counted from 0.
    #[must_use]
    pub const fn stream(mut self, index: usize) -> Self {
        self.stream = index;
        self
    }

    /// Reads archives without a usable directory by their members' own headers, and tar archives
    /// that end early up to there: PyTorch refuses such files. A tensor whose bytes are not all
    /// there is listed with an error; compare checksums ([`Checkpoint::verify`]) before you trust
    /// the others.
    #[must_use]
    pub const fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// As [`Checkpoint::open`].
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Checkpoint, Error> {
        self.open_with(path.as_ref(), |path| {
            let file = FileSource::new(File::open(path)?)?;
            Ok(Arc::new(file))
        })
    }

    /// As [`Checkpoint::open_mapped`].
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    #[cfg(feature = "mmap")]
    pub fn open_mapped(&self, path: impl AsRef<Path>) -> Result<Checkpoint, Error> {
        self.open_with(path.as_ref(), |path| {
            let map = crate::base::map(&File::open(path)?)?;
            Ok(Arc::new(map))
        })
    }

    /// Opens by path, each file by `open`.
    pub(super) fn open_with(
        &self,
        path: &Path,
        open: fn(&Path) -> io::Result<Arc<dyn Source>>,
    ) -> Result<Checkpoint, Error> {
        let opened = open::by_path(path, open, self).map_err(|why| why.in_file(path))?;
        let mut checkpoint = Checkpoint::new(opened, self);
        checkpoint.path = Some(path.to_owned());
        Ok(checkpoint)
    }

    /// Opens whatever can be read at positions: bytes in memory, a file, or a [`Source`] of
    /// your own.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn read(&self, source: impl Source + 'static) -> Result<Checkpoint, Error> {
        let mut budget = Budget::new(self.limits.clone());
        let opened = open::source(Arc::new(Exact(source)), self, &mut budget)?;
        Ok(Checkpoint::new(open::finish(opened, self, &mut budget)?, self))
    }
}

impl Checkpoint {
    /// Opens a file for positioned reads. A folder is opened if it holds a checkpoint of
    /// `torch.distributed.checkpoint`, or an index of shards (`*.index.json`); so is the index
    /// itself, with the shards beside it.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::Container`] or [`Kind::Pickle`] if it cannot be read, is damaged,
    /// or the policy refuses a global; [`Kind::NotACheckpoint`] says what it is instead.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Options::default().open(path)
    }

    /// Opens a file through a memory map, so that tensors can be lent without a copy. See the
    /// hazards of [`base::map`](crate::base::map).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "mmap")]
    pub fn open_mapped(path: impl AsRef<Path>) -> Result<Self, Error> {
        Options::default().open_mapped(path)
    }

    /// Opens a file's content in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        Options::default().read(bytes.into())
    }

    /// Opens what any seekable reader gives.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_reader(reader: impl Read + Seek + Send + 'static) -> Result<Self, Error> {
        Options::default().read(ReaderSource::new(reader)?)
    }

    /// What follows a plain pickle; of other files nothing is told.
    ///
    /// # Errors
    /// What the source says.
    pub fn following(&self) -> Result<Following, Error> {
        let Some(part) = self.origins().first().filter(|_| self.container() == Container::Pickle)
        else {
            return Ok(Following::Nothing);
        };
        let (source, end) = (&*part.source, part.end);
        match source.len().saturating_sub(end.0) {
            0 => Ok(Following::Nothing),
            _ if stretch::begins_at(source, end)? => Ok(Following::Pickle(end)),
            left => Ok(Following::Bytes(left)),
        }
    }

    pub(crate) fn new(mut opened: Opened, options: &Options) -> Self {
        let stand_ins = std::mem::take(&mut opened.stand_ins);
        let Opened { graph, parts, .. } = &opened;
        let storages = Storages::find(
            graph,
            stand_ins,
            &options.limits,
            |object| opened.part_of(object),
            |part, key| match parts.get(part as usize) {
                Some(part) => part.nbytes(key),
                None => Err(Fault::NoStorage(key.into())),
            },
        );
        // One archive may hold several parts.
        let mut archives: Vec<&Arc<Archive>> = Vec::new();
        for archive in parts.iter().filter_map(Origin::archive) {
            if archives.last().is_none_or(|last| !Arc::ptr_eq(last, archive)) {
                archives.push(archive);
            }
        }
        let findings = archives.into_iter().flat_map(|archive| archive.zip.findings()).cloned();
        let findings = findings.collect();
        Self {
            path: None,
            opened,
            storages,
            findings,
            limits: options.limits.clone(),
            list: OnceLock::new(),
            last_inflated: Mutex::new(None),
        }
    }

    /// The same, of the file at this path, which errors name.
    pub(crate) fn at_path(self, path: PathBuf) -> Self {
        Self { path: Some(path), ..self }
    }

    /// An error about one of its objects, with the file and member the object is in.
    pub(crate) fn locate(&self, object: NodeId, why: Error) -> Error {
        let index = self.opened.graph.object(object).index().unwrap_or_default();
        match self.origins().get(self.opened.part_of(index) as usize) {
            Some(part) => self.name(part.locate(why)),
            None => self.name(why),
        }
    }

    /// An error with the file it is in.
    pub(crate) fn name(&self, why: Error) -> Error {
        match &self.path {
            Some(path) => why.in_file(path),
            None => why,
        }
    }

    pub(crate) fn origins(&self) -> &[Origin] {
        &self.opened.parts
    }

    /// The graph of the pickled object.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.opened.graph
    }

    /// The object that was saved.
    #[must_use]
    pub fn root(&self) -> Object<'_> {
        // The stream reached STOP, so there is one.
        self.graph().root().unwrap_or(self.graph().object(NodeId::NONE))
    }

    /// The storages that the object mentions.
    #[must_use]
    pub const fn storages(&self) -> &Storages {
        &self.storages
    }

    /// How its parts lie in the file.
    #[must_use]
    pub const fn container(&self) -> Container {
        self.opened.container
    }

    /// What is odd about the archive though it can be read.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What is known of an archive that was opened by [`Options::salvage`] without its directory.
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.origins().iter().find_map(|part| part.archive()?.zip.recovery())
    }

    /// The files it was read from, as far as they are known by path.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let parts = self.origins().iter().filter_map(|part| part.path.as_deref());
        self.path.as_deref().into_iter().chain(parts)
    }

    /// Objects beside the root, each with what it is called: the constants of a TorchScript
    /// archive, the constants and sample inputs of an exported program.
    pub fn others(&self) -> impl ExactSizeIterator<Item = (&str, Object<'_>)> {
        self.opened.others.iter().map(|(name, id)| (&**name, self.graph().object(*id)))
    }

    /// Bytes of the whole file; of all files where an index or the `.metadata` of a folder names
    /// several.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        let mut parts = self.origins().iter();
        let Some(first) = parts.next() else { return 0 };
        let len = first.source.len();
        if let Layout::Stitched { all, .. } = first.layout {
            return len.saturating_add(all);
        }
        // What is embedded in a shard comes behind it and has its path.
        let mut seen = HashSet::new();
        let shards = parts.filter(|part| part.path.as_ref().is_some_and(|path| seen.insert(path)));
        shards.map(|part| part.source.len()).fold(len, u64::saturating_add)
    }

    /// Whether the file's numbers are big-endian. What is read from it is not.
    #[must_use]
    pub fn is_big_endian(&self) -> bool {
        self.origins().iter().any(Origin::is_big_endian)
    }

    /// The limits it was opened with.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Every tensor in it: for a whole model, exactly its `state_dict()`; else all that
    /// mappings, sequences and objects hold, in the order of the file. Reads no data.
    ///
    /// A tensor that cannot be read is listed with the reason, and hides no other.
    ///
    /// # Errors
    /// [`Kind::Over`] if listing takes more steps or memory than the limits grant.
    pub fn tensors(&self) -> Result<&List, Error> {
        if let Some(list) = self.list.get() {
            return Ok(list);
        }
        let list = self.tensors_in(self.root(), Scope::StateDict)?;
        Ok(self.list.get_or_init(|| list))
    }

    /// As [`tensors`](Self::tensors), for one object of this checkpoint.
    ///
    /// # Errors
    /// As [`tensors`](Self::tensors).
    pub fn tensors_in(&self, object: Object, scope: Scope) -> Result<List, Error> {
        let mut budget = Budget::new(self.limits.clone());
        let others: Vec<_> = match scope {
            Scope::All if object == self.root() => self.others().collect(),
            _ => Vec::new(),
        };
        let roots = std::iter::once(("", object)).chain(others);
        let list = List::of(roots, &self.storages, scope, &mut budget);
        list.map_err(|why| self.locate(object.id(), why))
    }

    /// The tensor of this name in [`tensors`](Self::tensors).
    ///
    /// # Errors
    /// [`Kind::NoSuchTensor`], [`Kind::AmbiguousName`], or why it cannot be read.
    pub fn tensor(&self, name: &str) -> Result<TensorRef<'_>, Error> {
        let entry = self.tensors()?.find(name).map_err(|why| self.name(why))?;
        entry.on(self)
    }

    /// The object at a path of keys and indices joined by dots, as names in the list are.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`].
    pub fn at(&self, path: &str) -> Result<Object<'_>, Error> {
        let mut budget = Budget::new(self.limits.clone());
        super::list::at(self.root(), path, &mut budget).map_err(|why| self.name(why))
    }

    /// What sort of thing one of its objects is.
    ///
    /// # Errors
    /// [`Kind::Over`] if finding out takes more steps than the limits grant.
    pub fn kind_of(&self, object: Object) -> Result<ObjectKind, Error> {
        Ok(ObjectKind::of(object, &self.storages, &mut Budget::new(self.limits.clone()))?)
    }

    /// The class of one of its objects, `module.qualname` as pickled; none for plain data and
    /// tensors.
    #[must_use]
    pub fn class_of(&self, object: Object) -> Option<String> {
        let recipe = object.as_recipe().filter(|_| Tensor::view(object, &self.storages).is_none());
        Some(Class::of(recipe?).to_string())
    }

    /// The tensor that one of its objects is; none if it is no tensor.
    ///
    /// # Errors
    /// Why it cannot be read.
    #[must_use]
    pub fn view(&self, object: Object) -> Option<Result<Tensor, Error>> {
        let view = Tensor::view(object, &self.storages)?;
        Some(view.map_err(|(fault, at)| self.locate(object.id(), Error::fault(fault, at))))
    }

    /// The storage that one of its objects is, if it is one that can be read.
    #[must_use]
    pub fn storage_of(&self, object: Object) -> Option<&Storage> {
        Some(self.storages.get(self.storages.of(object)?.ok()?.id))
    }

    /// The dtype of the class that a storage was saved as; none for untyped ones.
    #[must_use]
    pub fn storage_dtype(&self, object: Object) -> Option<DType> {
        self.storages.of(object)?.ok()?.dtype
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("container", &self.container())
            .field("graph", &self.opened.graph)
            .field("storages", &self.storages.all().len())
            .finish_non_exhaustive()
    }
}
