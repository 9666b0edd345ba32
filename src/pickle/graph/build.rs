//! Adding to a graph. Every operation costs O(1) plus the items it is given, and pays for
//! its memory.

use std::collections::hash_map::Entry;

use bytes::Bytes;

use super::{
    Chain, EffectKind, Graph, Growing, Held, InlineArray, LONGEST, Make, Node, NodeId, Packed,
    Place, RawEffect, RawRecipe, Run, Span,
};
use crate::base::{Budget, Exceeded, FileOffset, Limit};

/// A graph in the making.
#[derive(Debug)]
pub(crate) struct Builder<'budget> {
    pub(super) graph: Graph,
    pub(super) budget: &'budget mut Budget,
    /// Offset in the stream of the operation being carried out.
    pub(super) at: u64,
    /// What nodes, and items, are expected to fill (bytes).
    pub(super) room: usize,
}

/// Makes room for so many more items in a vector that is full: at once for as many bytes as `room`
/// expects, once it has grown to some size.
#[cold]
fn grow<T>(
    vec: &mut Vec<T>,
    items: usize,
    room: usize,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    /// What has not grown so far may never (bytes).
    const GROWN: usize = 256 << 10;
    let size = size_of::<T>().max(1);
    if vec.capacity().saturating_mul(size) >= GROWN {
        let more = room.checked_div(size).unwrap_or(0).saturating_sub(vec.len());
        // Where the budget does not cover all of it, a step may yet do.
        if more > items && budget.grow(vec, more).is_ok() {
            return Ok(());
        }
    }
    budget.grow(vec, items)
}

/// Appends an item; makes room as [`grow`] does.
#[inline(always)]
fn push<T>(vec: &mut Vec<T>, item: T, room: usize, budget: &mut Budget) -> Result<(), Exceeded> {
    if vec.len() == vec.capacity() {
        grow(vec, 1, room, budget)?;
    }
    vec.push(item);
    Ok(())
}

impl<'budget> Builder<'budget> {
    pub(crate) fn new(stream: Bytes, base: FileOffset, budget: &'budget mut Budget) -> Self {
        Self { graph: Graph { stream, base, ..Graph::default() }, budget, at: 0, room: 0 }
    }

    /// Says how long the stream is. A long one will fill twice as many bytes of nodes and of
    /// items, as a rule, and may fill as many of lists and dicts, half as many of the memo: once
    /// one of these has grown to some size, it grows to that at once. Room that is not used takes
    /// no memory.
    pub(crate) fn expect(&mut self, stream: usize) {
        /// From here on, growing step by step costs time that shows (bytes).
        const LONG: usize = 2 << 20;
        /// From here on, it hardly does: each step is as large as all before.
        const MOST: usize = 64 << 20;
        self.room = if stream < LONG { 0 } else { stream.saturating_mul(2).min(MOST) };
    }

    /// Adds an entry to the memo.
    #[inline(always)]
    pub(crate) fn memoize(&mut self, memo: &mut Vec<NodeId>, id: NodeId) -> Result<(), Exceeded> {
        push(memo, id, self.room / 4, self.budget)
    }

    pub(crate) fn finish(self) -> Graph {
        self.graph
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn budget(&mut self) -> &mut Budget {
        self.budget
    }

    #[inline]
    pub(crate) fn begin(&mut self, at: u64) {
        self.at = at;
    }

    pub(crate) fn root(&mut self, root: NodeId) {
        self.graph.root = Some(root);
    }

    /// Takes the root back: it is a part of something else.
    pub(crate) fn take_root(&mut self) -> Option<NodeId> {
        self.graph.root.take()
    }

    /// Notes where an array lies in the stream that is no operation's operand.
    pub(crate) fn inline_array(
        &mut self,
        start: u64,
        end: u64,
        pickled: bool,
    ) -> Result<(), Exceeded> {
        let array = InlineArray { at: FileOffset(start), len: end.saturating_sub(start), pickled };
        self.budget.push(&mut self.graph.arrays, array)
    }

    pub(crate) fn protocol(&mut self, protocol: u8) {
        self.graph.protocol = self.graph.protocol.max(protocol);
    }

    /// Inlined, since whoever calls it knows the variant.
    #[inline(always)]
    pub(crate) fn add(&mut self, node: Node) -> Result<NodeId, Exceeded> {
        let id = NodeId::arena(self.graph.nodes.len()).ok_or_else(full)?;
        let node = Packed::new(node, self.at);
        push(&mut self.graph.nodes, node, self.room, self.budget)?;
        Ok(id)
    }

    #[inline(always)]
    pub(crate) fn int(&mut self, value: i64) -> Result<NodeId, Exceeded> {
        match NodeId::int(value) {
            Some(id) => Ok(id),
            None => self.add(Node::Int(value)),
        }
    }

    /// Keeps bytes that are no part of the stream.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Result<Span, Exceeded> {
        let start = self.graph.decoded.len() as u64;
        if start.saturating_add(bytes.len() as u64) > LONGEST {
            return Err(full());
        }
        self.budget.extend(&mut self.graph.decoded, bytes)?;
        Ok(Span { start, len: bytes.len() as u64, decoded: true })
    }

