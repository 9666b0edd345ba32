//! What is no tensor: numbers, texts and whatever holds them, by path.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use depickle::pickle::{Items, NodeId, Object, Recipe, Value};
use depickle::python::{mapping, repr};
use depickle::torch::{Checkpoint, Error, ObjectKind};
use depickle::{Budget, torch};

use super::side::Side;
use super::{Diff, Found};
use crate::output::note;

/// A value that is not the same on both sides.
pub(super) struct Difference {
    pub path: String,
    /// As Python prints it; none where there is none.
    pub left: Option<String>,
    pub right: Option<String>,
}

pub(super) fn compare(
    args: &Diff,
    left: &Side,
    right: &Side,
    found: &mut Found,
) -> Result<(), Error> {
    let nothing = left.kind == ObjectKind::Object && right.kind == ObjectKind::Object;
    if nothing && !args.all {
        note("no tensors in either: all values are compared");
    }
    found.plain = args.all || nothing;
    if !found.plain {
        return Ok(());
    }
    let (one, other) = (leaves(left)?, leaves(right)?);
    let mut by_path: HashMap<&str, &Leaf> = HashMap::new();
    for (path, leaf) in &other {
        by_path.insert(path, leaf);
    }
    for (path, leaf) in &one {
        match by_path.remove(path.as_str()) {
            Some(other) if leaf == other => {}
            other => found.objects.push(Difference {
                path: path.clone(),
                left: Some(leaf.text()),
                right: other.map(Leaf::text),
            }),
        }
    }
    for (path, leaf) in &other {
        if by_path.contains_key(path.as_str()) {
            let (path, right) = (path.clone(), Some(leaf.text()));
            found.objects.push(Difference { path, left: None, right });
        }
    }
    Ok(())
}

/// A value without parts.
#[derive(PartialEq)]
enum Leaf<'file> {
    Text(String),
    Bytes(&'file [u8]),
}

impl Leaf<'_> {
    /// As Python prints it; of long bytes how many, and what tells them apart.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => {
                use sha2::{Digest, Sha256};
                let hash = Sha256::digest(bytes);
                let hash = hash.iter().take(4).map(|byte| format!("{byte:02x}"));
                format!("<{} bytes, sha256 {}…>", bytes.len(), hash.collect::<String>())
            }
        }
    }
}

/// Bytes of which no more are shown than their count.
const SHOWN: usize = 64;

/// Every value that is no tensor, by path, in the order of the file.
fn leaves<'file>(side: &Side<'file>) -> Result<Vec<(String, Leaf<'file>)>, Error> {
    let budget = Budget::new(side.checkpoint.limits().clone());
    let mut walk = Walk {
        checkpoint: side.checkpoint,
        budget,
        found: Vec::new(),
        todo: Vec::new(),
        on_path: HashSet::new(),
    };
    walk.todo.push(Step::Enter(side.object, String::new()));
    while let Some(step) = walk.todo.pop() {
        match step {
            Step::Enter(object, path) => walk.enter(object, path)?,
            Step::Leave(id) => {
                walk.on_path.remove(&id);
            }
        }
    }
    Ok(walk.found)
}

enum Step<'file> {
    Enter(Object<'file>, String),
    Leave(NodeId),
}

struct Walk<'file> {
    checkpoint: &'file Checkpoint,
    budget: Budget,
    found: Vec<(String, Leaf<'file>)>,
    todo: Vec<Step<'file>>,
    on_path: HashSet<NodeId>,
}

impl<'file> Walk<'file> {
    fn enter(&mut self, object: Object<'file>, path: String) -> Result<(), Error> {
        self.budget.visits(1)?;
        self.budget.memory(path.len() as u64)?;
        if self.checkpoint.view(object).is_some() || self.checkpoint.storage_of(object).is_some() {
            return Ok(());
        }
        if !self.on_path.insert(object.id()) && has_parts(object) {
            return self.leaf(path, Leaf::Text("<it holds itself>".to_owned()));
        }
        self.todo.push(Step::Leave(object.id()));
        let first = self.todo.len();
        match object.value() {
            Value::Bytes(bytes) | Value::ByteArray(bytes) if bytes.len() > SHOWN => {
                self.leaf(path, Leaf::Bytes(bytes))?;
            }
            Value::List(items) | Value::Tuple(items) => {
                self.leaf(
                    path.clone(),
                    Leaf::Text(format!("<{} of {}>", object.kind(), items.len())),
                )?;
                self.items(items.iter(), &path)?;
            }
            Value::Set(items) | Value::FrozenSet(items) => self.set(object, items, path)?,
            Value::Dict(_) => {
                let pairs = mapping::pairs(object, &mut self.budget)?.unwrap_or_default();
                if pairs.is_empty() {
                    self.leaf(path.clone(), Leaf::Text("{}".to_owned()))?;
                }
                self.pairs(pairs, &path)?;
            }
            Value::Recipe(recipe) => self.recipe(object, recipe, path)?,
            Value::Persistent(id) => self.child(id, &path, "persistent_id")?,
            _ => {
                let text = self.repr(object)?;
                self.leaf(path, Leaf::Text(text))?;
            }
        }
        self.todo.get_mut(first..).unwrap_or_default().reverse();
        Ok(())
    }

