//! Walks a graph in the order Python's pickler does, on a stack of its own.

use std::collections::HashMap;
use std::io::{self, Write};
use std::slice::Iter;

use super::atoms::Atoms;
use super::count::{Uses, count};
use super::error::{EncodeError, EncodeKind};
use super::{Encoded, Encoder, Shape};
use crate::base::{Budget, Exceeded, Limit};
use crate::pickle::graph::{EffectKind, Graph, Node, NodeId, Object, Place};
use crate::pickle::opcode::codes;

type Done = Result<(), EncodeError>;

/// Globals that stand for what a protocol has no operation for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Bytes,
    ByteArray,
    Set,
    FrozenSet,
    GetAttr,
    Encode,
    NewObj,
    NewObjEx,
}

impl Builtin {
    pub(super) const fn names(self, protocol: u8) -> (&'static str, &'static str) {
        let builtins = if protocol < 3 { "__builtin__" } else { "builtins" };
        let copyreg = if protocol < 3 { "copy_reg" } else { "copyreg" };
        match self {
            Self::Bytes => (builtins, "bytes"),
            Self::ByteArray => (builtins, "bytearray"),
            Self::Set => (builtins, "set"),
            Self::FrozenSet => (builtins, "frozenset"),
            Self::GetAttr => (builtins, "getattr"),
            Self::Encode => ("_codecs", "encode"),
            Self::NewObj => (copyreg, "__newobj__"),
            Self::NewObjEx => (copyreg, "__newobj_ex__"),
        }
    }
}

/// What is left to write, the next on top.
enum Step<'graph> {
    Value(NodeId),
    Run(Iter<'graph, NodeId>),
    Items(Items<'graph>),
    /// Makes a tuple that the graph does not know.
    Tuple(u8),
    Build,
    Seal(Seal),
    Effects(u32),
}

/// The operation that makes an object of its parts, now on the reader's stack.
struct Seal {
    index: usize,
    id: NodeId,
    by: By,
    parts: Parts,
}

#[derive(Clone, Copy)]
enum By {
    Op(u8),
    /// INST names the class itself.
    Inst(NodeId),
}

/// What lies on the reader's stack.
#[derive(Clone, Copy)]
enum Parts {
    Bare(u8),
    OnMark(usize),
}

/// Items for a list, set or dict, in batches as Python cuts them.
struct Items<'graph> {
    ids: Iter<'graph, NodeId>,
    /// Objects that make an item: two for dicts.
    unit: usize,
    /// Items that one operation takes at most.
    batch: usize,
    /// Written without a mark, each followed by `one`.
    single: bool,
    one: u8,
    many: u8,
    /// Objects left in the batch.
    left: usize,
    open: bool,
}

enum Next {
    Value(NodeId),
    /// Values, without anything before them.
    Values,
    Op(u8),
    End,
}

impl<'graph> Items<'graph> {
    const BATCH: usize = 1000;

    fn new(ids: &'graph [NodeId], kind: EffectKind, protocol: u8) -> Self {
        let (unit, one, many) = match kind {
            EffectKind::SetItems => (2, codes::SETITEM, codes::SETITEMS),
            EffectKind::AddItems => (1, codes::ADDITEMS, codes::ADDITEMS),
            EffectKind::Append | EffectKind::State => (1, codes::APPEND, codes::APPENDS),
        };
        let alone = ids.len() == unit || protocol == 0;
        let single = alone && kind != EffectKind::AddItems;
        let ids = ids.iter();
        Self { ids, unit, batch: Self::BATCH, single, one, many, left: 0, open: false }
    }

    /// The next operation between values, or value; what can be written at once is.
    #[inline]
    fn next(&mut self, mut written: impl FnMut(NodeId) -> io::Result<bool>) -> io::Result<Next> {
        while self.left > 0 {
            self.left = self.left.saturating_sub(1);
            let Some(&id) = self.ids.next() else { return Ok(Next::End) };
            if !written(id)? {
                return Ok(Next::Value(id));
            }
        }
        Ok(self.turn())
    }

