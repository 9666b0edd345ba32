//! Views on objects: `Copy`, borrowing the graph, never recursive.

use std::borrow::Cow;
use std::fmt;

use super::{Graph, Node, NodeId, Packed, Place, Span};
use crate::base::FileOffset;

/// One object of a graph. Cheap to copy; compares by identity, as Python's `is`.
#[derive(Clone, Copy)]
pub struct Object<'graph> {
    graph: &'graph Graph,
    id: NodeId,
}

/// What an object is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Value<'graph> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An `int` of up to 64 bits.
    Int(i64),
    /// An `int` of more.
    BigInt(BigInt<'graph>),
    /// A `float`.
    Float(f64),
    /// A `str`, or a Python 2 `str` of unknown encoding.
    Text(Text<'graph>),
    /// `bytes`.
    Bytes(&'graph [u8]),
    /// A `bytearray`.
    ByteArray(&'graph [u8]),
    /// A `tuple`.
    Tuple(Items<'graph>),
    /// A `list`.
    List(Items<'graph>),
    /// A `set`, its members as they came: equal ones may repeat.
    Set(Items<'graph>),
    /// A `frozenset`, likewise.
    FrozenSet(Items<'graph>),
    /// A `dict`.
    Dict(Dict<'graph>),
    /// A class, function or other module attribute, by name only.
    Global(Global<'graph>),
    /// What Python would have made by calling something: the instructions.
    Recipe(Recipe<'graph>),
    /// What the loader would have been asked for; the object is the persistent id.
    Persistent(Object<'graph>),
    /// What stands behind an extension code that no registry explained.
    Extension(u32),
    /// An out-of-band buffer, by its position among them.
    Buffer {
        /// How many came before.
        index: u32,
        /// Whether READONLY_BUFFER followed.
        readonly: bool,
        /// Its bytes, if they were given ([`Graph::with_buffers`]).
        bytes: Option<&'graph [u8]>,
    },
}

impl<'graph> Object<'graph> {
    pub(super) const fn new(graph: &'graph Graph, id: NodeId) -> Self {
        Self { graph, id }
    }

    /// Its name in the graph.
    #[must_use]
    pub const fn id(self) -> NodeId {
        self.id
    }

    /// Its place among [`Graph::objects`]; none for constants and small integers.
    #[must_use]
    pub const fn index(self) -> Option<usize> {
        match self.id.place() {
            Place::Arena(index) => Some(index),
            _ => None,
        }
    }

    /// The graph it belongs to.
    #[must_use]
    pub const fn graph(self) -> &'graph Graph {
        self.graph
    }

    /// Where the operation that made it stands in the file; none for constants and small
    /// integers, which are made by no operation in particular, and for what no stream made.
    #[must_use]
    pub fn offset(self) -> Option<FileOffset> {
        let origin = self.graph.node(self.id)?.origin();
        self.graph.offset_of(self.id, origin)
    }

    /// What it is.
    #[must_use]
    pub fn value(self) -> Value<'graph> {
        match self.id.place() {
            Place::None => Value::None,
            Place::Bool(value) => Value::Bool(value),
            Place::Int(value) => Value::Int(value.into()),
            Place::EmptyTuple => Value::Tuple(Items { graph: self.graph, ids: &[] }),
            Place::Arena(_) => self.arena_value(),
        }
    }

    fn arena_value(self) -> Value<'graph> {
        let Self { graph, id } = self;
        let items = |ids| Items { graph, ids };
        let Some(node) = graph.node(id) else { return Value::None };
        match node.unpack() {
            Node::Int(value) => Value::Int(value),
            Node::Float(value) => Value::Float(value),
            Node::BigInt(span) => Value::BigInt(BigInt(graph.bytes(span))),
            Node::Text(span) => Value::Text(Text { bytes: graph.bytes(span), python2: false }),
            Node::Str8(span) => Value::Text(Text { bytes: graph.bytes(span), python2: true }),
            Node::Bytes(span) => Value::Bytes(graph.bytes(span)),
            Node::ByteArray(span) => Value::ByteArray(graph.bytes(span)),
            Node::Tuple { run, .. } => Value::Tuple(items(graph.run(run))),
            Node::FrozenSet(run) => Value::FrozenSet(items(graph.run(run))),
            Node::List(growing) => Value::List(items(graph.items(growing))),
            Node::Set(growing) => Value::Set(items(graph.items(growing))),
            Node::Dict(growing) => Value::Dict(Dict { graph, ids: graph.items(growing) }),
            Node::Global(index) => graph.global(index).map_or(Value::None, Value::Global),
            Node::Recipe(_) => Value::Recipe(Recipe(self)),
            Node::Persistent(id) => Value::Persistent(graph.object(id)),
            Node::Extension(code) => Value::Extension(code),
            Node::Buffer { index, readonly } => {
                let bytes = graph.buffer(index).map(|bytes| &bytes[..]);
                Value::Buffer { index, readonly, bytes }
            }
        }
    }

    /// What was done to it after it was made, in order. Always empty for lists, sets and
    /// dicts, which simply hold what was put in.
    pub fn effects(self) -> impl Iterator<Item = Effect<'graph>> + use<'graph> {
        let Self { graph, id } = self;
        let mut next = graph.chain(id).first;
        std::iter::from_fn(move || {
            let raw = graph.effects.get(next as usize)?;
            next = raw.next;
            let items = Items { graph, ids: graph.run(raw.run) };
            let offset = graph.offset_of(id, raw.at).unwrap_or(graph.base.plus(raw.at));
            Some(Effect { kind: raw.kind, items, offset })
        })
    }

    /// The last operation that changed it, for objects that change.
    #[must_use]
    pub fn changed(self) -> Option<FileOffset> {
        let graph = self.graph;
        let at = match graph.node(self.id)?.unpack() {
            Node::List(growing) | Node::Set(growing) | Node::Dict(growing) => {
                graph.growing.get(growing as usize)?.changed
            }
            _ => graph.effects.get(graph.chain(self.id).last as usize)?.at,
        };
        graph.offset_of(self.id, at)
    }

    /// The integer, if it is one of up to 64 bits. Booleans are not.
    #[must_use]
    pub fn as_int(self) -> Option<i64> {
        match self.id.place() {
            Place::Int(value) => Some(value.into()),
            _ => match self.graph.kind(self.id)? {
                Node::Int(value) => Some(value),
                _ => None,
            },
        }
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.value() {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The text, if it is one of valid UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'graph str> {
        match self.value() {
            Value::Text(text) => text.as_str(),
            _ => None,
        }
    }

    /// Whether it is this text, as a `str` or as a Python 2 `str` of the same bytes.
    #[must_use]
    pub fn is_text(self, text: &str) -> bool {
        let span = self.graph.node(self.id).and_then(Packed::text);
        span.is_some_and(|span| {
            span.len == text.len() as u64 && self.graph.bytes(span) == text.as_bytes()
        })
    }

    /// Whether it is `None`.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.id == NodeId::NONE
    }

    /// The items of a list, tuple, set or frozenset.
    #[must_use]
    pub fn items(self) -> Option<Items<'graph>> {
        match self.value() {
            Value::List(items)
            | Value::Tuple(items)
            | Value::Set(items)
            | Value::FrozenSet(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a tuple.
    #[must_use]
    pub fn as_tuple(self) -> Option<Items<'graph>> {
        let ids = match self.graph.kind(self.id) {
            Some(Node::Tuple { run, .. }) => self.graph.run(run),
            None if matches!(self.id.place(), Place::EmptyTuple) => &[],
            _ => return None,
        };
        Some(Items { graph: self.graph, ids })
    }

    /// The dict, if it is one. An `OrderedDict` is a recipe, not a dict.
    #[must_use]
    pub fn as_dict(self) -> Option<Dict<'graph>> {
        match self.value() {
            Value::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// The class or function, if it is one by name.
    #[must_use]
    pub fn as_global(self) -> Option<Global<'graph>> {
        match self.graph.kind(self.id)? {
            Node::Global(index) => self.graph.global(index),
            _ => None,
        }
    }

    /// The instructions, if Python would have made it by a call.
    #[must_use]
    pub fn as_recipe(self) -> Option<Recipe<'graph>> {
        let is_recipe = matches!(self.graph.kind(self.id)?, Node::Recipe(_));
        is_recipe.then_some(Recipe(self))
    }

    /// The persistent id, if it stands for what the loader would have been asked for.
    #[cfg(feature = "torch")]
    pub(crate) fn as_persistent(self) -> Option<Self> {
        match self.graph.kind(self.id)? {
            Node::Persistent(id) => Some(self.graph.object(id)),
            _ => None,
        }
    }

    /// The name of its kind, as error messages use it.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self.value() {
            Value::None => "None",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::ByteArray(_) => "bytearray",
            Value::Tuple(_) => "tuple",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::FrozenSet(_) => "frozenset",
            Value::Dict(_) => "dict",
            Value::Global(_) => "global",
            Value::Recipe(_) => "object",
            Value::Persistent(_) => "persistent object",
            Value::Extension(_) => "extension",
            Value::Buffer { .. } => "buffer",
        }
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && std::ptr::eq(self.graph, other.graph)
    }
}

impl Eq for Object<'_> {}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind(), self.id)
    }
}

impl Graph {
    /// The globals that it names, in order; one that several operations spell comes as often.
    ///
    /// ```
    /// use depickle::pickle::{Policy, run};
    /// use depickle::{Budget, FileOffset};
    ///
    /// let stream = b"(cbuiltins\ndict\nX\x02\0\0\0okcbuiltins\nset\nt.";
    /// let outcome = run(stream[..].into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
    /// let named: Vec<_> = outcome.graph.globals().map(|global| global.to_string()).collect();
    /// assert_eq!(named, ["builtins.dict", "builtins.set"]);
    /// assert!(outcome.graph.root().unwrap().items().unwrap().get(1).unwrap().is_text("ok"));
    /// ```
    pub fn globals(&self) -> impl Iterator<Item = Global<'_>> {
        self.globals.iter().map(|spelled| self.spelled(spelled))
    }

    fn spelled(&self, (module, name): &(Span, Span)) -> Global<'_> {
        Global { module: self.bytes(*module), name: self.bytes(*name) }
    }

    pub(crate) fn global(&self, index: u32) -> Option<Global<'_>> {
        self.globals.get(index as usize).map(|spelled| self.spelled(spelled))
    }
}

/// An integer of more than 64 bits: two's complement, little-endian, shortest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BigInt<'graph>(&'graph [u8]);

impl<'graph> BigInt<'graph> {
    /// The bytes, least significant first; the last one's high bit is the sign.
    #[must_use]
    pub const fn as_le_bytes(self) -> &'graph [u8] {
        self.0
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0.last().is_some_and(|&last| last >= 0x80)
    }
}

