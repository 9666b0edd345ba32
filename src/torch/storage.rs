//! Storages: the runs of bytes that tensors are views of.
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`persistent_id` of `_save`,
//! `persistent_load` of `_load`).

use std::collections::HashMap;

use super::DType;
use super::error::Fault;
use crate::pickle::{Graph, Object, Value};

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
    key: Box<str>,
    device: Box<str>,
    nbytes: u64,
}

impl Storage {
    /// What the file calls it: the name of its member below `data/`.
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
    by_key: HashMap<Box<str>, StorageId>,
    /// What each persistent object stands for.
    mentions: Vec<Result<Typed, Fault>>,
    /// For each object of the arena, its place among the mentions; `u32::MAX` without one.
    by_object: Vec<u32>,
}

impl Storages {
    /// Finds the storages of `graph`. `nbytes` tells how many bytes there are under a key.
    pub(crate) fn find(graph: &Graph, nbytes: impl Fn(&str) -> Result<u64, Fault>) -> Self {
        let by_object = vec![u32::MAX; graph.len()];
        let mut found = Self { by_object, ..Self::default() };
        for object in graph.objects() {
            let Value::Persistent(id) = object.value() else { continue };
            if let Some(claim) = Claim::of(id) {
                let typed = claim.and_then(|claim| found.admit(&claim, &nbytes));
                found.mention(object, typed);
            }
        }
        found
    }

    /// Bytes of one element of each storage that `graph` mentions, by key; 1 for untyped ones.
    pub(crate) fn widths(graph: &Graph) -> HashMap<Box<str>, u64> {
        let mut widths = HashMap::new();
        for object in graph.objects() {
            let Value::Persistent(id) = object.value() else { continue };
            if let Some(Ok(Claim { key, dtype, .. })) = Claim::of(id) {
                widths.entry(key).or_insert(dtype.map_or(1, DType::width));
            }
        }
        widths
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
        nbytes: impl Fn(&str) -> Result<u64, Fault>,
    ) -> Result<Typed, Fault> {
        let has = match self.by_key.get(&*claim.key) {
            Some(id) => self.get(*id).nbytes(),
            None => nbytes(&claim.key)?,
        };
        let width = claim.dtype.map_or(1, DType::width);
        let claimed = claim.numel.checked_mul(width).ok_or(Fault::Overflow)?;
        if claimed != has {
            return Err(Fault::StorageLength { claimed, has });
        }
        Ok(Typed { id: self.id(claim, has), dtype: claim.dtype })
    }

    fn id(&mut self, claim: &Claim, nbytes: u64) -> StorageId {
        if let Some(&id) = self.by_key.get(&claim.key) {
            return id;
        }
        // Fewer than persistent ids, which are fewer than 2³¹.
        let id = StorageId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        let (key, device) = (claim.key.clone(), claim.device.clone());
        self.by_key.insert(key.clone(), id);
        self.all.push(Storage { key, device, nbytes });
        id
    }

    /// The storage that a persistent object stands for; none if it stands for none.
    pub(crate) fn of(&self, object: Object) -> Option<Result<Typed, Fault>> {
        let mention = *self.by_object.get(object.index()?)?;
        self.mentions.get(mention as usize).cloned()
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
        static NONE: std::sync::LazyLock<Storage> =
            std::sync::LazyLock::new(|| Storage { key: "".into(), device: "".into(), nbytes: 0 });
        self.all.get(id.index()).unwrap_or(&NONE)
    }
}

/// What a persistent id says of a storage.
struct Claim {
    key: Box<str>,
    device: Box<str>,
    dtype: Option<DType>,
    numel: u64,
}

impl Claim {
    /// Reads `("storage", class, key, location, numel[, view])`; none for other ids.
    fn of(id: Object) -> Option<Result<Self, Fault>> {
        let items = id.as_tuple()?;
        (items.get(0)?.as_str()? == "storage").then(|| {
            // Legacy files say in a sixth item which storage this one is a part of.
            match (items.array::<5>(), items.array::<6>()) {
                (Some(five), _) => Self::read(five),
                (_, Some([head, class, key, location, numel, view])) if view.is_none() => {
                    Self::read([head, class, key, location, numel])
                }
                (_, Some(_)) => {
                    Err(Fault::Unsupported("a storage that is a part of another".into()))
                }
                _ => Err(Fault::Arguments("a storage is described by 5 or 6 items")),
            }
        })
    }

    fn read([_, class, key, location, numel]: [Object; 5]) -> Result<Self, Fault> {
        let numel = numel.as_int().ok_or(Fault::NotA { wanted: "a count", found: numel.kind() })?;
        Ok(Self {
            key: text(key, "a storage key")?.into(),
            device: text(location, "a device")?.into(),
            dtype: storage_dtype(class)?,
            numel: u64::try_from(numel).map_err(|_| Fault::Negative(numel))?,
        })
    }
}

fn text<'graph>(object: Object<'graph>, wanted: &'static str) -> Result<&'graph str, Fault> {
    object.as_str().ok_or(Fault::NotA { wanted, found: object.kind() })
}

/// The dtype of a storage class, none for an untyped one.
fn storage_dtype(class: Object) -> Result<Option<DType>, Fault> {
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
