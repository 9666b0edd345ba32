//! A file that `torch.save` wrote, opened: its object, its storages, its tensors.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use super::DType;
use super::archive::Archive;
use super::error::{Error, Fault, Kind};
use super::kind::ObjectKind;
use super::legacy::{self, Legacy, Opened};
use super::list::{List, Scope};
use super::module::Class;
use super::read::TensorRef;
use super::sniff::{self, Container};
use super::storage::{Storage, StorageId, Storages};
use super::tensor::Tensor;
use crate::base::{Budget, FileOffset, FileSource, Limits, ReaderSource, Source};
use crate::container::{self, Method};
use crate::pickle::{self, Graph, Object, Policy};

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
    source: Arc<dyn Source>,
    /// If it was opened by path; errors name it.
    path: Option<PathBuf>,
    layout: Layout,
    graph: Graph,
    storages: Storages,
    limits: Limits,
    list: OnceLock<List>,
    /// The compressed storage that was read last.
    inflated: Mutex<Option<(StorageId, Bytes)>>,
}

#[derive(Debug)]
enum Layout {
    Zip(Archive),
    Legacy(Legacy),
    /// The pickle's length; what follows is not looked at.
    Pickle,
}

/// How to open a checkpoint: under which policy and limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which globals are admitted. By default [`crate::python::policy::models`].
    pub policy: Policy,
    /// What reading may cost.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self { policy: crate::python::policy::models().clone(), limits: Limits::default() }
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

    /// As [`Checkpoint::open`].
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Checkpoint, Error> {
        let path = path.as_ref();
        let open = || self.read(FileSource::new(File::open(path)?)?);
        open().map(|opened| opened.called(path)).map_err(|why: Error| why.in_file(path))
    }

    /// As [`Checkpoint::open_mapped`].
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    #[cfg(feature = "mmap")]
    pub fn open_mapped(&self, path: impl AsRef<Path>) -> Result<Checkpoint, Error> {
        let path = path.as_ref();
        let open = || self.read(crate::base::map(&File::open(path)?)?);
        open().map(|opened| opened.called(path)).map_err(|why: Error| why.in_file(path))
    }

    /// Opens whatever can be read at positions: bytes in memory, a file, or a [`Source`] of
    /// your own.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn read(&self, source: impl Source + 'static) -> Result<Checkpoint, Error> {
        Checkpoint::read(Arc::new(source), self)
    }
}

impl Checkpoint {
    /// Opens a file for positioned reads.
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

    fn read(source: Arc<dyn Source>, options: &Options) -> Result<Self, Error> {
        let mut budget = Budget::new(options.limits.clone());
        // PyTorch decides by the first four bytes; a zip that begins elsewhere is none to it.
        if container::starts_as_zip(&*source)? {
            return Self::read_zip(source, options, &mut budget);
        }
        if let Some(what) = sniff::name_other(&*source)? {
            return Err(Error::new(Kind::NotACheckpoint(what)));
        }
        if sniff::is_legacy(&*source)? {
            let opened = Legacy::open(&*source, &options.policy, &mut budget)?;
            let Opened { legacy, graph, storages } = opened;
            return Ok(Self::new(source, Layout::Legacy(legacy), graph, storages, options));
        }
        let stream = legacy::first_pickle(&*source, FileOffset(0), &mut budget)?;
        let outcome = pickle::run(stream, FileOffset(0), &options.policy, &mut budget);
        outcome.end?;
        let storages = Storages::find(&outcome.graph, |key| Err(Fault::NoStorage(key.into())));
        Ok(Self::new(source, Layout::Pickle, outcome.graph, storages, options))
    }

    fn read_zip(
        source: Arc<dyn Source>,
        options: &Options,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let archive = Archive::open(&*source, budget)?;
        let name = archive.pickle_name();
        let member = archive.member("data.pkl")?;
        let member = member.ok_or_else(|| Error::new(Kind::MissingMember).in_member(&name))?;
        let stream = archive.zip.read(&*source, member, budget)?;
        // Offsets in a compressed member count from its own beginning.
        let base = match member.method() {
            Method::Stored => archive.zip.locate(&*source, member)?.at,
            _ => FileOffset(0),
        };
        let outcome = pickle::run(stream, base, &options.policy, budget);
        outcome.end.map_err(|why| Error::from(why).in_member(&name))?;
        let storages = Storages::find(&outcome.graph, |key| match archive.storage(key) {
            Ok(Some(member)) => Ok(member.size()),
            Ok(None) => Err(Fault::NoStorage(key.into())),
            Err(why) => Err(Fault::BadStorage(why.to_string().into())),
        });
        Ok(Self::new(source, Layout::Zip(archive), outcome.graph, storages, options))
    }

    fn new(
        source: Arc<dyn Source>,
        layout: Layout,
        graph: Graph,
        storages: Storages,
        options: &Options,
    ) -> Self {
        Self {
            source,
            path: None,
            layout,
            graph,
            storages,
            limits: options.limits.clone(),
            list: OnceLock::new(),
            inflated: Mutex::new(None),
        }
    }

