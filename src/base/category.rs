//! The five ways reading can fail, for callers that only branch on the kind.

use std::fmt;

/// What sort of failure an error is. Every error of this crate answers `category()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Category {
    /// The bytes are not what the format prescribes.
    Malformed,
    /// The file asks for more than [`Limits`](super::Limits) grant.
    OverLimit,
    /// The [`Policy`](crate::pickle::Policy) in force refuses a global.
    Forbidden,
    /// Valid, but not (yet) understood.
    Unsupported,
    /// What was asked for is not in the file.
    Missing,
    /// The operating system could not read or write.
    Io,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed",
            Self::OverLimit => "over limit",
            Self::Forbidden => "forbidden",
            Self::Unsupported => "unsupported",
            Self::Missing => "missing",
            Self::Io => "i/o",
        })
    }
}
