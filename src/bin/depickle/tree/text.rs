//! What `--params` and `--attrs` add to the printed tree.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;

use depickle::base::Exceeded;
use depickle::pickle::{NodeId, Object};
use depickle::python::repr::repr;
use depickle::torch::module::{Module, Style, Tally};
use depickle::torch::{Checkpoint, Entry, Error, Model};
use depickle::{Budget, Limits};
use serde_json::{Value, json};

use crate::args::Tree;
use crate::output::{count, human, printable};
use crate::show::Tensors;

/// `print(model)`, with what was asked for besides.
pub(super) fn print(checkpoint: &Checkpoint, model: Model, args: &Tree) -> Result<String, Error> {
    let style = Style::default().with_depth(args.depth);
    if !args.params && !args.attrs {
        return model.print(style);
    }
    let tallies = if args.params { model.tallies()? } else { HashMap::new() };
    // One budget for all modules: they may share attributes.
    let over = RefCell::new((Budget::new(checkpoint.limits().clone()), None));
    let remark = |module: Module| {
        let mut text = tallies.get(&module.id()).map(remark).unwrap_or_default();
        let (budget, why) = &mut *over.borrow_mut();
        if args.attrs && why.is_none() {
            match attributes(checkpoint, module, budget) {
                Ok(attributes) => {
                    for (name, value) in attributes {
                        // Writing to a string cannot fail.
                        let _ = write!(text, "\n.{} = {value}", printable(&name));
                    }
                }
                Err(exceeded) => *why = Some(exceeded),
            }
        }
        (!text.is_empty()).then_some(text)
    };
    let text = model.print_with(style, &remark)?;
    match over.into_inner().1 {
        Some(exceeded) => Err(exceeded.into()),
        None => Ok(text),
    }
}

/// A module's parameters and bytes as a comment; empty if it has no tensors.
fn remark(tally: &Tally) -> String {
    let mut parts = Vec::new();
    if tally.tensors > 0 {
        let trainable = match (tally.trainable, tally.frozen()) {
            (_, 0) => String::new(),
            (0, _) => ", frozen".to_owned(),
            (trainable, _) => format!(", {} trainable", count(trainable)),
        };
        let (parameters, bytes) = (count(tally.parameters), human(tally.parameter_bytes));
        parts.push(format!("{parameters} parameters{trainable}, {bytes}"));
    }
    if tally.buffers > 0 {
        parts.push(format!("buffers {}", human(tally.buffer_bytes)));
    }
    if tally.unknown > 0 {
        parts.push(format!("{} of unknown size", count(tally.unknown)));
    }
    if parts.is_empty() { String::new() } else { format!("# {}", parts.join("; ")) }
}

/// A tally as JSON.
pub(super) fn tally_json(tally: &Tally) -> Value {
    json!({
        "parameters": tally.parameters,
        "trainable": tally.trainable,
        "parameter_bytes": tally.parameter_bytes,
        "buffers": tally.buffers,
        "buffer_bytes": tally.buffer_bytes,
        "unknown": tally.unknown,
    })
}

/// What the tensors of a list amount to, each name counted.
#[derive(Default)]
pub(super) struct Totals {
    tensors: u64,
    elements: u64,
    pub(super) bytes: u64,
}

impl Totals {
    pub(super) fn add(&mut self, entry: &Entry) {
        self.tensors = self.tensors.saturating_add(1);
        if let Ok(tensor) = entry.tensor() {
            self.elements = self.elements.saturating_add(tensor.numel());
            self.bytes = self.bytes.saturating_add(tensor.nbytes());
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "tensors": self.tensors, "elements": self.elements, "bytes": self.bytes })
    }
}

/// Totals as a comment.
pub(super) fn total(totals: &Totals) -> String {
    let (tensors, elements) = (count(totals.tensors), count(totals.elements));
    let s = if totals.tensors == 1 { "" } else { "s" };
    format!("# {tensors} tensor{s}, {elements} elements, {}", human(totals.bytes))
}

/// What a module's author gave it, each on one line and cut where that gets long.
pub(super) fn attributes(
    checkpoint: &Checkpoint,
    module: Module,
    budget: &mut Budget,
) -> Result<Vec<(String, String)>, Exceeded> {
    let mut out = Vec::new();
    for (name, value) in module.attributes(budget)? {
        let text = short(checkpoint, value);
        let len = name.len().saturating_add(text.len()) as u64;
        budget.visits((len / 8).saturating_add(1))?;
        budget.memory(len)?;
        budget.push(&mut out, (name.into_owned(), text))?;
    }
    Ok(out)
}

/// Characters shown of one attribute.
const LONGEST: usize = 120;

/// `repr(value)` on one line, or its beginning.
fn short(checkpoint: &Checkpoint, value: Object) -> String {
    let known = Tensors(checkpoint);
    let explain = |object: Object| known.text(object);
    // Of a value that does not fit there is a beginning, which is all that is shown of it.
    let mut budget = Budget::new(Limits::default().with_memory(1 << 16).with_visits(1 << 10));
    let mut text = String::new();
    let whole = repr(value, &explain, &mut text, &mut budget).is_ok();
    let line = printable(&text);
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None if whole => line,
        None => format!("{line}…"),
    }
}

/// What the modules that were found hold: their tallies by module.
pub(super) type Tallies = HashMap<NodeId, Tally>;
