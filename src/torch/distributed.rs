//! Folders of `torch.distributed.checkpoint`: `.metadata` says which tensors there are and in
//! which bytes of which file each chunk of them lies.
//!
//! The root is a dict by the names in `.metadata`. Tensors are put together when they are read;
//! other objects are read at once, since they are small.
//!
//! Source: PyTorch 2.15 `torch/distributed/checkpoint/metadata.py`, `filesystem.py`
//! (`_StorageInfo`, `FileSystemReader.read_data`), `planner_helpers.py`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::DType;
use super::checkpoint::Options;
use super::error::{Error, Fault};
use super::folder::Folder;
use super::open::{self, Opened};
use super::origin::{Layout, Origin};
use super::package::unreadable;
use super::sniff::Container;
use super::spell::{Spelled, SpelledStorage, row_major};
use super::stitched::{Chunk, Files, Stitched};
use super::storage::StandIns;
use crate::base::{Budget, Exceeded};
use crate::pickle::{Graph, GraphBuilder, Items, Object, Recipe, Value};
use crate::python::mapping;

const MODULE: &str = "torch.distributed.checkpoint.metadata";

/// Whether a pickle is the `.metadata` of such a folder.
pub(crate) fn is_metadata(opened: &Opened) -> bool {
    opened.container == Container::Pickle
        && opened.graph.root().is_some_and(|root| is_a(root, "Metadata"))
}

fn is_a(object: Object, class: &str) -> bool {
    let class_of = |object: Object<'_>| -> Option<bool> {
        Some(object.as_recipe()?.callable().as_global()?.is(MODULE, class))
    };
    class_of(object) == Some(true)
}

/// A tensor's chunk, as the metadata name it.
type Index = (Box<str>, Vec<u64>);
/// Where something lies: file, first byte, bytes.
type Place = Result<(Arc<str>, u64, u64), Fault>;

/// Opens such a folder, given its metadata.
pub(crate) fn open(
    metadata: Opened,
    folder: Folder,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let path = folder.path(".metadata");
    let located = |why: Error| why.in_file(&path);
    let places = Places::read(&metadata.graph, budget).map_err(located)?;
    let entries = entries(&metadata.graph, "state_dict_metadata", budget).map_err(located)?;
    let files = Arc::new(Files::new(folder, options.clone()));
    let mut found = Vec::new();
    let mut stitched = HashMap::new();
    for (name, value) in entries {
        budget.memory(512)?;
        let name: Box<str> = name.as_str().unwrap_or_default().into();
        let held = if is_a(value, "TensorStorageMetadata") {
            let tensor = tensor(&name, value, &places, &files, budget).map(|(tensor, spelled)| {
                stitched.insert(name.clone(), tensor);
                Held::Tensor(spelled)
            });
            tensor.map_err(|fault| located(Error::fault(fault, value.offset())))
        } else {
            let opened = object(&name, &places, &files, options, budget)?;
            let opened = opened.map(|opened| Held::Object(Box::new(opened)));
            opened.map_err(|why| located(why.at(value.offset())))
        };
        found.push((name, held));
    }
    let all = files.total(places.files());
    spell(metadata, found, Layout::Stitched { all, tensors: stitched }, budget)
}

enum Held {
    Tensor(Spelled),
    Object(Box<Opened>),
}

fn spell(
    metadata: Opened,
    found: Vec<(Box<str>, Result<Held, Error>)>,
    stitched: Layout,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let mut stand_ins = StandIns::new();
    let mut build = GraphBuilder::new(budget);
    let (mut pairs, mut objects) = (Vec::new(), Vec::new());
    for (name, held) in found {
        let key = build.text(&name)?;
        match held {
            Ok(Held::Tensor(tensor)) => pairs.push((key, tensor.build(&mut build)?)),
            // In its place for now: files' objects come behind those made here.
            Ok(Held::Object(opened)) => {
                objects.push((pairs.len(), opened));
                pairs.push((key, build.none()));
            }
            Err(why) => {
                pairs.push((key, unreadable(&mut build, &mut stand_ins, &why)?));
            }
        }
    }
    let source = metadata.parts.into_iter().next().map(|part| part.source);
    let source = source.unwrap_or_else(|| Arc::new(bytes::Bytes::new()));
    let mut parts = vec![Origin::new(source, stitched, 0..build.graph().len())];
    for (index, opened) in objects {
        let copy = opened.copy_into(&mut build, &mut parts)?;
        if let Some((_, value)) = pairs.get_mut(index) {
            *value = copy;
        }
    }
    let root = build.dict(&pairs)?;
    let graph = build.finish(root);
    let container = Container::Distributed;
    Ok(Opened { container, graph, parts, stand_ins, others: Vec::new() })
}