/// A text. `str` may hold lone surrogates, which UTF-8 does not know; the text of a Python 2
/// `str` has no encoding at all. So the bytes are what is certain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'graph> {
    bytes: &'graph [u8],
    python2: bool,
}

impl<'graph> Text<'graph> {
    /// The bytes: UTF-8 with surrogates encoded as three bytes each (Python's
    /// `surrogatepass`), or what Python 2 stored.
    #[must_use]
    pub const fn as_bytes(self) -> &'graph [u8] {
        self.bytes
    }

    /// The text, if the bytes are UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'graph str> {
        std::str::from_utf8(self.bytes).ok()
    }

    /// The text, what is not UTF-8 replaced by U+FFFD.
    #[must_use]
    pub fn to_string_lossy(self) -> Cow<'graph, str> {
        String::from_utf8_lossy(self.bytes)
    }

    /// Whether it was written as a Python 2 `str`.
    #[must_use]
    pub const fn is_python2(self) -> bool {
        self.python2
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string_lossy())
    }
}

/// Some objects in a row.
#[derive(Clone, Copy)]
pub struct Items<'graph> {
    graph: &'graph Graph,
    ids: &'graph [NodeId],
}

impl<'graph> Items<'graph> {
    /// How many.
    #[must_use]
    pub const fn len(self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.ids.is_empty()
    }