    pub(crate) fn tuple(&mut self, items: &[NodeId]) -> Result<NodeId, Exceeded> {
        if items.is_empty() {
            return Ok(NodeId::EMPTY_TUPLE);
        }
        let hashable = items.iter().all(|&item| self.is_hashable(item));
        let run = self.run(items)?;
        self.add(Node::Tuple { run, hashable })
    }

    pub(crate) fn frozen_set(&mut self, items: &[NodeId]) -> Result<NodeId, Exceeded> {
        let run = self.run(items)?;
        self.add(Node::FrozenSet(run))
    }

    #[inline(always)]
    pub(crate) fn list(&mut self, items: &[NodeId]) -> Result<NodeId, Exceeded> {
        let growing = self.growing(items)?;
        self.add(Node::List(growing))
    }

    #[inline(always)]
    pub(crate) fn set(&mut self) -> Result<NodeId, Exceeded> {
        let growing = self.growing(&[])?;
        self.add(Node::Set(growing))
    }

    /// A dict of keys and values in turn.
    #[inline(always)]
    pub(crate) fn dict(&mut self, pairs: &[NodeId]) -> Result<NodeId, Exceeded> {
        let growing = self.growing(pairs)?;
        self.add(Node::Dict(growing))
    }

    pub(crate) fn global(&mut self, module: Span, name: Span) -> Result<NodeId, Exceeded> {
        let index = index(self.graph.globals.len())?;
        self.budget.push(&mut self.graph.globals, (module, name))?;
        self.add(Node::Global(index))
    }

    pub(crate) fn recipe(
        &mut self,
        make: Make,
        callable: NodeId,
        args: NodeId,
        kwargs: NodeId,
    ) -> Result<NodeId, Exceeded> {
        let index = index(self.graph.recipes.len())?;
        let recipe = RawRecipe { callable, args, kwargs, effects: Chain::EMPTY, make };
        self.budget.push(&mut self.graph.recipes, recipe)?;
        self.add(Node::Recipe(index))
    }

    #[inline(always)]
    fn growing(&mut self, items: &[NodeId]) -> Result<u32, Exceeded> {
        let index = index(self.graph.growing.len())?;
        let held = if items.is_empty() { Run::EMPTY } else { self.run(items)? };
        let growing = Growing::new(Held::Pool(held), self.at);
        push(&mut self.graph.growing, growing, self.room / 2, self.budget)?;
        Ok(index)
    }

    #[inline(always)]
    pub(super) fn run(&mut self, items: &[NodeId]) -> Result<Run, Exceeded> {
        let start = self.graph.pool.len();
        // Neither the start nor the length, then, is more than an index can say.
        let end = index(start.saturating_add(items.len()))?;
        if self.graph.pool.capacity().saturating_sub(start) < items.len() {
            grow(&mut self.graph.pool, items.len(), self.room, self.budget)?;
        }
        self.graph.pool.extend_from_slice(items);
        let start = index(start)?;
        Ok(Run { start, len: end.saturating_sub(start) })
    }

    /// Appends to a list, set or dict.
    ///
    /// Items stay in the shared pool as long as they lie in one piece at its end or came in
    /// one go; what grows otherwise moves, once, into a vector of its own.
    #[inline(always)]
    pub(crate) fn extend(&mut self, growing: u32, items: &[NodeId]) -> Result<(), Exceeded> {
        let held = self.graph.growing.get(growing as usize).map(|growing| growing.held);
        if held != Some(Run::EMPTY) || items.is_empty() {
            return self.extend_more(growing, items);
        }
        let run = self.run(items)?;
        self.grown(growing, Held::Pool(run));
        Ok(())
    }

