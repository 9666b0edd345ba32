//! The machine that carries a stream out, recording where Python would call.
//!
//! Source: `Modules/_pickle.c` of CPython 3.11, whose reading counts.

use bytes::Bytes;

use super::decode::Ops;
use super::error::{Error, Kind};
use super::graph::{
    Builder, Dict, EffectKind, Global, Graph, Items, LONGEST, Make, Node, NodeId, Span, Value,
};
use super::memo::{Globals, Memo, Spelled};
use super::opcode::Op;
use super::policy::{Policy, Position, Positions};
use super::text::{self, Number};
use crate::base::{Budget, End, FileOffset, Limit};

/// What running a stream gave.
#[derive(Debug)]
pub struct Outcome {
    /// What was built. If the stream broke, what had been built by then: Python would have
    /// run that part already.
    pub graph: Graph,
    /// How many bytes were read up to and with STOP, or why there was no STOP.
    pub end: Result<u64, Error>,
}

/// Runs the first pickle in `stream`, calling nothing.
///
/// `base` is where the stream begins in its file; every offset counts from there. Time is in
/// proportion to the bytes read. Memory is taken from `budget` as it is allocated.
///
/// ```
/// use depickle::{Budget, FileOffset};
/// use depickle::pickle::{Policy, run};
///
/// let bytes = b"\x80\x02]q\x00(K\x01h\x00e.".to_vec(); // a list that holds itself
/// let outcome = run(bytes.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
/// assert_eq!(outcome.end, Ok(12));
/// let list = outcome.graph.root().unwrap();
/// assert_eq!(list.items().unwrap().get(1), Some(list));
/// ```
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "the graph shares the stream")]
pub fn run(stream: Bytes, base: FileOffset, policy: &Policy, budget: &mut Budget) -> Outcome {
    let mut machine = Machine {
        build: Builder::new(stream.clone(), base, budget),
        policy,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Memo::default(),
        globals: Globals::default(),
        buffers: 0,
        end: 0,
    };
    let end = machine.run(&stream, base);
    Outcome { graph: machine.build.finish(), end }
}

struct Machine<'run> {
    build: Builder<'run>,
    policy: &'run Policy,
    stack: Vec<NodeId>,
    /// Heights of the stack where marks stand.
    marks: Vec<usize>,
    memo: Memo,
    globals: Globals,
    /// Out-of-band buffers asked for so far.
    buffers: u32,
    /// Offset in the stream behind the current operation.
    end: u64,
}

