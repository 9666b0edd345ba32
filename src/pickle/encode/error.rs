//! Why a graph could not be written.

use std::{fmt, io};

use crate::base::{Category, Exceeded, FileOffset};

/// Why a graph could not be written.
#[derive(Debug)]
pub struct EncodeError {
    pub(super) kind: EncodeKind,
    pub(super) at: Option<FileOffset>,
}

/// What is wrong, apart from where.
#[derive(Debug)]
#[non_exhaustive]
pub enum EncodeKind {
    /// Something that only a newer protocol can say.
    Needs {
        /// What it is.
        what: &'static str,
        /// The first protocol that has it.
        protocol: u8,
    },
    /// An object that cannot be made before itself.
    Endless,
    /// A limit was met.
    Over(Exceeded),
    /// Where it was written to failed.
    Io(io::Error),
}

impl EncodeError {
    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> &EncodeKind {
        &self.kind
    }

    /// Where the object that could not be written was read, if it was read and is what is
    /// wrong.
    #[must_use]
    pub const fn offset(&self) -> Option<FileOffset> {
        self.at
    }

    /// What sort of failure this is.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self.kind {
            EncodeKind::Needs { .. } | EncodeKind::Endless => Category::Unsupported,
            EncodeKind::Over(_) => Category::OverLimit,
            EncodeKind::Io(_) => Category::Io,
        }
    }
}

impl From<Exceeded> for EncodeError {
    fn from(why: Exceeded) -> Self {
        Self { kind: EncodeKind::Over(why), at: None }
    }
}

impl From<io::Error> for EncodeError {
    fn from(why: io::Error) -> Self {
        Self { kind: EncodeKind::Io(why), at: None }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            EncodeKind::Needs { what, protocol } => {
                write!(f, "{what} cannot be written below protocol {protocol}")?;
            }
            EncodeKind::Endless => f.write_str(
                "an object that is part of its own making cannot be written below protocol 4",
            )?,
            EncodeKind::Over(why) => write!(f, "{why}")?,
            EncodeKind::Io(why) => write!(f, "could not write: {why}")?,
        }
        match self.at {
            Some(at) => write!(f, "; it was read at {at}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            EncodeKind::Over(why) => Some(why),
            EncodeKind::Io(why) => Some(why),
            _ => None,
        }
    }
}
