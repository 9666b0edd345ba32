//! A checkpoint in the making.

use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::data::{Data, Held};
use crate::base::{Budget, FileOffset};
use crate::pickle::{GraphBuilder, NodeId, Object, Value};
use crate::torch::checkpoint::Checkpoint;
use crate::torch::error::{Error, Fault, Kind, Located};
use crate::torch::sniff::Container;
use crate::torch::storage::{StorageId, Typed};
use crate::torch::{DType, Tensor};

/// A checkpoint in the making: a graph, and the bytes that its tensors are views of.
///
/// It dereferences to [`GraphBuilder`], which makes and changes all that is no tensor.
/// [`finish`](Self::finish) gives it the form that PyTorch's pickler would, as a [`Plan`] whose
/// length is known; writing that streams the bytes from where they are, and holds no more than a
/// mebibyte of them.
///
/// ```
/// use depickle::Budget;
/// use depickle::torch::{Checkpoint, Draft};
///
/// let mut budget = Budget::default();
/// let mut draft = Draft::new(&mut budget);
/// let weight = draft.tensor(&[2, 3], &[0.5_f32; 6])?;
/// let model = draft.state_dict([("fc.weight", weight)])?;
/// let epoch = draft.value(&7)?;
/// let root = draft.mapping(&[("epoch", epoch), ("model", model)])?;
/// let mut file = Vec::new();
/// draft.finish(root)?.write(&mut file)?;
///
/// let checkpoint = Checkpoint::from_bytes(file)?;
/// assert_eq!(checkpoint.tensor("model.fc.weight")?.to_vec::<f32>()?, [0.5; 6]);
/// # Ok::<(), depickle::torch::Error>(())
/// ```
///
/// [`Plan`]: super::Plan
pub struct Draft<'run> {
    pub(super) build: GraphBuilder<'run>,
    pub(super) storages: Vec<Stored<'run>>,
    /// What persistent objects stand for.
    pub(super) mentions: HashMap<NodeId, Result<Mention, Refusal<'run>>>,
    /// What stands in the place of others.
    pub(super) redirects: HashMap<NodeId, NodeId>,
    /// Storages of checkpoints that are here already.
    pub(super) taken: HashMap<(usize, StorageId), SavedStorage>,
    /// Of the checkpoints that were taken from.
    known_swaps: HashMap<usize, Arc<Swaps>>,
    /// Texts that Python would have once.
    pub(super) words: HashMap<Box<str>, NodeId>,
    root: Option<NodeId>,
}

/// Names a storage of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SavedStorage(pub(super) usize);

/// A storage of a draft.
pub(super) struct Stored<'run> {
    pub data: Data<'run>,
    pub nbytes: u64,
    pub device: Box<str>,
}

/// A storage as one persistent object speaks of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mention {
    pub storage: SavedStorage,
    /// None for an untyped one, counted in bytes.
    pub dtype: Option<DType>,
}

/// Why something that was read cannot be saved.
#[derive(Clone, Debug)]
pub(super) struct Refusal<'run> {
    checkpoint: &'run Checkpoint,
    object: NodeId,
    fault: Fault,
    at: Option<FileOffset>,
}

impl<'run> Refusal<'run> {
    pub(super) fn new(checkpoint: &'run Checkpoint, object: Object<'_>, why: Located) -> Self {
        let (fault, at) = why;
        Self { checkpoint, object: object.id(), fault, at: at.or(object.offset()) }
    }

    /// As an error, with the file and member that the object is in.
    pub(super) fn error(&self) -> Error {
        self.checkpoint.locate(self.object, Error::fault(self.fault.clone(), self.at))
    }
}

impl<'run> Draft<'run> {
    /// An empty one. The memory of its graph comes from `budget`.
    #[must_use]
    pub fn new(budget: &'run mut Budget) -> Self {
        Self::over(GraphBuilder::new(budget))
    }

