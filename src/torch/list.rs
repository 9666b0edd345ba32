//! Every tensor of a checkpoint, by name.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::checkpoint::Checkpoint;
use super::error::{Error, Fault, Kind, Located};
use super::module::{self, Module, Role};
use super::read::TensorRef;
use super::storage::Storages;
use super::tensor::Tensor;
use crate::base::Budget;
use crate::pickle::{Items, NodeId, Object, Recipe, Value};
use crate::python::mapping;

/// Which tensors of modules are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of `state_dict()`.
    #[default]
    StateDict,
    /// Non-persistent buffers, and tensors that modules hold otherwise, as well.
    All,
}

/// One tensor of a list.
#[derive(Debug)]
pub struct Entry {
    name: Box<str>,
    object: NodeId,
    role: Option<Role>,
    tensor: Result<Tensor, Located>,
}

impl Entry {
    /// Keys and indices that lead to it, joined by dots.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is to its module, if it is in one; for others, whether it is a parameter.
    #[must_use]
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// The object in the graph.
    #[must_use]
    pub const fn object(&self) -> NodeId {
        self.object
    }

    /// The view.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn tensor(&self) -> Result<&Tensor, Error> {
        self.tensor
            .as_ref()
            .map_err(|(fault, at)| Error::fault(fault.clone(), *at).in_tensor(&self.name))
    }

    /// The view with the means to read it; `checkpoint` is the one that was listed.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn on<'file>(
        &'file self,
        checkpoint: &'file Checkpoint,
    ) -> Result<TensorRef<'file>, Error> {
        let tensor = self.tensor().map_err(|why| checkpoint.locate(self.object, why))?;
        Ok(TensorRef::new(checkpoint, &self.name, tensor))
    }
}

/// Tensors in the order of the file. A tensor with several names is listed under each.
#[derive(Debug, Default)]
pub struct List {
    entries: Vec<Entry>,
    /// Where each name stands; none if several tensors have it.
    by_name: OnceLock<HashMap<Box<str>, Option<usize>>>,
}

impl List {
    /// Those of several objects, each under a name; the root has none.
    pub(crate) fn of<'graph>(
        roots: impl Iterator<Item = (&'graph str, Object<'graph>)>,
        storages: &Storages,
        scope: Scope,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let mut walk = Walk {
            storages,
            scope,
            budget,
            entries: Vec::new(),
            todo: Vec::new(),
            paths: Vec::new(),
            on_path: HashSet::new(),
        };
        for (name, object) in roots {
            walk.run(name, object)?;
        }
        Ok(Self { entries: walk.entries, by_name: OnceLock::new() })
    }

    /// All of them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`Kind::NoSuchTensor`] or [`Kind::AmbiguousName`].
    pub fn find(&self, name: &str) -> Result<&Entry, Error> {
        let by_name = self.by_name.get_or_init(|| {
            let mut by_name = HashMap::with_capacity(self.entries.len());
            for (index, entry) in self.entries.iter().enumerate() {
                let several = by_name.insert(entry.name.clone(), Some(index)).is_some();
                if several {
                    by_name.insert(entry.name.clone(), None);
                }
            }
            by_name
        });
        match by_name.get(name) {
            Some(Some(index)) => self.entries.get(*index),
            Some(None) => return Err(Error::new(Kind::AmbiguousName(name.into()))),
            None => None,
        }
        .ok_or_else(|| Error::new(Kind::NoSuchTensor(name.into())))
    }
}

impl<'list> IntoIterator for &'list List {
    type Item = &'list Entry;
    type IntoIter = std::slice::Iter<'list, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

enum Step<'graph> {
    Enter(Object<'graph>, PathId),
    Leave(NodeId),
}

/// Names a path of the walk.
type PathId = usize;

/// One component of a path, and the path before it. Names are only put together where a
/// tensor is found, so that depth costs nothing else.
struct Path<'graph> {
    before: Option<PathId>,
    component: Component<'graph>,
}

enum Component<'graph> {
    /// Of a mapping, and its place there.
    Key(Object<'graph>, usize),
    Index(usize),
    Name(String),
    /// The state of an object: its entries are the object's.
    State,
}

impl Component<'_> {
    /// Its part of a name, if it has one.
    fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Key(key, place) => Some(module::key_name(*key, *place)),
            Self::Index(index) => Some(index.to_string().into()),
            Self::Name(name) => Some(name.as_str().into()),
            Self::State => None,
        }
    }
}

/// A walk over paths: what is reached twice is listed twice, so it spends visits.
struct Walk<'graph, 'run> {
    storages: &'run Storages,
    scope: Scope,
    budget: &'run mut Budget,
    entries: Vec<Entry>,
    todo: Vec<Step<'graph>>,
    paths: Vec<Path<'graph>>,
    /// Containers being walked: what leads back to one of them is a cycle.
    on_path: HashSet<NodeId>,
}