    fn called(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// An error about one of its objects, with the file and member the object is in.
    pub(crate) fn locate(&self, why: Error) -> Error {
        let why = match &self.layout {
            Layout::Zip(archive) => why.in_member(&archive.pickle_name()),
            Layout::Legacy(_) | Layout::Pickle => why,
        };
        self.name(why)
    }

    /// An error with the file it is in.
    fn name(&self, why: Error) -> Error {
        match &self.path {
            Some(path) => why.in_file(path),
            None => why,
        }
    }

    /// The graph of the pickled object.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The object that was saved.
    #[must_use]
    pub fn root(&self) -> Object<'_> {
        // The stream reached STOP, so there is one.
        self.graph.root().unwrap_or(self.graph.object(pickle::NodeId::NONE))
    }

    /// The storages that the object mentions.
    #[must_use]
    pub const fn storages(&self) -> &Storages {
        &self.storages
    }

    /// How its parts lie in the file.
    #[must_use]
    pub const fn container(&self) -> Container {
        match &self.layout {
            Layout::Zip(archive) => archive.container,
            Layout::Legacy(_) => Container::Legacy,
            Layout::Pickle => Container::Pickle,
        }
    }

    /// What is odd about the archive though it can be read.
    #[must_use]
    pub fn findings(&self) -> &[container::Finding] {
        match &self.layout {
            Layout::Zip(archive) => archive.zip.findings(),
            Layout::Legacy(_) | Layout::Pickle => &[],
        }
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.source.len()
    }

    /// Whether the file's numbers are big-endian. What is read from it is not.
    #[must_use]
    pub const fn is_big_endian(&self) -> bool {
        match &self.layout {
            Layout::Zip(archive) => archive.big_endian,
            Layout::Legacy(_) | Layout::Pickle => false,
        }
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
        List::of(object, &self.storages, scope, &mut budget).map_err(|why| self.locate(why))
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
        Some(view.map_err(|(fault, at)| self.locate(Error::fault(fault, at))))
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

    // The bytes of storages.

    /// A part of a storage, without a copy.
    pub(crate) fn lend(&self, storage: StorageId, start: u64, len: u64) -> Option<&[u8]> {
        match self.place(storage).ok()? {
            Place::File(at) => self.source.lend(at.plus(start).0, len),
            Place::Inflated(_) => None,
        }
    }

    /// A part of a storage, shared or read.
    pub(crate) fn fetch(&self, storage: StorageId, start: u64, len: u64) -> Result<Bytes, Error> {
        let fetched = match self.place(storage)? {
            Place::File(at) => self.source.fetch(at.plus(start).0, len),
            Place::Inflated(bytes) => Source::fetch(&bytes, start, len),
        };
        fetched.map_err(|why| self.unread(why, storage))
    }

    /// Fills `into` from a storage.
    pub(crate) fn read_at(
        &self,
        storage: StorageId,
        start: u64,
        into: &mut [u8],
    ) -> Result<(), Error> {
        let read = match self.place(storage)? {
            Place::File(at) => self.source.read_at(at.plus(start).0, into),
            Place::Inflated(bytes) => Source::read_at(&bytes, start, into),
        };
        read.map_err(|why| self.unread(why, storage))
    }

    /// Fills `into` with pieces of a storage, each of `len` bytes, that begin at `starts`.
    pub(crate) fn read_pieces(
        &self,
        storage: StorageId,
        starts: impl Iterator<Item = u64>,
        len: usize,
        into: &mut [u8],
    ) -> Result<(), Error> {
        let place = self.place(storage)?;
        let mut pieces = starts.zip(into.chunks_exact_mut(len.max(1)));
        let read = pieces.try_for_each(|(start, piece)| match &place {
            Place::File(at) => self.source.read_at(at.plus(start).0, piece),
            Place::Inflated(bytes) => Source::read_at(bytes, start, piece),
        });
        read.map_err(|why| self.unread(why, storage))
    }

    #[cold]
    fn unread(&self, why: io::Error, storage: StorageId) -> Error {
        let member = format!("data/{}", self.storages.get(storage).key());
        self.name(Error::from(why).in_member(&member))
    }

    fn place(&self, id: StorageId) -> Result<Place, Error> {
        self.find(id).map_err(|why| self.name(why))
    }

    fn find(&self, id: StorageId) -> Result<Place, Error> {
        let key = self.storages.get(id).key();
        let missing = || Error::fault(Fault::NoStorage(key.into()), None);
        let archive = match &self.layout {
            Layout::Zip(archive) => archive,
            Layout::Legacy(legacy) => {
                return legacy.place(key).map(Place::File).ok_or_else(missing);
            }
            Layout::Pickle => return Err(missing()),
        };
        let member = archive.storage(key)?.ok_or_else(missing)?;
        if member.method() == Method::Stored {
            return Ok(Place::File(archive.zip.locate(&*self.source, member)?.at));
        }
        let mut last = self.inflated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = last.as_ref().filter(|(last, _)| *last == id) {
            return Ok(Place::Inflated(bytes.clone()));
        }
        let mut budget = Budget::new(self.limits.clone());
        let bytes = archive.zip.read(&*self.source, member, &mut budget)?;
        *last = Some((id, bytes.clone()));
        Ok(Place::Inflated(bytes))
    }
}

/// Where a storage's bytes are.
enum Place {
    File(FileOffset),
    Inflated(Bytes),
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("container", &self.container())
            .field("graph", &self.graph)
            .field("storages", &self.storages.all().len())
            .finish_non_exhaustive()
    }
}
