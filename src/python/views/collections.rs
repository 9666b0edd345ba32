//! Mappings and queues of `collections`.
//!
//! Source: CPython 3.11 `Lib/collections/__init__.py`, `Modules/_collectionsmodule.c`
//! (`__reduce__` of each), `Objects/odictobject.c`; 2.7 `Lib/collections.py` (`OrderedDict`
//! over a list of pairs).

use super::call::{Attributes, Call, Read, never_iterable};
use super::functools::never_callable;
use super::{Error, View};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Dict, EffectKind, Items, Object, Pair, Value};
use crate::python::mapping;

/// A dict of some kind.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'graph> {
    /// Of which kind.
    pub kind: MappingKind,
    /// What makes the values that a `defaultdict` lacks: Python calls it later.
    pub factory: Option<Object<'graph>>,
    /// What else was set on it.
    pub attributes: Option<Dict<'graph>>,
    object: Object<'graph>,
}

/// A class of mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in Python")]
pub enum MappingKind {
    Dict,
    OrderedDict,
    DefaultDict,
    Counter,
}

impl<'graph> Mapping<'graph> {
    /// Its pairs: equal keys once, the last value in the first place.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget does not cover a step and 128 bytes for each.
    pub fn pairs(&self, budget: &mut Budget) -> Result<Vec<Pair<'graph>>, Exceeded> {
        Ok(mapping::pairs(self.object, budget)?.unwrap_or_default())
    }
}

pub(super) fn dict<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    mapping(call, MappingKind::Dict, None, call.args.get(0), budget)
}

pub(super) fn ordered_dict<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    mapping(call, MappingKind::OrderedDict, None, call.args.get(0), budget)
}

pub(super) fn counter<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    let given = call.args.get(0).filter(|given| !given.is_none());
    match given.map(Object::value) {
        None | Some(Value::Dict(_)) => mapping(call, MappingKind::Counter, None, given, budget),
        // It would count the items of anything else, which no pickler asks for.
        _ => Ok(None),
    }
}

pub(super) fn default_dict<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    let factory = call.args.get(0).filter(|factory| !factory.is_none());
    if factory.is_some_and(never_callable) {
        return Err(call.refuse_args("a function that makes values"));
    }
    mapping(call, MappingKind::DefaultDict, factory, call.args.get(1), budget)
}

fn mapping<'graph>(
    call: &Call<'graph>,
    kind: MappingKind,
    factory: Option<Object<'graph>>,
    given: Option<Object<'graph>>,
    budget: &mut Budget,
) -> Read<'graph> {
    call.only(&[EffectKind::State, EffectKind::SetItems])?;
    let most = if kind == MappingKind::DefaultDict { 2 } else { 1 };
    if call.args.len() > most {
        return Err(call.refuse_args("at most one mapping"));
    }
    let sure = match given {
        Some(given) => are_pairs(call, given, budget)?,
        None => true,
    };
    let Attributes::Sure(attributes) = call.attributes()? else { return Ok(None) };
    let object = call.object;
    let view = View::Mapping(Mapping { kind, factory, attributes, object });
    Ok((sure && call.fills()).then_some(view))
}

/// Whether a call copied a dict or pairs that are still as they were then.
fn are_pairs(call: &Call, given: Object, budget: &mut Budget) -> Result<bool, Error> {
    let items = match given.value() {
        Value::Dict(_) => return Ok(call.unchanged(given)),
        Value::List(items) | Value::Tuple(items) => items,
        _ if never_iterable(given) => return Err(call.refuse_args("a mapping")),
        _ => return Ok(false),
    };
    budget.visits(items.len() as u64)?;
    let mut sure = call.unchanged(given);
    for item in items.iter() {
        match item.value() {
            Value::List(pair) | Value::Tuple(pair) if pair.len() == 2 => {
                sure &= call.unchanged(item);
            }
            // Other things may give two items when looped over.
            Value::Recipe(_) | Value::Persistent(_) | Value::Global(_) => sure = false,
            _ if !call.unchanged(item) => sure = false,
            _ => {
                let found = item.kind();
                return Err(call.refuse(format!("pairs wanted, a {found} found among them")));
            }
        }
    }
    Ok(sure)
}

/// A double-ended queue.
#[derive(Clone, Copy, Debug)]
pub struct Deque<'graph> {
    /// How many items it holds at most; without bound if none.
    pub maxlen: Option<u64>,
    given: Items<'graph>,
    object: Object<'graph>,
}

impl<'graph> Deque<'graph> {
    /// Its items, those that `maxlen` pushed out left out.
    pub fn items(&self) -> impl Iterator<Item = Object<'graph>> + use<'graph> {
        let appended = self.object.as_recipe();
        let appended = move || appended.into_iter().flat_map(crate::pickle::Recipe::appended);
        let out = match self.maxlen {
            Some(maxlen) => {
                let all = self.given.len().saturating_add(appended().count());
                all.saturating_sub(usize::try_from(maxlen).unwrap_or(usize::MAX))
            }
            None => 0,
        };
        let given = self.given;
        (0..given.len()).filter_map(move |index| given.get(index)).chain(appended()).skip(out)
    }
}

pub(super) fn deque<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.only(&[EffectKind::Append])?;
    if call.args.len() > 2 {
        return Err(call.refuse_args("items and a length"));
    }
    let maxlen = match call.arg(1).value() {
        Value::None => None,
        Value::Int(maxlen) => match u64::try_from(maxlen) {
            Ok(maxlen) => Some(maxlen),
            Err(_) => return Err(call.refuse(format!("a maxlen of {maxlen}"))),
        },
        Value::Bool(maxlen) => Some(maxlen.into()),
        _ => return Err(call.refuse_args("items and a length")),
    };
    let given = match call.args.get(0) {
        None => Some(call.args),
        Some(given) if never_iterable(given) => return Err(call.refuse_args("items and a length")),
        Some(given) => match given.value() {
            Value::List(items) | Value::Tuple(items) if call.unchanged(given) => Some(items),
            _ => None,
        },
    };
    let given = given.filter(|_| call.fills());
    let object = call.object;
    Ok(given.map(|given| View::Deque(Deque { maxlen, given, object })))
}

/// One attribute of what is known by its state alone.
fn attribute<'graph>(
    call: &Call<'graph>,
    name: &str,
    budget: &mut Budget,
) -> Result<Option<Object<'graph>>, Error> {
    call.only(&[EffectKind::State])?;
    let Attributes::Sure(Some(attributes)) = call.attributes()? else { return Ok(None) };
    budget.visits(attributes.len() as u64 / 8)?;
    Ok(attributes.get(name))
}

pub(super) fn chain_map<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    let maps = attribute(call, "maps", budget)?.filter(|_| call.args.is_empty());
    let Some(maps) = maps else { return Ok(None) };
    match maps.value() {
        Value::List(maps) => Ok(Some(View::ChainMap(maps))),
        _ => Ok(None),
    }
}

pub(super) fn user<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    // The state replaces whatever the call filled.
    Ok(attribute(call, "data", budget)?.map(View::User))
}
