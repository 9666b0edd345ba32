//! How objects lie in memory: 16 bytes a node, 4 an id, small constants in the id itself.

/// Names an object of the [`Graph`](super::Graph) that gave it out.
///
/// Two ids of one graph are equal if and only if Python's `is` would hold; `None`, booleans,
/// the empty tuple and small integers are always the same object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// What an id means without looking at the arena.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    None,
    Bool(bool),
    EmptyTuple,
    Int(i32),
    Arena(usize),
}

impl NodeId {
    const CONSTANT: u32 = 1 << 31;
    const INT: u32 = 1 << 30;
    const INT_RANGE: std::ops::Range<i64> = -(1 << 29)..(1 << 29);

    pub(crate) const NONE: Self = Self(Self::CONSTANT);
    pub(crate) const FALSE: Self = Self(Self::CONSTANT | 1);
    pub(crate) const TRUE: Self = Self(Self::CONSTANT | 2);
    pub(crate) const EMPTY_TUPLE: Self = Self(Self::CONSTANT | 3);

    /// The arena's `index`th node, if the arena may be that large.
    pub(crate) fn arena(index: usize) -> Option<Self> {
        u32::try_from(index).ok().filter(|index| index & Self::CONSTANT == 0).map(Self)
    }

    /// The id that is itself the integer, if it is small enough.
    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "range is checked")]
    pub(crate) fn int(value: i64) -> Option<Self> {
        let small = value as u32 & (Self::INT - 1);
        Self::INT_RANGE.contains(&value).then_some(Self(Self::CONSTANT | Self::INT | small))
    }

    /// As [`int`](Self::int), of what is always small enough.
    pub(crate) const fn byte(value: u8) -> Self {
        Self(Self::CONSTANT | Self::INT | value as u32)
    }

    pub(crate) const fn bool(value: bool) -> Self {
        if value { Self::TRUE } else { Self::FALSE }
    }

    #[inline]
    #[expect(clippy::cast_possible_wrap, reason = "the shift back extends the sign")]
    pub(crate) const fn place(self) -> Place {
        if self.0 & Self::CONSTANT == 0 {
            return Place::Arena(self.0 as usize);
        }
        if self.0 & Self::INT != 0 {
            return Place::Int(((self.0 << 2) as i32) >> 2);
        }
        match self.0 & 3 {
            0 => Place::None,
            1 => Place::Bool(false),
            2 => Place::Bool(true),
            _ => Place::EmptyTuple,
        }
    }

    /// A number that no other object of the graph has.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl std::fmt::Debug for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place() {
            Place::Arena(index) => write!(f, "#{index}"),
            Place::None => f.write_str("None"),
            Place::Bool(value) => write!(f, "{value}"),
            Place::EmptyTuple => f.write_str("()"),
            Place::Int(value) => write!(f, "{value}"),
        }
    }
}

/// A run of bytes, in the stream or among the unescaped strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub start: u64,
    pub len: u64,
    pub decoded: bool,
}

/// A run of ids in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub start: u32,
    pub len: u32,
}

impl Run {
    pub(crate) const EMPTY: Self = Self { start: 0, len: 0 };
}

/// A node, unpacked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Node {
    Int(i64),
    Float(f64),
    BigInt(Span),
    Text(Span),
    Str8(Span),
    Bytes(Span),
    ByteArray(Span),
    Tuple { run: Run, hashable: bool },
    FrozenSet(Run),
    List(u32),
    Set(u32),
    Dict(u32),
    Global(u32),
    Recipe(u32),
    Persistent(NodeId),
    Extension(u32),
    Buffer { index: u32, readonly: bool },
}

/// A node as stored: `head` = tag (8 bits), offset of the operation that made it (40),
/// spare bits of the payload (16); `body` = the rest of the payload.
///
/// Spans take 80 bits of payload: start and length of 40 each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed {
    head: u64,
    body: u64,
}

/// Streams longer than this (bytes) cannot be addressed: 1 TiB.
pub(crate) const LONGEST: u64 = 1 << 40;