    /// An object in one line, if that tells all of it; else its class and its parts.
    fn recipe(
        &mut self,
        object: Object<'file>,
        recipe: Recipe<'file>,
        path: String,
    ) -> Result<(), Error> {
        let pairs = mapping::pairs(object, &mut self.budget)?.unwrap_or_default();
        if pairs.is_empty() && recipe.state().is_none() && recipe.appended().next().is_none() {
            let text = self.repr(object)?;
            // What `repr` cannot tell of, it writes so.
            if !text.contains(" object>") && !text.contains("Tensor(") {
                return self.leaf(path, Leaf::Text(text));
            }
        }
        let class = self.checkpoint.class_of(object).unwrap_or_default();
        self.leaf(path.clone(), Leaf::Text(format!("<{class}>")))?;
        // Pairs that a call is given are those of the mapping.
        let given = !pairs.is_empty() && recipe.set_items().next().is_none();
        if let (Some(args), false) = (recipe.args().items(), given) {
            self.items(args.iter(), &joined(&path, "args"))?;
        }
        if let Some(kwargs) = recipe.kwargs() {
            self.child(kwargs, &path, "kwargs")?;
        }
        self.pairs(pairs, &path)?;
        self.items(recipe.appended(), &path)?;
        if let Some(state) = recipe.state() {
            match mapping::pairs(state, &mut self.budget)? {
                Some(attributes) => self.pairs(attributes, &path)?,
                None => self.child(state, &path, "state")?,
            }
        }
        Ok(())
    }

    /// Sets have no order.
    fn set(
        &mut self,
        object: Object<'file>,
        items: Items<'file>,
        path: String,
    ) -> Result<(), Error> {
        let mut texts = Vec::new();
        for item in items.iter() {
            self.budget.visits(1)?;
            texts.push(self.repr(item)?);
        }
        texts.sort_unstable();
        self.leaf(path, Leaf::Text(format!("{}({{{}}})", object.kind(), texts.join(", "))))
    }

    fn pairs(
        &mut self,
        pairs: Vec<(Object<'file>, Object<'file>)>,
        path: &str,
    ) -> Result<(), Error> {
        for (key, value) in pairs {
            let name = match key.as_str() {
                Some(name) => Cow::Borrowed(name),
                None => Cow::Owned(self.repr(key)?),
            };
            self.child(value, path, &name)?;
        }
        Ok(())
    }

    fn items(
        &mut self,
        items: impl Iterator<Item = Object<'file>>,
        path: &str,
    ) -> Result<(), Error> {
        for (index, item) in items.enumerate() {
            self.child(item, path, &index.to_string())?;
        }
        Ok(())
    }

    fn child(&mut self, child: Object<'file>, path: &str, name: &str) -> Result<(), Error> {
        let path = joined(path, name);
        self.budget.visits(1)?;
        self.budget.memory(path.len() as u64)?;
        self.budget.push(&mut self.todo, Step::Enter(child, path))?;
        Ok(())
    }

    fn leaf(&mut self, path: String, leaf: Leaf<'file>) -> Result<(), Error> {
        self.budget.push(&mut self.found, (path, leaf))?;
        Ok(())
    }

    fn repr(&mut self, object: Object<'file>) -> Result<String, Error> {
        let mut text = String::new();
        let tensor = |object| {
            self.checkpoint.view(object).map(|found: Result<torch::Tensor, _>| match found {
                Ok(tensor) => {
                    format!(
                        "Tensor({}, {})",
                        crate::tensor::kind(&tensor),
                        crate::tensor::shape(&tensor)
                    )
                }
                Err(_) => "Tensor(?)".to_owned(),
            })
        };
        repr::repr(object, &tensor, &mut text, &mut self.budget)?;
        Ok(text)
    }
}

fn has_parts(object: Object) -> bool {
    let mut any = false;
    object.each_child(|_| any = true);
    any
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
