//! Archives: bytes ⇄ named members.
//!
//! Knows nothing of pickles or torch, and opens no files. No input panics. Listing
//! costs the directory's bytes and, findings aside, at most 160 B for each entry; reading a member
//! costs its own bytes, never what its headers claim.

mod error;
mod tar;
mod write;
mod zip;

pub use error::{Disagreement, Error, Kind};
pub use tar::{Tar, TarMember, starts_as_tar};
pub use write::{ALIGNMENT, MemberWriter, ZipWriter, zip_len};
#[cfg(feature = "scan")]
pub(crate) use zip::ENCRYPTED;
pub use zip::{
    Extent, Finding, LocalHeader, Lost, Member, MemberId, Method, Oddity, Recovery, Zip, is_zip,
    starts_as_zip,
};
