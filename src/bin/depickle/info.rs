//! `info`: one screen about a file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;

use depickle::pickle::{Global, Object, Positions};
use depickle::python::policy;
use depickle::torch::{Checkpoint, Container, Error, ObjectKind, Role, Scope, Tensor};
use serde_json::{Value, json};

use crate::args::Info;
use crate::input::label;
use crate::output::{self, Answer, Failure, Form, Part, count, human, printable};

pub(crate) fn run(args: &Info) -> Result<Answer, Failure> {
    let form = Form::new(args.json, args.jsonl);
    output::each_file(&args.files, form, |file| {
        let checkpoint = args.reading.open(file)?;
        let facts = Facts::of(&checkpoint)?;
        let part = match form {
            Form::Text => Part::Text(facts.text(&label(file))),
            _ => Part::Json(facts.json(&label(file))),
        };
        Ok((part, facts.errors))
    })
}

/// What is known about one file.
struct Facts {
    container: Container,
    file_bytes: u64,
    protocol: u8,
    kind: ObjectKind,
    root_class: Option<String>,
    tensors: Totals,
    parameters: Totals,
    buffers: Totals,
    trainable: u64,
    dtypes: BTreeMap<&'static str, u64>,
    devices: BTreeMap<String, u64>,
    storages: usize,
    storage_bytes: u64,
    shared: usize,
    globals: Globals,
    findings: Vec<String>,
    errors: Vec<String>,
}

/// Tensors, each counted once whatever its names.
#[derive(Clone, Copy, Default)]
struct Totals {
    names: u64,
    distinct: u64,
    elements: u64,
    bytes: u64,
}

impl Totals {
    fn add(&mut self, tensor: &Tensor, first: bool) {
        self.names = self.names.saturating_add(1);
        if first {
            self.distinct = self.distinct.saturating_add(1);
            self.elements = self.elements.saturating_add(tensor.numel());
            self.bytes = self.bytes.saturating_add(tensor.nbytes());
        }
    }

    fn json(self) -> Value {
        json!({
            "names": self.names,
            "distinct": self.distinct,
            "elements": self.elements,
            "nbytes": self.bytes,
        })
    }
}

impl Facts {
    fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let root = checkpoint.root();
        let mut facts = Self {
            container: checkpoint.container(),
            file_bytes: checkpoint.file_len(),
            protocol: checkpoint.graph().protocol(),
            kind: checkpoint.kind_of(root)?,
            root_class: checkpoint.class_of(root),
            tensors: Totals::default(),
            parameters: Totals::default(),
            buffers: Totals::default(),
            trainable: 0,
            dtypes: BTreeMap::new(),
            devices: BTreeMap::new(),
            storages: checkpoint.storages().all().len(),
            storage_bytes: checkpoint
                .storages()
                .all()
                .iter()
                .map(depickle::torch::Storage::nbytes)
                .sum(),
            shared: 0,
            globals: Globals::of(checkpoint),
            findings: checkpoint.findings().iter().map(ToString::to_string).collect(),
            errors: Vec::new(),
        };
        facts.count_tensors(checkpoint)?;
        Ok(facts)
    }

    fn count_tensors(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut views: HashMap<_, HashSet<_>> = HashMap::new();
        for entry in &checkpoint.tensors_in(checkpoint.root(), Scope::StateDict)? {
            let tensor = match entry.on(checkpoint) {
                Ok(tensor) => tensor,
                Err(why) => {
                    self.errors.push(why.to_string());
                    continue;
                }
            };
            let first = seen.insert(entry.object());
            self.tensors.add(&tensor, first);
            match entry.role() {
                Some(Role::Parameter) => self.parameters.add(&tensor, first),
                Some(Role::Buffer) => self.buffers.add(&tensor, first),
                _ => {}
            }
            if first {
                let trainable = if tensor.requires_grad() { tensor.numel() } else { 0 };
                self.trainable = self.trainable.saturating_add(trainable);
                add(&mut self.dtypes, tensor.dtype().name());
                add(&mut self.devices, tensor.device().to_owned());
                if let Some(storage) = tensor.storage() {
                    views.entry(storage).or_default().insert(entry.object());
                }
            }
        }
        self.shared = views.values().filter(|views| views.len() > 1).count();
        Ok(())
    }

    fn json(&self, path: &str) -> Value {
        json!({
            "path": path,
            "container": self.container.name(),
            "kind": self.kind.name(),
            "root_class": self.root_class,
            "file_nbytes": self.file_bytes,
            "protocol": self.protocol,
            "tensors": self.tensors.json(),
            "parameters": self.parameters.json(),
            "buffers": self.buffers.json(),
            "trainable": self.trainable,
            "dtypes": self.dtypes,
            "devices": self.devices,
            "storages": {
                "count": self.storages,
                "nbytes": self.storage_bytes,
                "shared": self.shared,
            },
            "globals": self.globals.json(),
            "findings": self.findings,
            "unreadable": self.errors,
        })
    }

    fn text(&self, path: &str) -> String {
        let mut lines = Lines(format!("{}\n", printable(path)));
        let class = self.root_class.as_deref().map_or(String::new(), |class| format!(": {class}"));
        lines.add(
            "holds",
            &format!("{}{}", holds(self.kind, self.tensors.names > 0), printable(&class)),
        );
        let file = human(self.file_bytes);
        // Where several pickles or none describe the tensors, there is no one protocol.
        let several = matches!(
            self.container,
            Container::Package
                | Container::Export
                | Container::Sharded
                | Container::Safetensors
                | Container::Distributed
        );
        let protocol =
            if several { String::new() } else { format!(", protocol {}", self.protocol) };
        lines.add("container", &format!("{}, {file}{protocol}", container(self.container)));
        lines.add("tensors", &self.tensors_line());
        if self.parameters.names > 0 {
            let (elements, bytes) = (count(self.parameters.elements), human(self.parameters.bytes));
            let trainable = count(self.trainable);
            lines.add("parameters", &format!("{elements} ({trainable} trainable), {bytes}"));
        }
        if self.tensors.names > 0 {
            lines.add("dtypes", &counts(&self.dtypes));
            lines.add("devices", &printable(&counts(&self.devices)));
            let (storages, bytes) = (count(self.storages as u64), human(self.storage_bytes));
            let shared = match self.shared {
                0 => String::new(),
                shared => format!(", {shared} shared by several tensors"),
            };
            lines.add("storages", &format!("{storages}, {bytes}{shared}"));
        }
        lines.add("globals", &self.globals.text());
        self.findings.iter().for_each(|finding| lines.add("finding", &printable(finding)));
        lines.0
    }

    fn tensors_line(&self) -> String {
        let Totals { names, distinct, bytes, .. } = self.tensors;
        let tied = match names.saturating_sub(distinct) {
            0 => String::new(),
            more => format!(" under {} names", count(distinct.saturating_add(more))),
        };
        let roles = match (self.parameters.names, self.buffers.names) {
            (0, 0) => String::new(),
            (parameters, 0) => format!(" ({parameters} parameters)"),
            (parameters, buffers) => format!(" ({parameters} parameters, {buffers} buffers)"),
        };
        format!("{}{tied}{roles}, {}", count(distinct), human(bytes))
    }
}

