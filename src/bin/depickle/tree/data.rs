//! What the page of `tree --html` shows, as flat rows of JSON: a file's depth nests nothing.

use std::collections::{BTreeMap, HashMap};

use depickle::Budget;
use depickle::pickle::{NodeId, Object};
use depickle::torch::module::{self, Module, Tally, TensorSummary, Tensors};
use depickle::torch::{Checkpoint, Error, Scope, Tensor};
use serde_json::{Value, json};

use super::Chosen;
use super::names::Names;
use super::text::{Tallies, attributes};
use crate::output::{count, human};

/// The document. `page.js` says what its rows hold.
pub(super) fn write(
    checkpoint: &Checkpoint,
    object: Object,
    chosen: &Chosen,
    label: &str,
) -> Result<String, Error> {
    let mut data = Data {
        checkpoint,
        budget: Budget::new(checkpoint.limits().clone()),
        classes: Texts::default(),
        dtypes: Texts::default(),
        devices: Texts::default(),
        modules: Vec::new(),
        tensors: Vec::new(),
        places: HashMap::new(),
        met: HashMap::new(),
        kinds: BTreeMap::new(),
        paths: HashMap::new(),
    };
    let kind = match chosen {
        Chosen::Modules(models) => {
            let root = (models.len() != 1).then(|| data.modules.push(Row::named("", None)));
            for (path, model) in models {
                data.model(path, **model, root.map(|()| 0), &model.tallies()?)?;
            }
            data.others(object, models)?;
            "module"
        }
        Chosen::Names(list) => {
            data.names(&Names::new(list, None))?;
            "names"
        }
    };
    Ok(data.finish(checkpoint.kind_of(object)?.name(), kind, label))
}

/// Texts that repeat, each once, by number.
#[derive(Default)]
struct Texts(Vec<String>, HashMap<String, usize>);

impl Texts {
    fn number(&mut self, text: &str) -> usize {
        if let Some(number) = self.1.get(text) {
            return *number;
        }
        let number = self.0.len();
        self.0.push(text.to_owned());
        self.1.insert(text.to_owned(), number);
        number
    }
}

/// A module, or a part of a name.
struct Row {
    parent: Option<usize>,
    name: String,
    class: Option<usize>,
    headline: String,
    training: Option<bool>,
    same: Option<usize>,
    tally: Option<Tally>,
    /// Of the tensors in it that its tally leaves out.
    more_bytes: u64,
    attributes: Vec<(String, String)>,
    code: Option<String>,
}

impl Row {
    fn named(name: &str, parent: Option<usize>) -> Self {
        Self {
            parent,
            name: name.to_owned(),
            class: None,
            headline: String::new(),
            training: None,
            same: None,
            tally: None,
            more_bytes: 0,
            attributes: Vec::new(),
            code: None,
        }
    }

    fn json(&self) -> Value {
        json!([
            number(self.parent),
            self.name,
            number(self.class),
            self.headline,
            self.training.map_or(-1, i32::from),
            number(self.same),
            self.tally.map(|tally| tally.parameters),
            self.tally.map(|tally| tally.trainable),
            self.tally.map_or(0, |tally| tally.bytes()).saturating_add(self.more_bytes),
            self.attributes,
            self.code,
        ])
    }
}

/// A row's number; −1 for none.
fn number(row: Option<usize>) -> i64 {
    row.and_then(|row| i64::try_from(row).ok()).unwrap_or(-1)
}

struct Data<'file> {
    checkpoint: &'file Checkpoint,
    budget: Budget,
    classes: Texts,
    dtypes: Texts,
    devices: Texts,
    modules: Vec<Row>,
    /// Rows, already JSON.
    tensors: Vec<String>,
    /// The first row of each module and tensor.
    places: HashMap<NodeId, usize>,
    met: HashMap<NodeId, usize>,
    /// Tensors and bytes by dtype and device.
    kinds: BTreeMap<(String, String), (u64, u64)>,
    /// Modules by path, for what is found by name.
    paths: HashMap<String, usize>,
}

