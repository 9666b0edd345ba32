//! Walks over a module and all below it, in PyTorch's order.

use std::collections::{BTreeMap, HashSet};
use std::vec::IntoIter;

use super::{Module, Named, Tensors};
use crate::base::{Budget, Exceeded};
use crate::pickle::{NodeId, Object};

/// Something met on a walk.
pub(super) enum Event<'graph> {
    Enter(Module<'graph>),
    Leave(Module<'graph>),
    /// A module that is not entered again: its own ancestor or, where repeats are skipped, any
    /// met before.
    Again,
    /// A child that is not recognised as a module.
    Opaque(Object<'graph>),
}

/// Whether a module with several names is entered for each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    Enter,
    Skip,
}

struct Frame<'graph> {
    module: Module<'graph>,
    children: IntoIter<Named<'graph>>,
    /// Length of the path to it.
    path: usize,
}

/// Calls `event` for what is met, with its dotted path, depth first, children in order.
pub(super) fn walk<'graph>(
    root: Module<'graph>,
    repeats: Repeats,
    budget: &mut Budget,
    mut event: impl FnMut(&str, Event<'graph>, &mut Budget) -> Result<(), Exceeded>,
) -> Result<(), Exceeded> {
    let mut path = String::new();
    let mut entered = HashSet::from([root.id()]);
    event(&path, Event::Enter(root), budget)?;
    let children = root.children(budget)?.into_iter();
    let mut frames = vec![Frame { module: root, children, path: 0 }];
    while let Some(frame) = frames.last_mut() {
        path.truncate(frame.path);
        let Some((name, child)) = frame.children.next() else {
            event(&path, Event::Leave(frame.module), budget)?;
            if repeats == Repeats::Enter {
                entered.remove(&frame.module.id());
            }
            frames.pop();
            continue;
        };
        budget.visits(1)?;
        if child.is_none() {
            continue;
        }
        if !path.is_empty() {
            path.push('.');
        }
        budget.visits(name.len() as u64 / 64)?;
        path.push_str(&name);
        let Some(module) = Module::within(child, budget)? else {
            event(&path, Event::Opaque(child), budget)?;
            continue;
        };
        if !entered.insert(module.id()) {
            event(&path, Event::Again, budget)?;
            continue;
        }
        event(&path, Event::Enter(module), budget)?;
        let children = module.children(budget)?.into_iter();
        budget.push(&mut frames, Frame { module, children, path: path.len() })?;
    }
    Ok(())
}

/// Every module once, with the first name it is met under; the root's is empty.
///
/// Source: `Module.named_modules`.
///
/// # Errors
/// [`Exceeded`] if the budget does not cover the modules and their names.
pub fn named_modules<'graph>(
    root: Module<'graph>,
    budget: &mut Budget,
) -> Result<Vec<(String, Module<'graph>)>, Exceeded> {
    let mut out = Vec::new();
    walk(root, Repeats::Skip, budget, |path, event, budget| match event {
        Event::Enter(module) => {
            let path = owned(path, budget)?;
            budget.push(&mut out, (path, module))
        }
        _ => Ok(()),
    })?;
    Ok(out)
}

/// Every parameter once, with the first name it is met under.
///
/// Source: `Module.named_parameters`.
///
/// # Errors
/// As [`named_modules`].
pub fn named_parameters<'graph>(
    root: Module<'graph>,
    budget: &mut Budget,
) -> Result<Vec<(String, Object<'graph>)>, Exceeded> {
    named_members(root, budget, Module::parameters)
}

/// Every buffer once, persistent or not, with the first name it is met under.
///
/// Source: `Module.named_buffers`.
///
/// # Errors
/// As [`named_modules`].
pub fn named_buffers<'graph>(
    root: Module<'graph>,
    budget: &mut Budget,
) -> Result<Vec<(String, Object<'graph>)>, Exceeded> {
    named_members(root, budget, Module::buffers)
}