    /// All that a checkpoint holds, to be saved as it is or changed before: the same objects, with
    /// the same ids. What is in it twice stays one object; instances of any class are kept.
    ///
    /// ```
    /// use depickle::Budget;
    /// use depickle::torch::{Checkpoint, Draft};
    ///
    /// let checkpoint = Checkpoint::open("tests/fixtures/mlp_model.pth")?;
    /// let mut budget = Budget::default();
    /// let draft = Draft::of(&checkpoint, &mut budget)?;
    /// let root = draft.root();
    /// let mut copy = Vec::new();
    /// draft.finish(root)?.write(&mut copy)?;
    /// let copy = Checkpoint::from_bytes(copy)?;
    /// assert_eq!(copy.module()?.to_string(), checkpoint.module()?.to_string());
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Kind::Unwritable`] for TorchScript, whose classes live in the archive and not in Python:
    /// [`take_all`](Self::take_all) takes its tensors.
    pub fn of(checkpoint: &'run Checkpoint, budget: &'run mut Budget) -> Result<Self, Error> {
        if checkpoint.container() == Container::TorchScript {
            return Err(checkpoint.name(Error::new(Kind::Unwritable(SCRIPT.into()))));
        }
        let mut draft = Self::over(GraphBuilder::edit(checkpoint.graph().clone(), budget));
        draft.root = Some(checkpoint.root().id());
        let swaps = draft.swaps(checkpoint);
        for object in checkpoint.graph().objects() {
            match checkpoint.storages().stand_in(object) {
                Ok(other) if other != object => {
                    draft.redirects.insert(object.id(), other.id());
                }
                Ok(_) => draft.mention(checkpoint, object, object.id(), &swaps),
                Err(why) => {
                    let refusal = Refusal::new(checkpoint, object, why);
                    draft.mentions.insert(object.id(), Err(refusal));
                }
            }
        }
        Ok(draft)
    }

    fn over(build: GraphBuilder<'run>) -> Self {
        Self {
            build,
            storages: Vec::new(),
            mentions: HashMap::new(),
            redirects: HashMap::new(),
            taken: HashMap::new(),
            known_swaps: HashMap::new(),
            words: HashMap::new(),
            root: None,
        }
    }

    /// The object that was saved in the checkpoint it is [`of`](Self::of); `None` in others.
    #[must_use]
    pub fn root(&self) -> NodeId {
        self.root.unwrap_or(NodeId::NONE)
    }

    /// Puts `new` wherever `old` is: in containers, as attributes, in modules. `new` must not
    /// refer to `old` itself. `None`, booleans and small integers, of which there is one each, are
    /// not replaced.
    pub fn replace(&mut self, old: NodeId, new: NodeId) {
        self.redirects.insert(old, new);
    }

    /// Notes which storage a persistent object of a checkpoint stands for, for `id`, which is
    /// the object or a copy of it.
    pub(super) fn mention(
        &mut self,
        checkpoint: &'run Checkpoint,
        object: Object<'_>,
        id: NodeId,
        swaps: &Swaps,
    ) {
        let Value::Persistent(_) = object.value() else { return };
        let mention = match checkpoint.storages().of(object) {
            None => return,
            Some(Ok(Typed { id, dtype })) => match self.storage_of(checkpoint, id, swaps) {
                Ok(storage) => Ok(Mention { storage, dtype }),
                Err(fault) => Err(Refusal::new(checkpoint, object, (fault, None))),
            },
            Some(Err(fault)) => Err(Refusal::new(checkpoint, object, (fault, None))),
        };
        self.mentions.insert(id, mention);
    }

    pub(super) fn swaps(&mut self, checkpoint: &Checkpoint) -> Arc<Swaps> {
        let key = std::ptr::from_ref(checkpoint).addr();
        let swaps = self.known_swaps.entry(key).or_insert_with(|| Arc::new(Swaps::of(checkpoint)));
        Arc::clone(swaps)
    }

    /// The storage of a checkpoint, taken once.
    pub(super) fn storage_of(
        &mut self,
        checkpoint: &'run Checkpoint,
        id: StorageId,
        swaps: &Swaps,
    ) -> Result<SavedStorage, Fault> {
        let key = (std::ptr::from_ref(checkpoint).addr(), id);
        if let Some(storage) = self.taken.get(&key) {
            return Ok(*storage);
        }
        let swap = swaps.width(checkpoint, id)?;
        let data = Data(Held::Stored { checkpoint, id, swap });
        let device = checkpoint.storages().get(id).device().into();
        let storage = self.add(data, device);
        self.taken.insert(key, storage);
        Ok(storage)
    }

    pub(super) fn add(&mut self, data: Data<'run>, device: Box<str>) -> SavedStorage {
        let storage = SavedStorage(self.storages.len());
        self.storages.push(Stored { nbytes: data.nbytes(), data, device });
        storage
    }

    /// The bytes of a storage, to be viewed by one tensor or more; on the device `cpu`. Elements
    /// are little-endian, whatever this machine is.
    pub fn storage(&mut self, data: impl Into<Data<'run>>) -> SavedStorage {
        self.storage_on(data, "cpu")
    }

    /// As [`storage`](Self::storage), for a device that PyTorch will move the bytes to (`cuda:0`).
    pub fn storage_on(&mut self, data: impl Into<Data<'run>>, device: &str) -> SavedStorage {
        self.add(data.into(), device.into())
    }
}

const SCRIPT: &str = "a TorchScript module is code of its own, which no pickle can hold: save the \
    tensors of its state dict instead";

/// Widths of what must be turned around in the storages of big-endian files.
#[derive(Debug, Default)]
pub(super) struct Swaps {
    /// Of storages, by index; none where tensors differ.
    widths: HashMap<StorageId, Option<usize>>,
}

impl Swaps {
    /// Those that the tensors of a checkpoint tell.
    fn of(checkpoint: &Checkpoint) -> Self {
        let mut widths: HashMap<StorageId, Option<usize>> = HashMap::new();
        if !checkpoint.is_big_endian() {
            return Self { widths };
        }
        for object in checkpoint.graph().objects() {
            let found = match (object.value(), checkpoint.storages().of(object)) {
                (Value::Persistent(_), Some(Ok(Typed { id, dtype }))) => dtype.map(|it| (id, it)),
                _ => Tensor::view(object, checkpoint.storages())
                    .and_then(Result::ok)
                    .and_then(|tensor| Some((tensor.storage()?, tensor.dtype()))),
            };
            let Some((id, dtype)) = found else { continue };
            let width = usize::try_from(dtype.component_width()).ok();
            let known = widths.entry(id).or_insert(width);
            if *known != width {
                *known = None;
            }
        }
        Self { widths }
    }

    fn width(&self, checkpoint: &Checkpoint, id: StorageId) -> Result<usize, Fault> {
        if !checkpoint.is_swapped(id) {
            return Ok(1);
        }
        match self.widths.get(&id) {
            Some(Some(width)) => Ok(*width),
            None => Ok(1),
            Some(None) => Err(Fault::Unsupported(
                "a big-endian storage that tensors of several widths are views of".into(),
            )),
        }
    }
}

impl<'run> Deref for Draft<'run> {
    type Target = GraphBuilder<'run>;

    fn deref(&self) -> &GraphBuilder<'run> {
        &self.build
    }
}

impl DerefMut for Draft<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.build
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("graph", self.build.graph())
            .field("storages", &self.storages.len())
            .finish_non_exhaustive()
    }
}