macro_rules! tags {
    ($($name:ident = $value:literal),* $(,)?) => { $(const $name: u8 = $value;)* };
}
tags! {
    INT = 0, FLOAT = 1, BIG_INT = 2, TEXT = 3, STR8 = 4, BYTES = 5, BYTE_ARRAY = 6,
    TUPLE = 7, FROZEN_SET = 8, LIST = 9, SET = 10, DICT = 11, GLOBAL = 12, RECIPE = 13,
    PERSISTENT = 14, EXTENSION = 15, BUFFER = 16, UNHASHABLE_TUPLE = 17,
}
/// Bits by tag: what refers to others.
const PARTS: u32 = 1 << TUPLE
    | 1 << UNHASHABLE_TUPLE
    | 1 << FROZEN_SET
    | 1 << LIST
    | 1 << SET
    | 1 << DICT
    | 1 << RECIPE
    | 1 << PERSISTENT;
/// Bits by tag: what Python cannot hash.
const UNHASHABLE: u32 = 1 << LIST | 1 << SET | 1 << DICT | 1 << BYTE_ARRAY | 1 << UNHASHABLE_TUPLE;
/// Added to the tag of a span that lies among the unescaped strings.
const DECODED: u8 = 0x80;

impl Packed {
    /// Packs `node`, made by the operation `origin` bytes into the stream. Inlined, since
    /// whoever calls it knows the variant.
    #[inline(always)]
    pub(crate) fn new(node: Node, origin: u64) -> Self {
        let (tag, body, spare) = match node {
            Node::Int(value) => (INT, value.cast_unsigned(), 0),
            Node::Float(value) => (FLOAT, value.to_bits(), 0),
            Node::BigInt(span) => return Self::span(BIG_INT, span, origin),
            Node::Text(span) => return Self::span(TEXT, span, origin),
            Node::Str8(span) => return Self::span(STR8, span, origin),
            Node::Bytes(span) => return Self::span(BYTES, span, origin),
            Node::ByteArray(span) => return Self::span(BYTE_ARRAY, span, origin),
            Node::Tuple { run, hashable: true } => (TUPLE, Self::run(run), 0),
            Node::Tuple { run, hashable: false } => (UNHASHABLE_TUPLE, Self::run(run), 0),
            Node::FrozenSet(run) => (FROZEN_SET, Self::run(run), 0),
            Node::List(index) => (LIST, index.into(), 0),
            Node::Set(index) => (SET, index.into(), 0),
            Node::Dict(index) => (DICT, index.into(), 0),
            Node::Global(index) => (GLOBAL, index.into(), 0),
            Node::Recipe(index) => (RECIPE, index.into(), 0),
            Node::Persistent(id) => (PERSISTENT, id.0.into(), 0),
            Node::Extension(code) => (EXTENSION, code.into(), 0),
            Node::Buffer { index, readonly } => (BUFFER, index.into(), u64::from(readonly)),
        };
        Self { head: u64::from(tag) | origin << 8 | spare << 48, body }
    }

    #[inline]
    fn span(tag: u8, span: Span, origin: u64) -> Self {
        let tag = if span.decoded { tag | DECODED } else { tag };
        let head = u64::from(tag) | origin << 8 | (span.len >> 24) << 48;
        Self { head, body: span.start | span.len << 40 }
    }

    #[inline]
    fn run(run: Run) -> u64 {
        u64::from(run.start) | u64::from(run.len) << 32
    }

    /// Whether Python can hash it: no list, set, dict, bytearray or tuple of such.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut out of words")]
    pub(crate) const fn is_hashable(self) -> bool {
        UNHASHABLE >> (self.head as u8 & 31) & 1 == 0
    }

    /// The number, if it is one.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut out of words")]
    pub(crate) const fn number(self) -> Option<Node> {
        match self.head as u8 {
            INT => Some(Node::Int(self.body.cast_signed())),
            FLOAT => Some(Node::Float(f64::from_bits(self.body))),
            _ => None,
        }
    }

    /// Whether it refers to others.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut out of words")]
    pub(crate) const fn has_parts(self) -> bool {
        PARTS >> (self.head as u8 & 31) & 1 != 0
    }