/// Aligned lines of facts.
struct Lines(String);

impl Lines {
    fn add(&mut self, what: &str, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "  {what:<11} {text}");
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

/// `float32 ×102, int64 ×20`, the most frequent first.
fn counts<K: AsRef<str>>(counts: &BTreeMap<K, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().map(|(key, count)| (key.as_ref(), *count)).collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    if let [(only, _)] = counts[..] {
        only.to_owned()
    } else {
        let counts: Vec<_> =
            counts.iter().map(|(key, n)| format!("{key} ×{}", count(*n))).collect();
        counts.join(", ")
    }
}

const fn holds(kind: ObjectKind, tensors: bool) -> &'static str {
    match kind {
        ObjectKind::StateDict => "a state dict",
        ObjectKind::Module => "a whole model",
        ObjectKind::Checkpoint => "a checkpoint",
        ObjectKind::Tensor => "one tensor",
        _ if tensors => "an object that holds tensors or storages",
        _ => "an object without tensors",
    }
}

const fn container(container: Container) -> &'static str {
    match container {
        Container::Zip => "zip archive as torch.save writes it",
        Container::Legacy => "pickles and storages in a row, as torch.save wrote before 1.6",
        Container::TorchScript => "TorchScript archive",
        Container::Package => "archive that torch.package wrote",
        Container::Export => "archive that torch.export.save wrote",
        Container::Tar => "tar archive, as torch.save wrote before 0.1.10",
        Container::Safetensors => "safetensors file",
        Container::Sharded => "index of several files",
        Container::Distributed => "folder that torch.distributed.checkpoint wrote",
        _ => "plain pickle",
    }
}

/// The globals a file mentions, by what the tables say of them.
struct Globals {
    total: usize,
    unknown: Vec<String>,
    forbidden: Vec<String>,
}

impl Globals {
    fn of(checkpoint: &Checkpoint) -> Self {
        let globals = checkpoint.graph().reach().filter_map(Object::as_global);
        let globals: BTreeSet<_> = globals.map(|global| (global.module, global.name)).collect();
        let mut found = Self { total: globals.len(), unknown: Vec::new(), forbidden: Vec::new() };
        for (module, name) in globals {
            let global = Global { module, name };
            if policy::models().admits(global) == Positions::NONE {
                found.forbidden.push(global.to_string());
            } else if !policy::is_whitelisted(global) {
                found.unknown.push(global.to_string());
            }
        }
        found
    }

    fn json(&self) -> Value {
        let other = self.unknown.len().saturating_add(self.forbidden.len());
        json!({
            "count": self.total,
            "whitelisted": self.total.saturating_sub(other),
            "unknown": self.unknown,
            "forbidden": self.forbidden,
        })
    }

    fn text(&self) -> String {
        let mut parts = vec![count(self.total as u64)];
        if self.unknown.is_empty() && self.forbidden.is_empty() {
            parts.push("all whitelisted".to_owned());
        }
        for (what, names) in [("FORBIDDEN", &self.forbidden), ("off the whitelist", &self.unknown)]
        {
            if !names.is_empty() {
                let shown: Vec<String> = names.iter().take(4).map(|name| printable(name)).collect();
                let more = if names.len() > 4 { ", …" } else { "" };
                parts.push(format!("{} {what} ({}{more})", names.len(), shown.join(", ")));
            }
        }
        parts.join(", ")
    }
}
