//! What a model expects: its tensors by name, in the tree of its modules.

use std::collections::{HashMap, HashSet};

use super::super::DType;
use super::super::checkpoint::Checkpoint;
use super::super::error::{Error, Fault};
use super::super::module::{self, Module, Role};
use super::super::tensor::Tensor;
use super::is_plain;
use super::rules::Rule;
use crate::base::Budget;
use crate::pickle::{NodeId, Object};
use crate::python::mapping;

/// Tensors that a model has places for: declared in Rust, or those of a whole model in a file.
///
/// Modules are a tree, as names with dots spell it: PyTorch goes through it module by module, and
/// lists what is wrong in that order.
#[derive(Clone, Debug)]
pub struct Expected {
    class: String,
    nodes: Vec<Node>,
    notes: Vec<String>,
}

/// A module of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub index: usize,
    pub slots: Vec<Slot>,
    /// With the module's path: of those that have none, nobody asks for it, and paths of all would
    /// take the square of a long name's memory.
    pub rule: Option<(String, Rule)>,
    places: HashMap<String, usize>,
    /// In order; none for a child of `None`, to which keys are handed and lost.
    children: Vec<(String, Option<usize>)>,
    by_name: HashMap<String, Option<usize>>,
}

/// A place for a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    name: String,
    dtype: Option<DType>,
    shape: Option<Vec<u64>>,
    takes: Takes,
}

/// What a place is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Elements in a row.
    Elements,
    /// A tensor of a layout of several parts.
    Parts,
    /// Whatever stands there: the class makes something of it.
    Anything,
}

impl Node {
    /// Whether it has a place of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }
}

impl Slot {
    fn new(name: &str, takes: Takes) -> Self {
        Self { name: name.to_owned(), dtype: None, shape: None, takes }
    }

    fn of(name: &str, tensor: &Tensor) -> Self {
        let takes = if is_plain(tensor) || tensor.layout() == super::Layout::Meta {
            Takes::Elements
        } else {
            Takes::Parts
        };
        let (dtype, shape) = (Some(tensor.dtype()), Some(tensor.shape().to_vec()));
        Self { name: name.to_owned(), dtype, shape, takes }
    }

    /// The key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dtype that elements are cast to; none if any will do.
    #[must_use]
    pub const fn dtype(&self) -> Option<DType> {
        self.dtype
    }

    /// Its sizes; none if any will do, as for a parameter of a lazy module.
    #[must_use]
    pub fn shape(&self) -> Option<&[u64]> {
        self.shape.as_deref()
    }

    /// Bytes of its elements, if its dtype and sizes are known and there are less than 2⁶⁴.
    #[must_use]
    pub fn nbytes(&self) -> Option<u64> {
        let width = self.dtype?.width();
        self.shape.as_ref()?.iter().try_fold(width, |bytes, size| bytes.checked_mul(*size))
    }

    pub(super) fn takes_elements(&self) -> bool {
        self.takes == Takes::Elements
    }

    pub(super) fn takes_anything(&self) -> bool {
        self.takes == Takes::Anything
    }
}

impl Expected {
    /// A model of a class (its name is only told in messages) that has nothing yet.
    #[must_use]
    pub fn new(class: &str) -> Self {
        Self { class: class.to_owned(), nodes: vec![Node::default()], notes: Vec::new() }
    }

    /// With a tensor more, behind the others. Declare them in the order of `state_dict()` to get
    /// messages in PyTorch's.
    #[must_use]
    pub fn with(self, name: &str, dtype: DType, shape: &[u64]) -> Self {
        let slot = Slot { dtype: Some(dtype), ..Slot::new(name, Takes::Elements) };
        self.slot(Slot { shape: Some(shape.to_vec()), ..slot })
    }

    /// With a tensor more, of any dtype: it will be read as it is.
    #[must_use]
    pub fn with_any(self, name: &str, shape: &[u64]) -> Self {
        let slot = Slot::new(name, Takes::Elements);
        self.slot(Slot { shape: Some(shape.to_vec()), ..slot })
    }

    /// Only the tensors of the names that `keep` wants.
    #[must_use]
    pub fn only(mut self, mut keep: impl FnMut(&str) -> bool) -> Self {
        for node in &mut self.nodes {
            node.slots.retain(|slot| keep(&slot.name));
            let names = node.slots.iter().enumerate();
            node.places = names.map(|(at, slot)| (slot.name.clone(), at)).collect();
        }
        self
    }

    fn slot(mut self, slot: Slot) -> Self {
        self.add(slot);
        self
    }

