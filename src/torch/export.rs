//! Archives of `torch.export.save`: weights and constants as raw bytes, described in JSON.
//!
//! The root is the program's `state_dict`: a dict of tensors, each spelled as `torch.save` would.
//! Constants and sample inputs stand beside it. Archives of several models hold one such dict
//! for each.
//!
//! Source: PyTorch 2.15 `torch/export/pt2_archive/_package.py`, `constants.py`,
//! `torch/_export/serde/schema.py` (`TensorMeta`, `ScalarType`); before 2.8
//! `torch/export/__init__.py` (`save`).

use std::sync::Arc;

use serde_json::Value;

use super::DType;
use super::archive::Archive;
use super::checkpoint::Options;
use super::error::{Error, Fault};
use super::open::{self, Opened};
use super::origin::{Layout, Names, Origin};
use super::package::unreadable;
use super::sharded;
use super::sniff::Container;
use super::spell::{Spelled, SpelledStorage};
use super::storage::StandIns;
use crate::base::{Budget, Source, Window};
use crate::container::{Member, Method};
use crate::pickle::{GraphBuilder, NodeId};

/// Keys are whole names of members.
const WHOLE: Names = Names { before: "", after: "" };

/// The enum of the schema, from 0 on; its rows are never renumbered.
const SCALAR_TYPES: &[Option<DType>] = &[
    None,
    Some(DType::UInt8),
    Some(DType::Int8),
    Some(DType::Int16),
    Some(DType::Int32),
    Some(DType::Int64),
    Some(DType::Float16),
    Some(DType::Float32),
    Some(DType::Float64),
    Some(DType::Complex32),
    Some(DType::Complex64),
    Some(DType::Complex128),
    Some(DType::Bool),
    Some(DType::BFloat16),
];

/// Of newer types.
const NEWER_TYPES: &[(u64, DType)] = &[
    (28, DType::UInt16),
    (29, DType::Float8E4M3Fn),
    (30, DType::Float8E5M2),
    (31, DType::Float8E4M3Fnuz),
    (32, DType::Float8E5M2Fnuz),
    (33, DType::Float8E8M0Fnu),
    (34, DType::UInt32),
    (35, DType::UInt64),
];

/// A part of a program that holds tensors.
struct Group {
    /// What it is called beside the root; none for the root.
    beside: Option<String>,
    tensors: Vec<(String, Tensor)>,
}

enum Tensor {
    Spelled(Spelled),
    File(Box<Opened>),
    Unreadable(Error),
}

/// Opens such an archive.
pub(crate) fn open(
    source: &Arc<dyn Source>,
    archive: &Arc<Archive>,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let mut reading = Reading { source, archive, options, budget };
    let models = reading.models();
    let mut groups = Vec::new();
    for model in &models {
        // A name only where it tells models apart.
        let prefix = if models.len() > 1 { format!("{model}.") } else { String::new() };
        let at = format!("data/weights/{model}_weights_config.json");
        groups.push(Group { beside: None, tensors: reading.config(&at, &prefix)? });
        let at = format!("data/constants/{model}_constants_config.json");
        let beside = Some(format!("{prefix}constants"));
        groups.push(Group { beside, tensors: reading.config(&at, "")? });
        let at = format!("data/sample_inputs/{model}.pt");
        let inputs = reading.files(&[&at], "")?;
        groups.push(Group { beside: Some(format!("{prefix}sample_inputs")), tensors: inputs });
    }
    let state = reading.files(OLD_STATE, "")?;
    let old_root = models.is_empty();
    if old_root {
        for (names, beside) in OLD_OTHERS {
            let tensors = reading.files(names, "")?;
            groups.push(Group { beside: Some((*beside).to_owned()), tensors });
        }
    }
    spell(groups, state, source, archive, budget)
}

/// Where PyTorch before 2.8 wrote the state dict.
const OLD_STATE: &[&str] = &["serialized_state_dict.pt", "serialized_state_dict.json"];
const OLD_OTHERS: &[(&[&str], &str)] = &[
    (&["serialized_constants.pt", "serialized_constants.json"], "constants"),
    (&["serialized_example_inputs.pt"], "sample_inputs"),
];

