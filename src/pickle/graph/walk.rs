//! Walks over objects rather than paths: each object once, whatever its shape.

#[cfg(feature = "scan")]
use super::Node;
use super::{EffectKind, Graph, Object, Place, Value};

/// Objects reachable from one, itself first, each once, in the order Python would meet them.
///
/// Holds one bit for each object of the graph and one id for each it still has to visit.
/// Constants and small integers are passed over: they are no places.
#[derive(Clone, Debug)]
pub struct Reach<'graph> {
    todo: Vec<Object<'graph>>,
    seen: Vec<u64>,
}

impl<'graph> Object<'graph> {
    /// Every object reachable from this one, itself first.
    #[must_use]
    pub fn reach(self) -> Reach<'graph> {
        Reach { todo: vec![self], seen: vec![0; self.graph().len().div_ceil(64)] }
    }

    /// Calls `visit` with each object that this one refers to directly, in order.
    pub fn each_child(self, mut visit: impl FnMut(Object<'graph>)) {
        match self.value() {
            Value::Dict(dict) => dict.iter().for_each(|(key, value)| {
                visit(key);
                visit(value);
            }),
            Value::Recipe(recipe) => {
                visit(recipe.callable());
                visit(recipe.args());
                recipe.kwargs().into_iter().for_each(&mut visit);
            }
            Value::Persistent(id) => visit(id),
            _ => self.items().into_iter().flat_map(super::Items::iter).for_each(&mut visit),
        }
        self.effects().flat_map(|effect| effect.items.iter()).for_each(visit);
    }

    /// Whether it refers to others, stands for what a registry knows, or was changed.
    #[cfg(feature = "scan")]
    pub(crate) fn has_parts(self) -> bool {
        let graph = self.graph();
        graph.has_parts(self.id()) || matches!(graph.kind(self.id()), Some(Node::Extension(_)))
    }

    /// Whether it is bytes, text of Python 2, or what a call made: what may stand for bytes.
    #[cfg(feature = "scan")]
    pub(crate) fn may_be_bytes(self) -> bool {
        matches!(
            self.graph().kind(self.id()),
            Some(Node::Bytes(_) | Node::ByteArray(_) | Node::Str8(_) | Node::Recipe(_))
        )
    }

    /// Whether anything but its items was set on it: state, or items of a recipe.
    #[must_use]
    pub fn has_state(self) -> bool {
        self.effects().any(|effect| effect.kind == EffectKind::State)
    }
}

impl Reach<'_> {
    /// Marks an object as seen; false if it was before, or is no place in the arena.
    fn first_time(&mut self, object: Object) -> bool {
        let Place::Arena(index) = object.id().place() else { return false };
        let Some(word) = self.seen.get_mut(index / 64) else { return false };
        let bit = 1u64 << (index % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

impl<'graph> Iterator for Reach<'graph> {
    type Item = Object<'graph>;

    fn next(&mut self) -> Option<Object<'graph>> {
        while let Some(object) = self.todo.pop() {
            if self.first_time(object) {
                let start = self.todo.len();
                object.each_child(|child| self.todo.push(child));
                if let Some(children) = self.todo.get_mut(start..) {
                    children.reverse();
                }
                return Some(object);
            }
        }
        None
    }
}

impl Graph {
    /// Every object reachable from the root; none if the stream broke before STOP.
    pub fn reach(&self) -> impl Iterator<Item = Object<'_>> {
        self.root().into_iter().flat_map(Object::reach)
    }
}
