//! Why a value could not be read or written, and at which place in the data.

use std::fmt::{self, Display, Write as _};
use std::io;

use crate::base::{Category, Exceeded, FileOffset};
use crate::pickle::{self, BuildError, EncodeError, EncodeKind, Object, Pair, Value};
use crate::python::literal;

/// Why a value could not be read from a pickle or written to one.
///
/// ```
/// # use depickle::python::serde as pickle;
/// # use depickle::{Category, FileOffset};
/// let why = pickle::from_slice::<Vec<u8>>(b"](K\x01M\x00\x01e.").unwrap_err();
/// assert_eq!(why.path(), "[1]");
/// assert_eq!(why.offset(), Some(FileOffset(0))); // of the list
/// assert_eq!(why.category(), Category::Malformed);
/// assert_eq!(
///     why.to_string(),
///     "invalid value: integer `256`, expected u8 at [1], byte 0 (0x0)",
/// );
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    /// From the place outwards.
    path: Vec<Step>,
    at: Option<FileOffset>,
}

/// What is wrong, apart from where.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The stream is damaged, or the policy refuses what it holds.
    Pickle(pickle::Error),
    /// Another value than the type takes, in the words of the type.
    Mismatch(Box<str>),
    /// A field that the type must have is not there.
    MissingField(&'static str),
    /// An object that stands for no plain value: which.
    NotPlain(Box<str>),
    /// More values in each other than are allowed.
    TooDeep {
        /// How many are allowed.
        limit: u32,
        /// Whether they were to be written.
        writing: bool,
    },
    /// An object that holds itself: its kind.
    Cycle(&'static str),
    /// Bytes behind the pickle: how many.
    Trailing(u64),
    /// A key of a map that Python could not hash: its kind.
    Unhashable(&'static str),
    /// A tuple of another length than its type announced.
    Count {
        /// Items announced.
        announced: usize,
        /// Items given.
        given: usize,
    },
    /// What a [`Serialize`](serde::Serialize) says.
    Message(Box<str>),
    /// A limit was met.
    Over(Exceeded),
    /// The pickle could not be written.
    Encode(EncodeError),
    /// The objects could not be made.
    Build(BuildError),
    /// What was read from failed.
    Io(io::Error),
}

/// One step from a value to a part of it.
#[derive(Debug)]
pub(super) enum Step {
    Item(usize),
    /// The `n`th key itself.
    Key(usize),
    /// The value of the `n`th key.
    Value(usize),
    /// The value under a key, as Python spells it.
    Under(Box<str>),
    Attribute(Box<str>),
}

impl Step {
    pub(super) fn variant(name: &str) -> Self {
        Self::Under(literal::text(name.as_bytes()).into())
    }

    /// To the value of the `n`th pair, of a mapping or of an object's state.
    pub(super) fn to_value(n: usize, (key, _): Pair<'_>, attribute: bool) -> Self {
        /// Bytes shown of a key.
        const LONGEST: usize = 64;
        match key.value() {
            Value::Int(key) => Self::Under(key.to_string().into()),
            Value::Text(key) => {
                let bytes = key.as_bytes();
                if bytes.len() > LONGEST {
                    return Self::Value(n);
                }
                match key.as_str() {
                    Some(name) if attribute => Self::Attribute(name.into()),
                    _ => Self::Under(literal::text(bytes).into()),
                }
            }
            _ => Self::Value(n),
        }
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(n) => write!(f, "[{n}]"),
            Self::Key(n) => write!(f, ".keys()[{n}]"),
            Self::Value(n) => write!(f, ".values()[{n}]"),
            Self::Under(key) => write!(f, "[{key}]"),
            Self::Attribute(name) => write!(f, ".{name}"),
        }
    }
}

impl Error {
    #[cold]
    pub(super) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner { kind, path: Vec::new(), at: None }))
    }

    /// In this object, if no part of it is known to be the place.
    #[cold]
    pub(super) fn at(mut self, object: Object<'_>) -> Self {
        let told = matches!(self.0.kind, Kind::Pickle(_) | Kind::Build(_) | Kind::Encode(_));
        if self.0.at.is_none() && !told {
            self.0.at = object.offset();
        }
        self
    }

    /// Behind this step from the value around it.
    #[cold]
    pub(super) fn within(mut self, step: Step) -> Self {
        /// Steps kept, the innermost.
        const LONGEST: usize = 1000;
        if self.0.path.len() < LONGEST {
            self.0.path.push(step);
        }
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The place in the data as Python would write it behind the value's name, such as
    /// `['layers'][3].name`; empty for the value itself.
    #[must_use]
    pub fn path(&self) -> String {
        /// Steps shown of a path.
        const LONGEST: usize = 32;
        let path = &self.0.path;
        let mut text = String::from(if path.len() > LONGEST { "…" } else { "" });
        for step in path.iter().take(LONGEST).rev() {
            let _ = write!(text, "{step}");
        }
        text
    }

    /// Where in the file the value stands that is wrong, or else the innermost around it that
    /// has a place. None where nothing was read from a file.
    #[must_use]
    pub fn offset(&self) -> Option<FileOffset> {
        match &self.0.kind {
            Kind::Pickle(why) => Some(why.offset()),
            _ => self.0.at,
        }
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn category(&self) -> Category {
        match &self.0.kind {
            Kind::Pickle(why) => why.category(),
            Kind::Encode(why) => why.category(),
            Kind::Build(why) => why.category(),
            Kind::Mismatch(_) | Kind::Trailing(_) | Kind::Count { .. } | Kind::Message(_) => {
                Category::Malformed
            }
            Kind::MissingField(_) => Category::Missing,
            Kind::NotPlain(_) | Kind::Cycle(_) | Kind::Unhashable(_) => Category::Unsupported,
            Kind::TooDeep { .. } | Kind::Over(_) => Category::OverLimit,
            Kind::Io(_) => Category::Io,
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pickle(why) => write!(f, "{why}"),
            Self::Mismatch(what) | Self::Message(what) => f.write_str(what),
            Self::MissingField(name) => write!(f, "missing field `{name}`"),
            Self::NotPlain(what) => write!(f, "{what} is no plain value"),
            Self::TooDeep { limit, .. } => write!(f, "over {limit} values in each other"),
            Self::Cycle(kind) => write!(f, "a {kind} holds itself"),
            Self::Trailing(len) => write!(f, "{len} bytes behind the pickle"),
            Self::Unhashable(kind) => write!(f, "a {kind} cannot be a key in Python"),
            Self::Count { announced, given } => {
                write!(f, "a tuple of {announced} was given {given} items")
            }
            Self::Over(why) => write!(f, "{why}"),
            Self::Encode(why) => write!(f, "{why}"),
            Self::Build(why) => write!(f, "{why}"),
            Self::Io(why) => write!(f, "could not read: {why}"),
        }
    }
}

impl Kind {
    /// What the user can do about it; empty where the words above say it.
    const fn advice(&self) -> &'static str {
        match self {
            Self::NotPlain(_) => "; skip it (serde::de::IgnoredAny), or read the graph",
            Self::TooDeep { writing: false, .. } => {
                "; raise DeOptions::depth if the stack is large enough"
            }
            Self::TooDeep { writing: true, .. } => {
                "; raise SerOptions::depth if the stack is large enough"
            }
            Self::Cycle(_) => {
                "; serde knows trees only: skip it (serde::de::IgnoredAny), or read the graph"
            }
            Self::Trailing(_) => "; allow them (DeOptions::trailing), or read all (serde::iter)",
            Self::Unhashable(_) => "; make it a list of pairs",
            _ => "",
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, path, at } = &*self.0;
        write!(f, "{kind}")?;
        let mut before = " at ";
        if !path.is_empty() {
            write!(f, "{before}{}", self.path())?;
            before = ", ";
        }
        if let Some(at) = at {
            write!(f, "{before}{at}")?;
        }
        f.write_str(kind.advice())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            Kind::Pickle(why) => Some(why),
            Kind::Encode(why) => Some(why),
            Kind::Build(why) => Some(why),
            Kind::Over(why) => Some(why),
            Kind::Io(why) => Some(why),
            _ => None,
        }
    }
}

