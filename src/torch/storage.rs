//! Storages: the runs of bytes that tensors are views of.
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`persistent_id` of `_save`,
//! `persistent_load` of `_load`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::DType;
use super::arrays::{Array, Arrays};
use super::error::{Fault, Located};
use super::tensor::Tensor;
use crate::base::Limits;
use crate::pickle::{Graph, Items, NodeId, Object};

/// Names a storage of one checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageId(u32);

impl StorageId {
    /// Names no storage.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// Its place in [`Storages::all`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A run of bytes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    key: Arc<str>,
    device: Arc<str>,
    nbytes: u64,
    /// Which part of the checkpoint it lies in.
    part: u32,
    /// If it is a piece of another one: of which, and from which byte on.
    within: Option<(StorageId, u64)>,
}

impl Storage {
    /// What the file calls it: in archives of `torch.save` the name of its member below `data/`.
    /// In checkpoints of several files or pickles each has keys of its own: [`StorageId`]s tell
    /// storages apart, keys may not.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The device it was saved from, as `torch.device` prints it.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Its bytes, as found in the file; what the file claims must agree.
    #[must_use]
    pub const fn nbytes(&self) -> u64 {
        self.nbytes
    }

    pub(crate) const fn part(&self) -> u32 {
        self.part
    }
}

/// A storage as one persistent id speaks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub id: StorageId,
    /// None for an `UntypedStorage`, counted in bytes.
    pub dtype: Option<DType>,
}

/// Every storage that a graph mentions.
#[derive(Clone, Debug, Default)]
pub struct Storages {
    all: Vec<Storage>,
    /// By part and key, which they hold themselves.
    by_key: HashTable<StorageId>,
    hasher: DefaultHashBuilder,
    /// What tensors without storages are made of.
    arrays: Arrays,
    /// What objects stand for that are made in a way of their container.
    stand_ins: StandIns,
    /// What each persistent object stands for.
    mentions: Vec<Result<Typed, Fault>>,
    /// For each object of the arena, its place among the mentions; `u32::MAX` without one.
    by_object: Vec<u32>,
}

/// By index of an object: the object of the same graph that says the same in the usual way, or
/// why there is none.
pub(crate) type StandIns = HashMap<usize, Result<NodeId, Located>>;

/// Stand-ins followed at most: more than files can be embedded in each other.
const DEEPEST: usize = 16;

impl Storages {
    /// Finds the storages of `graph`. `part` tells which part an object is of, and `nbytes`
    /// how many bytes there are under a key of a part.
    pub(crate) fn find(
        graph: &Graph,
        stand_ins: StandIns,
        limits: &Limits,
        part: impl Fn(usize) -> u32,
        nbytes: impl Fn(u32, &str) -> Result<u64, Fault>,
    ) -> Self {
        let by_object = vec![u32::MAX; graph.len()];
        let arrays = Arrays::find(graph, limits);
        // As a rule each is a storage of its own; growing would touch each page twice.
        let count = graph.objects().filter(|object| object.as_persistent().is_some()).count();
        let all = Vec::with_capacity(count);
        let mentions = Vec::with_capacity(count);
        let mut found = Self { all, arrays, stand_ins, mentions, by_object, ..Self::default() };
        for object in graph.objects() {
            if let Some(claim) = object.as_persistent().and_then(Claim::of) {
                let part = part(object.index().unwrap_or_default());
                let typed = claim.and_then(|claim| found.admit(&claim, part, &nbytes));
                found.mention(object, typed);
            }
        }
        found
    }