fn spell(
    groups: Vec<Group>,
    state: Vec<(String, Tensor)>,
    source: &Arc<dyn Source>,
    archive: &Arc<Archive>,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let mut stand_ins = StandIns::new();
    let mut build = GraphBuilder::new(budget);
    // What is spelled here comes first, so that it is one run of objects.
    let (mut files, mut spelled) = (Vec::new(), Vec::new());
    for group in groups {
        let mut pairs = Vec::new();
        for (name, tensor) in group.tensors {
            let key = build.text(&name)?;
            match tensor {
                Tensor::Spelled(tensor) => pairs.push((key, tensor.build(&mut build)?)),
                Tensor::File(file) => files.push((spelled.len(), key, file)),
                Tensor::Unreadable(why) => {
                    pairs.push((key, unreadable(&mut build, &mut stand_ins, &why)?));
                }
            }
        }
        spelled.push((group.beside, pairs));
    }
    let layout = Layout::Zip { archive: Arc::clone(archive), names: WHOLE };
    let mut parts = vec![Origin::new(Arc::clone(source), layout, 0..build.graph().len())];
    for (group, key, file) in files {
        let value = file.copy_into(&mut build, &mut parts)?;
        if let Some((_, pairs)) = spelled.get_mut(group) {
            pairs.push((key, value));
        }
    }
    let mut root = None;
    for (_, tensor) in state {
        if let Tensor::File(file) = tensor {
            root = Some(file.copy_into(&mut build, &mut parts)?);
        }
    }
    let (mut weights, mut others) = (Vec::new(), Vec::new());
    for (beside, pairs) in spelled {
        match beside {
            None => weights.extend(pairs),
            Some(_) if pairs.is_empty() => {}
            Some(name) => others.push((name.into(), whole(&pairs, &mut build)?)),
        }
    }
    let root = match root {
        Some(root) => root,
        None => build.dict(&weights)?,
    };
    let graph = build.finish(root);
    Ok(Opened { container: Container::Export, graph, parts, stand_ins, others })
}

/// A dict, or the one object that a file without names holds.
fn whole(pairs: &[(NodeId, NodeId)], build: &mut GraphBuilder) -> Result<NodeId, Error> {
    match pairs {
        [(key, value)] if build.object(*key).is_text("") => Ok(*value),
        _ => Ok(build.dict(pairs)?),
    }
}

struct Reading<'run> {
    source: &'run Arc<dyn Source>,
    archive: &'run Arc<Archive>,
    options: &'run Options,
    budget: &'run mut Budget,
}