impl<'file> Data<'file> {
    /// A model and all below it, in `named_modules`' order.
    fn model(
        &mut self,
        path: &str,
        model: Module<'file>,
        parent: Option<usize>,
        tallies: &Tallies,
    ) -> Result<(), Error> {
        let mut todo = vec![(parent, path.to_owned(), path.to_owned(), model.object())];
        while let Some((parent, name, path, object)) = todo.pop() {
            self.budget.visits(1)?;
            let at = self.modules.len();
            let mut row = Row::named(&name, parent);
            let Some(module) = Module::view(object) else {
                row.headline = format!("a {} that is not recognised as a module", object.kind());
                self.push(row)?;
                continue;
            };
            row.class = Some(self.classes.number(&module.class().to_string()));
            row.tally = tallies.get(&module.id()).copied();
            if let Some(first) = self.places.get(&module.id()) {
                row.same = Some(*first);
                self.push(row)?;
                continue;
            }
            self.budget.memory((path.len() as u64).saturating_add(128))?;
            self.places.insert(module.id(), at);
            row.headline = module::headline(module, self.checkpoint, &mut self.budget)?;
            row.training = module.training();
            row.attributes = attributes(self.checkpoint, module, &mut self.budget)?;
            row.code = module.code().map(str::to_owned);
            self.push(row)?;
            self.members(at, module)?;
            let children = module.children(&mut self.budget)?;
            for (name, child) in children.into_iter().rev().filter(|(_, child)| !child.is_none()) {
                self.budget
                    .memory((path.len().saturating_add(name.len()) as u64).saturating_add(64))?;
                let dot = if path.is_empty() { "" } else { "." };
                let below = [&*path, dot, &*name].concat();
                todo.push((Some(at), name.into_owned(), below, child));
            }
            self.paths.insert(path, at);
        }
        Ok(())
    }

    fn push(&mut self, row: Row) -> Result<(), Error> {
        let attributes = row
            .attributes
            .iter()
            .map(|(name, text)| name.len().saturating_add(text.len()).saturating_add(64));
        let code = row.code.as_ref().map_or(0, String::len);
        let texts = [row.name.len(), row.headline.len(), code];
        let all = attributes.chain(texts).fold(0_usize, usize::saturating_add);
        self.budget.memory(all as u64)?;
        Ok(self.budget.push(&mut self.modules, row)?)
    }

    /// Parameters and buffers of one module.
    fn members(&mut self, at: usize, module: Module<'file>) -> Result<(), Error> {
        for (name, object) in module.parameters(&mut self.budget)? {
            self.tensor(at, &name, object, "parameter")?;
        }
        let hidden = module.non_persistent(&mut self.budget)?;
        for (name, object) in module.buffers(&mut self.budget)? {
            let persistent = !hidden.contains(&name);
            let role = if persistent { "buffer" } else { "buffer, not persistent" };
            self.tensor(at, &name, object, role)?;
        }
        Ok(())
    }

    fn tensor(
        &mut self,
        module: usize,
        name: &str,
        object: Object<'file>,
        role: &str,
    ) -> Result<u64, Error> {
        if object.is_none() {
            return Ok(0);
        }
        self.budget.visits(1)?;
        let summary = self.checkpoint.describe(object);
        let dtype = summary.as_ref().map(|summary| self.dtypes.number(&summary.dtype));
        let device = summary.as_ref().map(|summary| self.devices.number(&summary.device));
        let shape = summary.as_ref().and_then(|summary| summary.shape.as_deref());
        let bytes = summary.as_ref().and_then(TensorSummary::nbytes).unwrap_or(0);
        let grad = summary.as_ref().is_some_and(|summary| summary.requires_grad);
        let (view, error) = match self.checkpoint.view(object) {
            Some(Ok(tensor)) => (Some(tensor), None),
            Some(Err(why)) => (None, Some(why.to_string())),
            None => (None, Some(format!("a {} in the place of a tensor", object.kind()))),
        };
        let storage = view.as_ref().and_then(Tensor::storage);
        let storage = storage.map(|storage| self.checkpoint.storages().get(storage));
        let same = self.met.get(&object.id()).copied();
        let row = json!([
            module,
            name,
            role,
            number(dtype),
            shape.map(exact),
            bytes,
            i32::from(grad),
            number(device),
            view.as_ref().map(|view| exact(view.stride())),
            view.as_ref().map(Tensor::storage_offset),
            storage.map(depickle::torch::Storage::key),
            storage.map(depickle::torch::Storage::nbytes),
            number(same),
            error,
        ]);
        let row = row.to_string();
        self.budget.memory((row.len() as u64).saturating_add(64))?;
        if same.is_none() {
            self.met.insert(object.id(), self.tensors.len());
            if let Some(summary) = summary {
                let kind = self.kinds.entry((summary.dtype, summary.device)).or_default();
                *kind = (kind.0.saturating_add(1), kind.1.saturating_add(bytes));
            }
        }
        self.budget.push(&mut self.tensors, row)?;
        Ok(if same.is_none() { bytes } else { 0 })
    }