    /// The object that says what `object` is in the usual way: itself, but in containers that
    /// have a way of their own.
    pub(crate) fn stand_in<'graph>(
        &self,
        object: Object<'graph>,
    ) -> Result<Object<'graph>, Located> {
        let mut object = object;
        for _ in 0..=DEEPEST {
            if self.stand_ins.is_empty() {
                return Ok(object);
            }
            let found = object.index().and_then(|index| self.stand_ins.get(&index));
            match found {
                Some(Ok(id)) => object = object.graph().object(*id),
                Some(Err(why)) => return Err(why.clone()),
                None => return Ok(object),
            }
        }
        Err((Fault::BadStorage("it stands in for itself".into()), object.offset()))
    }

    /// The storage that holds the bytes of another one, and where in it a byte of that is.
    pub(crate) fn whole(&self, id: StorageId, at: u64) -> (StorageId, u64) {
        match self.get(id).within {
            Some((whole, start)) => (whole, start.saturating_add(at)),
            None => (id, at),
        }
    }

    /// Bytes of one element of each storage that `graph` mentions, by key; 1 for untyped ones.
    pub(crate) fn widths(graph: &Graph) -> HashMap<Box<str>, u64> {
        let mut widths = HashMap::new();
        for object in graph.objects() {
            if let Some(Ok(Claim { key, dtype, .. })) = object.as_persistent().and_then(Claim::of) {
                widths.entry(key.into()).or_insert(dtype.map_or(1, DType::width));
            }
        }
        widths
    }

    /// Every storage that `graph` mentions: its key and the bytes that it claims, in the order of
    /// the stream; the first of several claims counts.
    pub(crate) fn claimed(graph: &Graph) -> Vec<(Box<str>, u64)> {
        let mut seen = HashSet::new();
        let claims = graph.objects().filter_map(|object| Claim::of(object.as_persistent()?)?.ok());
        let bytes = |claim: &Claim| claim.numel.saturating_mul(claim.dtype.map_or(1, DType::width));
        claims
            .filter(|claim| seen.insert(claim.key.clone()))
            .map(|claim| (claim.key.clone().into(), bytes(&claim)))
            .collect()
    }

    /// Keys of the untyped storages that `graph` mentions.
    pub(crate) fn untyped(graph: &Graph) -> HashSet<Box<str>> {
        let claims = graph.objects().filter_map(|object| Claim::of(object.as_persistent()?)?.ok());
        claims.filter(|claim| claim.dtype.is_none()).map(|claim| claim.key.into()).collect()
    }

    fn mention(&mut self, object: Object, typed: Result<Typed, Fault>) {
        // Fewer than the arena's objects, which are fewer than 2³¹.
        let place = u32::try_from(self.mentions.len()).unwrap_or(u32::MAX);
        if let Some(slot) = object.index().and_then(|index| self.by_object.get_mut(index)) {
            *slot = place;
            self.mentions.push(typed);
        }
    }

    fn admit(
        &mut self,
        claim: &Claim,
        part: u32,
        nbytes: impl Fn(u32, &str) -> Result<u64, Fault>,
    ) -> Result<Typed, Fault> {
        let known = self.known(part, &claim.key);
        let has = match known {
            Some(id) => self.get(id).nbytes(),
            None => nbytes(part, &claim.key)?,
        };
        let width = claim.dtype.map_or(1, DType::width);
        let claimed = claim.numel.checked_mul(width).ok_or(Fault::Overflow)?;
        if claimed != has {
            return Err(Fault::StorageLength { claimed, has });
        }
        let device = claim.device;
        let mut id = known.unwrap_or_else(|| self.add(part, &claim.key, device, has, None));
        if let Some(piece) = &claim.piece {
            let of = |elements: u64| elements.checked_mul(width).ok_or(Fault::Overflow);
            let (start, len) = (of(piece.offset)?, of(piece.numel)?);
            if start.checked_add(len).is_none_or(|end| end > has) {
                let needs = piece.offset.saturating_add(piece.numel);
                return Err(Fault::OutOfStorage { needs, has: claim.numel });
            }
            let known = self.known(part, &piece.key);
            let within = Some((id, start));
            id = known.unwrap_or_else(|| self.add(part, &piece.key, device, len, within));
        }
        Ok(Typed { id, dtype: claim.dtype })
    }

    /// The storage of that key, if it was mentioned before.
    fn known(&self, part: u32, key: &str) -> Option<StorageId> {
        let same = |id: &StorageId| {
            let storage = self.get(*id);
            storage.part == part && *storage.key == *key
        };
        self.by_key.find(self.hasher.hash_one((part, key)), same).copied()
    }

    /// Adds one whose key is not known.
    fn add(
        &mut self,
        part: u32,
        key: &str,
        device: &str,
        nbytes: u64,
        within: Option<(StorageId, u64)>,
    ) -> StorageId {
        let key: Arc<str> = key.into();
        // Neighbours are on one device, as a rule.
        let last = self.all.last().map(|last| &last.device).filter(|last| ***last == *device);
        let device = last.map_or_else(|| device.into(), Arc::clone);
        // Fewer than persistent ids, which are fewer than 2³¹.
        let id = StorageId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(Storage { key, device, nbytes, part, within });
        let Self { all, by_key, hasher, .. } = self;
        let hash = |id: &StorageId| {
            let named = all.get(id.index()).map(|storage| (storage.part, &*storage.key));
            hasher.hash_one(named.unwrap_or_default())
        };
        by_key.insert_unique(hash(&id), id, hash);
        id
    }

    /// The storage that a persistent object stands for; none if it stands for none.
    pub(crate) fn of(&self, object: Object) -> Option<Result<Typed, Fault>> {
        let object = match self.stand_in(object) {
            Ok(object) => object,
            Err((why, _)) => return Some(Err(why)),
        };
        let mention = *self.by_object.get(object.index()?)?;
        self.mentions.get(mention as usize).cloned()
    }

    /// What an array of numpy is as a tensor of that dtype; none if no tensor is made of it.
    pub(crate) fn array(&self, array: Object, dtype: DType) -> Option<&Result<Array, Fault>> {
        self.arrays.get(array, dtype)
    }

    /// A storage that is no part of a tensor, as a tensor of one dimension: of its class's dtype,
    /// or of bytes. None of other objects.
    pub(crate) fn view(&self, object: Object) -> Option<Result<Tensor, Located>> {
        let located = |fault| (fault, object.offset());
        let view = self.of(object)?.and_then(|Typed { id, dtype }| {
            let dtype = dtype.unwrap_or(DType::UInt8);
            Tensor::of_storage(id, self.get(id).nbytes(), dtype, object.id())
        });
        Some(view.map_err(located))
    }

    /// All of them, in the order the stream mentions them.
    #[must_use]
    pub fn all(&self) -> &[Storage] {
        &self.all
    }

    /// The one that `id` names.
    ///
    /// An id of another checkpoint names any storage or an empty one.
    #[must_use]
    pub fn get(&self, id: StorageId) -> &Storage {
        static NONE: std::sync::LazyLock<Storage> = std::sync::LazyLock::new(|| Storage {
            key: "".into(),
            device: "".into(),
            nbytes: 0,
            part: u32::MAX,
            within: None,
        });
        self.all.get(id.index()).unwrap_or(&NONE)
    }
}