    /// Between two batches.
    fn turn(&mut self) -> Next {
        if self.open {
            self.open = false;
            return Next::Op(if self.single { self.one } else { self.many });
        }
        if self.ids.as_slice().is_empty() {
            return Next::End;
        }
        self.open = true;
        if self.single {
            self.left = self.unit;
            return Next::Values;
        }
        self.left = self.ids.len().min(self.batch.saturating_mul(self.unit));
        Next::Op(codes::MARK)
    }
}

pub(super) struct Writer<'graph, 'run> {
    pub(super) options: Encoder,
    pub(super) graph: &'graph Graph,
    budget: &'run mut Budget,
    pub(super) atoms: Atoms<'run>,
    uses: Uses,
    todo: Vec<Step<'graph>>,
    buffers: Vec<u32>,
    /// What is being made, and the length of the memo when that began.
    entered: HashMap<usize, u32>,
}

pub(super) fn write(
    options: &Encoder,
    root: Object<'_>,
    budget: &mut Budget,
    out: &mut dyn Write,
) -> Result<Encoded, EncodeError> {
    let (graph, protocol) = (root.graph(), options.protocol);
    let uses = count(graph, root.id(), protocol, budget)?;
    let mut atoms = Atoms::new(protocol, options.memoize_all, out);
    atoms.begin()?;
    let (todo, buffers, entered) = (Vec::new(), Vec::new(), HashMap::new());
    let mut writer =
        Writer { options: *options, graph, budget, atoms, uses, todo, buffers, entered };
    writer.value(root.id())?;
    writer.run()?;
    let Writer { atoms, buffers, .. } = writer;
    Ok(Encoded { bytes: atoms.finish()?, buffers })
}

