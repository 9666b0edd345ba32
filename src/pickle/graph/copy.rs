//! Copying from one graph to another, and changing what was built.

use super::build::Builder;
use super::{
    BUILT, Chain, EffectKind, Global, Graph, Growing, Held, Node, NodeId, Object, Packed, Place,
    RawRecipe, Run, Span, Value,
};
use crate::base::{Budget, Exceeded, FileOffset};

impl<'budget> Builder<'budget> {
    /// Goes on with a graph that was finished.
    pub(super) fn resume(graph: Graph, budget: &'budget mut Budget) -> Self {
        Self { graph, budget, at: 0, room: 0 }
    }

    /// Puts other items in the place of what a list, set or dict holds. When it last grew
    /// stays as it was: that is about the stream.
    pub(super) fn replace(&mut self, growing: u32, items: &[NodeId]) -> Result<(), Exceeded> {
        let run = self.run(items)?;
        if let Some(growing) = self.graph.growing.get_mut(growing as usize) {
            *growing = Growing::new(Held::Pool(run), growing.changed);
        }
        Ok(())
    }

    /// Makes whatever refers to an object refer to another one. Constants stay what they are.
    pub(super) fn redirect(&mut self, to: impl Fn(NodeId) -> NodeId) {
        let to = |id: NodeId| if let Place::Arena(_) = id.place() { to(id) } else { id };
        let graph = &mut self.graph;
        let own = graph.own.iter_mut().flatten();
        let recipes = graph.recipes.iter_mut();
        let parts = recipes.flat_map(|it| [&mut it.callable, &mut it.args, &mut it.kwargs]);
        for id in graph.pool.iter_mut().chain(own).chain(parts).chain(&mut graph.root) {
            *id = to(*id);
        }
        for node in &mut graph.nodes {
            if let Node::Persistent(id) = node.unpack() {
                *node = Packed::new(Node::Persistent(to(id)), node.origin());
            }
        }
    }

    /// Forgets the effects of one kind.
    pub(super) fn drop_effects(&mut self, on: NodeId, kind: EffectKind) {
        let Some(Node::Recipe(index)) = self.graph.kind(on) else { return };
        let Some(recipe) = self.graph.recipes.get_mut(index as usize) else { return };
        let mut kept = Chain::EMPTY;
        let mut next = recipe.effects.first;
        while let Some(effect) = self.graph.effects.get(next as usize).copied() {
            if effect.kind != kind {
                if let Some(last) = self.graph.effects.get_mut(kept.last as usize) {
                    last.next = next;
                } else {
                    kept.first = next;
                }
                kept.last = next;
            }
            next = effect.next;
        }
        if let Some(last) = self.graph.effects.get_mut(kept.last as usize) {
            last.next = u32::MAX;
        }
        recipe.effects = kept;
    }

    /// Copies an object with all it refers to.
    ///
    /// Each copy gets its id first, so that parts can name each other whatever their order.
    /// `global` gives the copies of globals.
    pub(super) fn copy(
        &mut self,
        object: Object<'_>,
        mut global: impl FnMut(&mut Self, Global<'_>) -> Result<NodeId, Exceeded>,
    ) -> Result<NodeId, Exceeded> {
        let from = object.graph();
        self.budget.memory((from.len() as u64).saturating_mul(size_of::<NodeId>() as u64))?;
        let mut ids = vec![NodeId::NONE; from.len()];
        let mut order = Vec::new();
        for part in object.reach() {
            let Some(index) = part.index() else { continue };
            let Some(slot) = ids.get_mut(index) else { continue };
            self.copying(from.base_of(index))?;
            self.at = from.node(part.id()).map_or(BUILT, Packed::origin);
            if let Value::Global(named) = part.value() {
                *slot = global(self, named)?;
            } else {
                *slot = self.add(Node::Int(0))?;
            }
            self.budget.push(&mut order, part)?;
        }
        let buffers = super::build::index(self.graph.buffers.len())?;
        self.budget.memory((from.buffers.len() as u64).saturating_mul(64))?;
        self.graph.buffers.extend_from_slice(&from.buffers);
        let mut copy = Copy { build: self, from, ids, buffers };
        for part in order {
            copy.fill(part)?;
        }
        let copied = copy.id(object.id());
        self.at = BUILT;
        Ok(copied)
    }

    /// Notes that objects made from here on are of a stream that begins at `base`.
    fn copying(&mut self, base: FileOffset) -> Result<(), Exceeded> {
        let next = self.graph.nodes.len();
        if self.graph.base_of(next) != base {
            self.budget.push(&mut self.graph.copied, (next, base))?;
        }
        Ok(())
    }
}

struct Copy<'run, 'budget, 'from> {
    build: &'run mut Builder<'budget>,
    from: &'from Graph,
    /// For each object of the other arena its copy.
    ids: Vec<NodeId>,
    /// Out-of-band buffers that were there before.
    buffers: u32,
}