/// What a persistent id says of a storage.
struct Claim<'graph> {
    key: Cow<'graph, str>,
    device: &'graph str,
    dtype: Option<DType>,
    numel: u64,
    piece: Option<Piece<'graph>>,
}

/// What a legacy file says of a storage that is a piece of another: counts are in elements.
struct Piece<'graph> {
    key: Cow<'graph, str>,
    offset: u64,
    numel: u64,
}

impl<'graph> Claim<'graph> {
    /// Reads `("storage", class, key, location, numel[, view])`; none for other ids.
    fn of(id: Object<'graph>) -> Option<Result<Self, Fault>> {
        let items = id.as_tuple()?;
        items.get(0)?.is_text("storage").then(|| {
            // Legacy files say in a sixth item which storage this one is a part of.
            match (items.array::<5>(), items.array::<6>()) {
                (Some(five), _) => Self::read(five),
                (_, Some([head, class, key, location, numel, view])) => {
                    let claim = Self::read([head, class, key, location, numel])?;
                    Ok(Self { piece: Piece::read(view)?, ..claim })
                }
                _ => Err(Fault::Arguments("a storage is described by 5 or 6 items")),
            }
        })
    }

    fn read(items: [Object<'graph>; 5]) -> Result<Self, Fault> {
        let [_, class, key, location, numel] = items;
        let numel = numel.as_int().ok_or(Fault::NotA { wanted: "a count", found: numel.kind() })?;
        Ok(Self {
            key: storage_key(key)?,
            device: text(location, "a device")?,
            dtype: storage_dtype(class)?,
            numel: u64::try_from(numel).map_err(|_| Fault::Negative(numel))?,
            piece: None,
        })
    }
}

impl<'graph> Piece<'graph> {
    /// Reads `(key, offset, numel)`; none from `None`.
    fn read(view: Object<'graph>) -> Result<Option<Self>, Fault> {
        if view.is_none() {
            return Ok(None);
        }
        let Some([key, offset, numel]) = view.as_tuple().and_then(Items::array) else {
            return Err(Fault::Arguments("a piece of a storage is described by 3 items"));
        };
        let count = |object: Object<'_>| {
            let count = object.as_int();
            let count = count.ok_or(Fault::NotA { wanted: "a count", found: object.kind() })?;
            u64::try_from(count).map_err(|_| Fault::Negative(count))
        };
        let (offset, numel) = (count(offset)?, count(numel)?);
        Ok(Some(Self { key: storage_key(key)?, offset, numel }))
    }
}

/// A text, or a number in files of the oldest layouts.
fn storage_key(key: Object<'_>) -> Result<Cow<'_, str>, Fault> {
    match key.as_int() {
        Some(key) => Ok(Cow::Owned(key.to_string())),
        None => text(key, "a storage key").map(Cow::Borrowed),
    }
}

pub(crate) fn text<'graph>(
    object: Object<'graph>,
    wanted: &'static str,
) -> Result<&'graph str, Fault> {
    object.as_str().ok_or(Fault::NotA { wanted, found: object.kind() })
}

/// The dtype of a storage class, none for an untyped one.
pub(crate) fn storage_dtype(class: Object) -> Result<Option<DType>, Fault> {
    let Some(global) = class.as_global() else {
        return Err(Fault::NotA { wanted: "a storage class", found: class.kind() });
    };
    let unknown = || Fault::UnknownStorageClass(global.to_string().into());
    let name = std::str::from_utf8(global.name).map_err(|_| unknown())?;
    match (global.module, name) {
        (b"torch.storage" | b"torch", "UntypedStorage") => Ok(None),
        (b"torch" | b"torch.storage" | b"torch.cuda", _) => {
            DType::from_storage_class(name).map(Some).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}
