//! What is wrong with a checkpoint: in which file, member and tensor, and where.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{DType, Layout};
use crate::base::{Category, Exceeded, FileOffset};
use crate::{container, pickle};

/// Why a checkpoint, or one tensor of it, cannot be read.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    path: Option<PathBuf>,
    tensor: Option<Box<str>>,
    member: Option<Box<str>>,
    at: Option<FileOffset>,
    /// Offsets are those of a member that had to be inflated.
    inflated: bool,
}

/// What is wrong, apart from where.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The system could not read.
    Io(io::Error),
    /// The archive is damaged.
    Container(container::Error),
    /// The pickle is damaged, or the policy refuses it.
    Pickle(pickle::Error),
    /// No checkpoint: what it is instead, and what to do.
    NotACheckpoint(&'static str),
    /// A part that every checkpoint of this layout has is not there.
    MissingMember,
    /// Several folders of the archive hold a checkpoint; readers differ in which they take.
    SeveralRoots,
    /// A checkpoint of several files names one outside of its folder.
    Outside(Box<str>),
    /// A part that must be JSON text is not; the text says why.
    Json(Box<str>),
    /// The header of a safetensors file does not describe the file; the text says why.
    Safetensors(Box<str>),
    /// The archive's member `byteorder` says neither `little` nor `big`.
    ByteOrder,
    /// A tensor or storage is not described as PyTorch describes one.
    BadTensor(Fault),
    /// Nothing of that name.
    NoSuchTensor(Box<str>),
    /// Several tensors of that name, told apart only by the types of their keys.
    AmbiguousName(Box<str>),
    /// Nothing at that path of keys.
    NoSuchKey(Box<str>),
    /// No pickle of that number, counted from 0.
    NoSuchStream {
        /// What was asked for.
        asked: usize,
        /// How many there are.
        has: usize,
    },
    /// Something else than a module; the text says what.
    NotAModule(&'static str),
    /// Something else than a mapping from keys or a whole model: its type, as Python prints it.
    NotAStateDict(String),
    /// Elements asked for as something they are not.
    WrongDType {
        /// What they are.
        is: DType,
        /// What was asked for.
        wanted: &'static str,
    },
    /// What is to be saved cannot be written; the text says why.
    Unwritable(Box<str>),
    /// The pickle of what is to be saved cannot be written.
    Encode(pickle::EncodeError),
    /// The system could not write.
    Write(io::Error),
    /// A limit was met.
    Over(Exceeded),
}

/// What is wrong with the description of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A call that makes tensors has other arguments than it takes; the text says which.
    Arguments(&'static str),
    /// An argument is not what it must be.
    NotA {
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A size, stride or offset below zero.
    Negative(i64),
    /// As many strides as sizes there must be.
    Rank {
        /// Sizes.
        shape: usize,
        /// Strides.
        stride: usize,
    },
    /// The product of sizes, or the last byte's place, exceeds 64 bits, or what this machine can
    /// address.
    Overflow,
    /// The view reaches past its storage (elements).
    OutOfStorage {
        /// How many the view needs.
        needs: u64,
        /// How many there are.
        has: u64,
    },
    /// The storage's class is none that PyTorch has.
    UnknownStorageClass(Box<str>),
    /// No dtype of that name.
    UnknownDType(Box<str>),
    /// The storage holds another number of bytes than its description claims.
    StorageLength {
        /// Bytes claimed.
        claimed: u64,
        /// Bytes there are.
        has: u64,
    },
    /// The file has no data for the storage of this key.
    NoStorage(Box<str>),
    /// The data for the storage cannot be told; the text says why.
    BadStorage(Box<str>),
    /// The file has data for a storage of this key, but nothing says how wide its elements are:
    /// it and all behind it cannot be found.
    NotMentioned(Box<str>),
    /// What it lies in cannot be read; the text says where and why.
    Elsewhere(Box<str>),
    /// The chunks it is put together from are not what they must be; the text says how.
    Chunks(&'static str),
    /// A layout or wrapper that is not read yet.
    Unsupported(Box<str>),
    /// An argument was changed after the call that used it.
    ChangedLater,
    /// A parameter or buffer of a lazy module, saved before it had a shape.
    Uninitialized,
    /// Elements were asked for where there are none in a row: the layout, and what to ask for.
    NoElements(Layout),
    /// No such dimension, or no such range of it.
    Slice {
        /// The dimension.
        axis: usize,
        /// What was asked for.
        range: Range<u64>,
        /// Its size, if there is such a dimension.
        size: Option<u64>,
    },
    /// A buffer of another length than the tensor's elements take (bytes).
    BufferLength {
        /// What they take.
        needs: u64,
        /// What the buffer has.
        has: u64,
    },
    /// An index of a sparse or nested tensor that is out of range or order; the text says which.
    BadIndex {
        /// The part that holds it.
        part: &'static str,
        /// Its place there.
        at: u64,
        /// The index.
        value: i64,
    },
    /// Elements of this type cannot be turned into numbers of that.
    NoCast {
        /// What they are.
        from: DType,
        /// What was asked for.
        to: DType,
    },
    /// A float is none that an integer of that type holds.
    NoInteger {
        /// Its place among the elements.
        at: u64,
        /// The float.
        value: Box<str>,
        /// What was asked for.
        to: DType,
    },
}

/// A fault and where in the file it lies.
pub(crate) type Located = (Fault, Option<FileOffset>);

impl Error {
    #[cold]
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            path: None,
            tensor: None,
            member: None,
            at: None,
            inflated: false,
        }))
    }

    #[cold]
    pub(crate) fn fault(fault: Fault, at: Option<FileOffset>) -> Self {
        Self::new(Kind::BadTensor(fault)).at(at)
    }

    pub(crate) fn at(mut self, at: Option<FileOffset>) -> Self {
        self.0.at = self.0.at.or(at);
        self
    }

    /// An error found in a member that had to be inflated: its offset is one of there.
    pub(crate) fn in_inflated(mut self) -> Self {
        self.0.inflated = true;
        self
    }

    /// The same error, what it was found in being found to begin so many bytes further on.
    pub(crate) fn moved(mut self, by: u64) -> Self {
        match &mut self.0.kind {
            Kind::Container(why) => why.move_by(by),
            _ if self.0.inflated => {}
            Kind::Pickle(why) => why.move_by(by),
            _ => self.0.at = self.0.at.map(|at| at.plus(by)),
        }
        self
    }

    /// What is wrong and where, of an object that is listed with it.
    pub(crate) fn as_fault(&self) -> Located {
        (Fault::Elsewhere(self.to_string().into()), self.offset())
    }

    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.0.path.get_or_insert_with(|| path.to_owned());
        self
    }

    pub(crate) fn in_member(mut self, member: &str) -> Self {
        self.0.member.get_or_insert_with(|| member.into());
        self
    }

    pub(crate) fn in_tensor(mut self, name: &str) -> Self {
        self.0.tensor.get_or_insert_with(|| name.into());
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The file it is in, if it was opened by path.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The tensor it is about.
    #[must_use]
    pub fn tensor(&self) -> Option<&str> {
        self.0.tensor.as_deref()
    }

    /// The archive member it is in.
    #[must_use]
    pub fn member(&self) -> Option<Cow<'_, str>> {
        let own = self.0.member.as_deref().map(Cow::Borrowed);
        own.or_else(|| match self.kind() {
            Kind::Container(why) => why.member().map(String::from_utf8_lossy),
            _ => None,
        })
    }

    /// Where in the file, as far as it is one place.
    #[must_use]
    pub fn offset(&self) -> Option<FileOffset> {
        match self.kind() {
            Kind::Container(why) => Some(why.offset()),
            Kind::Pickle(why) => Some(why.offset()),
            _ => self.0.at,
        }
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn category(&self) -> Category {
        match self.kind() {
            Kind::Io(_) | Kind::Write(_) => Category::Io,
            Kind::Encode(why) => why.category(),
            Kind::Container(why) => why.category(),
            Kind::Pickle(why) => why.category(),
            Kind::NotACheckpoint(_)
            | Kind::Unwritable(_)
            | Kind::BadTensor(
                Fault::Unsupported(_)
                | Fault::Uninitialized
                | Fault::NoElements(_)
                | Fault::NoCast { .. }
                | Fault::NoInteger { .. },
            )
            | Kind::WrongDType { .. } => Category::Unsupported,
            Kind::MissingMember
            | Kind::SeveralRoots
            | Kind::Outside(_)
            | Kind::Json(_)
            | Kind::Safetensors(_)
            | Kind::ByteOrder
            | Kind::BadTensor(_) => Category::Malformed,
            Kind::NoSuchTensor(_)
            | Kind::AmbiguousName(_)
            | Kind::NoSuchKey(_)
            | Kind::NoSuchStream { .. }
            | Kind::NotAModule(_)
            | Kind::NotAStateDict(_) => Category::Missing,
            Kind::Over(_) => Category::OverLimit,
        }
    }
}

