//! Modules inside other things: checkpoints hold them in dicts, lists and objects.

use std::collections::HashSet;
use std::vec::IntoIter;

use super::walk::owned;
use super::{Module, Named, effort, key_name, states};
use crate::base::{Budget, Exceeded};
use crate::pickle::{NodeId, Object, Value};
use crate::python::mapping;

/// The outermost modules in what was pickled, each once, with the path to it: keys of
/// mappings, indices of sequences and names of attributes, joined by dots. A root that is a
/// module itself has the empty path; what is inside a module is not searched.
///
/// ```
/// use depickle::pickle::{Policy, run};
/// use depickle::torch::module::find_modules;
/// use depickle::{Budget, FileOffset};
///
/// let model = b"c__main__\nNet\n)\x81}(V_parameters\n}V_buffers\n}V_modules\n}ub";
/// let stream = [b"\x80\x02}(Vepoch\nK\x03Vmodel\n", &model[..], b"u."].concat();
/// let mut budget = Budget::default();
/// let graph = run(stream.into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
/// let found = find_modules(graph.root().unwrap(), &mut budget).unwrap();
/// assert_eq!(found[0].0, "model");
/// assert_eq!(found[0].1.class().to_string(), "__main__.Net");
/// ```
///
/// # Errors
/// [`Exceeded`] if the budget does not cover a step for each object and the paths.
pub fn find_modules<'graph>(
    root: Object<'graph>,
    budget: &mut Budget,
) -> Result<Vec<(String, Module<'graph>)>, Exceeded> {
    if let Some(module) = Module::within(root, budget)? {
        return Ok(vec![(String::new(), module)]);
    }
    let mut out = Vec::new();
    let mut path = String::new();
    let mut seen: HashSet<NodeId> = HashSet::from([root.id()]);
    let mut frames = vec![(0, parts(root, budget)?)];
    while let Some((len, rest)) = frames.last_mut() {
        path.truncate(*len);
        let Some((name, part)) = rest.next() else {
            frames.pop();
            continue;
        };
        budget.visits((name.len() as u64 / 64).saturating_add(1))?;
        if !is_compound(part) || !seen.insert(part.id()) {
            continue;
        }
        budget.memory(32)?;
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&name);
        if let Some(module) = Module::within(part, budget)? {
            let path = owned(&path, budget)?;
            budget.push(&mut out, (path, module))?;
            continue;
        }
        let parts = parts(part, budget)?;
        budget.push(&mut frames, (path.len(), parts))?;
    }
    Ok(out)
}

fn is_compound(object: Object) -> bool {
    matches!(object.value(), Value::Dict(_) | Value::List(_) | Value::Tuple(_) | Value::Recipe(_))
}

/// What an object holds, by name.
fn parts<'graph>(
    object: Object<'graph>,
    budget: &mut Budget,
) -> Result<IntoIter<Named<'graph>>, Exceeded> {
    let mut out: Vec<Named<'graph>> = Vec::new();
    let named = |pairs: Vec<mapping::Pair<'graph>>| {
        pairs.into_iter().enumerate().map(|(place, (key, value))| (key_name(key, place), value))
    };
    if let Some(items) = object.items() {
        budget.memory((items.len() as u64).saturating_mul(64))?;
        out.extend(items.iter().enumerate().map(|(at, item)| (at.to_string().into(), item)));
    } else if let Some(recipe) = object.as_recipe() {
        budget.visits(effort(object))?;
        out.extend(named(mapping::pairs(object, budget)?.unwrap_or_default()));
        let appended = recipe.appended().enumerate();
        out.extend(appended.map(|(at, item)| (at.to_string().into(), item)));
        for state in states(object) {
            out.extend(named(mapping::pairs(state, budget)?.unwrap_or_default()));
        }
    } else {
        out.extend(named(mapping::pairs(object, budget)?.unwrap_or_default()));
    }
    Ok(out.into_iter())
}
