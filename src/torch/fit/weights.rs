//! The weights: what a state dict maps keys to, and the versions it tells.

use std::collections::HashMap;

use super::super::checkpoint::Checkpoint;
use super::super::error::{Error, Kind};
use super::super::module::{self, Class, Module, Role, name_of};
use super::super::read::TensorRef;
use super::super::tensor::Tensor;
use crate::base::Budget;
use crate::pickle::{Object, Recipe, Value};
use crate::python::mapping;

/// What is to be loaded: keys in order, and what stands under each.
#[derive(Debug)]
pub struct Weights<'file> {
    checkpoint: &'file Checkpoint,
    entries: Vec<Entry>,
    versions: Versions,
}

/// Versions of the modules that were saved, by their paths: `state_dict._metadata`.
#[derive(Debug)]
enum Versions {
    /// The weights are those of a whole model, whose classes are today's.
    Current,
    Told(HashMap<String, i64>),
}

/// A key of the weights.
#[derive(Debug)]
pub struct Entry {
    name: String,
    given: Given,
}

/// What stands under a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum Given {
    /// A tensor.
    Tensor(Box<Tensor>),
    /// A tensor that cannot be read.
    Unreadable(Error),
    /// Something else; its type as Python prints it.
    Other(String),
}

impl<'file> Weights<'file> {
    /// The state dict that an object of a checkpoint is, or that of a whole model.
    ///
    /// ```
    /// use depickle::torch::{Checkpoint, Weights};
    ///
    /// let checkpoint = Checkpoint::open("tests/fixtures/checkpoint.pth")?;
    /// let weights = Weights::of(&checkpoint, checkpoint.at("model_state_dict")?)?;
    /// assert_eq!(weights.entries()[0].name(), "first.weight");
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Kind::NotAStateDict`], or [`Kind::Over`] if looking takes more than the limits grant.
    pub fn of(checkpoint: &'file Checkpoint, object: Object<'file>) -> Result<Self, Error> {
        let budget = &mut Budget::new(checkpoint.limits().clone());
        let found = match Module::view(object) {
            Some(module) => Self::of_module(checkpoint, module, budget),
            None => Self::of_mapping(checkpoint, object, budget),
        };
        found.map_err(|why| checkpoint.locate(object.id(), why))
    }

    fn of_module(
        checkpoint: &'file Checkpoint,
        module: Module<'file>,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let mut entries = Vec::new();
        for entry in module::state_dict(module, budget)?.entries {
            let number = || Tensor::of_number(entry.object).filter(|_| entry.role == Role::Number);
            let given = match number() {
                Some(tensor) => Given::Tensor(Box::new(tensor)),
                None => given(checkpoint, entry.object),
            };
            budget.push(&mut entries, Entry { name: entry.name, given })?;
        }
        Ok(Self { checkpoint, entries, versions: Versions::Current })
    }

    fn of_mapping(
        checkpoint: &'file Checkpoint,
        object: Object<'file>,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let object = checkpoint.storages().stand_in(object).unwrap_or(object);
        let Some(pairs) = mapping::pairs(object, budget)?.filter(|_| is_mapping(object)) else {
            return Err(Error::new(Kind::NotAStateDict(type_of(object))).at(object.offset()));
        };
        let mut entries = Vec::new();
        for (key, value) in pairs {
            let name = name_of(key).into_owned();
            budget.memory(name.len() as u64)?;
            budget.push(&mut entries, Entry { name, given: given(checkpoint, value) })?;
        }
        let versions = Versions::Told(versions(object, budget)?);
        Ok(Self { checkpoint, entries, versions })
    }

    /// Under other names, or without those for which there is none. Where a name changes,
    /// versions are forgotten, as a dict loses them that is made of another's items in Python.
    #[must_use]
    pub fn renamed(mut self, mut name: impl FnMut(&str) -> Option<String>) -> Self {
        let mut changed = false;
        self.entries.retain_mut(|entry| {
            let Some(new) = name(&entry.name) else { return false };
            changed |= new != entry.name;
            entry.name = new;
            true
        });
        if changed {
            self.versions = Versions::Told(HashMap::new());
        }
        self
    }

    /// All of them, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where they are from.
    #[must_use]
    pub const fn checkpoint(&self) -> &'file Checkpoint {
        self.checkpoint
    }

    /// Whether a module at a path was saved by a class of at least this version; false if the
    /// weights do not tell.
    pub(super) fn is_since(&self, path: &str, version: i64) -> bool {
        match &self.versions {
            Versions::Current => true,
            Versions::Told(versions) => versions.get(path).is_some_and(|it| *it >= version),
        }
    }

    pub(super) fn read<'fit>(
        &'fit self,
        entry: &'fit Entry,
        tensor: &'fit Tensor,
    ) -> TensorRef<'fit> {
        TensorRef::new(self.checkpoint, &entry.name, tensor)
    }

    pub(super) fn keys(&self) -> Keys {
        let names = self.entries.iter().map(|entry| Some(entry.name.clone())).collect();
        let mut keys = Keys { names, by_name: HashMap::new() };
        for (index, entry) in self.entries.iter().enumerate() {
            keys.by_name.insert(entry.name.clone(), (index, index));
        }
        keys
    }
}

impl Entry {
    /// Its key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands there.
    #[must_use]
    pub const fn given(&self) -> &Given {
        &self.given
    }
}

fn given(checkpoint: &Checkpoint, object: Object) -> Given {
    match checkpoint.view(object) {
        Some(Ok(tensor)) => Given::Tensor(Box::new(tensor)),
        Some(Err(why)) => Given::Unreadable(why),
        None => Given::Other(type_of(object)),
    }
}

/// Whether Python would call it a `Mapping`: a dict, or what was filled or called like one.
fn is_mapping(object: Object) -> bool {
    object.as_dict().is_some()
        || object.as_recipe().is_some_and(|recipe| {
            let class = Class::of(recipe);
            recipe.set_items().next().is_some()
                || (class.module() == "collections" && class.name().ends_with("ict"))
        })
}

/// `_metadata`: path → {"version": n, …}.
fn versions(object: Object, budget: &mut Budget) -> Result<HashMap<String, i64>, Error> {
    let mut found = HashMap::new();
    let state = object.as_recipe().and_then(Recipe::state);
    let Some(state) = state else { return Ok(found) };
    let pairs = mapping::pairs(state, budget)?.unwrap_or_default();
    let metadata = pairs.into_iter().find(|(key, _)| key.is_text("_metadata"));
    let Some((_, metadata)) = metadata else { return Ok(found) };
    for (path, facts) in mapping::pairs(metadata, budget)?.unwrap_or_default() {
        let facts = mapping::pairs(facts, budget)?.unwrap_or_default();
        let version = facts.into_iter().find(|(key, _)| key.is_text("version"));
        if let (Some(path), Some(version)) = (path.as_str(), version.and_then(|it| it.1.as_int())) {
            budget.memory(path.len() as u64)?;
            found.insert(path.to_owned(), version);
        }
    }
    Ok(found)
}

/// The type of an object, as Python prints it: `<class 'int'>`.
fn type_of(object: Object) -> String {
    let name = match object.value() {
        Value::None => "NoneType".to_owned(),
        Value::Recipe(recipe) => Class::of(recipe).to_string(),
        Value::Global(_) => "type".to_owned(),
        _ => object.kind().to_owned(),
    };
    format!("<class '{name}'>")
}

/// Keys as loading changes them: classes rename or drop some before they look.
pub(super) struct Keys {
    /// In order; none where one was dropped.
    names: Vec<Option<String>>,
    /// Place among the names, and place among the entries.
    by_name: HashMap<String, (usize, usize)>,
}

impl Keys {
    /// Which entry stands under a key.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).map(|(_, entry)| *entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(Option::as_deref)
    }

    /// `state_dict.pop(name, None)`
    pub(super) fn remove(&mut self, name: &str) -> Option<usize> {
        let (place, entry) = self.by_name.remove(name)?;
        if let Some(name) = self.names.get_mut(place) {
            *name = None;
        }
        Some(entry)
    }

    /// `if old in state_dict: state_dict[new] = state_dict.pop(old)`
    pub(super) fn rename(&mut self, old: &str, new: String) {
        let Some(entry) = self.remove(old) else { return };
        let place = self.by_name.get(&new).map_or(self.names.len(), |(place, _)| *place);
        if place == self.names.len() {
            self.names.push(Some(new.clone()));
        }
        self.by_name.insert(new, (place, entry));
    }
}
