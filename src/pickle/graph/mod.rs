//! What Python would have built, were every call inert: an arena of objects.
//!
//! Objects name each other by [`NodeId`], so aliases and cycles are plain and nothing here
//! recurses. A graph owns its bytes, is `Send + Sync`, and drops in a handful of frees.

mod buffers;
mod build;
mod builder;
mod copy;
mod keys;
mod node;
mod same;
mod value;
mod walk;

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;

pub use buffers::run_with_buffers;
pub(crate) use build::Builder;
pub use builder::{BuildError, GraphBuilder, ToNode};
pub use keys::{Key, Keys, Pair};
pub use node::NodeId;
pub(crate) use node::{LONGEST, Node, Packed, Place, Run, Span};
pub use same::{Difference, difference};
pub use value::{
    BigInt, Dict, Effect, EffectKind, Global, Items, Make, Object, Recipe, Text, Value,
};
pub use walk::Reach;

use crate::base::FileOffset;

/// The origin of what no stream made.
const BUILT: u64 = LONGEST - 1;

/// Everything one pickle built.
#[derive(Clone, Default)]
pub struct Graph {
    stream: Bytes,
    base: FileOffset,
    /// Strings that held escapes, unescaped; all others are spans of the stream.
    decoded: Vec<u8>,
    nodes: Vec<Packed>,
    /// Tuples, effects' arguments, and the items of what grew in one go.
    pool: Vec<NodeId>,
    growing: Vec<Growing>,
    /// Items of what grew in several goes.
    own: Vec<Vec<NodeId>>,
    recipes: Vec<RawRecipe>,
    effects: Vec<RawEffect>,
    /// Effects on what is neither container nor recipe: globals, persistent objects.
    aside: HashMap<NodeId, Chain>,
    globals: Vec<(Span, Span)>,
    root: Option<NodeId>,
    protocol: u8,
    /// Out-of-band buffers that the caller gave.
    buffers: Vec<Bytes>,
    /// Objects that were copied from other streams: the first of each run, and where its stream
    /// begins. A run ends where the next begins.
    copied: Vec<(usize, FileOffset)>,
    /// Arrays between operations; offsets count from the stream's beginning.
    arrays: Vec<InlineArray>,
}

/// An array that joblib wrote into a stream, between operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InlineArray {
    /// Where what is no operation begins: padding, then elements; or a pickle.
    pub at: FileOffset,
    /// So many bytes.
    pub len: u64,
    /// Whether these are a pickle, of an array of objects.
    pub pickled: bool,
}

/// Items of a list or set, or keys and values in turn of a dict, in the order they came.
#[derive(Clone, Copy, Debug)]
struct Growing {
    held: Run,
    /// Offset in the stream of the last operation that grew it.
    changed: u64,
}

/// Where items lie.
#[derive(Clone, Copy, Debug)]
enum Held {
    Pool(Run),
    Own(u32),
}

impl Growing {
    /// The length that no run in the pool has: what is held is a vector of its own.
    const OWN: u32 = u32::MAX;

    #[inline]
    const fn new(place: Held, changed: u64) -> Self {
        let held = match place {
            Held::Pool(run) => run,
            Held::Own(index) => Run { start: index, len: Self::OWN },
        };
        Self { held, changed }
    }

    #[inline]
    const fn place(self) -> Held {
        match self.held {
            Run { start, len: Self::OWN } => Held::Own(start),
            run => Held::Pool(run),
        }
    }
}

/// Instructions for an object that Python would have made by a call.
#[derive(Clone, Copy, Debug)]
struct RawRecipe {
    callable: NodeId,
    args: NodeId,
    /// `None` if the call has none.
    kwargs: NodeId,
    effects: Chain,
    make: Make,
}

/// The parts of a recipe, where they lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made<'graph> {
    pub make: Make,
    pub callable: &'graph NodeId,
    pub args: &'graph NodeId,
    /// `None` if the call has none.
    pub kwargs: &'graph NodeId,
}

/// The first and last of a list of effects; `u32::MAX` if there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chain {
    first: u32,
    last: u32,
}

impl Chain {
    const EMPTY: Self = Self { first: u32::MAX, last: u32::MAX };
}

/// One thing done to an object after it was made.
#[derive(Clone, Copy, Debug)]
struct RawEffect {
    kind: EffectKind,
    run: Run,
    next: u32,
    /// Offset in the stream.
    at: u64,
}

