//! Why a call that the whitelist knows has no value.

use std::fmt;

use crate::base::{Category, Exceeded, FileOffset};

/// A known global with arguments or a state that it would not take; or a limit met on the way.
///
/// What Python takes unseen and nothing can be made of (the 25th hour in the bytes of a datetime)
/// is refused too.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    global: String,
    why: Why,
    at: Option<FileOffset>,
}

#[derive(Clone, PartialEq, Eq)]
enum Why {
    Refused(String),
    Over(Exceeded),
}

impl Error {
    #[cold]
    pub(super) fn refused(global: String, why: impl Into<String>, at: Option<FileOffset>) -> Self {
        Self(Box::new(Inner { global, why: Why::Refused(why.into()), at }))
    }

    /// The global that was called, as the stream spells it; empty if a limit was met.
    #[must_use]
    pub fn global(&self) -> &str {
        &self.0.global
    }

    /// Where the operation that made the object stands in the file; none if no stream made it.
    #[must_use]
    pub fn offset(&self) -> Option<FileOffset> {
        self.0.at
    }

    /// The limit that was met, if that is why.
    #[must_use]
    pub fn exceeded(&self) -> Option<&Exceeded> {
        match &self.0.why {
            Why::Over(why) => Some(why),
            Why::Refused(_) => None,
        }
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn category(&self) -> Category {
        match self.0.why {
            Why::Over(_) => Category::OverLimit,
            Why::Refused(_) => Category::Malformed,
        }
    }
}

impl From<Exceeded> for Error {
    fn from(why: Exceeded) -> Self {
        Self(Box::new(Inner { global: String::new(), why: Why::Over(why), at: None }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { global, why, at } = &*self.0;
        match why {
            Why::Over(why) => return write!(f, "{why}"),
            Why::Refused(why) => write!(f, "{global} would not take this: {why}")?,
        }
        if let Some(at) = at {
            write!(f, ", at {at}")?;
        }
        f.write_str("; the file is damaged or was made by hand: the rest of it can be read")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Error {}
