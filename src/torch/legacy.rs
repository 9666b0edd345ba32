//! The layout of PyTorch 0.1.10 to 1.5, still written on request: five pickles in a row, then
//! the storages, each with its count of elements before it.
//!
//! There is no index: each pickle ends where its STOP says, and each storage where its count
//! and the width of its class say.
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`_legacy_save`, `_legacy_load`),
//! `torch/csrc/generic/serialization.cpp` (`THPStorage_writeFileRaw`).

use std::collections::HashMap;

use bytes::Bytes;

use super::error::{Error, Fault, Kind};
use super::storage::Storages;
use crate::base::{Budget, FileOffset, Source};
use crate::pickle::{self, Graph, Kind as PickleKind, Ops, Policy, Value};

/// The number that the first pickle of such a file is, as pickles since protocol 2 and before
/// write it.
pub(crate) const MAGIC: [&[u8]; 2] =
    [b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", b"L119547037146038801333356L\n"];
const PROTOCOL_VERSION: i64 = 1001;

/// Where the storages of a file lie.
#[derive(Debug)]
pub(crate) struct Legacy {
    /// Offset and length (bytes) by key; shorter than claimed if the file ends before.
    places: HashMap<Box<str>, (FileOffset, u64)>,
}

/// What was found in such a file.
pub(crate) struct Opened {
    pub legacy: Legacy,
    pub graph: Graph,
    pub storages: Storages,
}

impl Legacy {
    pub(crate) fn open(
        source: &dyn Source,
        policy: &Policy,
        budget: &mut Budget,
    ) -> Result<Opened, Error> {
        let mut pickles = Pickles { source, policy, budget, at: FileOffset(0) };
        pickles.next()?;
        let version = pickles.next()?;
        if version.root().and_then(pickle::Object::as_int) != Some(PROTOCOL_VERSION) {
            return Err(Error::new(Kind::NotACheckpoint(VERSION)));
        }
        let system = pickles.next()?;
        let little = system.root().and_then(|root| root.as_dict()?.get("little_endian")?.as_bool());
        if little == Some(false) {
            return Err(Error::new(Kind::NotACheckpoint(BIG_ENDIAN)));
        }
        let graph = pickles.next()?;
        let keys = pickles.next()?;
        let at = pickles.at;
        let legacy = Self::locate(source, &graph, &keys, at)?;
        let storages = Storages::find(&graph, |key| match legacy.places.get(key) {
            Some((_, len)) => Ok(*len),
            None => Err(Fault::NoStorage(key.into())),
        });
        Ok(Opened { legacy, graph, storages })
    }

    /// Walks from count to count. What lies behind the file's end is not there.
    fn locate(
        source: &dyn Source,
        graph: &Graph,
        keys: &Graph,
        mut at: FileOffset,
    ) -> Result<Self, Error> {
        let widths = Storages::widths(graph);
        let list = keys.root().and_then(pickle::Object::items).ok_or_else(|| not_keys(at))?;
        let mut places = HashMap::with_capacity(list.len());
        for key in list.iter() {
            let key = match key.value() {
                Value::Int(key) => key.to_string(),
                _ => key.as_str().ok_or_else(|| not_keys(at))?.to_owned(),
            };
            let mut count = [0; 8];
            if source.len().saturating_sub(at.0) < 8 {
                break;
            }
            source.read_at(at.0, &mut count)?;
            at = at.plus(8);
            let count = i64::from_le_bytes(count);
            let negative = || Error::fault(Fault::Negative(count), Some(at));
            let count = u64::try_from(count).map_err(|_| negative())?;
            let width = *widths
                .get(&*key)
                .ok_or_else(|| Error::fault(Fault::NotMentioned(key.as_str().into()), Some(at)))?;
            let overflow = || Error::fault(Fault::Overflow, Some(at));
            let len = count.checked_mul(width).ok_or_else(overflow)?;
            let there = len.min(source.len().saturating_sub(at.0));
            places.insert(key.into(), (at, there));
            at = at.plus(len);
        }
        Ok(Self { places })
    }

    /// Where the storage of this key begins.
    pub(crate) fn place(&self, key: &str) -> Option<FileOffset> {
        self.places.get(key).map(|(at, _)| *at)
    }
}

#[cold]
fn not_keys(at: FileOffset) -> Error {
    Error::fault(Fault::Arguments("no list of storage keys"), Some(at))
}

const VERSION: &str = "this begins as a PyTorch file of the layout before 1.6, but is of a version \
    of it that PyTorch never wrote";
const BIG_ENDIAN: &str = "this is a PyTorch file of the layout before 1.6 from a big-endian \
    machine, which is not read: save it again with a current torch.save";

/// The pickles of a file, one after the other.
struct Pickles<'run> {
    source: &'run dyn Source,
    policy: &'run Policy,
    budget: &'run mut Budget,
    at: FileOffset,
}

impl Pickles<'_> {
    fn next(&mut self) -> Result<Graph, Error> {
        let stream = first_pickle(self.source, self.at, self.budget)?;
        let outcome = pickle::run(stream, self.at, self.policy, self.budget);
        self.at = self.at.plus(outcome.end?);
        Ok(outcome.graph)
    }
}

/// Bytes first looked at for the end of a pickle.
const WINDOW: u64 = 64 << 10;

/// The bytes of the pickle that begins at `at`, and perhaps more: found by decoding a window
/// that doubles until it holds the STOP, so that what follows is not read.
pub(crate) fn first_pickle(
    source: &dyn Source,
    at: FileOffset,
    budget: &mut Budget,
) -> Result<Bytes, Error> {
    let left = source.len().saturating_sub(at.0);
    let mut window = WINDOW.min(left);
    loop {
        // Nothing is taken where the source lends its memory.
        if source.lend(at.0, window).is_none() {
            budget.memory(window)?;
        }
        let bytes = source.fetch(at.0, window)?;
        let cut = Ops::at(&bytes, at).find_map(Result::err).is_some_and(|why| {
            matches!(why.kind(), PickleKind::Ended(_) | PickleKind::NoStop | PickleKind::NoNewline)
        });
        if !cut || window == left {
            return Ok(bytes);
        }
        window = window.saturating_mul(2).min(left);
    }
}