macro_rules! from {
    ($($source:ty => $kind:ident),*) => {
        $(impl From<$source> for Error {
            fn from(why: $source) -> Self {
                Self::new(Kind::$kind(why))
            }
        })*
    };
}
impl From<io::Error> for Error {
    fn from(why: io::Error) -> Self {
        Self::new(Exceeded::behind(&why).map_or(Kind::Io(why), Kind::Over))
    }
}

impl From<pickle::BuildError> for Error {
    fn from(why: pickle::BuildError) -> Self {
        match why {
            pickle::BuildError::Over(why) => why.into(),
            why => Self::fault(Fault::Elsewhere(why.to_string().into()), None),
        }
    }
}

from!(pickle::EncodeError => Encode, container::Error => Container, pickle::Error => Pickle, Exceeded => Over);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(what) => f.write_str(what),
            Self::NotA { wanted, found } => write!(f, "{wanted} wanted, {found} found"),
            Self::Negative(value) => write!(f, "a size, stride or offset of {value}"),
            Self::Rank { shape, stride } => write!(f, "{shape} sizes but {stride} strides"),
            Self::Overflow => write!(f, "its size exceeds {} bits", usize::BITS),
            Self::OutOfStorage { needs, has } => {
                write!(f, "it needs {needs} elements but its storage has {has}")
            }
            Self::UnknownStorageClass(class) => write!(f, "{class} is no storage class of PyTorch"),
            Self::UnknownDType(name) => write!(f, "{name} is no dtype of PyTorch"),
            Self::StorageLength { claimed, has } => {
                write!(f, "its storage should have {claimed} bytes but has {has}")
            }
            Self::NoStorage(key) => write!(f, "the file has no data for its storage {key:?}"),
            Self::BadStorage(why) => write!(f, "its storage: {why}"),
            Self::NotMentioned(key) => {
                write!(
                    f,
                    "its data lie at or behind those of storage {key:?}, whose width nothing says"
                )
            }
            Self::Elsewhere(why) => f.write_str(why),
            Self::Chunks(why) => f.write_str(why),
            Self::Unsupported(what) => write!(f, "{what} is not supported yet"),
            Self::Uninitialized => f.write_str(
                "it belongs to a lazy module that was saved before its first use, and has \
                 neither shape nor data",
            ),
            Self::NoElements(Layout::Meta) => {
                f.write_str("a tensor of the meta device has sizes but no data")
            }
            Self::NoElements(layout) => write!(
                f,
                "a tensor of layout {} has no elements in a row: read its parts, or make it dense",
                layout.name()
            ),
            Self::Slice { axis, size: None, .. } => write!(f, "it has no dimension {axis}"),
            Self::Slice { axis, range, size: Some(size) } => write!(
                f,
                "dimension {axis} has size {size}, which does not hold {}:{}",
                range.start, range.end
            ),
            Self::BufferLength { needs, has } => {
                write!(f, "its elements take {needs} bytes, but the buffer has {has}")
            }
            Self::BadIndex { part, at, value } => {
                write!(f, "index {value} at place {at} of its {part} is out of range or order")
            }
            Self::NoCast { from, to } => write!(f, "elements of {from} cannot be cast to {to}"),
            Self::NoInteger { at, value, to } => {
                write!(f, "its element {at} is {value}, which no {to} holds")
            }
            Self::ChangedLater => {
                f.write_str("an argument was changed after the call that used it")
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(why) => write!(f, "{why}"),
            Self::Container(why) => write!(f, "{why}"),
            Self::Pickle(why) => write!(f, "{why}"),
            Self::NotACheckpoint(what) => f.write_str(what),
            Self::MissingMember => f.write_str(
                "the archive lacks this member: it is incomplete, or not a PyTorch file, which \
                 `depickle doctor` tells; get it again from where it came",
            ),
            Self::SeveralRoots => f.write_str(
                "a second folder of the archive holds a checkpoint too, and readers differ in \
                 which they take: pack the right one alone",
            ),
            Self::Outside(name) => write!(
                f,
                "the checkpoint names the file {name:?}, which is not in its folder; a file may be \
                 made so that others are read: move it there if you trust it"
            ),
            Self::Json(why) => write!(f, "this is no JSON text: {why}"),
            Self::Safetensors(why) => write!(f, "this is no sound safetensors file: {why}"),
            Self::ByteOrder => f.write_str("the byte order is neither `little` nor `big`"),
            Self::BadTensor(fault) => write!(f, "{fault}"),
            Self::NoSuchTensor(name) => {
                write!(f, "no tensor is named {name:?}; `depickle ls` lists the names")
            }
            Self::AmbiguousName(name) => write!(
                f,
                "several tensors are named {name:?}, by keys of different types; \
                 take them from the list by position"
            ),
            Self::NoSuchStream { asked, has } => {
                write!(f, "no pickle {asked}, counted from 0: there are {has} that can be chosen")
            }
            Self::NoSuchKey(key) => {
                write!(f, "nothing is at key {key:?}; `depickle show` prints what there is")
            }
            Self::NotAModule(found) => {
                write!(f, "no module here, but a {found}: `depickle info` says what the file holds")
            }
            Self::NotAStateDict(found) => {
                write!(f, "Expected state_dict to be dict-like, got {found}.")
            }
            Self::WrongDType { is, wanted } => {
                write!(f, "its elements are {is} and cannot be read as {wanted}")
            }
            Self::Unwritable(why) => f.write_str(why),
            Self::Encode(why) => write!(f, "{why}"),
            Self::Write(why) => write!(f, "cannot be written: {why}"),
            Self::Over(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.path() {
            write!(f, "{}: ", path.display())?;
        }
        if let Some(tensor) = self.tensor() {
            write!(f, "tensor {tensor:?}: ")?;
        }
        write!(f, "{}", self.kind())?;
        match (self.kind(), &self.0.member) {
            // These say their member themselves.
            (Kind::Container(_), _) | (_, None) => {}
            (_, Some(member)) => write!(f, " (in {member})")?,
        }
        match (self.kind(), self.0.at) {
            (Kind::Container(_) | Kind::Pickle(_), _) | (_, None) => Ok(()),
            (_, Some(at)) => write!(f, " at {at}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.kind() {
            Kind::Io(why) | Kind::Write(why) => Some(why),
            Kind::Encode(why) => Some(why),
            Kind::Container(why) => Some(why),
            Kind::Pickle(why) => Some(why),
            Kind::Over(why) => Some(why),
            _ => None,
        }
    }
}