/// The pairs of one of the metadata's dicts.
fn entries<'graph>(
    graph: &'graph Graph,
    field: &str,
    budget: &mut Budget,
) -> Result<Vec<(Object<'graph>, Object<'graph>)>, Error> {
    let dict = graph.root().and_then(|root| state(root, field));
    let pairs = dict.map(|dict| mapping::pairs(dict, budget)).transpose()?.flatten();
    pairs.ok_or_else(|| Error::fault(Fault::Arguments("metadata without their dicts"), None))
}

/// A field of an instance.
fn state<'graph>(object: Object<'graph>, field: &str) -> Option<Object<'graph>> {
    object.as_recipe()?.state()?.as_dict()?.get(field)
}

fn sizes(object: Option<Object>) -> Result<Vec<u64>, Fault> {
    const NOT: Fault = Fault::Arguments("sizes or offsets that are none");
    let object = object.ok_or(NOT)?;
    let object = match object.value() {
        Value::Recipe(recipe) => recipe.args().as_tuple().and_then(|args| args.get(0)),
        _ => Some(object),
    };
    let items = object.and_then(Object::items).ok_or(NOT)?;
    items.iter().map(number).collect()
}

fn number(object: Object) -> Result<u64, Fault> {
    let value = object.as_int();
    let value = value.ok_or(Fault::NotA { wanted: "a number", found: object.kind() })?;
    u64::try_from(value).map_err(|_| Fault::Negative(value))
}

/// Where everything lies: chunks of tensors by name and offsets, other objects by name.
struct Places {
    chunks: HashMap<Index, Place>,
    objects: HashMap<Box<str>, Place>,
    /// Runs of bytes that two things claim.
    shared: HashSet<(Arc<str>, u64)>,
}

impl Places {
    fn read(graph: &Graph, budget: &mut Budget) -> Result<Self, Error> {
        let mut places =
            Self { chunks: HashMap::new(), objects: HashMap::new(), shared: HashSet::new() };
        let mut names: HashMap<Box<str>, Arc<str>> = HashMap::new();
        let mut runs = Vec::new();
        for (index, info) in entries(graph, "storage_data", budget)? {
            budget.memory(256)?;
            let Some(name) = state(index, "fqn").and_then(Object::as_str) else { continue };
            let offsets = state(index, "offset").filter(|offsets| !offsets.is_none());
            let place = place(info, &mut names);
            if let Ok((file, at, len)) = &place {
                runs.push((Arc::clone(file), *at, *len));
            }
            match offsets {
                Some(offsets) => {
                    let Ok(offsets) = sizes(Some(offsets)) else { continue };
                    places.chunks.insert((name.into(), offsets), place);
                }
                None => drop(places.objects.insert(name.into(), place)),
            }
        }
        // Were bytes shared, few of them could stand for any number of chunks.
        runs.sort_unstable();
        for pair in runs.windows(2) {
            if let [(file, at, len), (next, start, _)] = pair
                && file == next
                && at.saturating_add(*len) > *start
            {
                places.shared.insert((Arc::clone(next), *start));
            }
        }
        Ok(places)
    }

    /// The files that hold anything.
    fn files(&self) -> HashSet<&Arc<str>> {
        let places = self.chunks.values().chain(self.objects.values());
        places.filter_map(|place| Some(&place.as_ref().ok()?.0)).collect()
    }

    fn chunk(&self, name: &str, offsets: &[u64]) -> Place {
        let index = (Box::from(name), offsets.to_vec());
        let missing = || Fault::Chunks("the metadata do not say where one of its chunks lies");
        let (file, at, len) = self.chunks.get(&index).cloned().ok_or_else(missing)??;
        let place = (file, at);
        if self.shared.contains(&place) {
            return Err(Fault::Chunks("one of its chunks shares bytes with another"));
        }
        Ok((place.0, at, len))
    }
}