impl Copy<'_, '_, '_> {
    fn id(&self, id: NodeId) -> NodeId {
        match id.place() {
            Place::Arena(index) => self.ids.get(index).copied().unwrap_or(NodeId::NONE),
            _ => id,
        }
    }

    fn fill(&mut self, part: Object<'_>) -> Result<(), Exceeded> {
        let from = self.from;
        let Some(node) = from.kind(part.id()) else { return Ok(()) };
        let node = match node {
            Node::BigInt(span) => Node::BigInt(self.span(span)?),
            Node::Text(span) => Node::Text(self.span(span)?),
            Node::Str8(span) => Node::Str8(self.span(span)?),
            Node::Bytes(span) => Node::Bytes(self.span(span)?),
            Node::ByteArray(span) => Node::ByteArray(self.span(span)?),
            Node::Tuple { run, hashable } => {
                Node::Tuple { run: self.run(from.run(run))?, hashable }
            }
            Node::FrozenSet(run) => Node::FrozenSet(self.run(from.run(run))?),
            Node::List(growing) => Node::List(self.growing(growing)?),
            Node::Set(growing) => Node::Set(self.growing(growing)?),
            Node::Dict(growing) => Node::Dict(self.growing(growing)?),
            // One for all copies: what was done to it is done once.
            Node::Global(_) if self.build.graph.first_effect(self.id(part.id())).is_some() => {
                return Ok(());
            }
            Node::Global(_) => return self.effects(part),
            Node::Recipe(index) => Node::Recipe(self.recipe(index)?),
            Node::Persistent(id) => Node::Persistent(self.id(id)),
            Node::Buffer { index, readonly } => {
                Node::Buffer { index: index.saturating_add(self.buffers), readonly }
            }
            Node::Int(_) | Node::Float(_) | Node::Extension(_) => node,
        };
        let at = from.node(part.id()).map_or(BUILT, Packed::origin);
        let id = self.id(part.id());
        if let Place::Arena(index) = id.place()
            && let Some(slot) = self.build.graph.nodes.get_mut(index)
        {
            *slot = Packed::new(node, at);
        }
        self.effects(part)
    }

    fn effects(&mut self, part: Object<'_>) -> Result<(), Exceeded> {
        let (from, id) = (self.from, self.id(part.id()));
        let mut next = from.first_effect(part.id());
        while let Some(effect) = next.and_then(|next| from.effects.get(next as usize)) {
            self.build.at = effect.at;
            let items: Vec<NodeId> = from.run(effect.run).iter().map(|&id| self.id(id)).collect();
            self.build.effect(id, effect.kind, &items)?;
            next = Some(effect.next);
        }
        Ok(())
    }

    fn span(&mut self, span: Span) -> Result<Span, Exceeded> {
        self.build.keep(self.from.bytes(span))
    }

    fn run(&mut self, ids: &[NodeId]) -> Result<Run, Exceeded> {
        let copies: Vec<NodeId> = ids.iter().map(|&id| self.id(id)).collect();
        self.build.run(&copies)
    }

    fn growing(&mut self, growing: u32) -> Result<u32, Exceeded> {
        let run = self.run(self.from.items(growing))?;
        let index = super::build::index(self.build.graph.growing.len())?;
        let changed = self.from.growing.get(growing as usize).map_or(BUILT, |held| held.changed);
        let held = Growing::new(Held::Pool(run), changed);
        self.build.budget.push(&mut self.build.graph.growing, held)?;
        Ok(index)
    }

    fn recipe(&mut self, index: u32) -> Result<u32, Exceeded> {
        let Some(&raw) = self.from.recipes.get(index as usize) else { return Ok(0) };
        let raw = RawRecipe {
            callable: self.id(raw.callable),
            args: self.id(raw.args),
            kwargs: self.id(raw.kwargs),
            effects: Chain::EMPTY,
            make: raw.make,
        };
        let index = super::build::index(self.build.graph.recipes.len())?;
        self.build.budget.push(&mut self.build.graph.recipes, raw)?;
        Ok(index)
    }
}