impl<'graph> Writer<'graph, '_> {
    /// What an entry of the map takes (bytes), growth included.
    const ENTRY: u64 = 48;

    fn run(&mut self) -> Done {
        let graph = self.graph;
        while let Some(step) = self.todo.last_mut() {
            match step {
                Step::Items(items) => {
                    let (atoms, uses) = (&mut self.atoms, &self.uses);
                    match items.next(|id| atoms.plain(graph, uses, id))? {
                        Next::Value(id) => self.part(id)?,
                        Next::Values => {}
                        Next::Op(op) => self.atoms.out.byte(op),
                        Next::End => drop(self.todo.pop()),
                    }
                }
                Step::Run(ids) => match ids.next() {
                    Some(&id) => self.value(id)?,
                    None => drop(self.todo.pop()),
                },
                _ => self.last_step()?,
            }
        }
        Ok(())
    }

    /// A step that is taken once.
    fn last_step(&mut self) -> Done {
        match self.todo.pop() {
            Some(Step::Value(id)) => self.value(id),
            Some(Step::Tuple(op)) => {
                self.atoms.out.byte(op);
                self.atoms.put_unnamed()
            }
            Some(Step::Build) => {
                self.atoms.out.byte(codes::BUILD);
                Ok(())
            }
            Some(Step::Seal(seal)) => self.seal(&seal),
            Some(Step::Effects(index)) => self.effect(index),
            _ => Ok(()),
        }
    }

    fn value(&mut self, id: NodeId) -> Done {
        if self.atoms.plain(self.graph, &self.uses, id)? { Ok(()) } else { self.part(id) }
    }

    /// An object that is neither plain nor in the memo.
    fn part(&mut self, id: NodeId) -> Done {
        let (graph, protocol) = (self.graph, self.options.protocol);
        let (Place::Arena(index), Some(node)) = (id.place(), graph.kind(id)) else {
            return Ok(());
        };
        match node {
            Node::Text(span) => self.atoms.text(graph.bytes(span)),
            Node::Str8(span) => self.atoms.str8(graph.bytes(span)),
            Node::Bytes(span) => self.atoms.binary(graph.bytes(span)),
            Node::ByteArray(span) => self.atoms.byte_array(graph.bytes(span)),
            Node::BigInt(span) => return self.atoms.big_int(graph.bytes(span)),
            Node::List(growing) => {
                self.atoms.empty_list();
                self.remember(index, false)?;
                return self.items(graph.items(growing), EffectKind::Append);
            }
            Node::Dict(growing) => {
                self.atoms.empty_dict();
                self.remember(index, false)?;
                return self.items(graph.items(growing), EffectKind::SetItems);
            }
            Node::Set(growing) if protocol >= 4 => {
                self.atoms.out.byte(codes::EMPTY_SET);
                self.remember(index, false)?;
                return self.items(graph.items(growing), EffectKind::AddItems);
            }
            Node::Set(growing) => {
                return self.set_by_call(id, index, Builtin::Set, graph.items(growing));
            }
            Node::FrozenSet(run) if protocol >= 4 => {
                let items = graph.run(run);
                self.enter(id, index, items.len())?;
                self.atoms.out.byte(codes::MARK);
                self.push_seal(id, index, codes::FROZENSET, Parts::OnMark(items.len()))?;
                return self.push(Step::Run(items.iter()));
            }
            Node::FrozenSet(run) => {
                return self.set_by_call(id, index, Builtin::FrozenSet, graph.run(run));
            }
            Node::Tuple { run, .. } => return self.tuple(id, index, graph.run(run)),
            Node::Recipe(recipe) => return self.recipe(id, index, recipe),
            Node::Persistent(of) => return self.persistent(id, index, of),
            Node::Global(global) => self.global(global),
            Node::Extension(code) => {
                self.atoms.extension(code);
                Ok(())
            }
            Node::Buffer { index: number, readonly } => self.buffer(number, readonly),
            Node::Int(_) | Node::Float(_) => Ok(()),
        }
        .map_err(|why| self.locate(why, id))?;
        let effects = graph.first_effect(id);
        let always = !matches!(node, Node::Extension(_) | Node::Buffer { .. });
        if always || effects.is_some() || self.uses.met.get(index) == Some(&Uses::AGAIN) {
            self.remember(index, effects.is_some())?;
        }
        self.effects(effects)
    }

    fn locate(&self, why: EncodeError, id: NodeId) -> EncodeError {
        let at = match why.kind {
            EncodeKind::Needs { .. } | EncodeKind::Endless => self.graph.object(id).offset(),
            _ => None,
        };
        EncodeError { at, ..why }
    }

    /// Stores what was just written in the memo, if it will be wanted.
    fn remember(&mut self, index: usize, wanted: bool) -> Done {
        let Some(met) = self.uses.met.get_mut(index) else { return Ok(()) };
        if wanted || *met == Uses::AGAIN || self.uses.knot || self.options.memoize_all {
            *met = self.atoms.put()?.saturating_add(Uses::FIRST);
        }
        Ok(())
    }

    /// What is made after its parts is begun. In a knot it may be begun again by its parts,
    /// until one of them that is in the memo cuts the way.
    fn enter(&mut self, id: NodeId, index: usize, parts: usize) -> Done {
        if !self.uses.knot {
            return Ok(());
        }
        self.budget.visits((parts as u64).saturating_add(1))?;
        self.budget.memory(Self::ENTRY)?;
        let now = self.atoms.stored();
        if self.entered.insert(index, now) == Some(now) {
            return Err(self.locate(EncodeError { kind: EncodeKind::Endless, at: None }, id));
        }
        Ok(())
    }

    fn seal(&mut self, seal: &Seal) -> Done {
        let met = self.uses.met.get(seal.index).copied().unwrap_or_default();
        if let Some(place) = met.checked_sub(Uses::FIRST) {
            // Its parts have made it meanwhile.
            self.atoms.drop_parts(match seal.parts {
                Parts::Bare(n) => (n.into(), false),
                Parts::OnMark(n) => (n, true),
            });
            self.atoms.get(place);
            return Ok(());
        }
        match seal.by {
            By::Op(op) => self.atoms.out.byte(op),
            By::Inst(class) => {
                if let Some(Node::Global(index)) = self.graph.kind(class) {
                    self.inst(index);
                }
            }
        }
        self.entered.remove(&seal.index);
        let effects = self.graph.first_effect(seal.id);
        // Python's pickler asks for a persistent id anew each time.
        let named = !matches!(self.graph.kind(seal.id), Some(Node::Persistent(_)));
        if named || effects.is_some() || met == Uses::AGAIN || self.uses.knot {
            self.remember(seal.index, effects.is_some() && !named)?;
        }
        self.effects(effects)
    }

    fn effects(&mut self, first: Option<u32>) -> Done {
        first.map_or(Ok(()), |first| self.push(Step::Effects(first)))
    }

    fn push_seal(&mut self, id: NodeId, index: usize, op: u8, parts: Parts) -> Done {
        self.push(Step::Seal(Seal { index, id, by: By::Op(op), parts }))
    }

    #[inline]
    fn push(&mut self, step: Step<'graph>) -> Done {
        Ok(self.budget.push(&mut self.todo, step)?)
    }

    fn items(&mut self, ids: &'graph [NodeId], kind: EffectKind) -> Done {
        if ids.is_empty() {
            return Ok(());
        }
        self.push(Step::Items(Items::new(ids, kind, self.options.protocol)))
    }

    fn tuple(&mut self, id: NodeId, index: usize, items: &'graph [NodeId]) -> Done {
        self.enter(id, index, items.len())?;
        let op = [codes::TUPLE, codes::TUPLE1, codes::TUPLE2, codes::TUPLE3].get(items.len());
        let (op, parts) = match (op, u8::try_from(items.len())) {
            (Some(&op), Ok(n)) if self.options.protocol >= 2 && n > 0 => (op, Parts::Bare(n)),
            _ => {
                self.atoms.out.byte(codes::MARK);
                (codes::TUPLE, Parts::OnMark(items.len()))
            }
        };
        self.push_seal(id, index, op, parts)?;
        self.push(Step::Run(items.iter()))
    }

    /// Begins a tuple that the graph does not know; what to say at its end.
    fn begin_tuple(&mut self, len: usize) -> u8 {
        let op = [codes::EMPTY_TUPLE, codes::TUPLE1, codes::TUPLE2, codes::TUPLE3].get(len);
        match op {
            Some(&op) if self.options.protocol >= 2 => op,
            _ => {
                self.atoms.out.byte(codes::MARK);
                codes::TUPLE
            }
        }
    }

    /// `set([…])`.
    fn set_by_call(
        &mut self,
        id: NodeId,
        index: usize,
        name: Builtin,
        items: &'graph [NodeId],
    ) -> Done {
        self.enter(id, index, items.len())?;
        self.atoms.builtin(name)?;
        let op = self.begin_tuple(1);
        self.atoms.empty_list();
        self.atoms.put_unnamed()?;
        self.push_seal(id, index, codes::REDUCE, Parts::Bare(2))?;
        self.push(Step::Tuple(op))?;
        self.items(items, EffectKind::Append)
    }

    fn persistent(&mut self, id: NodeId, index: usize, of: NodeId) -> Done {
        let line = match self.graph.kind(of) {
            Some(Node::Text(span)) if self.options.protocol == 0 => Some(self.graph.bytes(span)),
            _ => None,
        };
        if let Some(line) = line.filter(|line| line.is_ascii() && !line.contains(&b'\n')) {
            self.atoms.line(codes::PERSID, line);
            let effects = self.graph.first_effect(id);
            if effects.is_some() || self.uses.met.get(index) == Some(&Uses::AGAIN) {
                self.remember(index, effects.is_some())?;
            }
            return self.effects(effects);
        }
        self.enter(id, index, 1)?;
        self.push_seal(id, index, codes::BINPERSID, Parts::Bare(1))?;
        self.push(Step::Value(of))
    }

    fn recipe(&mut self, id: NodeId, index: usize, recipe: u32) -> Done {
        let graph = self.graph;
        let Some(made) = graph.made(recipe) else { return Ok(()) };
        let shape = Shape::of(graph, &made, self.options.protocol);
        self.enter(id, index, shape.spliced().map_or(0, <[NodeId]>::len))?;
        let (class, args, kwargs) = (*made.callable, *made.args, *made.kwargs);
        match shape {
            Shape::Reduce => self.push_seal(id, index, codes::REDUCE, Parts::Bare(2))?,
            Shape::NewObj => self.push_seal(id, index, codes::NEWOBJ, Parts::Bare(2))?,
            Shape::NewObjEx => {
                self.push_seal(id, index, codes::NEWOBJ_EX, Parts::Bare(3))?;
                self.push(Step::Value(kwargs))?;
            }
            Shape::CallNewObjEx => {
                self.atoms.builtin(Builtin::NewObjEx)?;
                let op = self.begin_tuple(3);
                self.push_seal(id, index, codes::REDUCE, Parts::Bare(2))?;
                self.push(Step::Tuple(op))?;
                self.push(Step::Value(kwargs))?;
            }
            Shape::CallNewObj(None) => {
                let what = "an instance whose arguments are no tuple";
                return Err(self.locate(EncodeError::needs(what, 2), id));
            }
            Shape::CallNewObj(Some(items)) => {
                self.atoms.builtin(Builtin::NewObj)?;
                let op = self.begin_tuple(items.len().saturating_add(1));
                self.push_seal(id, index, codes::REDUCE, Parts::Bare(2))?;
                self.push(Step::Tuple(op))?;
                self.push(Step::Run(items.iter()))?;
                return self.push(Step::Value(class));
            }
            Shape::Inst(items) => {
                self.atoms.out.byte(codes::MARK);
                let parts = Parts::OnMark(items.len());
                self.push(Step::Seal(Seal { index, id, by: By::Inst(class), parts }))?;
                return self.push(Step::Run(items.iter()));
            }
            Shape::Obj(items) => {
                self.atoms.out.byte(codes::MARK);
                let parts = Parts::OnMark(items.len().saturating_add(1));
                self.push_seal(id, index, codes::OBJ, parts)?;
                self.push(Step::Run(items.iter()))?;
                return self.push(Step::Value(class));
            }
        }
        self.push(Step::Value(args))?;
        self.push(Step::Value(class))
    }

    fn effect(&mut self, index: u32) -> Done {
        let Some((kind, items, next)) = self.graph.effect(index) else { return Ok(()) };
        if let Some(next) = next {
            self.push(Step::Effects(next))?;
        }
        if kind == EffectKind::State {
            self.push(Step::Build)?;
            return self.push(Step::Run(items.iter()));
        }
        if kind == EffectKind::AddItems && self.options.protocol < 4 {
            return Err(EncodeError::needs("items added to an object that is no set", 4));
        }
        let items = Items::new(items, kind, self.options.protocol);
        self.push(Step::Items(Items { batch: usize::MAX, ..items }))
    }

    fn buffer(&mut self, number: u32, readonly: bool) -> Done {
        if self.options.protocol < 5 {
            return Err(EncodeError::needs("an out-of-band buffer", 5));
        }
        self.budget.push(&mut self.buffers, number)?;
        self.atoms.out.byte(codes::NEXT_BUFFER);
        if readonly {
            self.atoms.out.byte(codes::READONLY_BUFFER);
        }
        Ok(())
    }

    fn global(&mut self, index: u32) -> Done {
        let Some(global) = self.graph.global(index) else { return Ok(()) };
        match self.options.rename.and_then(|rename| rename(global)) {
            Some((module, name)) => self.atoms.global(&module, &name, self.budget),
            None => self.atoms.global(global.module, global.name, self.budget),
        }
    }

    fn inst(&mut self, index: u32) {
        let Some(global) = self.graph.global(index) else { return };
        match self.options.rename.and_then(|rename| rename(global)) {
            Some((module, name)) => self.atoms.two_lines(codes::INST, &module, &name),
            None => self.atoms.two_lines(codes::INST, global.module, global.name),
        }
    }
}

impl EncodeError {
    pub(super) const fn needs(what: &'static str, protocol: u8) -> Self {
        Self { kind: EncodeKind::Needs { what, protocol }, at: None }
    }
}

/// More places in the memo than an operand can name.
#[cold]
pub(super) fn full() -> Exceeded {
    Exceeded { limit: Limit::Memory, asked: u64::MAX, ceiling: 1 << 32 }
}
