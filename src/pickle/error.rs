//! What is wrong with a stream, where, and in which operation.

use std::fmt;

use super::opcode::Opcode;
use super::policy::Position;
use crate::base::{Category, End, Exceeded, FileOffset};

/// Why a stream could not be read further.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: Kind,
    opcode: Option<Opcode>,
    at: FileOffset,
}

/// What is wrong, apart from where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// An operand reaches past the end of the stream.
    Ended(End),
    /// The bytes end where an opcode should stand.
    NoStop,
    /// A text operand has no newline.
    NoNewline,
    /// A byte that is no opcode.
    UnknownOpcode(u8),
    /// A length below zero.
    NegativeLength(i64),
    /// A protocol newer than 5.
    UnknownProtocol(u8),
    /// An operand that does not say what its opcode needs; the text says what.
    BadOperand(&'static str),
    /// The stack, down to the newest mark, holds too little.
    Underflow,
    /// No mark is on the stack.
    NoMark,
    /// More out-of-band buffers asked for than were given: the number of the first, from 0.
    NoBuffer(u32),
    /// A memo index that nothing was stored under.
    NotInMemo(u64),
    /// An object of the wrong type.
    WrongType {
        /// What the opcode works on.
        wanted: &'static str,
        /// What it found.
        found: &'static str,
    },
    /// A dict key or set member that Python cannot hash.
    Unhashable(&'static str),
    /// DICT or SETITEMS over an odd number of objects.
    OddItems,
    /// The policy refuses this global here.
    Forbidden {
        /// `module.name`, bytes that are not UTF-8 replaced.
        global: Box<str>,
        /// How it would be used.
        position: Position,
    },
    /// An extension code without an entry in the registry given.
    UnregisteredExtension(i64),
    /// An object that Python would be halfway through making.
    Unsupported(&'static str),
    /// Where an array ends that joblib wrote into the stream cannot be known; the text says why.
    InlineArray(&'static str),
    /// A limit was met.
    Over(Exceeded),
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: Kind, opcode: Option<Opcode>, at: FileOffset) -> Self {
        Self(Box::new(Inner { kind, opcode, at }))
    }

    /// The stream is found to begin so many bytes further on.
    #[cfg(feature = "torch")]
    pub(crate) fn move_by(&mut self, by: u64) {
        self.0.at = self.0.at.plus(by);
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The opcode that could not be carried out, if one was recognised.
    #[must_use]
    pub fn opcode(&self) -> Option<Opcode> {
        self.0.opcode
    }

    /// Where that opcode stands in the file.
    #[must_use]
    pub fn offset(&self) -> FileOffset {
        self.0.at
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn category(&self) -> Category {
        match self.kind() {
            Kind::Forbidden { .. } => Category::Forbidden,
            Kind::Over(_) => Category::OverLimit,
            Kind::Unsupported(_) | Kind::UnknownProtocol(_) | Kind::InlineArray(_) => {
                Category::Unsupported
            }
            _ => Category::Malformed,
        }
    }

    /// Whether nothing is wrong but that the bytes ended.
    #[cfg(feature = "torch")]
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.kind(), Kind::Ended(_) | Kind::NoStop | Kind::NoNewline)
    }

    /// Whether Python carries out what depickle stopped at, and goes on reading: operations that
    /// no pickler writes (`docs/pickle-differences.md`). What follows is then seen by Python alone.
    #[must_use]
    pub fn python_goes_on(&self) -> bool {
        let Kind::WrongType { found, .. } = self.kind() else { return false };
        match self.opcode().map(Opcode::name) {
            Some("SETITEM" | "SETITEMS") => matches!(*found, "list" | "bytearray"),
            Some("APPEND" | "APPENDS" | "READONLY_BUFFER") => *found == "bytearray",
            // A name that a call gives, or a text of Python 2 beyond ASCII.
            Some("STACK_GLOBAL") => {
                matches!(*found, "object" | "persistent object" | "extension" | "str")
            }
            _ => false,
        }
    }
}

impl From<End> for Kind {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

impl From<Exceeded> for Kind {
    fn from(why: Exceeded) -> Self {
        Self::Over(why)
    }
}

impl From<End> for Box<Kind> {
    #[cold]
    fn from(end: End) -> Self {
        Self::new(end.into())
    }
}

impl From<Exceeded> for Box<Kind> {
    #[cold]
    fn from(why: Exceeded) -> Self {
        Self::new(why.into())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(End { wanted, left }) => {
                write!(f, "the stream ends: {wanted} bytes wanted, {left} left")
            }
            Self::NoStop => f.write_str("the stream ends without STOP"),
            Self::NoNewline => f.write_str("no newline ends the operand"),
            Self::UnknownOpcode(byte) => write!(f, "unknown opcode {byte:#04x}"),
            Self::NegativeLength(len) => write!(f, "negative length {len}"),
            Self::UnknownProtocol(protocol) => write!(f, "unknown pickle protocol {protocol}"),
            Self::BadOperand(why) => f.write_str(why),
            Self::Underflow => f.write_str("the stack holds too little"),
            Self::NoMark => f.write_str("no mark on the stack"),
            Self::NoBuffer(index) => {
                write!(f, "out-of-band buffer {index}, counted from 0, was not given")
            }
            Self::NotInMemo(index) => write!(f, "nothing was stored in the memo at {index}"),
            Self::WrongType { wanted, found } => write!(f, "{wanted} wanted, {found} found"),
            Self::Unhashable(found) => write!(f, "a {found} cannot be a key or set member"),
            Self::OddItems => f.write_str("an odd number of objects for keys and values"),
            Self::Forbidden { global, position } => {
                write!(f, "{global} is refused as a {position}")
            }
            Self::UnregisteredExtension(code) => write!(f, "unregistered extension code {code}"),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
            Self::InlineArray(why) => {
                write!(f, "where this array of joblib's ends cannot be known: {why}")
            }
            Self::Over(why) => write!(f, "{why}"),
        }
    }
}

impl Kind {
    /// What the user can do about it; empty where the words above say it.
    const fn advice(&self) -> &'static str {
        match self {
            Self::Ended(_) | Self::NoStop | Self::NoNewline => {
                "; the file is truncated or damaged: get it again from where it came"
            }
            Self::UnknownOpcode(_) => "; this is no pickle, or it is damaged here",
            Self::UnknownProtocol(_) => "; depickle knows protocols 0 to 5",
            Self::Forbidden { .. } => {
                "; nothing was run: admit it (--allow) if you trust it, or look without refusing (--policy inspect)"
            }
            Self::NoBuffer(_) => "; give as many as the pickle was written with",
            Self::InlineArray(_) => "; joblib writes none such: the file was made by hand",
            Self::Over(_) => "",
            _ => "; no Python would load this: the file is damaged or was made by hand",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, opcode, at } = &*self.0;
        write!(f, "{kind} at {at}")?;
        if let Some(opcode) = opcode {
            write!(f, ", in {opcode}")?;
        }
        f.write_str(if self.python_goes_on() {
            "; Python goes on here, but no pickler writes this: it was made by hand"
        } else {
            kind.advice()
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Error {}
