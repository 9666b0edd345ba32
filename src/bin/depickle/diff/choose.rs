//! Which object of a checkpoint is held against a model or a state dict.

use std::borrow::Cow;
use std::collections::HashSet;

use depickle::Budget;
use depickle::pickle::{Object, Value};
use depickle::python::mapping;
use depickle::torch::{Error, ObjectKind, Scope};

use super::advice::Fitting;
use super::side::Side;
use super::{Diff, Mode};
use crate::output::note;

/// Levels of a checkpoint that are searched, and objects of one that are looked at.
const LEVELS: usize = 3;
const OBJECTS: usize = 64;

/// Names that state dicts go by, the likeliest first.
const USUAL: [&str; 8] =
    ["model_state_dict", "state_dict", "model", "net", "module", "params", "weights", "model_ema"];

/// Goes into a checkpoint where the other side is a model or a state dict, or the model that
/// weights are to be loaded into is asked for, unless the user has said where.
pub(super) fn choose(args: &Diff, left: &mut Side, right: &mut Side) -> Result<(), Error> {
    let one_sided = left.is_flat() != right.is_flat();
    if !(one_sided || args.mode == Mode::Fit) || args.mode == Mode::Diff {
        return Ok(());
    }
    if !left.is_flat() && left.key.is_none() {
        let names = names(right)?;
        descend(args, left, &names)?;
    }
    if !right.is_flat() && right.key.is_none() {
        let names = names(left)?;
        descend(args, right, &names)?;
    }
    Ok(())
}

/// A state dict or model in a checkpoint.
struct Candidate<'file> {
    key: String,
    object: Object<'file>,
    kind: ObjectKind,
    shared: usize,
}

fn descend(args: &Diff, side: &mut Side, names: &HashSet<String>) -> Result<(), Error> {
    let mut found = candidates(side)?;
    for candidate in &mut found {
        let own = named(side, candidate.object)?;
        let own = own.iter().filter_map(|name| args.names.name(name)).map(Cow::into_owned);
        candidate.shared = Fitting::best(names, &own.collect()).matched;
    }
    let usual = |key: &str| {
        let last = key.rsplit('.').next().unwrap_or(key);
        USUAL.iter().position(|name| *name == last).unwrap_or(USUAL.len())
    };
    // The first of the best: the sort is stable.
    found.sort_by_key(|it| (std::cmp::Reverse(it.shared), usual(&it.key)));
    let mut found = found.into_iter();
    let Some(best) = found.next() else { return Ok(()) };
    let equal = found.filter(|other| other.shared == best.shared).map(|other| other.key);
    let equal: Vec<String> = equal.collect();
    if !equal.is_empty() {
        note(&format!("{}: as good as {:?}: {}", side.label, best.key, equal.join(", ")));
    }
    (side.key, side.object, side.kind) = (Some(best.key), best.object, best.kind);
    side.automatic = true;
    Ok(())
}

/// State dicts and models in the mappings and lists of a file, in its order.
fn candidates<'file>(side: &Side<'file>) -> Result<Vec<Candidate<'file>>, Error> {
    let budget = &mut Budget::new(side.checkpoint.limits().clone());
    let (mut found, mut looked) = (Vec::new(), 0_usize);
    let mut todo = vec![(String::new(), side.object, 0)];
    while let Some((path, object, level)) = todo.pop() {
        let mut below: Vec<(String, Object)> = Vec::new();
        for (key, value) in mapping::pairs(object, budget)?.unwrap_or_default() {
            if let Some(key) = key.as_str() {
                below.push((key.to_owned(), value));
            }
        }
        if let Value::List(items) | Value::Tuple(items) = object.value() {
            let items = items.iter().take(OBJECTS).enumerate();
            below.extend(items.map(|(index, item)| (index.to_string(), item)));
        }
        let mut deeper = Vec::new();
        for (key, value) in below {
            looked = looked.saturating_add(1);
            if looked > OBJECTS.saturating_mul(LEVELS) {
                break;
            }
            let path = if path.is_empty() { key } else { format!("{path}.{key}") };
            match side.checkpoint.kind_of(value)? {
                kind @ (ObjectKind::StateDict | ObjectKind::Module) => {
                    found.push(Candidate { key: path, object: value, kind, shared: 0 });
                }
                ObjectKind::Checkpoint if level < LEVELS => {
                    deeper.push((path, value, usize::saturating_add(level, 1)));
                }
                _ => {}
            }
        }
        todo.extend(deeper.into_iter().rev());
    }
    Ok(found)
}

fn names(side: &Side) -> Result<HashSet<String>, Error> {
    Ok(named(side, side.object)?.into_iter().collect())
}

fn named(side: &Side, object: Object) -> Result<Vec<String>, Error> {
    let list = side.checkpoint.tensors_in(object, Scope::StateDict)?;
    Ok(list.iter().map(|entry| entry.name().to_owned()).collect())
}