    /// Tensors that the models hold otherwise, packed by a quantized layer say, under the
    /// module whose path begins their names.
    fn others(
        &mut self,
        object: Object<'file>,
        models: &[(String, depickle::torch::Model<'file>)],
    ) -> Result<(), Error> {
        let prefix = match models {
            [(path, model)] if model.object() != object => format!("{path}."),
            _ => String::new(),
        };
        let list = self.checkpoint.tensors_in(object, Scope::All)?;
        for entry in &list {
            let object = self.checkpoint.graph().object(entry.object());
            if self.met.contains_key(&object.id()) || !entry.name().starts_with(&prefix) {
                continue;
            }
            let Some((at, rest)) = self.owner(entry.name()) else { continue };
            let bytes = self.tensor(at, rest, object, "held otherwise")?;
            let mut above = Some(at);
            while let Some(row) = above.and_then(|at| self.modules.get_mut(at)) {
                self.budget.visits(1)?;
                row.more_bytes = row.more_bytes.saturating_add(bytes);
                above = row.parent;
            }
        }
        Ok(())
    }

    /// The module with the longest path that begins a name, and the rest of the name.
    fn owner<'name>(&self, name: &'name str) -> Option<(usize, &'name str)> {
        let dots = name.match_indices('.').map(|(at, _)| at).rev();
        let mut splits =
            dots.filter_map(|at| Some((name.get(..at)?, name.get(at.checked_add(1)?..)?)));
        let found = splits.find_map(|(path, rest)| Some((*self.paths.get(path)?, rest)));
        found.or_else(|| Some((*self.paths.get("")?, name)))
    }

    /// What dotted names imply.
    fn names(&mut self, names: &Names<'_>) -> Result<(), Error> {
        for folder in &names.folders {
            let mut row = Row::named(folder.name, folder.parent);
            row.more_bytes = Names::bytes(folder);
            self.push(row)?;
        }
        for (at, name, entry) in names.tensors() {
            let role = entry.role().map_or("tensor", depickle::torch::Role::name);
            let object = self.checkpoint.graph().object(entry.object());
            self.tensor(at, name, object, role)?;
        }
        Ok(())
    }

    fn finish(self, holds: &str, kind: &str, label: &str) -> String {
        let what = match holds {
            "state_dict" => "a state dict",
            "checkpoint" => "a checkpoint",
            "module" => "a whole model",
            "tensor" => "a tensor",
            _ => "an object",
        };
        let bytes = self.kinds.values().fold(0_u64, |all, (_, bytes)| all.saturating_add(*bytes));
        let tensors =
            self.kinds.values().fold(0_u64, |all, (tensors, _)| all.saturating_add(*tensors));
        let mut summary = vec![what.to_owned()];
        let root = self.modules.first();
        if let Some(class) = root.and_then(|row| self.classes.0.get(row.class?)) {
            summary.push(class.clone());
        }
        if let Some(tally) = root.and_then(|row| row.tally) {
            summary.push(format!("{} parameters", count(tally.parameters)));
        }
        summary.push(format!("{} tensors", count(tensors)));
        summary.push(human(bytes));
        let kinds: Vec<_> = self
            .kinds
            .iter()
            .map(|((dtype, device), (tensors, bytes))| json!([dtype, device, tensors, bytes]))
            .collect();
        let head = json!({
            "file": label,
            "made": concat!("depickle ", env!("CARGO_PKG_VERSION")),
            "kind": kind,
            "what": what,
            "summary": summary.join(" · "),
            "classes": self.classes.0,
            "dtypes": self.dtypes.0,
            "devices": self.devices.0,
            "kinds": kinds,
        });
        let mut out = head.to_string();
        out.pop();
        out.push_str(",\"modules\":[");
        for (index, row) in self.modules.iter().enumerate() {
            out.push_str(if index > 0 { ",\n" } else { "" });
            out.push_str(&row.json().to_string());
        }
        out.push_str("],\"tensors\":[");
        out.push_str(&self.tensors.join(",\n"));
        out.push_str("]}");
        out
    }
}

/// Numbers, those that JSON's readers would round as text.
fn exact(sizes: &[u64]) -> Vec<Value> {
    sizes
        .iter()
        .map(|&size| if size <= 1 << 53 { json!(size) } else { json!(size.to_string()) })
        .collect()
}