    /// The one at `index`.
    #[must_use]
    pub fn get(self, index: usize) -> Option<Object<'graph>> {
        self.ids.get(index).map(|&id| self.graph.object(id))
    }

    /// All but the first `count`.
    #[must_use]
    pub fn rest(self, count: usize) -> Self {
        Self { ids: self.ids.get(count..).unwrap_or_default(), ..self }
    }

    /// All, in order.
    #[must_use]
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Object<'graph>> + ExactSizeIterator {
        self.ids.iter().map(move |&id| self.graph.object(id))
    }

    /// All of them as an array, if there are exactly `N`.
    #[must_use]
    pub fn array<const N: usize>(self) -> Option<[Object<'graph>; N]> {
        let ids: [NodeId; N] = self.ids.try_into().ok()?;
        Some(ids.map(|id| self.graph.object(id)))
    }
}

impl fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} items]", self.len())
    }
}

/// Keys and values in the order they were set. A key set twice stands twice here.
#[derive(Clone, Copy)]
pub struct Dict<'graph> {
    graph: &'graph Graph,
    ids: &'graph [NodeId],
}

impl<'graph> Dict<'graph> {
    /// How many pairs were set.
    #[must_use]
    pub const fn len(self) -> usize {
        self.ids.len() / 2
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.ids.is_empty()
    }

    /// All pairs, in order.
    #[must_use]
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (Object<'graph>, Object<'graph>)> {
        let (pairs, _) = self.ids.as_chunks::<2>();
        pairs.iter().map(move |pair| pair.map(|id| self.graph.object(id)).into())
    }

    /// The value last set under the text `key`. Takes time in proportion to the dict.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Object<'graph>> {
        self.iter().rev().find_map(|(k, value)| k.is_text(key).then_some(value))
    }
}

impl fmt::Debug for Dict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{} pairs}}", self.len())
    }
}