impl<'graph> Walk<'graph, '_> {
    fn run(&mut self, name: &str, root: Object<'graph>) -> Result<(), Error> {
        let component = match name {
            "" => Component::State,
            _ => Component::Name(name.to_owned()),
        };
        let path = self.paths.len();
        self.budget.push(&mut self.paths, Path { before: None, component })?;
        self.enter(root, path)?;
        while let Some(step) = self.todo.pop() {
            match step {
                Step::Enter(object, path) => self.enter(object, path)?,
                Step::Leave(id) => {
                    self.on_path.remove(&id);
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, object: Object<'graph>, path: PathId) -> Result<(), Error> {
        self.budget.visits(1)?;
        if let Some(tensor) = Tensor::view(object, self.storages) {
            let parameter = tensor.as_ref().is_ok_and(Tensor::is_parameter);
            let name = self.name(path)?;
            return self.add(object, name, parameter.then_some(Role::Parameter), tensor);
        }
        if let Some(storage) = self.storages.view(object) {
            let name = self.name(path)?;
            return self.add(object, name, Some(Role::Storage), storage);
        }
        let object = self.storages.stand_in(object).unwrap_or(object);
        if let Some(module) = Module::view(object) {
            return self.module(module, path);
        }
        self.children(object, path)
    }

    fn add(
        &mut self,
        object: Object,
        name: String,
        role: Option<Role>,
        tensor: Result<Tensor, Located>,
    ) -> Result<(), Error> {
        self.budget.memory(name.len() as u64)?;
        let entry = Entry { name: name.into(), object: object.id(), role, tensor };
        Ok(self.budget.push(&mut self.entries, entry)?)
    }

    /// Components joined by dots.
    fn name(&mut self, path: PathId) -> Result<String, Error> {
        let mut next = Some(path);
        let mut components = std::iter::from_fn(|| {
            let path = self.paths.get(next?)?;
            next = path.before;
            Some(&path.component)
        })
        .filter_map(Component::text);
        let Some(last) = components.next() else { return Ok(String::new()) };
        let Some(before) = components.next() else {
            self.budget.visits(1)?;
            return Ok(last.into_owned());
        };
        let mut all: Vec<_> = [last, before].into_iter().chain(components).collect();
        self.budget.visits(all.len() as u64)?;
        all.reverse();
        Ok(all.join("."))
    }

    /// Lists what `module.state_dict()` has, and with [`Scope::All`] what else it holds.
    fn module(&mut self, module: Module<'graph>, path: PathId) -> Result<(), Error> {
        let prefix = self.name(path)?;
        let mut known: HashSet<NodeId> = HashSet::new();
        for entry in module::state_dict(module, self.budget)?.entries {
            known.insert(entry.object.id());
            // Classes may add what is no tensor to their state dicts.
            let other = matches!(entry.role, Role::Attribute | Role::Constant(_));
            if !other || Tensor::view(entry.object, self.storages).is_some() {
                self.member(entry.object, join(&prefix, &entry.name), entry.role)?;
            }
        }
        if self.scope == Scope::StateDict || !self.on_path.insert(module.id()) {
            return Ok(());
        }
        self.todo.push(Step::Leave(module.id()));
        for (name, buffer) in module::named_buffers(module, self.budget)? {
            if known.insert(buffer.id()) {
                self.member(buffer, join(&prefix, &name), Role::Buffer)?;
            }
        }
        for (name, module) in module::named_modules(module, self.budget)? {
            for (attribute, object) in module.attributes(self.budget)? {
                // TorchScript keeps children among the attributes.
                let child = module.is_script() && Module::view(object).is_some();
                if !child && !known.contains(&object.id()) {
                    self.child(object, path, Component::Name(join(&name, &attribute)))?;
                }
            }
        }
        Ok(())
    }

    fn member(&mut self, object: Object, name: String, role: Role) -> Result<(), Error> {
        let number = || Tensor::of_number(object).filter(|_| role == Role::Number).map(Ok);
        let tensor = Tensor::view(object, self.storages).or_else(number).unwrap_or_else(|| {
            let what = format!("a {} in the place of a tensor", object.kind());
            Err((Fault::Unsupported(what.into()), object.offset()))
        });
        self.add(object, name, Some(role), tensor)
    }

    /// Puts what a container or object holds on the stack, the first one on top.
    fn children(&mut self, object: Object<'graph>, path: PathId) -> Result<(), Error> {
        if !self.on_path.insert(object.id()) {
            return Ok(());
        }
        self.todo.push(Step::Leave(object.id()));
        let first = self.todo.len();
        let pairs = mapping::pairs(object, self.budget)?.unwrap_or_default();
        self.expect(pairs.iter().filter(|(_, child)| holds(*child)).count())?;
        let recipe = object.as_recipe();
        // Pairs that a call is given are what it is given.
        let given = !pairs.is_empty() && recipe.is_some_and(|it| it.set_items().next().is_none());
        for (place, (key, child)) in pairs.into_iter().enumerate() {
            self.child(child, path, Component::Key(key, place))?;
        }
        let args = recipe.filter(|_| !given).and_then(|recipe| recipe.args().as_tuple());
        let items = object.items().or(args);
        let appended = recipe.into_iter().flat_map(Recipe::appended);
        for (index, child) in items.into_iter().flat_map(Items::iter).chain(appended).enumerate() {
            self.child(child, path, Component::Index(index))?;
        }
        if let Some(state) = recipe.and_then(Recipe::state) {
            self.child(state, path, Component::State)?;
        }
        self.todo.get_mut(first..).unwrap_or_default().reverse();
        Ok(())
    }

    /// Makes room for so many children, each a tensor as a rule: growing would touch pages twice.
    fn expect(&mut self, children: usize) -> Result<(), Error> {
        self.budget.reserve(&mut self.paths, children)?;
        self.budget.reserve(&mut self.todo, children)?;
        Ok(self.budget.reserve(&mut self.entries, children)?)
    }

    /// Remembers to look at `child`, if it may hold tensors.
    fn child(
        &mut self,
        child: Object<'graph>,
        before: PathId,
        component: Component<'graph>,
    ) -> Result<(), Error> {
        self.budget.visits(1)?;
        if holds(child) {
            let path = self.paths.len();
            self.budget.push(&mut self.paths, Path { before: Some(before), component })?;
            self.budget.push(&mut self.todo, Step::Enter(child, path))?;
        }
        Ok(())
    }
}

/// Whether there is anything in an object.
fn holds(object: Object) -> bool {
    matches!(
        object.value(),
        Value::Tuple(_)
            | Value::List(_)
            | Value::Set(_)
            | Value::FrozenSet(_)
            | Value::Dict(_)
            | Value::Recipe(_)
            | Value::Persistent(_)
    )
}

fn join(prefix: &str, key: &str) -> String {
    match prefix {
        "" => key.to_owned(),
        _ => format!("{prefix}.{key}"),
    }
}

/// The object at a path of keys and indices joined by dots. Keys may hold dots themselves:
/// the longest that is there counts.
pub(crate) fn at<'graph>(
    root: Object<'graph>,
    path: &str,
    budget: &mut Budget,
) -> Result<Object<'graph>, Error> {
    let missing = || Error::new(Kind::NoSuchKey(path.into()));
    let (mut object, mut rest) = (root, path);
    while !rest.is_empty() {
        let (child, left) = step_into(object, rest, budget)?.ok_or_else(missing)?;
        (object, rest) = (child, left);
    }
    Ok(object)
}

