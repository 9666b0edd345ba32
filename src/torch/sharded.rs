//! Several files under one index: `{"weight_map": {"name": "file", …}}`, as Hugging Face writes
//! beside `pytorch_model-00001-of-00002.bin` and `model-00001-of-00002.safetensors`.
//!
//! The root is a dict in the order of the index. A shard that is missing or cannot be read costs
//! its own tensors.
//!
//! Source: transformers 4 `modeling_utils.py` (`load_sharded_checkpoint`),
//! huggingface_hub `serialization/_base.py`.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::checkpoint::Options;
use super::error::{Error, Fault, Kind};
use super::folder::Folder;
use super::open::{self, Opened};
use super::origin::{Layout, Origin};
use super::package::unreadable;
use super::sniff::Container;
use super::storage::StandIns;
use crate::base::{Budget, Source};
use crate::pickle::{GraphBuilder, NodeId};
use crate::python::mapping;

const NO_INDEX: &str = "this is JSON text without a `weight_map`: no index of shards, and not a \
    PyTorch file";

/// JSON takes so many times its bytes when parsed, at most.
const UNFOLDED: u64 = 40;

/// Opens an index, and the files of `folder` that it names.
pub(crate) fn open(
    index: &Arc<dyn Source>,
    folder: &Folder,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let json = json(&**index, budget)?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::new(Kind::NotACheckpoint(NO_INDEX)))?;
    let mut shards: Vec<(&str, Result<Opened, Error>)> = Vec::new();
    for name in names(map)? {
        let file = folder.open(name).and_then(|file| {
            let opened = open::source(file, options, budget)?;
            let opened = single(opened)?;
            Ok(opened)
        });
        let file = match file {
            Err(why) if why.category() == crate::Category::Forbidden => {
                return Err(why.in_file(&folder.path(name)));
            }
            other => other.map_err(|why| why.in_file(&folder.path(name))),
        };
        shards.push((name, file));
    }
    // An index of files of another format.
    let other = |(_, shard): &(&str, Result<Opened, Error>)| {
        let why = shard.as_ref().err().map(Error::kind);
        matches!(why, Some(Kind::NotACheckpoint(_)))
    };
    if shards.iter().all(other)
        && let Some((_, Err(why))) = shards.pop()
    {
        return Err(why);
    }
    merge(map, shards, folder, index, budget)
}

/// The text, parsed. Memory is taken for it as if every byte were a value.
pub(crate) fn json(source: &dyn Source, budget: &mut Budget) -> Result<Value, Error> {
    budget.memory(source.len().saturating_mul(UNFOLDED))?;
    let text = source.fetch(0, source.len())?;
    let parsed = serde_json::from_slice(&text);
    parsed.map_err(|why| Error::new(Kind::Json(why.to_string().into())))
}

/// The files named, each once, in order.
fn names(map: &Map<String, Value>) -> Result<Vec<&str>, Error> {
    let mut seen = std::collections::HashSet::new();
    let mut names = Vec::new();
    for file in map.values() {
        let name = file.as_str().ok_or_else(|| Error::new(Kind::NotACheckpoint(NO_INDEX)))?;
        if seen.insert(name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn single(opened: Opened) -> Result<Opened, Error> {
    if opened.parts.len() == 1 && opened.stand_ins.is_empty() {
        return Ok(opened);
    }
    Err(Error::fault(Fault::Unsupported("a shard of several parts".into()), None))
}

fn merge(
    map: &Map<String, Value>,
    shards: Vec<(&str, Result<Opened, Error>)>,
    folder: &Folder,
    index: &Arc<dyn Source>,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let mut stand_ins = StandIns::new();
    // The index itself comes first: it has no objects.
    let mut parts = vec![Origin::new(Arc::clone(index), Layout::Nothing, 0..0)];
    let mut steps = Budget::new(budget.limits().clone());
    let mut build = GraphBuilder::new(budget);
    let mut found: HashMap<&str, Shard> = HashMap::new();
    for (name, opened) in shards {
        let shard = match opened {
            Ok(opened) => {
                let root = opened.copy_into(&mut build, &mut parts)?;
                if let Some(part) = parts.last_mut() {
                    part.path = Some(folder.path(name).into());
                }
                Shard::read(root, &build, &mut steps)?
            }
            Err(why) => Shard::Unreadable(unreadable(&mut build, &mut stand_ins, &why)?),
        };
        found.insert(name, shard);
    }
    let mut pairs = Vec::with_capacity(map.len());
    for (key, file) in map {
        let file = file.as_str().unwrap_or_default();
        let value = match found.get(file) {
            Some(Shard::Holds(entries)) => {
                if let Some(id) = entries.get(key.as_str()) {
                    *id
                } else {
                    let missing = Error::new(Kind::NoSuchTensor(key.as_str().into()));
                    let missing = missing.in_file(&folder.path(file));
                    unreadable(&mut build, &mut stand_ins, &missing)?
                }
            }
            Some(Shard::Unreadable(id)) => *id,
            None => NodeId::NONE,
        };
        pairs.push((build.text(key)?, value));
    }
    let root = build.dict(&pairs)?;
    let graph = build.finish(root);
    Ok(Opened { container: Container::Sharded, graph, parts, stand_ins, others: Vec::new() })
}

/// What one file holds.
enum Shard {
    Holds(HashMap<Box<str>, NodeId>),
    Unreadable(NodeId),
}

impl Shard {
    fn read(root: NodeId, build: &GraphBuilder, budget: &mut Budget) -> Result<Self, Error> {
        let pairs = mapping::pairs(build.object(root), budget)?.unwrap_or_default();
        let named = pairs
            .into_iter()
            .filter_map(|(key, value)| Some((Box::from(key.as_str()?), value.id())));
        Ok(Self::Holds(named.collect()))
    }
}