    #[inline(never)]
    fn extend_more(&mut self, growing: u32, items: &[NodeId]) -> Result<(), Exceeded> {
        let Some(held) = self.graph.growing.get(growing as usize) else { return Ok(()) };
        if items.is_empty() {
            return Ok(());
        }
        let place = match held.place() {
            Held::Own(own) => {
                let Some(vec) = self.graph.own.get_mut(own as usize) else { return Ok(()) };
                self.budget.extend(vec, items)?;
                Held::Own(own)
            }
            Held::Pool(run) if run.len == 0 => Held::Pool(self.run(items)?),
            Held::Pool(run) if self.is_last(run) => {
                let more = self.run(items)?;
                // A run of `OWN` items would be 16 GiB; the pool ends before.
                Held::Pool(Run { start: run.start, len: run.len.saturating_add(more.len) })
            }
            Held::Pool(run) => Held::Own(self.move_out(run, items)?),
        };
        self.grown(growing, place);
        Ok(())
    }

    #[inline]
    fn grown(&mut self, growing: u32, place: Held) {
        if let Some(growing) = self.graph.growing.get_mut(growing as usize) {
            *growing = Growing::new(place, self.at);
        }
    }

    fn is_last(&self, run: Run) -> bool {
        run.start.saturating_add(run.len) as usize == self.graph.pool.len()
    }

    fn move_out(&mut self, run: Run, items: &[NodeId]) -> Result<u32, Exceeded> {
        let mut own = Vec::new();
        self.budget.extend(&mut own, self.graph.run(run))?;
        self.budget.extend(&mut own, items)?;
        let at = index(self.graph.own.len())?;
        self.budget.push(&mut self.graph.own, own)?;
        Ok(at)
    }

    /// Records that something was done to `on`, which is neither list, set nor dict.
    pub(crate) fn effect(
        &mut self,
        on: NodeId,
        kind: EffectKind,
        items: &[NodeId],
    ) -> Result<(), Exceeded> {
        let run = self.run(items)?;
        let new = index(self.graph.effects.len())?;
        let effect = RawEffect { kind, run, next: u32::MAX, at: self.at };
        self.budget.push(&mut self.graph.effects, effect)?;
        let graph = &mut self.graph;
        let recipe = match graph.nodes.get(arena(on)).map(|node| node.unpack()) {
            Some(Node::Recipe(index)) => graph.recipes.get_mut(index as usize),
            _ => None,
        };
        let chain = match recipe {
            Some(recipe) => &mut recipe.effects,
            None => match graph.aside.entry(on) {
                Entry::Occupied(chain) => chain.into_mut(),
                Entry::Vacant(slot) => {
                    self.budget.memory(ASIDE)?;
                    slot.insert(Chain::EMPTY)
                }
            },
        };
        if let Some(last) = graph.effects.get_mut(chain.last as usize) {
            last.next = new;
        } else {
            chain.first = new;
        }
        chain.last = new;
        Ok(())
    }

    /// Where a dict keeps its items, if `id` is one.
    #[inline]
    pub(crate) fn as_dict(&self, id: NodeId) -> Option<u32> {
        self.graph.node(id)?.dict()
    }

    /// Whether Python can hash `id`.
    #[inline]
    pub(crate) fn is_hashable(&self, id: NodeId) -> bool {
        self.graph.node(id).is_none_or(Packed::is_hashable)
    }

    /// The type of what Python cannot hash.
    #[cold]
    pub(crate) fn unhashable(&self, id: NodeId) -> &'static str {
        match self.graph.kind(id) {
            Some(Node::Tuple { .. }) => "tuple of unhashable objects",
            _ => self.graph.object(id).kind(),
        }
    }
}

/// What an entry of the map of side effects takes (bytes), growth included.
const ASIDE: u64 = 64;

fn arena(id: NodeId) -> usize {
    match id.place() {
        Place::Arena(index) => index,
        _ => usize::MAX,
    }
}

pub(super) fn index(len: usize) -> Result<u32, Exceeded> {
    u32::try_from(len).ok().filter(|&index| index != u32::MAX).ok_or_else(full)
}

/// More objects than ids can name.
#[cold]
fn full() -> Exceeded {
    Exceeded { limit: Limit::Memory, asked: u64::MAX, ceiling: 1 << 32 }
}