/// The child that the front of `path` leads to, and what is left of the path.
fn step_into<'graph, 'path>(
    object: Object<'graph>,
    path: &'path str,
    budget: &mut Budget,
) -> Result<Option<(Object<'graph>, &'path str)>, Error> {
    let mut found: Option<(Object, &str)> = None;
    let mut offer = |key: &str, child| {
        let left = match path.strip_prefix(key) {
            Some("") => "",
            Some(left) => match left.strip_prefix('.') {
                Some(left) => left,
                None => return,
            },
            None => return,
        };
        if found.is_none_or(|(_, other)| left.len() < other.len()) {
            found = Some((child, left));
        }
    };
    if let Some(module) = Module::view(object) {
        for part in [module.children(budget)?, module.parameters(budget)?, module.buffers(budget)?]
        {
            for (name, child) in part {
                offer(&name, child);
            }
        }
        for (name, child) in module.attributes(budget)? {
            offer(&name, child);
        }
    }
    let pairs = mapping::pairs(object, budget)?.unwrap_or_default();
    for (place, (key, child)) in pairs.into_iter().enumerate() {
        offer(&module::key_name(key, place), child);
    }
    let recipe = object.as_recipe();
    if let Some(state) = recipe.and_then(Recipe::state) {
        let pairs = mapping::pairs(state, budget)?.unwrap_or_default();
        for (place, (key, child)) in pairs.into_iter().enumerate() {
            offer(&module::key_name(key, place), child);
        }
    }
    let items = object.items().or_else(|| recipe?.args().as_tuple());
    let index = path.split('.').next().unwrap_or(path);
    let item = index.parse().ok().and_then(|index| items?.get(index));
    if let Some(item) = item {
        offer(index, item);
    }
    Ok(found)
}