    /// Replaces the place of that name, or adds it.
    fn add(&mut self, slot: Slot) {
        let owner = slot.name.rsplit_once('.').map_or("", |(owner, _)| owner).to_owned();
        let node = self.node(&owner);
        let Some(node) = self.nodes.get_mut(node) else { return };
        if let Some(known) = node.places.get(&slot.name).and_then(|at| node.slots.get_mut(*at)) {
            *known = slot;
        } else {
            node.places.insert(slot.name.clone(), node.slots.len());
            node.slots.push(slot);
        }
    }

    /// As [`add`](Self::add), paid for.
    fn add_within(&mut self, slot: Slot, budget: &mut Budget) -> Result<(), Error> {
        let modules = slot.name.matches('.').count() as u64;
        budget.visits(modules.saturating_add(1))?;
        let names = (slot.name.len() as u64).saturating_mul(4);
        budget.memory(modules.saturating_mul(512).saturating_add(names).saturating_add(256))?;
        self.add(slot);
        Ok(())
    }

    /// The module at a path, made if there is none.
    fn node(&mut self, path: &str) -> usize {
        let mut at = 0;
        if path.is_empty() {
            return at;
        }
        for name in path.split('.') {
            at = match self.nodes.get(at).and_then(|node| node.by_name.get(name)) {
                Some(Some(child)) => *child,
                _ => self.child(at, name),
            };
        }
        at
    }

    fn child(&mut self, parent: usize, name: &str) -> usize {
        let index = self.nodes.len();
        self.register(parent, name, Some(index));
        self.nodes.push(Node { index, ..Node::default() });
        index
    }

    fn register(&mut self, parent: usize, name: &str, child: Option<usize>) {
        let Some(node) = self.nodes.get_mut(parent) else { return };
        if node.by_name.insert(name.to_owned(), child).is_none() {
            node.children.push((name.to_owned(), child));
        } else if let Some(known) = node.children.iter_mut().find(|(known, _)| known == name) {
            known.1 = child;
        }
    }

    /// What a whole model expects, or what a state dict would if it were a model's.
    ///
    /// # Errors
    /// [`Kind::NotAStateDict`](super::super::Kind::NotAStateDict) if it is neither;
    /// [`Kind::Over`](super::super::Kind::Over) if looking takes more than the limits grant.
    pub fn of(checkpoint: &Checkpoint, object: Object<'_>) -> Result<Self, Error> {
        let budget = &mut Budget::new(checkpoint.limits().clone());
        let found = match Module::view(object) {
            Some(module) => Self::of_module(checkpoint, module, budget),
            None => Self::of_weights(&super::Weights::of(checkpoint, object)?, budget),
        };
        found.map_err(|why| checkpoint.locate(object.id(), why))
    }

    fn of_weights(weights: &super::Weights, budget: &mut Budget) -> Result<Self, Error> {
        let mut expected = Self::new("Module");
        for entry in weights.entries() {
            match entry.given() {
                super::Given::Tensor(tensor) => {
                    expected.add_within(Slot::of(entry.name(), tensor), budget)?;
                }
                super::Given::Unreadable(why) => expected.unreadable(entry.name(), why, budget)?,
                super::Given::Other(_) => {}
            }
        }
        Ok(expected)
    }

