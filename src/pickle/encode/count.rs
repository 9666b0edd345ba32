//! Which objects are met more than once, so that only those need a place in the memo.

use std::slice::{Iter, from_ref};

use super::Shape;
use crate::base::{Budget, Exceeded};
use crate::pickle::graph::{Graph, Node, NodeId, Place};

/// What counting found.
pub(super) struct Uses {
    /// For each object of the arena.
    pub(super) met: Vec<u32>,
    /// Whether something that is made only after its parts is one of them.
    pub(super) knot: bool,
}

impl Uses {
    /// Met once so far.
    pub(super) const ONCE: u32 = 1;
    /// Met again.
    pub(super) const AGAIN: u32 = 2;
    /// The first number that says none of these.
    pub(super) const FIRST: u32 = 3;
    /// Added while the parts of what is made after them are being looked at.
    const OPEN: u32 = 1 << 31;

    /// Counts objects up to the first that was not met before and has parts.
    #[inline]
    fn next_new(&mut self, graph: &Graph, ids: &mut Iter<'_, NodeId>) -> Option<(NodeId, usize)> {
        for &id in ids {
            let Place::Arena(index) = id.place() else { continue };
            let Some(met) = self.met.get_mut(index) else { continue };
            if *met == 0 {
                *met = Self::ONCE;
                if graph.has_parts(id) {
                    return Some((id, index));
                }
            } else {
                self.knot |= *met & Self::OPEN != 0;
                *met = Self::AGAIN | *met & Self::OPEN;
            }
        }
        None
    }
}

/// What is left to look at, the next on top.
enum Step<'graph> {
    Ids(Iter<'graph, NodeId>),
    Id(NodeId),
    Effects(u32),
    Close(usize),
}

struct Count<'graph, 'run> {
    graph: &'graph Graph,
    protocol: u8,
    budget: &'run mut Budget,
    uses: Uses,
    todo: Vec<Step<'graph>>,
}

/// Looks at everything reachable from `root` once, edges in the order they are written.
pub(super) fn count(
    graph: &Graph,
    root: NodeId,
    protocol: u8,
    budget: &mut Budget,
) -> Result<Uses, Exceeded> {
    let mut met = Vec::new();
    budget.memory((graph.len() as u64).saturating_mul(size_of::<u32>() as u64))?;
    met.resize(graph.len(), 0);
    let uses = Uses { met, knot: false };
    let mut count = Count { graph, protocol, budget, uses, todo: Vec::new() };
    count.push(Step::Id(root))?;
    while let Some(step) = count.todo.last_mut() {
        match step {
            Step::Ids(ids) => match count.uses.next_new(graph, ids) {
                Some((id, index)) => count.open(id, index)?,
                None => drop(count.todo.pop()),
            },
            Step::Id(id) => {
                let ids = [*id];
                count.todo.pop();
                if let Some((id, index)) = count.uses.next_new(graph, &mut ids.iter()) {
                    count.open(id, index)?;
                }
            }
            Step::Effects(index) => {
                let index = *index;
                count.todo.pop();
                count.effect(index)?;
            }
            Step::Close(index) => {
                if let Some(met) = count.uses.met.get_mut(*index) {
                    *met &= !Uses::OPEN;
                }
                count.todo.pop();
            }
        }
    }
    Ok(count.uses)
}

impl<'graph> Count<'graph, '_> {
    /// Looks into an object for the first time.
    fn open(&mut self, id: NodeId, index: usize) -> Result<(), Exceeded> {
        let graph = self.graph;
        let Some(node) = graph.kind(id) else { return Ok(()) };
        if let Some(first) = graph.first_effect(id) {
            self.push(Step::Effects(first))?;
        }
        match node {
            Node::List(growing) | Node::Dict(growing) => self.ids(graph.items(growing)),
            Node::Set(growing) if self.protocol >= 4 => self.ids(graph.items(growing)),
            Node::Set(growing) => {
                self.close(index)?;
                self.ids(graph.items(growing))
            }
            Node::Tuple { run, .. } | Node::FrozenSet(run) => {
                self.close(index)?;
                self.ids(graph.run(run))
            }
            Node::Persistent(id) => {
                self.close(index)?;
                self.push(Step::Id(id))
            }
            Node::Recipe(recipe) => {
                self.close(index)?;
                let Some(made) = graph.made(recipe) else { return Ok(()) };
                if *made.kwargs != NodeId::NONE {
                    self.ids(from_ref(made.kwargs))?;
                }
                match Shape::of(graph, &made, self.protocol).spliced() {
                    Some(args) => self.ids(args)?,
                    None => self.ids(from_ref(made.args))?,
                }
                self.ids(from_ref(made.callable))
            }
            _ => Ok(()),
        }
    }

    fn effect(&mut self, index: u32) -> Result<(), Exceeded> {
        let Some((_, items, next)) = self.graph.effect(index) else { return Ok(()) };
        if let Some(next) = next {
            self.push(Step::Effects(next))?;
        }
        self.ids(items)
    }

    fn close(&mut self, index: usize) -> Result<(), Exceeded> {
        if let Some(met) = self.uses.met.get_mut(index) {
            *met |= Uses::OPEN;
        }
        self.push(Step::Close(index))
    }

    fn ids(&mut self, ids: &'graph [NodeId]) -> Result<(), Exceeded> {
        if ids.is_empty() { Ok(()) } else { self.push(Step::Ids(ids.iter())) }
    }

    fn push(&mut self, step: Step<'graph>) -> Result<(), Exceeded> {
        self.budget.push(&mut self.todo, step)
    }
}
