//! Which object of a checkpoint is the state dict.
//!
//! Whole models and state dicts are taken as they are. Of a training checkpoint one entry is
//! taken, if only one can be meant; otherwise the user is asked.

use super::error::{Error, Kind};
use crate::base::Budget;
use crate::pickle::{NodeId, Object, Value};
use crate::python::mapping;
use crate::torch::module::Module;
use crate::torch::{Checkpoint, ObjectKind};

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chosen {
    /// The path of keys that leads to it; none for the root.
    pub key: Option<Box<str>>,
    /// Whether the caller named it.
    pub asked: bool,
    /// Keys beside it that are left out.
    pub left_out: Vec<Box<str>>,
    pub(crate) object: NodeId,
}

/// Keys under which training scripts keep the weights.
const KNOWN: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "params_ema",
    "ema",
    "ema_state_dict",
    "model_ema",
    "state_dict_ema",
    "teacher",
    "student",
    "generator",
    "discriminator",
];

/// Levels of mappings that are looked into.
const DEEPEST: usize = 3;

/// Finds the object of `key`, or the one that is meant.
pub(crate) fn choose(checkpoint: &Checkpoint, key: Option<&str>) -> Result<Chosen, Error> {
    if let Some(key) = key {
        let object = checkpoint.at(key)?.id();
        let key = Some(key).filter(|key| !key.is_empty()).map(Box::from);
        return Ok(Chosen { key, asked: true, left_out: Vec::new(), object });
    }
    let root = checkpoint.root();
    let whole = Chosen { key: None, asked: false, left_out: Vec::new(), object: root.id() };
    if checkpoint.kind_of(root)? != ObjectKind::Checkpoint {
        return Ok(whole);
    }
    let mut budget = Budget::new(checkpoint.limits().clone());
    let mut level = vec![(String::new(), root)];
    for _ in 0..DEEPEST {
        let (mut found, mut next, mut tensors) = (Vec::new(), Vec::new(), false);
        for (path, object) in &level {
            for (key, value) in mapping::pairs(*object, &mut budget)?.unwrap_or_default() {
                let Some(key) = key.as_str() else { continue };
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                match sort(checkpoint, value, &mut budget)? {
                    Sort::Tensor => tensors = true,
                    Sort::Named => found.push((path, value)),
                    Sort::Mapping => next.push((path, value)),
                    Sort::Other => {}
                }
            }
        }
        if let Some((path, object)) = pick(&found, tensors)? {
            return Ok(Chosen {
                key: Some(path.as_str().into()),
                left_out: beside(root, path, &mut budget)?,
                object: object.id(),
                ..whole
            });
        }
        if tensors || !found.is_empty() {
            break;
        }
        level = next;
    }
    Ok(whole)
}

enum Sort {
    Tensor,
    /// A module, or tensors by name.
    Named,
    Mapping,
    Other,
}

fn sort(checkpoint: &Checkpoint, value: Object, budget: &mut Budget) -> Result<Sort, Error> {
    if !matches!(value.value(), Value::Dict(_) | Value::Recipe(_) | Value::Persistent(_)) {
        return Ok(Sort::Other);
    }
    if checkpoint.view(value).is_some() {
        return Ok(Sort::Tensor);
    }
    if Module::view(value).is_some() {
        return Ok(Sort::Named);
    }
    let Some(pairs) = mapping::pairs(value, budget)? else { return Ok(Sort::Other) };
    let named = |key: &str| pairs.iter().any(|(found, _)| found.is_text(key));
    // Optimizers number their tensors.
    if named("param_groups") {
        return Ok(Sort::Other);
    }
    let mut texts = pairs.iter().filter(|(key, _)| key.as_str().is_some());
    let tensors = texts.any(|(_, value)| checkpoint.view(*value).is_some());
    Ok(if tensors { Sort::Named } else { Sort::Mapping })
}

/// The one that is meant; none if it is all of them together.
fn pick<'found, 'graph>(
    found: &'found [(String, Object<'graph>)],
    tensors: bool,
) -> Result<Option<&'found (String, Object<'graph>)>, Error> {
    let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let known = |(path, _): &&(String, Object)| KNOWN.contains(&name(path).as_str());
    let known: Vec<_> = found.iter().filter(known).collect();
    match (&known[..], found) {
        ([one], _) => return Ok(Some(one)),
        // Beside tensors it is one of several parts.
        ([], [_]) if tensors => return Ok(None),
        ([], [one]) => return Ok(Some(one)),
        ([], []) => return Ok(None),
        ([], _) if tensors => return Ok(None),
        _ => {}
    }
    let keys = found.iter().map(|(path, _)| path.as_str().into()).collect();
    Err(Error::new(Kind::SeveralObjects(keys)))
}

/// Keys of the root that do not lead to what was chosen.
fn beside(root: Object, path: &str, budget: &mut Budget) -> Result<Vec<Box<str>>, Error> {
    let pairs = mapping::pairs(root, budget)?.unwrap_or_default();
    let keys = pairs.iter().filter_map(|(key, _)| key.as_str());
    let leads = |key: &&str| {
        path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    Ok(keys.filter(|key| !leads(key)).map(Box::from).collect())
}