    /// Where its bytes are, if it is a text.
    #[inline]
    pub(crate) const fn text(self) -> Option<Span> {
        match self.unpack() {
            Node::Text(span) | Node::Str8(span) => Some(span),
            _ => None,
        }
    }

    /// Where a dict keeps its items, if it is one.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut out of words")]
    pub(crate) const fn dict(self) -> Option<u32> {
        if self.head as u8 == DICT { Some(self.body as u32) } else { None }
    }

    /// Offset in the stream of the operation that made it.
    #[inline]
    pub(crate) const fn origin(self) -> u64 {
        self.head >> 8 & (LONGEST - 1)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut out of words")]
    pub(crate) const fn unpack(self) -> Node {
        let (index, spare) = (self.body as u32, self.head >> 48);
        let run = Run { start: index, len: (self.body >> 32) as u32 };
        let tag = self.head as u8;
        let span = Span {
            start: self.body & (LONGEST - 1),
            len: self.body >> 40 | spare << 24,
            decoded: tag & DECODED != 0,
        };
        match tag & !DECODED {
            INT => Node::Int(self.body.cast_signed()),
            FLOAT => Node::Float(f64::from_bits(self.body)),
            BIG_INT => Node::BigInt(span),
            TEXT => Node::Text(span),
            STR8 => Node::Str8(span),
            BYTES => Node::Bytes(span),
            BYTE_ARRAY => Node::ByteArray(span),
            TUPLE => Node::Tuple { run, hashable: true },
            UNHASHABLE_TUPLE => Node::Tuple { run, hashable: false },
            FROZEN_SET => Node::FrozenSet(run),
            LIST => Node::List(index),
            SET => Node::Set(index),
            DICT => Node::Dict(index),
            GLOBAL => Node::Global(index),
            RECIPE => Node::Recipe(index),
            PERSISTENT => Node::Persistent(NodeId(index)),
            EXTENSION => Node::Extension(index),
            _ => Node::Buffer { index, readonly: spare != 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span() -> impl Strategy<Value = Span> {
        (0..LONGEST, 0..LONGEST, any::<bool>()).prop_map(|(start, len, decoded)| Span {
            start,
            len,
            decoded,
        })
    }

    fn node() -> impl Strategy<Value = Node> {
        let run = || (any::<u32>(), any::<u32>()).prop_map(|(start, len)| Run { start, len });
        prop_oneof![
            any::<i64>().prop_map(Node::Int),
            (-1e300..1e300).prop_map(Node::Float),
            span().prop_map(Node::BigInt),
            span().prop_map(Node::Text),
            span().prop_map(Node::Str8),
            span().prop_map(Node::Bytes),
            span().prop_map(Node::ByteArray),
            (run(), any::<bool>()).prop_map(|(run, hashable)| Node::Tuple { run, hashable }),
            run().prop_map(Node::FrozenSet),
            any::<u32>().prop_map(Node::List),
            any::<u32>().prop_map(Node::Set),
            any::<u32>().prop_map(Node::Dict),
            any::<u32>().prop_map(Node::Global),
            any::<u32>().prop_map(Node::Recipe),
            any::<u32>().prop_map(|id| Node::Persistent(NodeId(id))),
            any::<u32>().prop_map(Node::Extension),
            (any::<u32>(), any::<bool>())
                .prop_map(|(index, readonly)| Node::Buffer { index, readonly }),
        ]
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(node in node(), origin in 0..LONGEST) {
            let packed = Packed::new(node, origin);
            prop_assert_eq!(packed.unpack(), node);
            prop_assert_eq!(packed.origin(), origin);
        }

        #[test]
        fn small_integers_live_in_the_id(value in -(1i64 << 30)..(1 << 30)) {
            match NodeId::int(value).map(NodeId::place) {
                Some(Place::Int(small)) => prop_assert_eq!(i64::from(small), value),
                None => prop_assert!(!NodeId::INT_RANGE.contains(&value)),
                _ => prop_assert!(false, "no integer"),
            }
        }
    }

    #[test]
    fn sizes_are_as_documented() {
        assert_eq!(size_of::<Packed>(), 16);
        assert_eq!(size_of::<Option<NodeId>>(), 8);
    }
}
