//! What every layer stands on: bounded bytes, limits, sources, error categories.
//!
//! Knows no format. No function here panics, and none allocates more than the bytes it
//! was asked for and found present.

mod category;
mod cursor;
#[cfg(feature = "output")]
mod early;
mod limits;
#[cfg(feature = "mmap")]
mod map;
#[cfg(feature = "output")]
mod output;
mod source;
#[cfg(feature = "scan")]
mod watched;

pub use category::Category;
pub use cursor::{Cursor, End, FileOffset};
pub use limits::{Budget, Exceeded, Limit, Limits};
#[cfg(feature = "mmap")]
pub use map::map;
#[cfg(feature = "output")]
pub use output::{Existing, Output};
#[cfg(feature = "torch")]
pub(crate) use source::Exact;
#[cfg(feature = "torch")]
pub(crate) use source::zeroed;
pub use source::{FileSource, ReaderSource, Source, Window, read_vec};
#[cfg(feature = "scan")]
pub(crate) use watched::Watched;