/// A module attribute by name, as the stream spells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Global<'graph> {
    /// Dotted module path.
    pub module: &'graph [u8],
    /// Qualified name in it; may hold dots since protocol 4.
    pub name: &'graph [u8],
}

impl Global<'_> {
    /// Whether it is spelled exactly so.
    #[must_use]
    pub fn is(&self, module: &str, name: &str) -> bool {
        self.module == module.as_bytes() && self.name == name.as_bytes()
    }
}

impl fmt::Display for Global<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, name) =
            (String::from_utf8_lossy(self.module), String::from_utf8_lossy(self.name));
        write!(f, "{module}.{name}")
    }
}

impl fmt::Debug for Global<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How Python would have made an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Make {
    /// `callable(*args)`, by REDUCE.
    Reduce,
    /// `cls.__new__(cls, *args)`, by NEWOBJ.
    NewObj,
    /// `cls.__new__(cls, *args, **kwargs)`, by NEWOBJ_EX.
    NewObjEx,
    /// `cls(*args)` with the class in the operation, by INST.
    Inst,
    /// `cls(*args)` with the class on the stack, by OBJ.
    Obj,
}

/// The instructions for one object.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'graph>(Object<'graph>);

impl<'graph> Recipe<'graph> {
    fn raw(self) -> super::RawRecipe {
        let Object { graph, id } = self.0;
        let recipe = match graph.node(id).map(super::Packed::unpack) {
            Some(Node::Recipe(index)) => graph.recipes.get(index as usize).copied(),
            _ => None,
        };
        // Unreachable: recipes are only made over such nodes.
        recipe.unwrap_or(super::RawRecipe {
            callable: NodeId::NONE,
            args: NodeId::EMPTY_TUPLE,
            kwargs: NodeId::NONE,
            effects: super::Chain::EMPTY,
            make: Make::Reduce,
        })
    }

    /// The object these are the instructions for.
    #[must_use]
    pub const fn object(self) -> Object<'graph> {
        self.0
    }

    /// By which operation.
    #[must_use]
    pub fn make(self) -> Make {
        self.raw().make
    }

    /// What would have been called: a global, as a rule.
    #[must_use]
    pub fn callable(self) -> Object<'graph> {
        self.0.graph.object(self.raw().callable)
    }

    /// The arguments: a tuple, or a recipe for one.
    #[must_use]
    pub fn args(self) -> Object<'graph> {
        self.0.graph.object(self.raw().args)
    }

    /// The keyword arguments of NEWOBJ_EX: a dict, or a recipe for one.
    #[must_use]
    pub fn kwargs(self) -> Option<Object<'graph>> {
        let kwargs = self.raw().kwargs;
        (kwargs != NodeId::NONE).then(|| self.0.graph.object(kwargs))
    }

    /// The state that BUILD set last.
    #[must_use]
    pub fn state(self) -> Option<Object<'graph>> {
        let states = self.0.effects().filter(|effect| effect.kind == EffectKind::State);
        states.last().and_then(|effect| effect.items.get(0))
    }

    /// The state that BUILD set, if that was the last thing done to it. Takes no time in
    /// proportion to what was done before.
    #[must_use]
    pub(crate) fn last_state(self) -> Option<Object<'graph>> {
        let Object { graph, id } = self.0;
        let raw = graph.effects.get(graph.chain(id).last as usize)?;
        let items = Items { graph, ids: graph.run(raw.run) };
        if raw.kind == EffectKind::State { items.get(0) } else { None }
    }

    /// Keys and values set on it, in order.
    pub fn set_items(self) -> impl Iterator<Item = (Object<'graph>, Object<'graph>)> {
        let sets = self.0.effects().filter(|effect| effect.kind == EffectKind::SetItems);
        sets.flat_map(|Effect { items: Items { graph, ids }, .. }| Dict { graph, ids }.iter())
    }

    /// Items appended to it, in order.
    pub fn appended(self) -> impl Iterator<Item = Object<'graph>> {
        let appends = self.0.effects().filter(|effect| effect.kind == EffectKind::Append);
        appends.flat_map(|effect| effect.items.iter())
    }
}

/// What one operation did to an object.
#[derive(Clone, Copy, Debug)]
pub struct Effect<'graph> {
    /// Which sort of thing.
    pub kind: EffectKind,
    /// With what: the state; items; or keys and values in turn.
    pub items: Items<'graph>,
    /// By the operation at this place in the file.
    pub offset: FileOffset,
}

/// A sort of thing done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EffectKind {
    /// BUILD: `__setstate__(state)` or an update of `__dict__`.
    State,
    /// APPEND or APPENDS: `extend(items)`.
    Append,
    /// SETITEM or SETITEMS: `object[key] = value`.
    SetItems,
    /// ADDITEMS: `add(item)`.
    AddItems,
}