fn place(info: Object, names: &mut HashMap<Box<str>, Arc<str>>) -> Place {
    const FIELDS: Fault = Fault::Arguments("no file, offset and length where data lie");
    let field = |name: &str| state(info, name).ok_or(FIELDS);
    let file = field("relative_path")?.as_str().ok_or(FIELDS)?;
    if state(info, "transform_descriptors").is_some_and(|how| !how.is_none()) {
        return Err(Fault::Unsupported("data that were transformed when saved".into()));
    }
    let name = names.entry(file.into()).or_insert_with(|| file.into());
    Ok((Arc::clone(name), number(field("offset")?)?, number(field("length")?)?))
}

/// A tensor of the metadata, with all that can be proved without its data.
fn tensor(
    name: &str,
    facts: Object,
    places: &Places,
    files: &Arc<Files>,
    budget: &mut Budget,
) -> Result<(Stitched, Spelled), Fault> {
    let over = |why: Exceeded| Fault::Elsewhere(why.to_string().into());
    let properties = state(facts, "properties").and_then(Object::as_recipe);
    let properties = properties.and_then(Recipe::state);
    let properties = properties.ok_or(Fault::Arguments("a tensor without properties"))?;
    // `__getstate__` gives a tuple: dtype, layout, requires_grad, …
    let property = |index: usize, name: &str| match properties.as_tuple() {
        Some(items) => items.get(index),
        None => properties.as_dict()?.get(name),
    };
    let dtype = property(0, "dtype").and_then(Object::as_global);
    let dtype = dtype.and_then(|global| std::str::from_utf8(global.name).ok());
    let dtype = dtype.ok_or(Fault::Arguments("a tensor without dtype"))?;
    let dtype = DType::from_name(dtype).ok_or_else(|| Fault::UnknownDType(dtype.into()))?;
    let shape = sizes(state(facts, "size"))?;
    let listed = state(facts, "chunks").and_then(Object::items);
    let mut chunks = Vec::new();
    for chunk in listed.into_iter().flat_map(Items::iter) {
        budget.memory(256).map_err(over)?;
        let (offsets, sizes) = (sizes(state(chunk, "offsets"))?, sizes(state(chunk, "sizes"))?);
        let (file, at, len) = places.chunk(name, &offsets)?;
        let end = at.checked_add(len).ok_or(Fault::Overflow)?;
        files.has(&file, end)?;
        chunks.push(Chunk { offsets, sizes, file, bytes: at..end });
    }
    let stitched = Stitched { dtype, shape: shape.clone(), chunks, files: Arc::clone(files) };
    stitched.check(budget)?;
    let numel = stitched.nbytes().checked_div(dtype.width()).unwrap_or(0);
    let storage =
        SpelledStorage { key: name.into(), device: "cpu".into(), dtype, numel, piece: None };
    let requires_grad = property(2, "requires_grad").and_then(Object::as_bool).unwrap_or(false);
    let stride = row_major(&shape)?;
    let (offset, is_parameter) = (0, false);
    Ok((stitched, Spelled { storage, dtype, offset, shape, stride, requires_grad, is_parameter }))
}

/// An object that is no tensor.
fn object(
    name: &str,
    places: &Places,
    files: &Files,
    options: &Options,
    budget: &mut Budget,
) -> Result<Result<Opened, Error>, Error> {
    let missing = || Err(Fault::Chunks("the metadata do not say where it lies"));
    let (file, at, len) = match places.objects.get(name).cloned().unwrap_or_else(missing) {
        Ok(place) => place,
        Err(fault) => return Ok(Err(Error::fault(fault, None))),
    };
    let end = at.saturating_add(len);
    let opened = files.window(&file, &(at..end)).and_then(|window| {
        let opened = open::source_within(Arc::new(window), options, budget);
        let opened = opened.map_err(|why| why.moved(at).in_file(&files.path(&file)))?;
        Ok(named(opened.moved(at), &files.path(&file)))
    });
    match opened {
        Ok(opened) if opened.parts.len() == 1 && opened.stand_ins.is_empty() => Ok(Ok(opened)),
        Ok(_) => {
            let several = Fault::Unsupported("an object of several parts".into());
            Ok(Err(Error::fault(several, None).in_file(&files.path(&file))))
        }
        Err(why) if why.category() == crate::Category::Forbidden => Err(why),
        Err(why) => Ok(Err(why)),
    }
}

/// What was opened of a file of the folder.
fn named(mut opened: Opened, path: &Path) -> Opened {
    for part in &mut opened.parts {
        part.path = Some(path.into());
    }
    opened
}