impl Graph {
    /// What STOP returned; none if the stream broke before.
    #[must_use]
    pub fn root(&self) -> Option<Object<'_>> {
        self.root.map(|id| self.object(id))
    }

    /// The object that `id` names. An id of another graph names any object or `None`.
    #[must_use]
    pub const fn object(&self, id: NodeId) -> Object<'_> {
        Object::new(self, id)
    }

    /// Objects in the arena. Constants and small integers take no place there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the arena holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Every object of the arena, in the order the stream made them, reachable or not.
    pub fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        (0..self.nodes.len()).filter_map(NodeId::arena).map(|id| self.object(id))
    }

    /// Arrays that stand between the stream's operations, as joblib writes them, in order.
    pub fn inline_arrays(&self) -> impl Iterator<Item = InlineArray> {
        let place = |array: &InlineArray| InlineArray { at: self.base.plus(array.at.0), ..*array };
        self.arrays.iter().map(place)
    }

    /// Objects that BUILD or another operation changed after they were made; with `all`, all that
    /// a call made.
    pub(crate) fn recipes_or_changed(&self, all: bool) -> impl Iterator<Item = Object<'_>> {
        let recipes = self.nodes.iter().enumerate().filter_map(move |(index, node)| {
            let Node::Recipe(recipe) = node.unpack() else { return None };
            let changed = self.recipes.get(recipe as usize)?.effects != Chain::EMPTY;
            if all || changed { NodeId::arena(index) } else { None }
        });
        recipes.chain(self.aside.keys().copied()).map(|id| self.object(id))
    }

    /// The highest protocol that a PROTO operation announced; 0 without one.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Where the stream begins in its file.
    #[must_use]
    pub const fn base(&self) -> FileOffset {
        self.base
    }

    /// Where the stream begins that an object of the arena was read from.
    fn base_of(&self, index: usize) -> FileOffset {
        let runs = self.copied.partition_point(|&(first, _)| first <= index);
        let run = runs.checked_sub(1).and_then(|run| self.copied.get(run));
        run.map_or(self.base, |&(_, base)| base)
    }

    /// The offset of an operation that made or changed an object; none if no stream did.
    fn offset_of(&self, id: NodeId, at: u64) -> Option<FileOffset> {
        let base = match id.place() {
            Place::Arena(index) if !self.copied.is_empty() => self.base_of(index),
            _ => self.base,
        };
        (at != BUILT).then(|| base.plus(at))
    }

    /// Bytes of the stream, without a copy; none if they lie elsewhere.
    #[cfg(feature = "torch")]
    pub(crate) fn share(&self, slice: &[u8]) -> Option<Bytes> {
        let start = slice.as_ptr().addr().checked_sub(self.stream.as_ptr().addr())?;
        let end = start.checked_add(slice.len())?;
        (end <= self.stream.len()).then(|| self.stream.slice(start..end))
    }

    /// The same graph, its stream found to begin so many bytes further on in the file.
    #[cfg(feature = "torch")]
    pub(crate) fn moved(mut self, by: u64) -> Self {
        self.base = self.base.plus(by);
        for (_, base) in &mut self.copied {
            *base = base.plus(by);
        }
        self
    }

    /// How long the stream was that it was read from (bytes).
    #[cfg(feature = "serde")]
    pub(crate) const fn stream_len(&self) -> u64 {
        self.stream.len() as u64
    }

    /// The node of an id, unpacked; none for constants and small integers.
    #[inline]
    pub(crate) fn kind(&self, id: NodeId) -> Option<Node> {
        self.node(id).map(Packed::unpack)
    }

    /// The node of an id, if it is a number.
    #[inline]
    pub(crate) fn number(&self, id: NodeId) -> Option<Node> {
        self.node(id)?.number()
    }

    /// Whether an object refers to others, or something was done to it.
    #[inline]
    pub(crate) fn has_parts(&self, id: NodeId) -> bool {
        self.node(id).is_some_and(Packed::has_parts) || !self.aside.is_empty()
    }

    /// Constants and small integers have numbers that no node has.
    #[inline]
    fn node(&self, id: NodeId) -> Option<Packed> {
        self.nodes.get(id.number() as usize).copied()
    }

    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        let all = if span.decoded { &self.decoded[..] } else { &self.stream[..] };
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        let len = usize::try_from(span.len).unwrap_or(usize::MAX);
        all.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    pub(crate) fn run(&self, run: Run) -> &[NodeId] {
        let start = run.start as usize;
        self.pool.get(start..start.saturating_add(run.len as usize)).unwrap_or_default()
    }

    pub(crate) fn items(&self, growing: u32) -> &[NodeId] {
        match self.growing.get(growing as usize).map(|growing| growing.place()) {
            Some(Held::Pool(run)) => self.run(run),
            Some(Held::Own(index)) => self.own.get(index as usize).map_or(&[], Vec::as_slice),
            None => &[],
        }
    }

    /// How an object is made, if by a call; by index of its recipe.
    pub(crate) fn made(&self, recipe: u32) -> Option<Made<'_>> {
        let RawRecipe { callable, args, kwargs, make, .. } = self.recipes.get(recipe as usize)?;
        Some(Made { make: *make, callable, args, kwargs })
    }

    /// The first thing done to an object, if there is one.
    pub(crate) fn first_effect(&self, id: NodeId) -> Option<u32> {
        Some(self.chain(id).first).filter(|&first| first != u32::MAX)
    }

    /// One thing done to an object: its kind, with what, and the next such thing.
    pub(crate) fn effect(&self, index: u32) -> Option<(EffectKind, &[NodeId], Option<u32>)> {
        let effect = self.effects.get(index as usize)?;
        let next = Some(effect.next).filter(|&next| next != u32::MAX);
        Some((effect.kind, self.run(effect.run), next))
    }

    fn chain(&self, id: NodeId) -> Chain {
        match self.kind(id) {
            Some(Node::Recipe(index)) => {
                self.recipes.get(index as usize).map_or(Chain::EMPTY, |recipe| recipe.effects)
            }
            _ if self.aside.is_empty() => Chain::EMPTY,
            _ => self.aside.get(&id).copied().unwrap_or(Chain::EMPTY),
        }
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, recipes, globals, root, protocol, base, .. } = self;
        f.debug_struct("Graph")
            .field("base", base)
            .field("protocol", protocol)
            .field("objects", &nodes.len())
            .field("recipes", &recipes.len())
            .field("globals", &globals.len())
            .field("root", root)
            .finish_non_exhaustive()
    }
}
