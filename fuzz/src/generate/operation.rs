//! What operations take and leave, in finer words than the table's: enough to tell beforehand
//! whether an unpickler goes on.

use depickle::pickle::Opcode;

/// What an object is, as far as operations ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mark,
    /// `None`, truth values, numbers, memory that was given, frozen sets: nothing is done to them.
    Atom,
    Text,
    Str8,
    Bytes,
    ByteArray,
    Buffer,
    List,
    Dict,
    Set,
    Tuple,
    Global,
    /// What a call gave.
    Made,
    Persistent,
    Extension,
}

/// Something on the stack or in the memo.
#[derive(Clone, Copy, Debug)]
pub struct Thing {
    pub kind: Kind,
    /// Whether it can be a key.
    pub key: bool,
}

/// What an operation wants to find, bottom first.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    Any,
    Key,
    One(&'static [Kind]),
    /// A mark, one after the other these, and then so many of the last as there are.
    Mark,
    Many,
    Keys,
    /// Keys and values in turn.
    Pairs,
}

const CALLED: Want = Want::One(&[Kind::Global, Kind::Made, Kind::Persistent, Kind::Extension]);
const ARGUMENTS: Want = Want::One(&[Kind::Tuple, Kind::Made]);
const KEYWORDS: Want = Want::One(&[Kind::Dict, Kind::Made]);
const LIST: Want = Want::One(&[Kind::List, Kind::Made, Kind::Persistent, Kind::Extension]);
const DICT: Want = Want::One(&[Kind::Dict, Kind::Made, Kind::Persistent, Kind::Extension]);
const SET: Want = Want::One(&[Kind::Set, Kind::Made, Kind::Persistent, Kind::Extension]);
const TEXT: Want = Want::One(&[Kind::Text]);

/// What an opcode wants.
pub fn wants(opcode: Opcode) -> Vec<Want> {
    match opcode.name() {
        "REDUCE" | "NEWOBJ" => vec![CALLED, ARGUMENTS],
        "NEWOBJ_EX" => vec![CALLED, ARGUMENTS, KEYWORDS],
        "OBJ" => vec![Want::Mark, CALLED, Want::Many],
        "BUILD" => vec![CALLED, Want::Any],
        "APPEND" => vec![LIST, Want::Any],
        "APPENDS" => vec![LIST, Want::Mark, Want::Many],
        "SETITEM" => vec![DICT, Want::Key, Want::Any],
        "SETITEMS" => vec![DICT, Want::Mark, Want::Pairs],
        "DICT" => vec![Want::Mark, Want::Pairs],
        "ADDITEMS" => vec![SET, Want::Mark, Want::Keys],
        "FROZENSET" => vec![Want::Mark, Want::Keys],
        "STACK_GLOBAL" => vec![TEXT, TEXT],
        "READONLY_BUFFER" => vec![Want::One(&[Kind::Buffer, Kind::Bytes])],
        _ => {
            let want = |&kind: &&str| match kind {
                "mark" => Want::Mark,
                "slice" => Want::Many,
                _ => Want::Any,
            };
            opcode.pops().iter().map(want).collect()
        }
    }
}

/// What an opcode makes; none if it makes nothing new.
pub fn makes(opcode: Opcode) -> Option<Kind> {
    Some(match opcode.name() {
        "NONE" | "FLOAT" | "INT" | "BININT" | "BININT1" | "BININT2" | "LONG" | "LONG1"
        | "LONG4" | "BINFLOAT" | "NEWTRUE" | "NEWFALSE" | "FROZENSET" => Kind::Atom,
        "PERSID" | "BINPERSID" => Kind::Persistent,
        "REDUCE" | "NEWOBJ" | "NEWOBJ_EX" | "OBJ" | "INST" => Kind::Made,
        "STRING" | "BINSTRING" | "SHORT_BINSTRING" => Kind::Str8,
        "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8" => Kind::Text,
        "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8" => Kind::Bytes,
        "BYTEARRAY8" => Kind::ByteArray,
        "NEXT_BUFFER" => Kind::Buffer,
        "LIST" | "EMPTY_LIST" => Kind::List,
        "DICT" | "EMPTY_DICT" => Kind::Dict,
        "EMPTY_SET" => Kind::Set,
        "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3" | "EMPTY_TUPLE" => Kind::Tuple,
        "GLOBAL" | "STACK_GLOBAL" => Kind::Global,
        "EXT1" | "EXT2" | "EXT4" => Kind::Extension,
        _ => return None,
    })
}

impl Thing {
    pub const MARK: Self = Self { kind: Kind::Mark, key: false };

    /// What an operation leaves of what it took.
    pub fn left(opcode: Opcode, took: &[Self]) -> Vec<Self> {
        match (makes(opcode), opcode.name()) {
            (Some(kind), _) => {
                let all_keys = || took.iter().all(|thing| thing.key || thing.kind == Kind::Mark);
                let key = match kind {
                    Kind::List | Kind::Dict | Kind::Set | Kind::ByteArray => false,
                    Kind::Tuple => all_keys(),
                    _ => true,
                };
                vec![Self { kind, key }]
            }
            (None, "MARK") => vec![Self::MARK],
            (None, "DUP") => took.iter().chain(took).copied().collect(),
            // It is the same object, with something put into it.
            _ => took.iter().take(opcode.pushes().len()).copied().collect(),
        }
    }

    /// Whether it is what is wanted.
    pub fn is(self, want: Want) -> bool {
        match want {
            Want::Any | Want::Many => self.kind != Kind::Mark,
            Want::Key | Want::Keys => self.key,
            Want::One(kinds) => kinds.contains(&self.kind),
            Want::Mark | Want::Pairs => self.kind == Kind::Mark,
        }
    }
}

/// Whether a stack ends in what is wanted.
pub fn finds(stack: &[Thing], wants: &[Want]) -> bool {
    let each = |things: &[Thing], wants: &[Want]| {
        things.len() == wants.len() && things.iter().zip(wants).all(|(thing, want)| thing.is(*want))
    };
    let mark = wants.iter().position(|want| matches!(want, Want::Mark));
    let (Some(mark), Some((last, _))) = (mark, wants.split_last()) else {
        let start = stack.len().checked_sub(wants.len());
        return start.is_some_and(|start| each(&stack[start..], wants));
    };
    let newest = stack.iter().rposition(|thing| thing.kind == Kind::Mark);
    let Some(newest) = newest.filter(|newest| *newest >= mark) else { return false };
    // Between the mark and the many stands what has a place of its own.
    let fixed = newest + wants.len() - mark - 1;
    let Some(many) = stack.get(fixed..) else { return false };
    each(&stack[newest - mark..fixed], &wants[..wants.len() - 1])
        && match last {
            Want::Pairs => many.len() % 2 == 0 && many.iter().step_by(2).all(|thing| thing.key),
            want => many.iter().all(|thing| thing.is(*want)),
        }
}