fn named_members<'graph>(
    root: Module<'graph>,
    budget: &mut Budget,
    members: impl Fn(Module<'graph>, &mut Budget) -> Result<Vec<Named<'graph>>, Exceeded>,
) -> Result<Vec<(String, Object<'graph>)>, Exceeded> {
    let mut seen: HashSet<NodeId> = HashSet::new();
    let mut out = Vec::new();
    walk(root, Repeats::Skip, budget, |path, event, budget| {
        let Event::Enter(module) = event else { return Ok(()) };
        for (name, object) in members(module, budget)? {
            if !object.is_none() && seen.insert(object.id()) {
                let name = join(path, &name, budget)?;
                budget.push(&mut out, (name, object))?;
            }
        }
        Ok(())
    })?;
    Ok(out)
}

/// `path.name`, paid for.
pub(super) fn join(path: &str, name: &str, budget: &mut Budget) -> Result<String, Exceeded> {
    let len = path.len().saturating_add(name.len()).saturating_add(1);
    budget.memory(len as u64)?;
    budget.visits(len as u64 / 64)?;
    let dot = if path.is_empty() { "" } else { "." };
    Ok([path, dot, name].concat())
}

pub(super) fn owned(path: &str, budget: &mut Budget) -> Result<String, Exceeded> {
    budget.memory(path.len() as u64)?;
    budget.visits(path.len() as u64 / 64)?;
    Ok(path.to_owned())
}

/// How many parameters a model has, tied ones once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Parameters (tensors).
    pub tensors: u64,
    /// Elements of all parameters, as `sum(p.numel() for p in model.parameters())`.
    pub parameters: u64,
    /// Elements of those that require a gradient.
    pub trainable: u64,
    /// Parameters whose shape is not known: uninitialised, or in a form not understood.
    pub unknown: u64,
}

/// Counts the parameters of a module and all below it.
///
/// # Errors
/// As [`named_modules`].
pub fn counts<'graph>(
    root: Module<'graph>,
    tensors: &dyn Tensors<'graph>,
    budget: &mut Budget,
) -> Result<Counts, Exceeded> {
    let mut counts = Counts::default();
    for (_, parameter) in named_parameters(root, budget)? {
        counts.tensors = counts.tensors.saturating_add(1);
        let summary = tensors.describe(parameter);
        let numel = summary.as_ref().and_then(super::TensorSummary::numel);
        let Some((summary, numel)) = summary.zip(numel) else {
            counts.unknown = counts.unknown.saturating_add(1);
            continue;
        };
        counts.parameters = counts.parameters.saturating_add(numel);
        if summary.requires_grad {
            counts.trainable = counts.trainable.saturating_add(numel);
        }
    }
    Ok(counts)
}

/// Tensors of one dtype on one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// How many.
    pub tensors: u64,
    /// Their elements, as far as shapes are known.
    pub elements: u64,
    /// Bytes of these elements.
    pub bytes: u64,
}

/// Parameters and buffers of a module and all below it, by dtype and device; tied ones once.
///
/// # Errors
/// As [`named_modules`].
pub fn kinds<'graph>(
    root: Module<'graph>,
    tensors: &dyn Tensors<'graph>,
    budget: &mut Budget,
) -> Result<BTreeMap<(String, String), Kinds>, Exceeded> {
    let mut out: BTreeMap<(String, String), Kinds> = BTreeMap::new();
    let mut all = named_parameters(root, budget)?;
    all.extend(named_buffers(root, budget)?);
    for (_, object) in all {
        let Some(tensor) = tensors.describe(object) else { continue };
        let (numel, bytes) = (tensor.numel().unwrap_or(0), tensor.nbytes().unwrap_or(0));
        let kind = out.entry((tensor.dtype, tensor.device)).or_default();
        kind.tensors = kind.tensors.saturating_add(1);
        kind.elements = kind.elements.saturating_add(numel);
        kind.bytes = kind.bytes.saturating_add(bytes);
    }
    Ok(out)
}