impl serde::de::Error for Error {
    #[cold]
    fn custom<T: Display>(what: T) -> Self {
        Self::new(Kind::Mismatch(what.to_string().into()))
    }

    #[cold]
    fn missing_field(name: &'static str) -> Self {
        Self::new(Kind::MissingField(name))
    }
}

impl serde::ser::Error for Error {
    #[cold]
    fn custom<T: Display>(what: T) -> Self {
        Self::new(Kind::Message(what.to_string().into()))
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl From<Exceeded> for Error {
    fn from(why: Exceeded) -> Self {
        Self::new(Kind::Over(why))
    }
}

impl From<pickle::Error> for Error {
    fn from(why: pickle::Error) -> Self {
        Self::new(Kind::Pickle(why))
    }
}

impl From<EncodeError> for Error {
    fn from(why: EncodeError) -> Self {
        Self::new(Kind::Encode(why))
    }
}

impl From<BuildError> for Error {
    fn from(why: BuildError) -> Self {
        Self::new(Kind::Build(why))
    }
}

/// What failed in reading or writing is handed on as it is.
impl From<Error> for io::Error {
    fn from(why: Error) -> Self {
        match why.0.kind {
            Kind::Io(why) => why,
            Kind::Encode(inner) if matches!(inner.kind(), EncodeKind::Io(_)) => Self::other(inner),
            _ => Self::other(why),
        }
    }
}
