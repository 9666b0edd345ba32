//! The tree that the dotted names of a state dict imply.

use std::collections::HashMap;
use std::fmt::Write as _;

use depickle::torch::{Checkpoint, Entry, List};
use serde_json::json;

use super::text::{Totals, total};
use crate::output::printable;

/// Levels of dotted names; what is below stays one name.
const LEVELS: usize = 64;

/// Parts of names as folders, the root first, each before those in it.
pub(super) struct Names<'list> {
    pub(super) folders: Vec<Folder<'list>>,
}

pub(super) struct Folder<'list> {
    pub(super) name: &'list str,
    pub(super) parent: Option<usize>,
    children: Vec<Child<'list>>,
    totals: Totals,
}

enum Child<'list> {
    Folder(usize),
    Tensor(&'list str, &'list Entry),
}

impl<'list> Names<'list> {
    /// Of a list's names, split into so many levels below the root at most.
    pub(super) fn new(list: &'list List, depth: Option<usize>) -> Self {
        let levels = depth.map_or(LEVELS, |depth| depth.saturating_add(1).min(LEVELS));
        let root = Folder { name: "", parent: None, children: vec![], totals: Totals::default() };
        let mut names = Self { folders: vec![root] };
        let mut known: HashMap<(usize, &str), usize> = HashMap::new();
        for entry in list {
            let mut parts: Vec<&str> = entry.name().splitn(levels, '.').collect();
            let leaf = parts.pop().unwrap_or_default();
            let mut at = 0;
            names.count(at, entry);
            for part in parts {
                let next = *known.entry((at, part)).or_insert_with(|| names.add(at, part));
                at = next;
                names.count(at, entry);
            }
            names.put(at, Child::Tensor(leaf, entry));
        }
        names
    }

    fn add(&mut self, parent: usize, name: &'list str) -> usize {
        let new = self.folders.len();
        self.put(parent, Child::Folder(new));
        let totals = Totals::default();
        self.folders.push(Folder { name, parent: Some(parent), children: vec![], totals });
        new
    }

    fn put(&mut self, at: usize, child: Child<'list>) {
        if let Some(folder) = self.folders.get_mut(at) {
            folder.children.push(child);
        }
    }

    fn count(&mut self, at: usize, entry: &Entry) {
        if let Some(folder) = self.folders.get_mut(at) {
            folder.totals.add(entry);
        }
    }

    /// Tensors with their folders and the last parts of their names.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (usize, &'list str, &'list Entry)> {
        self.folders.iter().enumerate().flat_map(|(at, folder)| {
            folder.children.iter().filter_map(move |child| match child {
                Child::Tensor(name, entry) => Some((at, *name, *entry)),
                Child::Folder(_) => None,
            })
        })
    }

    /// Bytes of all tensors in a folder and those in it.
    pub(super) const fn bytes(folder: &Folder) -> u64 {
        folder.totals.bytes
    }

    /// Calls `each` for what is in the root and below, depth first, with its level: a tensor or
    /// the opening of a folder; `None` where one closes.
    fn walk(&self, mut each: impl FnMut(usize, Option<&Child<'list>>)) {
        let Some(root) = self.folders.first() else { return };
        let mut open = vec![root.children.iter()];
        while let Some(rest) = open.last_mut() {
            let Some(child) = rest.next() else {
                open.pop();
                if !open.is_empty() {
                    each(open.len().saturating_sub(1), None);
                }
                continue;
            };
            each(open.len().saturating_sub(1), Some(child));
            if let Child::Folder(folder) = child {
                open.extend(self.folders.get(*folder).map(|folder| folder.children.iter()));
            }
        }
    }

    /// A level of dots a level of indentation.
    pub(super) fn text(&self, checkpoint: &Checkpoint, params: bool) -> String {
        let mut out = String::new();
        if let (true, Some(root)) = (params, self.folders.first()) {
            out.push_str(&total(&root.totals));
            out.push('\n');
        }
        self.walk(|level, child| {
            let line = match child {
                Some(Child::Folder(folder)) => {
                    let Some(folder) = self.folders.get(*folder) else { return };
                    let totals = if params { total(&folder.totals) } else { String::new() };
                    [&*printable(folder.name), if params { "  " } else { "" }, &*totals].concat()
                }
                Some(Child::Tensor(name, entry)) => {
                    let what = match entry.on(checkpoint) {
                        Ok(tensor) => {
                            format!("{} {}", tensor.dtype(), crate::tensor::list(tensor.shape()))
                        }
                        Err(why) => format!("unreadable: {why}"),
                    };
                    format!("{}  {}", printable(name), printable(&what))
                }
                None => return,
            };
            out.extend(std::iter::repeat_n("  ", level));
            out.push_str(&line);
            out.push('\n');
        });
        out
    }

    /// The root of `tree --json`: folders with their children, tensors as in `ls --json`.
    pub(super) fn json(&self, checkpoint: &Checkpoint, params: bool) -> String {
        let mut out = "{\"name\":\"\",".to_owned();
        let totals = |folder: Option<&Folder>| match folder {
            Some(folder) if params => format!("\"totals\":{},", folder.totals.json()),
            _ => String::new(),
        };
        out.push_str(&totals(self.folders.first()));
        out.push_str("\"children\":[");
        let mut first = true;
        self.walk(|_, child| {
            let Some(child) = child else {
                out.push_str("]}");
                first = false;
                return;
            };
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            match child {
                Child::Folder(at) => {
                    let folder = self.folders.get(*at);
                    let name = json!(folder.map(|folder| folder.name));
                    let totals = totals(folder);
                    // Writing to a string cannot fail.
                    let _ = write!(out, "{{\"name\":{name},{totals}\"children\":[");
                    first = true;
                }
                Child::Tensor(name, entry) => {
                    let tensor = match entry.on(checkpoint) {
                        Ok(tensor) => crate::tensor::value(checkpoint, &tensor),
                        Err(why) => json!({ "error": why.to_string() }),
                    };
                    out.push_str(&json!({ "name": name, "tensor": tensor }).to_string());
                }
            }
        });
        out.push_str("]}");
        out
    }
}
