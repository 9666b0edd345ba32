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
use super::origin::Runs;
use super::storage::Storages;
use crate::base::{Budget, FileOffset, Source};
use crate::container::Extent;
use crate::pickle::{self, Graph, Policy, Value};

/// The number that the first pickle of such a file is, as pickles since protocol 2 and before
/// write it.
pub(crate) const MAGIC: [&[u8]; 2] =
    [b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", b"L119547037146038801333356L\n"];
/// Pickles before the storages.
pub(crate) const PICKLES: usize = 5;
const PROTOCOL_VERSION: i64 = 1001;

/// The graph of the object, and where the storages lie.
///
/// `sys_info["little_endian"]` says of what machine the file is; numbers are little-endian
/// nevertheless. Only storages without a type are as they were in memory.
pub(crate) fn open(
    source: &dyn Source,
    policy: &Policy,
    budget: &mut Budget,
) -> Result<(Graph, Runs), Error> {
    let mut pickles = Pickles { source, policy, budget, at: FileOffset(0), window: WINDOW };
    pickles.next()?;
    let version = pickles.next()?;
    if version.root().and_then(pickle::Object::as_int) != Some(PROTOCOL_VERSION) {
        return Err(Error::new(Kind::NotACheckpoint(VERSION)));
    }
    let system = pickles.next()?;
    let little = system.root().and_then(|root| root.as_dict()?.get("little_endian")?.as_bool());
    let graph = pickles.next()?;
    let keys = pickles.next()?;
    let at = pickles.at;
    let mut runs = locate(source, &graph, &keys, at)?;
    if little == Some(false) {
        runs.big_endian = Storages::untyped(&graph);
    }
    Ok((graph, runs))
}

/// Bytes that such a file has when it is whole, by the sizes that its object claims; none if
/// they do not tell.
pub(crate) fn whole_len(
    source: &dyn Source,
    policy: &Policy,
    budget: &mut Budget,
) -> Result<Option<u64>, Error> {
    let mut pickles = Pickles { source, policy, budget, at: FileOffset(0), window: WINDOW };
    for _ in 0..3 {
        pickles.next()?;
    }
    let graph = pickles.next()?;
    let keys = pickles.next()?;
    let claimed: HashMap<_, _> = Storages::claimed(&graph).into_iter().collect();
    let Some(list) = keys.root().and_then(pickle::Object::items) else { return Ok(None) };
    let mut end = pickles.at.0;
    for key in list.iter() {
        let key = match key.value() {
            Value::Int(key) => key.to_string(),
            _ => key.as_str().unwrap_or_default().to_owned(),
        };
        let Some(nbytes) = claimed.get(&*key) else { return Ok(None) };
        // The count comes before the data.
        end = end.saturating_add(8).saturating_add(*nbytes);
    }
    Ok(Some(end))
}

/// Walks from count to count. What lies behind the file's end is not there.
fn locate(
    source: &dyn Source,
    graph: &Graph,
    keys: &Graph,
    mut at: FileOffset,
) -> Result<Runs, Error> {
    let widths = Storages::widths(graph);
    let list = keys.root().and_then(pickle::Object::items).ok_or_else(|| not_keys(at))?;
    let mut runs = Runs::default();
    for key in list.iter() {
        let key = match key.value() {
            Value::Int(key) => key.to_string(),
            _ => key.as_str().ok_or_else(|| not_keys(at))?.to_owned(),
        };
        // Without its width, nothing behind it can be found.
        let Some(&width) = widths.get(&*key) else {
            runs.others = Some(Fault::NotMentioned(key.into()));
            break;
        };
        let Some(run) = counted(source, at, width)? else { break };
        at = run.end();
        let there = run.len.min(source.len().saturating_sub(run.at.0));
        runs.places.insert(key.into(), Extent { len: there, ..run });
    }
    Ok(runs)
}

/// The bytes behind a count of elements, which may reach past the file's end; none if the count
/// does so.
pub(crate) fn counted(
    source: &dyn Source,
    at: FileOffset,
    width: u64,
) -> Result<Option<Extent>, Error> {
    let mut count = [0; 8];
    if source.len().saturating_sub(at.0) < 8 {
        return Ok(None);
    }
    source.read_at(at.0, &mut count)?;
    let count = i64::from_le_bytes(count);
    let negative = || Error::fault(Fault::Negative(count), Some(at));
    let count = u64::try_from(count).map_err(|_| negative())?;
    let overflow = || Error::fault(Fault::Overflow, Some(at));
    let len = count.checked_mul(width).ok_or_else(overflow)?;
    Ok(Some(Extent { at: at.plus(8), len }))
}

#[cold]
fn not_keys(at: FileOffset) -> Error {
    Error::fault(Fault::Arguments("no list of storage keys"), Some(at))
}

const VERSION: &str = "this begins as a PyTorch file of the layout before 1.6, but is of a version \
    of it that PyTorch never wrote";
/// The pickles of a file, one after the other.
pub(crate) struct Pickles<'run> {
    pub source: &'run dyn Source,
    pub policy: &'run Policy,
    pub budget: &'run mut Budget,
    pub at: FileOffset,
    /// Bytes first looked at for the end of each.
    pub window: u64,
}

impl Pickles<'_> {
    pub(crate) fn next(&mut self) -> Result<Graph, Error> {
        let stream = first_pickle(self.source, self.at, self.window, self.budget)?;
        let outcome = pickle::run(stream, self.at, self.policy, self.budget);
        self.at = self.at.plus(outcome.end?);
        Ok(outcome.graph)
    }
}

/// Bytes first looked at for the end of a pickle.
pub(crate) const WINDOW: u64 = 64 << 10;

/// The bytes of the pickle that begins at `at`, and perhaps more: found by decoding a window
/// that doubles until it holds the STOP, so that what follows is not read.
pub(crate) fn first_pickle(
    source: &dyn Source,
    at: FileOffset,
    window: u64,
    budget: &mut Budget,
) -> Result<Bytes, Error> {
    pickle_within(source, at, source.len(), window, budget)
}

/// As [`first_pickle`], of what ends at `end`.
pub(crate) fn pickle_within(
    source: &dyn Source,
    at: FileOffset,
    end: u64,
    window: u64,
    budget: &mut Budget,
) -> Result<Bytes, Error> {
    let left = end.saturating_sub(at.0);
    let mut window = window.min(left);
    let mut taken = 0;
    loop {
        // Nothing is taken where the source lends its memory; of several windows the last is held.
        if source.lend(at.0, window).is_none() {
            budget.memory(window.saturating_sub(taken))?;
            taken = window;
        }
        let bytes = source.fetch(at.0, window)?;
        if window == left || !is_cut(&bytes, at, budget) {
            return Ok(bytes);
        }
        window = window.saturating_mul(2).min(left);
    }
}

/// Whether the first pickle in `bytes` goes on behind their end.
pub(crate) fn is_cut(bytes: &Bytes, at: FileOffset, budget: &Budget) -> bool {
    pickle::extent(bytes, at, &mut budget.clone()).is_err_and(|why| why.is_cut())
}
