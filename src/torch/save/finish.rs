//! From a draft to what will be written: references settled, storages numbered as PyTorch's
//! pickler meets them, the pickle made.

use std::collections::HashMap;

use super::draft::{Draft, Mention, SavedStorage};
use super::plan::{Form, Plan, PlannedStorage};
use crate::base::Budget;
use crate::pickle::{Graph, Items, NodeId, Object, Recipe, Text, Value};
use crate::python::names;
use crate::torch::DType;
use crate::torch::error::{Error, Fault, Kind};

/// A storage in the order in which it is met.
struct Numbered {
    storage: SavedStorage,
    /// What it is first mentioned as.
    dtype: Option<DType>,
}

impl<'run> Draft<'run> {
    /// Settles what is to be written, with `root` for the object that `torch.load` returns: the
    /// zip layout of today, which loads with PyTorch 1.6 and later.
    ///
    /// # Errors
    /// What is reachable and cannot be saved: a tensor or storage that cannot be read
    /// ([`Kind::BadTensor`]), a persistent id that is no storage, or one storage used as elements
    /// of two types ([`Kind::Unwritable`]); [`Kind::Encode`]; limits.
    pub fn finish(self, root: NodeId) -> Result<Plan<'run>, Error> {
        self.finish_as(root, Form::Zip)
    }

    /// As [`finish`](Self::finish), in another layout.
    ///
    /// # Errors
    /// As [`finish`](Self::finish); [`Kind::Unwritable`] for what PyTorch cannot load from the
    /// older layout.
    pub fn finish_as(mut self, root: NodeId, form: Form) -> Result<Plan<'run>, Error> {
        let root = self.settle(root, form)?;
        let mentions = self.mentions(root, form)?;
        let numbered = self.number(&mentions, form)?;
        let limits = self.build.limits().clone();
        let graph = self.build.finish(root);
        let mut budget = Budget::new(limits);
        let pickle = pickle(&graph, &mut budget)?;
        let mut places: Vec<_> = self.storages.into_iter().map(Some).collect();
        let mut storages = Vec::with_capacity(numbered.len());
        for (key, Numbered { storage, dtype }) in numbered.into_iter().enumerate() {
            let Some(stored) = places.get_mut(storage.0).and_then(Option::take) else { continue };
            storages.push(PlannedStorage { key: key.to_string().into(), dtype, stored });
        }
        Ok(Plan::new(form, pickle, storages))
    }

    /// Leads every reference to what stands in its place.
    fn settle(&mut self, root: NodeId, form: Form) -> Result<NodeId, Error> {
        let mut redirects = std::mem::take(&mut self.redirects);
        for object in self.build.graph().objects() {
            let class = match form {
                Form::Zip => class_of_tar(object).or_else(|| class_of_module(object)),
                Form::Legacy => class_of_tar(object),
            };
            if let Some(class) = class {
                redirects.entry(object.id()).or_insert(class.id());
            }
        }
        if redirects.is_empty() {
            return Ok(root);
        }
        let mut settled = HashMap::with_capacity(redirects.len());
        for from in redirects.keys() {
            let (mut id, mut steps) = (*from, 0_usize);
            while let Some(next) = redirects.get(&id) {
                id = *next;
                steps = steps.saturating_add(1);
                if steps > redirects.len() {
                    return Err(unwritable("objects that are to stand for each other"));
                }
            }
            settled.insert(*from, id);
        }
        let to = |id: NodeId| settled.get(&id).copied().unwrap_or(id);
        self.build.redirect(to)?;
        // Constants are the same everywhere.
        Ok(if self.build.object(root).index().is_some() { to(root) } else { root })
    }

    /// The mentions of storages that are reachable, in the order of the pickle.
    fn mentions(&self, root: NodeId, form: Form) -> Result<Vec<(NodeId, Mention)>, Error> {
        let mut found = Vec::new();
        for object in self.build.object(root).reach() {
            let known = self.mentions.get(&object.id());
            match (object.value(), known) {
                (_, Some(Err(refusal))) => return Err(refusal.error()),
                (Value::Persistent(_), Some(Ok(mention))) => {
                    if object.effects().next().is_some() {
                        let why = unwritable("a storage that more is done to than naming it");
                        return Err(why.at(object.offset()));
                    }
                    found.push((object.id(), *mention));
                }
                (Value::Persistent(_), None) if class_of_module(object).is_none() => {
                    return Err(unwritable(UNKNOWN).at(object.offset()));
                }
                (Value::Recipe(recipe), _) if form == Form::Legacy && is_made_early(recipe) => {
                    return Err(unwritable(EARLY).at(object.offset()));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Numbers the storages, and writes their numbers into the mentions.
    fn number(
        &mut self,
        mentions: &[(NodeId, Mention)],
        form: Form,
    ) -> Result<Vec<Numbered>, Error> {
        let mut numbered: Vec<Numbered> = Vec::new();
        let mut numbers: HashMap<SavedStorage, usize> = HashMap::new();
        let mut keys: Vec<NodeId> = Vec::new();
        let mut changed: HashMap<NodeId, NodeId> = HashMap::new();
        let mut words = Words::default();
        for &(object, Mention { storage, dtype }) in mentions {
            let Some(stored) = self.storages.get(storage.0) else {
                return Err(unwritable("a storage of another draft"));
            };
            let (nbytes, device) = (stored.nbytes, stored.device.clone());
            if form == Form::Legacy && dtype.is_none() {
                return Err(unwritable(UNTYPED).at(self.build.object(object).offset()));
            }
            let items = self.items_of(object);
            let number = *numbers.entry(storage).or_insert(numbered.len());
            if number == numbered.len() {
                numbered.push(Numbered { storage, dtype });
                keys.push(self.key(items.map(|(items, _)| items[2]), number)?);
            }
            let first = numbered.get(number).and_then(|numbered| numbered.dtype);
            if first != dtype && nbytes > 0 {
                let why = format!(
                    "one storage is used as elements of {} and of {}, of which PyTorch keeps one: \
                     save copies",
                    name(first),
                    name(dtype),
                );
                let why = Error::new(Kind::Unwritable(why.into()));
                return Err(why.at(self.build.object(object).offset()));
            }
            let key = match form {
                // The pickler asks for the key anew each time.
                Form::Legacy => self.fresh(&number.to_string())?,
                Form::Zip => keys.get(number).copied().unwrap_or(NodeId::NONE),
            };
            let parts = Parts { key, dtype, nbytes, device: &device, view: form == Form::Legacy };
            if let Some(new) = self.renamed(items, &parts, &mut words)? {
                changed.insert(object, new);
            }
        }
        if !changed.is_empty() {
            self.build.redirect(|id| changed.get(&id).copied().unwrap_or(id))?;
        }
        Ok(numbered)
    }

    /// The first five items of a storage's persistent id, and whether there are no others, as
    /// there are in the older layout.
    fn items_of(&self, object: NodeId) -> Option<([NodeId; 5], bool)> {
        let Value::Persistent(id) = self.build.object(object).value() else { return None };
        let items = id.as_tuple()?;
        if let Some(five) = items.array::<5>() {
            return Some((five.map(Object::id), true));
        }
        let [head, class, key, device, numel, _] = items.array()?;
        Some(([head, class, key, device, numel].map(Object::id), false))
    }

    /// The text of a storage's number: the one that is there, if it is that.
    fn key(&mut self, old: Option<NodeId>, number: usize) -> Result<NodeId, Error> {
        let wanted = number.to_string();
        match old {
            Some(old) if is_text(self.build.object(old), &wanted) => Ok(old),
            _ => self.fresh(&wanted),
        }
    }

    /// A persistent object that says what it must; none if the old one does already.
    fn renamed(
        &mut self,
        old: Option<([NodeId; 5], bool)>,
        parts: &Parts<'_>,
        words: &mut Words,
    ) -> Result<Option<NodeId>, Error> {
        let object = |id: NodeId| self.build.object(id);
        let five = old.is_some_and(|(_, five)| five);
        let old = old.map(|(items, _)| items);
        let [head, class, key, device, numel] = old.map_or([None; 5], |old| old.map(Some));
        let head = head.filter(|head| is_text(object(*head), "storage"));
        let device = device.filter(|device| is_text(object(*device), parts.device));
        let class = class.filter(|class| {
            let (module, name) = class_name(parts.dtype);
            object(*class).as_global().is_some_and(|class| class.is(module, name))
        });
        let head = *words.head.get_or_insert(match head {
            Some(head) => head,
            None => self.word("storage")?,
        });
        let place = match (words.devices.get(parts.device), device) {
            (Some(place), _) => *place,
            (None, Some(device)) => device,
            (None, None) => self.word(parts.device)?,
        };
        words.devices.insert(parts.device.into(), place);
        let wanted = self.storage_numel(parts)?;
        let same = [
            old.map(|old| old[0]) == Some(head),
            class.is_some(),
            key == Some(parts.key),
            device == Some(place),
            numel == Some(wanted),
            !parts.view && five,
        ];
        if same.iter().all(|same| *same) {
            return Ok(None);
        }
        let (module, name) = class_name(parts.dtype);
        let class = class.map_or_else(|| self.build.global(module, name), Ok)?;
        let mut items = vec![head, class, parts.key, place, wanted];
        if parts.view {
            items.push(NodeId::NONE);
        }
        let id = self.build.tuple(&items)?;
        Ok(Some(self.build.persistent(id)?))
    }

    fn storage_numel(&mut self, parts: &Parts<'_>) -> Result<NodeId, Error> {
        let numel = parts.nbytes.checked_div(parts.dtype.map_or(1, DType::width)).unwrap_or(0);
        let numel = i64::try_from(numel).map_err(|_| Error::fault(Fault::Overflow, None))?;
        Ok(self.build.int(numel)?)
    }
}

/// What a storage's persistent id must say.
struct Parts<'a> {
    key: NodeId,
    dtype: Option<DType>,
    nbytes: u64,
    device: &'a str,
    /// Whether there is a sixth item, which says that the storage is no piece of another.
    view: bool,
}

/// Texts that all mentions share.
#[derive(Default)]
struct Words {
    head: Option<NodeId>,
    devices: HashMap<Box<str>, NodeId>,
}

const UNKNOWN: &str = "an object that whoever pickled it keeps elsewhere, under a persistent id \
    that is no storage: PyTorch could not load it";
const EARLY: &str = "PyTorch makes this object before it has read the data of a file in the layout \
    of before 1.6, and gets it wrong: save it in the layout of today";
const UNTYPED: &str = "PyTorch writes storages without a type (those of float8, uint16, complex32 \
    and other newer dtypes) in the layout of before 1.6, but cannot load them from there: save \
    them in the layout of today";

/// The class that a persistent id of the older layout stands for, kept with its source text.
fn class_of_module(object: Object<'_>) -> Option<Object<'_>> {
    let Value::Persistent(id) = object.value() else { return None };
    let [head, class, _, _] = id.as_tuple().and_then(Items::array)?;
    head.is_text("module").then_some(class)
}

/// The class that a persistent id of the layout before 0.1.10 stands for: `(class, …)`.
fn class_of_tar(object: Object<'_>) -> Option<Object<'_>> {
    let Value::Persistent(id) = object.value() else { return None };
    id.as_tuple()?.get(0).filter(|class| class.as_global().is_some())
}

/// Whether PyTorch looks into the data of an object's parts when it makes it.
fn is_made_early(recipe: Recipe<'_>) -> bool {
    let Some(global) = recipe.callable().as_global() else { return false };
    // These pack their weights.
    let quantized = |text: &[u8]| text.split(|&byte| byte == b'.').any(|it| it == b"quantized");
    let packs = global.module.starts_with(b"torch.") && quantized(global.module);
    packs
        || global.is("torch._utils", "_rebuild_nested_tensor")
        || global.is("torch.nested._internal.nested_tensor", "_rebuild_njt")
        || global.is("torch._C", "Generator")
}

fn is_text(object: Object<'_>, wanted: &str) -> bool {
    matches!(object.value(), Value::Text(text)
        if !text.is_python2() && Text::as_str(text) == Some(wanted))
}

fn class_name(dtype: Option<DType>) -> (&'static str, &'static str) {
    match dtype.and_then(DType::storage_class) {
        Some(class) => ("torch", class),
        None => ("torch.storage", "UntypedStorage"),
    }
}

const fn name(dtype: Option<DType>) -> &'static str {
    match dtype {
        Some(dtype) => dtype.name(),
        None => "no type",
    }
}

fn pickle(graph: &Graph, budget: &mut Budget) -> Result<Vec<u8>, Error> {
    let root = graph.root().unwrap_or(graph.object(NodeId::NONE));
    Ok(names::encoder(2).memoize_all(true).to_vec(root, budget)?)
}

#[cold]
fn unwritable(why: &str) -> Error {
    Error::new(Kind::Unwritable(why.into()))
}