impl Reading<'_> {
    /// The models' names: `models/NAME.json`.
    fn models(&self) -> Vec<String> {
        let named = self.archive.members().filter_map(|(_, name)| {
            let name = std::str::from_utf8(name).ok()?;
            let model = name.strip_prefix("models/")?.strip_suffix(".json")?;
            Some(model.to_owned())
        });
        named.collect()
    }

    /// The tensors of a JSON file `{"config": {name: {path_name, is_param, tensor_meta}}}`.
    fn config(&mut self, at: &str, prefix: &str) -> Result<Vec<(String, Tensor)>, Error> {
        let Some(member) = self.archive.member(at)? else { return Ok(Vec::new()) };
        let text = self.archive.zip.read(&**self.source, member, self.budget)?;
        let json = sharded::json(&text, self.budget)
            .map_err(|why| why.in_member(&self.archive.name(at)))?;
        let folder = at.rsplit_once('/').map_or("", |(folder, _)| folder);
        let config = json.get("config").and_then(Value::as_object);
        let mut tensors = Vec::new();
        for (name, facts) in config.into_iter().flatten() {
            self.budget.memory(256)?;
            let tensor = self.tensor(folder, facts);
            let tensor = match tensor {
                Ok(tensor) => tensor,
                Err(why) if why.category() == crate::Category::Forbidden => return Err(why),
                Err(why) => Tensor::Unreadable(why.in_member(&self.archive.name(at))),
            };
            tensors.push((format!("{prefix}{name}"), tensor));
        }
        Ok(tensors)
    }

    fn tensor(&mut self, folder: &str, facts: &Value) -> Result<Tensor, Error> {
        let bad = |what| Error::fault(Fault::Arguments(what), None);
        let path = facts.get("path_name").and_then(Value::as_str);
        let path = path.ok_or_else(|| bad("a weight without `path_name`"))?;
        let key = format!("{folder}/{path}");
        let missing = || Error::fault(Fault::NoStorage(key.as_str().into()), None);
        let member = self.archive.member(&key)?.ok_or_else(missing)?;
        // Torch.save'd where it is no plain tensor.
        if facts.get("use_pickle").and_then(Value::as_bool) == Some(true) {
            return Ok(Tensor::File(Box::new(self.file(member)?)));
        }
        let meta = facts.get("tensor_meta").ok_or_else(|| bad("a weight without `tensor_meta`"))?;
        let number = |value: &Value| {
            let value = value.get("as_int").unwrap_or(value);
            value.as_u64().ok_or_else(|| bad("a size, stride or offset that is no number"))
        };
        let field = |name: &str| meta.get(name).unwrap_or(&Value::Null);
        let numbers = |name: &str| -> Result<Vec<u64>, Error> {
            let items = field(name).as_array();
            items
                .ok_or_else(|| bad("sizes or strides that are no list"))?
                .iter()
                .map(number)
                .collect()
        };
        let dtype = field("dtype").as_u64().and_then(scalar_type);
        let dtype = dtype.ok_or_else(|| {
            Error::fault(Fault::UnknownDType(field("dtype").to_string().into()), None)
        })?;
        // `torch.strided` in the schema's enum.
        if field("layout").as_u64() != Some(7) {
            return Err(Error::fault(
                Fault::Unsupported("an exported tensor of another layout than strided".into()),
                None,
            ));
        }
        let device = field("device");
        let kind = device.get("type").and_then(Value::as_str).unwrap_or("cpu");
        let device = match device.get("index").and_then(Value::as_u64) {
            Some(index) => format!("{kind}:{index}"),
            None => kind.to_owned(),
        };
        let numel = member.size().checked_div(dtype.width()).unwrap_or(0);
        let storage =
            SpelledStorage { key: key.into(), device: device.into(), dtype, numel, piece: None };
        Ok(Tensor::Spelled(Spelled {
            storage,
            dtype,
            offset: number(field("storage_offset"))?,
            shape: numbers("sizes")?,
            stride: numbers("strides")?,
            requires_grad: field("requires_grad").as_bool().unwrap_or(false),
            is_parameter: facts.get("is_param").and_then(Value::as_bool).unwrap_or(false),
        }))
    }

    /// The first of these members that there is, opened as a file of its own; no name.
    fn files(&mut self, names: &[&str], prefix: &str) -> Result<Vec<(String, Tensor)>, Error> {
        for name in names {
            let Some(member) = self.archive.member(name)? else { continue };
            let tensor = match self.file(member) {
                Ok(file) => Tensor::File(Box::new(file)),
                Err(why) if why.category() == crate::Category::Forbidden => return Err(why),
                Err(why) => Tensor::Unreadable(why.in_member(&self.archive.name(name))),
            };
            return Ok(vec![(prefix.to_owned(), tensor)]);
        }
        Ok(Vec::new())
    }

    fn file(&mut self, member: Member<'_>) -> Result<Opened, Error> {
        let file: Arc<dyn Source> = if member.method() == Method::Stored {
            let place = self.archive.zip.locate(&**self.source, member)?;
            Arc::new(Window::new(Arc::clone(self.source), place.at.0, place.len)?)
        } else {
            Arc::new(self.archive.zip.read(&**self.source, member, self.budget)?)
        };
        open::source_within(file, self.options, self.budget)
    }
}

fn scalar_type(number: u64) -> Option<DType> {
    let newer = || NEWER_TYPES.iter().find(|(code, _)| *code == number).map(|(_, dtype)| *dtype);
    let known = usize::try_from(number).ok().and_then(|index| SCALAR_TYPES.get(index));
    known.copied().flatten().or_else(newer)
}
