//! Why there is no view of an object that numpy's globals make.

use std::fmt;

use crate::base::{Category, Exceeded, FileOffset};
use crate::pickle::Object;

/// What is wrong with a dtype, array or scalar, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    what: What,
    at: Option<FileOffset>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Malformed(String),
    Unsupported(String),
    Over(Exceeded),
}

impl Error {
    #[cold]
    pub(super) fn malformed(what: impl Into<String>, object: Object) -> Self {
        Self { what: What::Malformed(what.into()), at: object.offset() }
    }

    #[cold]
    pub(super) fn unsupported(what: impl Into<String>, object: Object) -> Self {
        Self { what: What::Unsupported(what.into()), at: object.offset() }
    }

    #[cold]
    pub(super) fn not_a(wanted: &str, object: Object) -> Self {
        Self::malformed(format!("{wanted} wanted, {} found", object.kind()), object)
    }

    /// What sort of failure this is.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self.what {
            What::Malformed(_) => Category::Malformed,
            What::Unsupported(_) => Category::Unsupported,
            What::Over(_) => Category::OverLimit,
        }
    }

    /// Where the object stands in the file, if an operation of its own made it.
    #[must_use]
    pub const fn offset(&self) -> Option<FileOffset> {
        self.at
    }
}

impl From<Exceeded> for Error {
    fn from(why: Exceeded) -> Self {
        Self { what: What::Over(why), at: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Malformed(what) => write!(f, "no numpy could have written this: {what}")?,
            What::Unsupported(what) => write!(f, "{what} is not supported")?,
            What::Over(why) => write!(f, "{why}")?,
        }
        self.at.map_or(Ok(()), |at| write!(f, ", at {at}"))
    }
}

impl std::error::Error for Error {}
