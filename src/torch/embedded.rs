//! Files embedded in a pickle as bytes: `torch.storage._load_from_bytes(b"…")`, which is how
//! `pickle.dump` writes storages.
//!
//! Each is opened as a file of its own, under the same policy and limits, and put in the place
//! of the call. The bytes of its storages stay where they are. One that cannot be opened costs
//! the tensors that are made of it, and no other.
//!
//! Source: PyTorch 2.15 `torch/storage.py` (`_load_from_bytes`, `__reduce__`).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::checkpoint::Options;
use super::error::{Error, Fault};
use super::open::{self, Opened};
use crate::base::{Budget, Category, Exceeded};
use crate::pickle::{GraphBuilder, NodeId, Object, Value};
use crate::python::meaning;
use crate::python::views::View;

/// Files opened in files; honest ones need one.
const DEEPEST: usize = 8;

/// Opens what is embedded in `opened`, level by level.
pub(crate) fn resolve(
    mut opened: Opened,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let mut looked_at = 0;
    for _ in 0..DEEPEST {
        let found = find(&opened, looked_at);
        looked_at = opened.graph.len();
        if found.is_empty() {
            return Ok(opened);
        }
        // Calls given the same object are given the same file, which is opened once: were it
        // opened for each, few bytes could nest to any number of files.
        let mut files: Vec<(NodeId, Result<Opened, Fault>)> = Vec::new();
        let mut calls = Vec::with_capacity(found.len());
        let mut known: HashMap<NodeId, usize> = HashMap::new();
        for id in found {
            let object = opened.graph.object(id);
            let Some(given) = argument(object) else { continue };
            let file = if let Some(file) = known.get(&given.id()) {
                *file
            } else {
                files.push((id, open(given, &opened, options, budget)?));
                files.len().saturating_sub(1)
            };
            known.insert(given.id(), file);
            calls.push((object.index().unwrap_or_default(), file));
        }
        let at = |id| opened.graph.object(id).offset();
        let places: Vec<_> = files.iter().map(|(id, _)| at(*id)).collect();
        let Opened { container, graph, mut parts, mut stand_ins, others } = opened;
        let root = graph.root().map_or(NodeId::NONE, Object::id);
        let mut build = GraphBuilder::edit(graph, budget);
        let mut roots = Vec::with_capacity(files.len());
        for ((_, file), at) in files.into_iter().zip(places) {
            let root = file.and_then(|file| {
                let root = file.copy_into(&mut build, &mut parts);
                root.map_err(|why| Fault::BadStorage(why.to_string().into()))
            });
            if let Some(part) = parts.last_mut().filter(|_| root.is_ok()) {
                part.pickle = at.map(|at| format!("the bytes that {at} loads").into());
            }
            roots.push(root);
        }
        for (call, file) in calls {
            if let Some(root) = roots.get(file) {
                stand_ins.insert(call, root.clone());
            }
        }
        let graph = build.finish(root);
        opened = Opened { container, graph, parts, stand_ins, others };
    }
    for id in find(&opened, looked_at) {
        let why = Fault::BadStorage(format!("files in files, more than {DEEPEST} deep").into());
        let index = opened.graph.object(id).index().unwrap_or_default();
        opened.stand_ins.insert(index, Err(why));
    }
    Ok(opened)
}

/// The calls among the objects from `start` on.
fn find(opened: &Opened, start: usize) -> Vec<NodeId> {
    let all = opened.graph.objects().skip(start);
    all.filter(|object| argument(*object).is_some()).map(Object::id).collect()
}

/// What a call of `_load_from_bytes` is given.
fn argument(object: Object) -> Option<Object> {
    let recipe = object.as_recipe()?;
    let global = recipe.callable().as_global()?;
    let [bytes] = recipe.args().as_tuple()?.array()?;
    global.is("torch.storage", "_load_from_bytes").then_some(bytes)
}

/// Opens the file that bytes are.
///
/// # Errors
/// What the policy refuses, for it is refused anywhere; all else is a fault of this file.
fn open(
    argument: Object,
    outer: &Opened,
    options: &Options,
    budget: &mut Budget,
) -> Result<Result<Opened, Fault>, Error> {
    let bytes = match given(argument, outer, budget) {
        Ok(bytes) => bytes,
        Err(fault) => return Ok(Err(fault)),
    };
    match open::source_within(Arc::new(bytes), options, budget) {
        Ok(opened) if opened.parts.len() == 1 && opened.stand_ins.is_empty() => Ok(Ok(opened)),
        Ok(_) => Ok(Err(Fault::Unsupported("a file of several parts inside of a pickle".into()))),
        Err(why) if why.category() == Category::Forbidden => Err(why),
        Err(why) => Ok(Err(Fault::BadStorage(format!("embedded in the pickle: {why}").into()))),
    }
}

/// The bytes given, without a copy where they lie in what was read.
fn given(argument: Object, outer: &Opened, budget: &mut Budget) -> Result<Bytes, Fault> {
    let over = |why: Exceeded| Fault::BadStorage(why.to_string().into());
    if let Value::Bytes(bytes) = argument.value() {
        if let Some(shared) = outer.parts.iter().find_map(|part| share(&part.stream, bytes)) {
            return Ok(shared);
        }
        budget.memory(bytes.len() as u64).map_err(over)?;
        return Ok(Bytes::copy_from_slice(bytes));
    }
    if let Some(View::Bytes(raw)) = meaning::view(argument, budget).map_err(over)? {
        let bytes = raw.to_vec();
        budget.memory(bytes.len() as u64).map_err(over)?;
        return Ok(bytes.into());
    }
    match argument.value() {
        // What Python 2 calls `str` are bytes.
        Value::Text(text) if text.is_python2() => {
            budget.memory(text.as_bytes().len() as u64).map_err(over)?;
            Ok(Bytes::copy_from_slice(text.as_bytes()))
        }
        _ => Err(Fault::NotA { wanted: "bytes", found: argument.kind() }),
    }
}

/// A slice of a stream, sharing its memory; none if it lies elsewhere.
fn share(stream: &Bytes, slice: &[u8]) -> Option<Bytes> {
    let start = slice.as_ptr().addr().checked_sub(stream.as_ptr().addr())?;
    let end = start.checked_add(slice.len())?;
    (end <= stream.len()).then(|| stream.slice(start..end))
}