impl Machine<'_> {
    fn run(&mut self, stream: &[u8], base: FileOffset) -> Result<u64, Error> {
        if stream.len() as u64 > LONGEST {
            return Err(Error::new(Kind::Unsupported("a stream over 1 TiB"), None, base));
        }
        let mut ops = Ops::at(stream, base);
        loop {
            self.build.begin(self.end);
            let Some(next) = ops.next() else { return Err(Error::new(Kind::NoStop, None, base)) };
            let (at, op) = next?;
            self.end = ops.consumed();
            match self.step(op, ops.rest().len()) {
                Ok(true) => {}
                Ok(false) => return Ok(self.end),
                Err(kind) => return Err(Error::new(kind, Some(op.opcode()), at)),
            }
        }
    }

    /// Carries out one operation; false after STOP.
    #[inline]
    #[expect(clippy::too_many_lines, reason = "a flat match, one arm an opcode")]
    fn step(&mut self, op: Op<'_>, left: usize) -> Result<bool, Kind> {
        match op {
            Op::Mark => {
                let height = self.stack.len();
                self.build.budget().push(&mut self.marks, height)?;
            }
            Op::Stop => {
                let root = self.pop()?;
                self.build.root(root);
                return Ok(false);
            }
            Op::Pop => self.pop_any()?,
            Op::PopMark => {
                let height = self.pop_mark()?;
                self.stack.truncate(height);
            }
            Op::Dup => {
                let top = self.top()?;
                self.push(top)?;
            }
            Op::Float(text) => self.add(Node::Float(text::float(text)?))?,
            Op::Int(text) => self.number(text::int(text)?)?,
            Op::BinInt(value) => self.int(value.into())?,
            Op::BinInt1(value) => self.int(value.into())?,
            Op::BinInt2(value) => self.int(value.into())?,
            Op::Long(text) => self.number(text::long(text)?)?,
            Op::Long1(bytes) | Op::Long4(bytes) => self.long(bytes)?,
            Op::None => self.push(NodeId::NONE)?,
            Op::NewTrue => self.push(NodeId::TRUE)?,
            Op::NewFalse => self.push(NodeId::FALSE)?,
            Op::PersId(text) => {
                let span = self.line_span(text);
                Self::check_ascii(text)?;
                let id = self.build.add(Node::Text(span))?;
                self.add(Node::Persistent(id))?;
            }
            Op::BinPersId => {
                let id = self.pop()?;
                self.add(Node::Persistent(id))?;
            }
            Op::Reduce => self.reduce()?,
            Op::String(text) => {
                let span = self.build.keep(&text::string(text)?)?;
                self.add(Node::Str8(span))?;
            }
            Op::BinString(bytes) | Op::ShortBinString(bytes) => {
                self.add(Node::Str8(self.span(bytes)))?;
            }
            Op::Unicode(text) => {
                let span = self.build.keep(&text::unicode(text)?)?;
                self.add(Node::Text(span))?;
            }
            Op::BinUnicode(bytes) | Op::ShortBinUnicode(bytes) | Op::BinUnicode8(bytes) => {
                if !text::is_utf8_with_surrogates(bytes) {
                    return Err(Kind::BadOperand("the text is not UTF-8"));
                }
                self.add(Node::Text(self.span(bytes)))?;
            }
            Op::BinBytes(bytes) | Op::ShortBinBytes(bytes) | Op::BinBytes8(bytes) => {
                self.add(Node::Bytes(self.span(bytes)))?;
            }
            Op::ByteArray8(bytes) => self.add(Node::ByteArray(self.span(bytes)))?,
            Op::Append => self.append(self.below_top(1)?)?,
            Op::Appends => {
                let height = self.pop_mark()?;
                self.append(height)?;
            }
            Op::Build => self.set_state()?,
            Op::Global((module, name)) => {
                let id = self.line_global(module, name)?;
                self.push(id)?;
            }
            Op::Inst((module, name)) => self.inst(module, name)?,
            Op::Dict => {
                let height = self.pop_mark()?;
                self.check_pairs(height)?;
                let id = self.build.dict(self.stack.get(height..).unwrap_or_default())?;
                self.replace(height, id)?;
            }
            Op::EmptyDict => {
                let id = self.build.dict(&[])?;
                self.push(id)?;
            }
            Op::EmptyList => {
                let id = self.build.list(&[])?;
                self.push(id)?;
            }
            Op::EmptySet => {
                let id = self.build.set()?;
                self.push(id)?;
            }
            Op::List => {
                let height = self.pop_mark()?;
                let id = self.build.list(self.stack.get(height..).unwrap_or_default())?;
                self.replace(height, id)?;
            }
            Op::Get(text) => self.get(text::index(text)?)?,
            Op::BinGet(index) => self.get(index.into())?,
            Op::LongBinGet(index) => self.get(index.into())?,
            Op::Put(text) => self.put(text::index(text)?)?,
            Op::BinPut(index) => self.put(index.into())?,
            Op::LongBinPut(index) => self.put(index.into())?,
            Op::Memoize => self.put(self.memo.stored)?,
            Op::Obj => self.obj()?,
            Op::SetItem => self.set_items(self.below_top(2)?)?,
            Op::SetItems => {
                let height = self.pop_mark()?;
                self.set_items(height)?;
            }
            Op::AddItems => self.add_items()?,
            Op::Tuple => {
                let height = self.pop_mark()?;
                self.tuple(height)?;
            }
            Op::EmptyTuple => self.push(NodeId::EMPTY_TUPLE)?,
            Op::Tuple1 => self.tuple(self.below_top(1)?)?,
            Op::Tuple2 => self.tuple(self.below_top(2)?)?,
            Op::Tuple3 => self.tuple(self.below_top(3)?)?,
            Op::FrozenSet => {
                let height = self.pop_mark()?;
                self.check_hashable(height, 1)?;
                let id = self.build.frozen_set(self.stack.get(height..).unwrap_or_default())?;
                self.replace(height, id)?;
            }
            Op::BinFloat(value) => self.add(Node::Float(value))?,
            Op::Proto(protocol) => {
                if protocol > 5 {
                    return Err(Kind::UnknownProtocol(protocol));
                }
                self.build.protocol(protocol);
            }
            Op::NewObj => {
                let args = self.pop()?;
                self.new_obj(Make::NewObj, args, NodeId::NONE)?;
            }
            Op::NewObjEx => {
                let kwargs = self.pop()?;
                let args = self.pop()?;
                self.new_obj(Make::NewObjEx, args, kwargs)?;
            }
            Op::Ext1(code) => self.extension(code.into())?,
            Op::Ext2(code) => self.extension(code.into())?,
            Op::Ext4(code) => self.extension(code.into())?,
            Op::StackGlobal => self.stack_global()?,
            Op::Frame(len) => {
                // As CPython: the frame must be there; where it ends means nothing.
                if len > left as u64 {
                    return Err(End { wanted: len, left: left as u64 }.into());
                }
            }
            Op::NextBuffer => {
                self.add(Node::Buffer { index: self.buffers, readonly: false })?;
                self.buffers = self.buffers.saturating_add(1);
            }
            Op::ReadOnlyBuffer => self.read_only_buffer()?,
        }
        Ok(true)
    }

    // The stack.

    #[inline]
    fn push(&mut self, id: NodeId) -> Result<(), Kind> {
        Ok(self.build.budget().push(&mut self.stack, id)?)
    }

    #[inline]
    fn add(&mut self, node: Node) -> Result<(), Kind> {
        let id = self.build.add(node)?;
        self.push(id)
    }

    /// The height below which the newest mark lets nothing be taken.
    #[inline]
    fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    #[inline]
    fn pop(&mut self) -> Result<NodeId, Kind> {
        if self.stack.len() <= self.fence() {
            return Err(Kind::Underflow);
        }
        let Some(top) = self.stack.pop() else { return Err(Kind::Underflow) };
        Ok(top)
    }

    #[inline]
    fn top(&self) -> Result<NodeId, Kind> {
        match self.stack.last() {
            Some(&top) if self.stack.len() > self.fence() => Ok(top),
            _ => Err(Kind::Underflow),
        }
    }

    /// The height `n` objects below the top.
    #[inline]
    fn below_top(&self, n: usize) -> Result<usize, Kind> {
        let height = self.stack.len().checked_sub(n).filter(|&height| height >= self.fence());
        height.ok_or(Kind::Underflow)
    }

    /// The object right below `height`, which no mark protects.
    #[inline]
    fn below(&self, height: usize) -> Result<NodeId, Kind> {
        let at = height.checked_sub(1).filter(|&at| at >= self.fence());
        at.and_then(|at| self.stack.get(at)).copied().ok_or(Kind::Underflow)
    }

    #[inline]
    fn pop_mark(&mut self) -> Result<usize, Kind> {
        self.marks.pop().ok_or(Kind::NoMark)
    }

    /// POP takes a mark if nothing stands above it.
    fn pop_any(&mut self) -> Result<(), Kind> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    #[inline]
    fn above(&self, height: usize) -> &[NodeId] {
        self.stack.get(height..).unwrap_or_default()
    }

    /// Puts `id` in the place of everything above `height`.
    #[inline]
    fn replace(&mut self, height: usize, id: NodeId) -> Result<(), Kind> {
        self.stack.truncate(height);
        self.push(id)
    }

    // Places in the stream.

    /// The span of an operand that ends where the operation ends.
    #[inline]
    fn span(&self, bytes: &[u8]) -> Span {
        let len = bytes.len() as u64;
        Span { start: self.end.saturating_sub(len), len, decoded: false }
    }

    /// The span of a line operand: its newline ends the operation.
    fn line_span(&self, line: &[u8]) -> Span {
        let Span { start, len, decoded } = self.span(line);
        Span { start: start.saturating_sub(1), len, decoded }
    }

    // Numbers and texts.

    #[inline]
    fn int(&mut self, value: i64) -> Result<(), Kind> {
        let id = self.build.int(value)?;
        self.push(id)
    }

    fn number(&mut self, number: Number) -> Result<(), Kind> {
        match number {
            Number::Bool(value) => self.push(NodeId::bool(value)),
            Number::Int(value) => self.int(value),
            Number::Big(bytes) => {
                self.build.budget().limits().admit(Limit::IntBytes, bytes.len() as u64)?;
                let span = self.build.keep(&bytes)?;
                self.add(Node::BigInt(span))
            }
        }
    }

    fn long(&mut self, bytes: &[u8]) -> Result<(), Kind> {
        let short = text::shortest(bytes);
        if short.len() <= 8 {
            return self.number(text::twos_complement(short));
        }
        self.build.budget().limits().admit(Limit::IntBytes, short.len() as u64)?;
        let Span { start, .. } = self.span(bytes);
        self.add(Node::BigInt(Span { start, len: short.len() as u64, decoded: false }))
    }

    fn check_ascii(text: &[u8]) -> Result<(), Kind> {
        if text.is_ascii() {
            return Ok(());
        }
        Err(Kind::BadOperand("the persistent id is not ASCII"))
    }

    // Containers.

    fn tuple(&mut self, height: usize) -> Result<(), Kind> {
        let id = self.build.tuple(self.stack.get(height..).unwrap_or_default())?;
        self.replace(height, id)
    }

    fn check_even(&self, height: usize) -> Result<(), Kind> {
        if self.above(height).len().is_multiple_of(2) { Ok(()) } else { Err(Kind::OddItems) }
    }

    fn check_pairs(&self, height: usize) -> Result<(), Kind> {
        self.check_even(height)?;
        self.check_hashable(height, 2)
    }

    /// Checks every `step`th object above `height`.
    fn check_hashable(&self, height: usize, step: usize) -> Result<(), Kind> {
        let hashable =
            |group: &[NodeId]| group.first().is_none_or(|&id| self.build.is_hashable(id));
        if self.above(height).chunks(step).all(hashable) {
            return Ok(());
        }
        let mut members = self.above(height).iter().step_by(step);
        let found = members.find_map(|&member| self.build.unhashable(member));
        Err(Kind::Unhashable(found.unwrap_or_default()))
    }

    fn append(&mut self, height: usize) -> Result<(), Kind> {
        let list = self.below(height)?;
        let items = self.stack.get(height..).unwrap_or_default();
        if items.is_empty() {
            return Ok(());
        }
        match self.build.graph().kind(list) {
            Some(Node::List(growing)) => self.build.extend(growing, items)?,
            other => {
                open_to_effects(other, "a list")?;
                self.build.effect(list, EffectKind::Append, items)?;
            }
        }
        self.stack.truncate(height);
        Ok(())
    }

    fn set_items(&mut self, height: usize) -> Result<(), Kind> {
        let dict = self.below(height)?;
        if self.above(height).is_empty() {
            return Ok(());
        }
        match self.build.graph().kind(dict) {
            Some(Node::Dict(growing)) => {
                self.check_pairs(height)?;
                self.build.extend(growing, self.stack.get(height..).unwrap_or_default())?;
            }
            other => {
                open_to_effects(other, "a dict")?;
                // What it can hash is for its class to say.
                self.check_even(height)?;
                let items = self.stack.get(height..).unwrap_or_default();
                self.build.effect(dict, EffectKind::SetItems, items)?;
            }
        }
        self.stack.truncate(height);
        Ok(())
    }

    fn add_items(&mut self) -> Result<(), Kind> {
        let height = self.pop_mark()?;
        let set = self.below(height)?;
        let items = self.stack.get(height..).unwrap_or_default();
        if items.is_empty() {
            return Ok(());
        }
        match self.build.graph().kind(set) {
            Some(Node::Set(growing)) => {
                self.check_hashable(height, 1)?;
                self.build.extend(growing, self.stack.get(height..).unwrap_or_default())?;
            }
            other => {
                open_to_effects(other, "a set")?;
                self.build.effect(set, EffectKind::AddItems, items)?;
            }
        }
        self.stack.truncate(height);
        Ok(())
    }

    // Memo.

    #[inline]
    fn get(&mut self, index: u64) -> Result<(), Kind> {
        let Some(id) = self.memo.get(index) else { return Err(Kind::NotInMemo(index)) };
        self.push(id)
    }

    #[inline]
    fn put(&mut self, index: u64) -> Result<(), Kind> {
        let top = self.top()?;
        Ok(self.memo.put(index, top, self.build.budget())?)
    }

    // Globals and calls.

    fn line_global(&mut self, module: &[u8], name: &[u8]) -> Result<NodeId, Kind> {
        if module.is_empty() || name.is_empty() {
            return Err(Kind::BadOperand("empty module or name"));
        }
        let name_span = self.line_span(name);
        let before = name_span.start.saturating_sub(1).saturating_sub(module.len() as u64);
        let module_span = Span { start: before, len: module.len() as u64, decoded: false };
        for line in [module, name] {
            if std::str::from_utf8(line).is_err() {
                return Err(Kind::BadOperand("the name is not UTF-8"));
            }
        }
        self.global(module_span, name_span)
    }

    fn stack_global(&mut self) -> Result<(), Kind> {
        let name = self.pop()?;
        let module = self.pop()?;
        let graph = self.build.graph();
        let span = |id| match graph.kind(id) {
            Some(Node::Text(span)) => Ok(span),
            // A Python 2 string is a text to Python, if it is ASCII.
            Some(Node::Str8(span)) if graph.bytes(span).is_ascii() => Ok(span),
            _ => Err(wrong("two texts", graph.object(id).kind())),
        };
        let id = self.global(span(module)?, span(name)?)?;
        self.push(id)
    }

    /// The node of a global; the same for the same name, so that `is` holds.
    fn global(&mut self, module: Span, name: Span) -> Result<NodeId, Kind> {
        if let Some(&id) = self.globals.by_span.get(&(module, name)) {
            return Ok(id);
        }
        let limits = self.build.budget().limits();
        limits.admit(Limit::NameBytes, module.len)?;
        limits.admit(Limit::NameBytes, name.len)?;
        let graph = self.build.graph();
        let spelled = (graph.bytes(module).into(), graph.bytes(name).into());
        let id = match self.globals.by_name.get(&spelled) {
            Some(&id) => id,
            None => self.new_global(module, name, spelled)?,
        };
        self.build.budget().memory(Globals::ENTRY)?;
        self.globals.by_span.insert((module, name), id);
        Ok(id)
    }

    #[cold]
    fn new_global(&mut self, module: Span, name: Span, spelled: Spelled) -> Result<NodeId, Kind> {
        let global = Global { module: &spelled.0, name: &spelled.1 };
        let positions = self.policy.admits(global);
        if positions == Positions::NONE {
            return Err(forbidden(global, Position::Value));
        }
        let bytes = module.len.saturating_add(name.len).saturating_add(Globals::ENTRY);
        self.build.budget().memory(bytes)?;
        let id = self.build.global(module, name)?;
        self.globals.by_name.insert(spelled, id);
        self.globals.positions.insert(id, positions);
        Ok(id)
    }

    /// Whether the policy lets `callable` stand in `position`.
    fn check(&self, callable: NodeId, position: Position) -> Result<(), Kind> {
        let object = self.build.graph().object(callable);
        let (named, position) = match object.value() {
            Value::Global(_) => (object, position),
            Value::Recipe(recipe) => (recipe.callable(), Position::Computed),
            Value::Persistent(_) | Value::Extension(_) => return Ok(()),
            _ => return Err(wrong("something to call", object.kind())),
        };
        let positions = self.globals.positions.get(&named.id()).copied();
        if positions.unwrap_or(self.policy.otherwise()).has(position) {
            return Ok(());
        }
        let anonymous = Global { module: b"<call>", name: b"<result>" };
        Err(forbidden(named.as_global().unwrap_or(anonymous), position))
    }

    /// Arguments are a tuple, or something that a call would have made one.
    fn check_args(&self, args: NodeId) -> Result<(), Kind> {
        let object = self.build.graph().object(args);
        match object.value() {
            Value::Tuple(_) | Value::Recipe(_) => Ok(()),
            _ => Err(wrong("a tuple of arguments", object.kind())),
        }
    }

    /// Keyword arguments are a dict, or something that a call would have made one.
    fn check_kwargs(&self, kwargs: NodeId) -> Result<(), Kind> {
        let object = self.build.graph().object(kwargs);
        match object.value() {
            Value::Dict(_) | Value::Recipe(_) => Ok(()),
            _ => Err(wrong("a dict of keyword arguments", object.kind())),
        }
    }

    fn reduce(&mut self) -> Result<(), Kind> {
        let args = self.pop()?;
        let callable = self.pop()?;
        self.check_args(args)?;
        self.check(callable, Position::Call)?;
        let id = self.build.recipe(Make::Reduce, callable, args, NodeId::NONE)?;
        self.push(id)
    }

    fn new_obj(&mut self, make: Make, args: NodeId, kwargs: NodeId) -> Result<(), Kind> {
        let class = self.pop()?;
        self.check_args(args)?;
        if make == Make::NewObjEx {
            self.check_kwargs(kwargs)?;
        }
        self.check(class, Position::Instance)?;
        let id = self.build.recipe(make, class, args, kwargs)?;
        self.push(id)
    }

    fn obj(&mut self) -> Result<(), Kind> {
        let height = self.pop_mark()?;
        let above = self.stack.get(height..).unwrap_or_default();
        let (&class, args) = above.split_first().ok_or(Kind::Underflow)?;
        let args = self.build.tuple(args)?;
        self.check(class, Position::Instance)?;
        let id = self.build.recipe(Make::Obj, class, args, NodeId::NONE)?;
        self.replace(height, id)
    }

    fn inst(&mut self, module: &[u8], name: &[u8]) -> Result<(), Kind> {
        let height = self.pop_mark()?;
        if !module.is_ascii() || !name.is_ascii() {
            return Err(Kind::BadOperand("the name is not ASCII"));
        }
        let args = self.build.tuple(self.stack.get(height..).unwrap_or_default())?;
        let class = self.line_global(module, name)?;
        self.check(class, Position::Instance)?;
        let id = self.build.recipe(Make::Inst, class, args, NodeId::NONE)?;
        self.replace(height, id)
    }

    fn set_state(&mut self) -> Result<(), Kind> {
        let state = self.pop()?;
        let object = self.top()?;
        match self.build.graph().kind(object) {
            Some(Node::Recipe(_) | Node::Persistent(_) | Node::Extension(_)) => {}
            Some(Node::Global(_)) => self.check(object, Position::Target)?,
            // Nothing to do, so Python does not notice that it could not.
            _ if self.is_no_state(state) => return Ok(()),
            _ => {
                return Err(wrong(
                    "an object with state",
                    self.build.graph().object(object).kind(),
                ));
            }
        }
        Ok(self.build.effect(object, EffectKind::State, &[state])?)
    }

    /// `None`, or `None` and no slots.
    fn is_no_state(&self, state: NodeId) -> bool {
        let object = self.build.graph().object(state);
        let parts = object.as_tuple().and_then(Items::array);
        object.is_none()
            || parts.is_some_and(|[state, slots]| {
                state.is_none() && slots.as_dict().is_some_and(Dict::is_empty)
            })
    }

    fn extension(&mut self, code: i64) -> Result<(), Kind> {
        let known = u32::try_from(code).ok().filter(|&code| code > 0);
        let Some(code) = known else { return Err(Kind::BadOperand("extension code below 1")) };
        match self.policy.extension(code) {
            Some((module, name)) => {
                if let Some(&id) = self.globals.by_code.get(&code) {
                    return self.push(id);
                }
                let module = self.build.keep(module.as_bytes())?;
                let name = self.build.keep(name.as_bytes())?;
                let id = self.global(module, name)?;
                self.build.budget().memory(Globals::ENTRY)?;
                self.globals.by_code.insert(code, id);
                self.push(id)
            }
            None if self.policy.otherwise() == Positions::ALL => self.add(Node::Extension(code)),
            None => Err(Kind::UnregisteredExtension(code.into())),
        }
    }

    fn read_only_buffer(&mut self) -> Result<(), Kind> {
        let top = self.top()?;
        match self.build.graph().kind(top) {
            Some(Node::Buffer { index, readonly: false }) => {
                self.pop()?;
                self.add(Node::Buffer { index, readonly: true })
            }
            Some(Node::Buffer { .. } | Node::Bytes(_)) => Ok(()),
            _ => Err(wrong("a buffer", self.build.graph().object(top).kind())),
        }
    }
}

#[cold]
fn wrong(wanted: &'static str, found: &'static str) -> Kind {
    Kind::WrongType { wanted, found }
}

#[cold]
fn forbidden(global: Global, position: Position) -> Kind {
    Kind::Forbidden { global: global.to_string().into(), position }
}

/// What a call made, and what a loader or registry supplies, may have any methods.
fn open_to_effects(node: Option<Node>, wanted: &'static str) -> Result<(), Kind> {
    let found = match node {
        Some(Node::Recipe(_) | Node::Persistent(_) | Node::Extension(_)) => return Ok(()),
        Some(Node::List(_)) => "list",
        Some(Node::Dict(_)) => "dict",
        Some(Node::Set(_) | Node::FrozenSet(_)) => "set",
        Some(Node::Tuple { .. }) => "tuple",
        Some(Node::Global(_)) => "global",
        _ => "other object",
    };
    Err(wrong(wanted, found))
}
