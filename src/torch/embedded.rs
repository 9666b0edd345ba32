//! Files embedded in a pickle as bytes: `torch.storage._load_from_bytes(b"…")`, which is how
//! `pickle.dump` writes storages.
//!
//! Each is opened as a file of its own, under the same policy and limits, and put in the place
//! of the call. The bytes of its storages stay where they are. One that cannot be opened costs
//! the tensors that are made of it, and no other.
//!
//! Source: PyTorch 2.15 `torch/storage.py` (`_load_from_bytes`, `__reduce__`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::checkpoint::Options;
use super::error::{Error, Fault, Located};
use super::open::{self, Opened};
use super::origin::Origin;
use crate::base::{Budget, Category, Exceeded, FileOffset};
use crate::pickle::{Global, GraphBuilder, NodeId, Object, Value};
use crate::python::meaning;
use crate::python::views::View;

/// What loads a file of which a pickle holds the bytes.
const LOADER: Global = Global { module: b"torch.storage", name: b"_load_from_bytes" };

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
        let mut files: Vec<(NodeId, Result<Opened, Located>)> = Vec::new();
        let mut calls = Vec::with_capacity(found.len());
        let mut known: HashMap<NodeId, usize> = HashMap::new();
        for id in found {
            let object = opened.graph.object(id);
            let Some(given) = argument(object) else { continue };
            let file = if let Some(file) = known.get(&given.id()) {
                *file
            } else {
                let file = open(given, &opened, options, budget)?;
                files.push((id, file.map_err(|(why, at)| (why, at.or(object.offset())))));
                files.len().saturating_sub(1)
            };
            known.insert(given.id(), file);
            calls.push((object.index().unwrap_or_default(), file));
        }
        let places: Vec<_> = files.iter().map(|(id, _)| Place::of(*id, &opened)).collect();
        let Opened { container, graph, mut parts, mut stand_ins, others } = opened;
        let root = graph.root().map_or(NodeId::NONE, Object::id);
        let mut build = GraphBuilder::edit(graph, budget);
        let mut roots = Vec::with_capacity(files.len());
        for ((_, file), place) in files.into_iter().zip(places) {
            let root = file.and_then(|file| {
                let root = file.copy_into(&mut build, &mut parts);
                root.map_err(|why| (Fault::BadStorage(why.to_string().into()), place.at))
            });
            if let Some(part) = parts.last_mut().filter(|_| root.is_ok()) {
                part.pickle = place.at.map(|at| format!("the bytes that {at} loads").into());
                part.path = place.path;
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
        let object = opened.graph.object(id);
        let (index, at) = (object.index().unwrap_or_default(), object.offset());
        opened.stand_ins.insert(index, Err((why, at)));
    }
    Ok(opened)
}

/// Where a call stands that loads a file.
struct Place {
    at: Option<FileOffset>,
    path: Option<Arc<Path>>,
}

impl Place {
    fn of(call: NodeId, opened: &Opened) -> Self {
        let object = opened.graph.object(call);
        let part = opened.parts.get(opened.part_of(object.index().unwrap_or_default()) as usize);
        Self { at: object.offset(), path: part.and_then(|part| part.path.clone()) }
    }
}

/// The calls among the objects from `start` on.
fn find(opened: &Opened, start: usize) -> Vec<NodeId> {
    if opened.graph.globals().all(|global| global != LOADER) {
        return Vec::new();
    }
    let all = opened.graph.objects().skip(start);
    all.filter(|object| argument(*object).is_some()).map(Object::id).collect()
}

/// What a call of `_load_from_bytes` is given.
fn argument(object: Object) -> Option<Object> {
    let recipe = object.as_recipe()?;
    let global = recipe.callable().as_global()?;
    if global != LOADER {
        return None;
    }
    let [bytes] = recipe.args().as_tuple()?.array()?;
    Some(bytes)
}

/// Opens the file that bytes are. Offsets in it are made those of the file that holds it, if it
/// lies there as it is.
///
/// # Errors
/// What the policy refuses, for it is refused anywhere; all else is a fault of this file.
fn open(
    argument: Object,
    outer: &Opened,
    options: &Options,
    budget: &mut Budget,
) -> Result<Result<Opened, Located>, Error> {
    let (bytes, start) = match given(argument, outer, budget) {
        Ok(given) => given,
        Err(fault) => return Ok(Err((fault, argument.offset()))),
    };
    let start = start.unwrap_or(0);
    let opened = open::source_within(Arc::new(bytes), options, budget);
    match opened.map(|opened| opened.moved(start)).map_err(|why| why.moved(start)) {
        Ok(opened) if opened.parts.len() == 1 && opened.stand_ins.is_empty() => Ok(Ok(opened)),
        Ok(_) => {
            let what = "a file of several parts inside of a pickle";
            Ok(Err((Fault::Unsupported(what.into()), argument.offset())))
        }
        Err(why) if why.category() == Category::Forbidden => Err(why),
        Err(why) => {
            let what = format!("embedded in the pickle: {why}");
            Ok(Err((Fault::BadStorage(what.into()), why.offset())))
        }
    }
}

/// The bytes given, and where in the file they lie; without a copy where they lie in what was
/// read.
fn given(
    argument: Object,
    outer: &Opened,
    budget: &mut Budget,
) -> Result<(Bytes, Option<u64>), Fault> {
    let over = |why: Exceeded| Fault::BadStorage(why.to_string().into());
    let plain = match argument.value() {
        Value::Bytes(bytes) => Some(bytes),
        // What Python 2 calls `str` are bytes.
        Value::Text(text) if text.is_python2() => Some(text.as_bytes()),
        _ => None,
    };
    if let Some(bytes) = plain {
        if let Some(shared) = outer.parts.iter().find_map(|part| share(part, bytes)) {
            return Ok(shared);
        }
        budget.memory(bytes.len() as u64).map_err(over)?;
        return Ok((Bytes::copy_from_slice(bytes), None));
    }
    if let Some(View::Bytes(raw)) = meaning::view(argument, budget).map_err(over)? {
        let bytes = raw.to_vec();
        budget.memory(bytes.len() as u64).map_err(over)?;
        return Ok((bytes.into(), None));
    }
    Err(Fault::NotA { wanted: "bytes", found: argument.kind() })
}

/// A slice of what a part was read from, sharing its memory, and where in the file that is; none
/// if it lies elsewhere.
fn share(part: &Origin, slice: &[u8]) -> Option<(Bytes, Option<u64>)> {
    let Origin { stream, at, inflated, .. } = part;
    let start = slice.as_ptr().addr().checked_sub(stream.as_ptr().addr())?;
    let end = start.checked_add(slice.len())?;
    let place = (!inflated).then(|| at.0.saturating_add(start as u64));
    (end <= stream.len()).then(|| (stream.slice(start..end), place))
}
