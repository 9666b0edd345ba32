//! What is wrong with a numpy object, and where.

use std::fmt;

use crate::base::{Category, Exceeded, FileOffset};

/// Why an object is no readable numpy object, or an element not what was asked for.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    fault: Fault,
    at: Option<FileOffset>,
}

/// What is wrong, apart from where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Another sort of object: what was wanted, and what is there.
    NotA {
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A call or state of a form that numpy does not write; the text says which.
    Form(&'static str),
    /// A state of a version that is not known.
    Version(i64),
    /// A size, offset or count below zero.
    Negative(i64),
    /// More dimensions than numpy has.
    Dimensions(usize),
    /// The product of sizes exceeds 63 bits.
    Overflow,
    /// The data is shorter or longer than shape and dtype need (bytes).
    DataLength {
        /// Bytes needed.
        needs: u64,
        /// Bytes there are.
        has: u64,
    },
    /// The list of objects is shorter or longer than the shape needs.
    ItemCount {
        /// Objects needed.
        needs: u64,
        /// Objects there are.
        has: u64,
    },
    /// More elements of no bytes at all than are believed.
    EmptyElements(u64),
    /// A field reaches past the end of its element (bytes).
    FieldOutside {
        /// Its name.
        name: Box<str>,
        /// Where it ends.
        end: u64,
        /// Where the element ends.
        itemsize: u64,
    },
    /// A name that stands in `names` but not among the fields.
    NoField(Box<str>),
    /// A sub-array does not fill its element exactly (bytes).
    SubArraySize {
        /// Bytes that its shape and base need.
        needs: u64,
        /// Bytes of the element.
        itemsize: u64,
    },
    /// A width (bytes) that elements of the kind cannot have.
    Width(u64),
    /// The name of no type of elements.
    UnknownType(Box<str>),
    /// The name of no unit of time.
    UnknownUnit(Box<str>),
    /// Elements of several bytes, and nothing says in which order these stand.
    NoByteOrder,
    /// Dtypes in each other, more levels than are followed.
    TooDeep(usize),
    /// More fields in one dtype, those of inner ones included, than are followed.
    TooManyFields(u64),
    /// A dtype that is a part of itself.
    HoldsItself,
    /// The state was never set.
    NoState,
    /// Something was changed after it was used here.
    ChangedLater,
    /// The data is out of band, and no such buffer was given.
    NoBuffer(u32),
    /// An element has no exact value of the type that was asked for.
    Inexact {
        /// Its place in row-major order.
        index: u64,
        /// The dtype.
        is: Box<str>,
        /// The type asked for.
        wanted: &'static str,
    },
    /// Elements asked for as a type that the dtype never has.
    WrongType {
        /// The dtype.
        is: Box<str>,
        /// The type asked for.
        wanted: &'static str,
    },
    /// Valid, but not understood; the text says what.
    Unsupported(Box<str>),
    /// A limit was met.
    Over(Exceeded),
}

impl Error {
    #[cold]
    pub(super) fn new(fault: Fault, at: Option<FileOffset>) -> Self {
        Self(Box::new(Inner { fault, at }))
    }

    /// Small numbers have no place of their own: then it is that of what they are a part of.
    pub(super) fn or_at(mut self, at: Option<FileOffset>) -> Self {
        self.0.at = self.0.at.or(at);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// Where in the file, if it is one place.
    #[must_use]
    pub fn offset(&self) -> Option<FileOffset> {
        self.0.at
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn category(&self) -> Category {
        match self.fault() {
            Fault::NoBuffer(_) => Category::Missing,
            Fault::Over(_)
            | Fault::TooDeep(_)
            | Fault::TooManyFields(_)
            | Fault::EmptyElements(_) => Category::OverLimit,
            Fault::NoByteOrder
            | Fault::Unsupported(_)
            | Fault::WrongType { .. }
            | Fault::Inexact { .. } => Category::Unsupported,
            _ => Category::Malformed,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotA { wanted, found } => write!(f, "{wanted} wanted, {found} found"),
            Self::Form(what) => f.write_str(what),
            Self::Version(version) => {
                write!(f, "a state of version {version}, which no known numpy writes")
            }
            Self::Negative(value) => write!(f, "a size, offset or count of {value}"),
            Self::Dimensions(count) => write!(f, "{count} dimensions, where numpy has at most 64"),
            Self::Overflow => f.write_str("its size exceeds 63 bits"),
            Self::DataLength { needs, has } => {
                write!(f, "its shape and dtype need {needs} bytes, but its data has {has}")
            }
            Self::ItemCount { needs, has } => {
                write!(f, "its shape needs {needs} objects, but its list has {has}")
            }
            Self::EmptyElements(count) => write!(f, "{count} elements of no bytes"),
            Self::FieldOutside { name, end, itemsize } => {
                write!(f, "its field {name:?} ends at byte {end} of an element of {itemsize} bytes")
            }
            Self::NoField(name) => write!(f, "it names a field {name:?} that it does not have"),
            Self::SubArraySize { needs, itemsize } => {
                write!(f, "its sub-array needs {needs} bytes, but its element has {itemsize}")
            }
            Self::Width(width) => write!(f, "elements of {width} bytes, which its kind never has"),
            Self::UnknownType(name) => write!(f, "{name:?} is no type of numpy that is known here"),
            Self::UnknownUnit(name) => write!(f, "{name:?} is no unit of time"),
            Self::NoByteOrder => f.write_str("nothing says in which byte order its elements are"),
            Self::TooDeep(limit) => write!(f, "dtypes nested more than {limit} deep"),
            Self::TooManyFields(limit) => write!(f, "a dtype of more than {limit} fields in all"),
            Self::HoldsItself => f.write_str("a dtype that is a part of itself"),
            Self::NoState => f.write_str("its state was never set"),
            Self::ChangedLater => f.write_str("a part of it was changed after it was used"),
            Self::NoBuffer(index) => write!(
                f,
                "its data is out-of-band buffer {index}, which was not given: \
                 it lies beside the file"
            ),
            Self::Inexact { index, is, wanted } => {
                write!(f, "element {index}, of dtype {is}, is no {wanted} exactly")
            }
            Self::WrongType { is, wanted } => {
                write!(f, "its elements are {is} and cannot be read as {wanted}")
            }
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
            Self::Over(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "numpy: {}", self.fault())?;
        match self.offset() {
            Some(at) => write!(f, " at {at}"),
            None => Ok(()),
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
        match self.fault() {
            Fault::Over(why) => Some(why),
            _ => None,
        }
    }
}