    fn of_module<'graph>(
        checkpoint: &'graph Checkpoint,
        root: Module<'graph>,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let mut expected = Self::new(root.class().name());
        expected.tree(root, budget)?;
        let state = module::state_dict(root, budget)?;
        expected.notes.extend(state.notes.iter().map(ToString::to_string));
        for entry in state.entries {
            let number = || Tensor::of_number(entry.object).filter(|_| entry.role == Role::Number);
            let (name, anything) = (&*entry.name, Slot::new(&entry.name, Takes::Anything));
            let found = checkpoint.view(entry.object);
            let slot = match found {
                _ if matches!(entry.role, Role::Attribute | Role::Constant(_)) => anything,
                Some(Ok(tensor)) => Slot::of(name, &tensor),
                Some(Err(why)) if is_lazy(&why) => Slot::new(name, Takes::Elements),
                Some(Err(why)) => {
                    expected.unreadable(name, &why, budget)?;
                    continue;
                }
                None => number().map_or(anything, |tensor| Slot::of(name, &tensor)),
            };
            expected.add_within(slot, budget)?;
        }
        expected.settle_rules();
        Ok(expected)
    }

    fn unreadable(&mut self, name: &str, why: &Error, budget: &mut Budget) -> Result<(), Error> {
        self.notes.push(why.to_string());
        self.add_within(Slot::new(name, Takes::Anything), budget)
    }

    /// Every module with its children, in PyTorch's order.
    fn tree(&mut self, root: Module<'_>, budget: &mut Budget) -> Result<(), Error> {
        let mut on_path: HashSet<NodeId> = HashSet::new();
        let mut todo = vec![Step::Enter(root, 0, String::new())];
        while let Some(step) = todo.pop() {
            let (module, node, path) = match step {
                Step::Enter(module, node, path) => (module, node, path),
                Step::Leave(id) => {
                    on_path.remove(&id);
                    continue;
                }
            };
            // A module that contains itself is told of in the notes of its state dict.
            if !on_path.insert(module.id()) {
                continue;
            }
            budget.push(&mut todo, Step::Leave(module.id()))?;
            self.hooks(&path, module, budget)?;
            let rule = Rule::of(module, budget)?;
            if let Some(node) = self.nodes.get_mut(node) {
                node.rule = rule.map(|rule| (path.clone(), rule));
            }
            let first = todo.len();
            for (name, child) in module.children(budget)? {
                let below = (path.len() as u64).saturating_add(name.len() as u64);
                budget.memory(below.saturating_mul(2).saturating_add(512))?;
                budget.visits(1_u64.saturating_add(below / 64))?;
                if let Some(module) = Module::view(child) {
                    let below = join(&path, &name);
                    let child = self.child(node, &name);
                    budget.push(&mut todo, Step::Enter(module, child, below))?;
                } else {
                    self.register(node, &name, None);
                }
            }
            todo.get_mut(first..).unwrap_or_default().reverse();
        }
        Ok(())
    }

    /// Notes hooks that would change the state dict before it is loaded.
    fn hooks(&mut self, path: &str, module: Module, budget: &mut Budget) -> Result<(), Error> {
        let Some(hooks) = module.attribute("_load_state_dict_pre_hooks") else { return Ok(()) };
        for (_, hook) in mapping::pairs(hooks, budget)?.unwrap_or_default() {
            if !is_harmless(module, hook) {
                budget.memory((path.len() as u64).saturating_add(64))?;
                let path = if path.is_empty() { "the model" } else { path };
                self.notes.push(format!("{path}: a hook on loading that cannot be run"));
            }
        }
        Ok(())
    }

    fn settle_rules(&mut self) {
        for node in &mut self.nodes {
            let counts = node.slots.iter().any(|slot| slot.name.ends_with("num_batches_tracked"));
            if node.rule.as_ref().is_some_and(|(_, rule)| rule.counts()) && !counts {
                node.rule = None;
            }
        }
    }

    /// The class's name, as messages tell it.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// Its tensors, in PyTorch's order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.in_order().into_iter().flat_map(|node| &node.slots)
    }

    /// What could not be told from the file, since only code could: hooks, children of unknown
    /// form, tensors that cannot be read.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Modules, each before its children.
    pub(super) fn in_order(&self) -> Vec<&Node> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut todo = vec![0];
        while let Some(node) = todo.pop().and_then(|index| self.nodes.get(index)) {
            order.push(node);
            todo.extend(node.children.iter().rev().filter_map(|(_, child)| *child));
        }
        order
    }

    /// The module that calls a key unexpected, which is no slot's, and whether as
    /// `_extra_state`. None if a child of `None` swallows it.
    pub(super) fn refuses(&self, key: &str) -> Option<(usize, bool)> {
        let (mut at, mut rest) = (0, key);
        while let Some((name, below)) = rest.split_once('.') {
            match self.nodes.get(at)?.by_name.get(name) {
                Some(child) => (at, rest) = ((*child)?, below),
                None => return Some((at, false)),
            }
        }
        Some((at, rest == "_extra_state"))
    }
}

enum Step<'graph> {
    Enter(Module<'graph>, usize, String),
    Leave(NodeId),
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn is_lazy(why: &Error) -> bool {
    matches!(why.kind(), super::super::Kind::BadTensor(Fault::Uninitialized))
}

/// Hooks of PyTorch's own that change nothing for what it writes today: lazy modules', which
/// make parameters of the sizes that the state dict has, and those of `spectral_norm`, which
/// look for what PyTorch 0.4 wrote.
fn is_harmless(module: Module, hook: Object) -> bool {
    const KNOWN: [&str; 3] =
        ["_lazy_load_hook", "SpectralNormLoadStateDictPreHook", "_load_state_dict_pre_hook"];
    let mut found = false;
    let lazy = module.class().name().starts_with("Lazy");
    for part in hook.reach().take(32) {
        let named = |name: &str| KNOWN.contains(&name);
        found |= part
            .as_global()
            .is_some_and(|global| std::str::from_utf8(global.name).is_ok_and(named));
        found |= part.as_str().is_some_and(named);
    }
    found || lazy
}
