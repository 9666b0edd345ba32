//! What is wrong with an archive, where, and in which member.

use std::{fmt, io};

use crate::base::{Category, Exceeded, FileOffset};

/// Why an archive or one of its members could not be read.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    at: FileOffset,
    member: Option<Box<[u8]>>,
}

/// What is wrong, apart from where.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The file begins as a zip archive does, but has no END record.
    Truncated,
    /// The file neither begins nor ends as a zip archive does.
    NotZip,
    /// A record reaches past the end of what holds it; so many bytes were left for it.
    Ended {
        /// The record's name.
        record: &'static str,
        /// Bytes left.
        left: u64,
    },
    /// Other bytes stand where a record should begin.
    Signature {
        /// The record's name.
        record: &'static str,
        /// Its first four bytes, little-endian.
        found: u32,
    },
    /// The directory reaches past the END record behind it, by so many bytes.
    DirectoryOutside(u64),
    /// No directory where the END record says; it may stand so many bytes further on.
    DirectoryElsewhere(u64),
    /// The END record and the zip64 END record disagree.
    EndRecordsDisagree {
        /// On what.
        field: &'static str,
        /// What the END record says.
        end: u64,
        /// What the zip64 END record says.
        zip64: u64,
    },
    /// The END record announces another number of entries than the directory holds.
    Count {
        /// Entries announced.
        told: u64,
        /// Entries present.
        found: u64,
    },
    /// Part of the archive lies in another file.
    MultiDisk,
    /// A zip64 extra field lacks a value that its entry says is there.
    Zip64Extra,
    /// Several members go by this name, or one that differs in case only.
    Ambiguous,
    /// General purpose flags (bits) that say the member is encrypted or a patch.
    Flags(u16),
    /// A compression method (APPNOTE 4.4.5) that is neither stored nor deflated.
    Method(u16),
    /// The local header says something else than the directory.
    Local(Disagreement),
    /// A stored member whose two sizes (bytes) differ.
    StoredSizes {
        /// Bytes it has in the archive.
        compressed: u64,
        /// Bytes it should have.
        size: u64,
    },
    /// The member reaches past where the directory begins, by so many bytes.
    DataOutside(u64),
    /// The compressed bytes are no deflate stream; the text says why.
    Inflate(Box<str>),
    /// Inflating gave fewer bytes than the directory says.
    Short {
        /// Bytes announced.
        told: u64,
        /// Bytes found.
        found: u64,
    },
    /// Inflating gives more than this many bytes, which the directory says.
    Long(u64),
    /// The bytes do not have this checksum, which the directory says.
    Crc(u32),
    /// A tar archive whose headers cannot be followed; the text says why.
    Tar(&'static str),
    /// A limit was met.
    Over(Exceeded),
    /// The system could not read.
    Io {
        /// What was being read.
        reading: &'static str,
        /// What the system says.
        why: io::Error,
    },
}

impl Kind {
    /// The system failed while `reading`.
    pub(super) fn io(reading: &'static str, why: io::Error) -> Self {
        Exceeded::behind(&why).map_or(Self::Io { reading, why }, Self::Over)
    }
}

/// What a local header says otherwise than the directory.
///
/// PyTorch believes the directory, readers of streams the local header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disagreement {
    /// The name.
    Name,
    /// The compression method.
    Method,
    /// The compressed or uncompressed size, in a header that does not leave them to a data
    /// descriptor behind the data.
    Size,
    /// Flags that say the member is encrypted or a patch: set here only.
    Flags,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "another name",
            Self::Method => "another compression method",
            Self::Size => "another size",
            Self::Flags => "that the data are encrypted or a patch",
        })
    }
}

impl Error {
    #[cold]
    pub(super) fn new(kind: Kind, at: FileOffset) -> Self {
        Self(Box::new(Inner { kind, at, member: None }))
    }

    /// The same, in a member.
    #[cold]
    pub(crate) fn of(kind: Kind, at: FileOffset, member: &[u8]) -> Self {
        Self(Box::new(Inner { kind, at, member: Some(member.into()) }))
    }

    /// The archive is found to begin so many bytes further on.
    #[cfg(feature = "torch")]
    pub(crate) fn move_by(&mut self, by: u64) {
        self.0.at = self.0.at.plus(by);
    }

    /// The system failed while `reading`.
    #[cold]
    pub(super) fn io(reading: &'static str, why: io::Error, at: FileOffset) -> Self {
        Self::new(Kind::io(reading, why), at)
    }

    /// Names the member that was being read.
    #[cold]
    pub(super) fn within(mut self, member: &[u8]) -> Self {
        self.0.member = Some(member.into());
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// Where, from the beginning of the file: the record or the data that the kind is about.
    #[must_use]
    pub fn offset(&self) -> FileOffset {
        self.0.at
    }

    /// The name of the member that was being read, if one was.
    #[must_use]
    pub fn member(&self) -> Option<&[u8]> {
        self.0.member.as_deref()
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn category(&self) -> Category {
        match self.kind() {
            Kind::Over(_) => Category::OverLimit,
            Kind::Io { .. } => Category::Io,
            Kind::MultiDisk | Kind::Flags(_) | Kind::Method(_) => Category::Unsupported,
            _ => Category::Malformed,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the archive ends early: its END record is missing"),
            Self::NotZip => f.write_str("this is no zip archive: it has no END record"),
            Self::Ended { record, left } => write!(f, "the {record} is cut off: {left} bytes left"),
            Self::Signature { record, found } => {
                write!(f, "no {record}: it cannot begin with {found:#010x}")
            }
            Self::DirectoryOutside(by) => {
                write!(f, "the archive lacks at least {by} bytes before the end of its directory")
            }
            Self::DirectoryElsewhere(by) => {
                write!(f, "no directory here; {by} bytes may have been put before the archive")
            }
            Self::EndRecordsDisagree { field, end, zip64 } => {
                write!(f, "the END record says {end} for the {field}, its zip64 record {zip64}")
            }
            Self::Count { told, found } => {
                write!(f, "the directory holds {found} entries where {told} are announced")
            }
            Self::MultiDisk => f.write_str("part of the archive lies in another file"),
            Self::Zip64Extra => f.write_str("the zip64 extra field lacks a size or offset"),
            Self::Ambiguous => f.write_str("readers disagree on which member has this name"),
            Self::Flags(flags) => {
                write!(f, "the data are {} (flags {flags:#06x})", flagged(*flags))
            }
            Self::Method(method) => write!(f, "compression method {method} is not supported"),
            Self::Local(what) => write!(f, "the local header says {what}, unlike the directory"),
            Self::StoredSizes { compressed, size } => {
                write!(f, "stored data of {compressed} bytes cannot have {size}")
            }
            Self::DataOutside(by) => write!(f, "the data reach {by} bytes into the directory"),
            Self::Inflate(why) => write!(f, "the data cannot be inflated ({why})"),
            Self::Short { told, found } => {
                write!(f, "the data inflate to {found} bytes where {told} are announced")
            }
            Self::Long(told) => {
                write!(f, "the data inflate to more than the {told} bytes announced")
            }
            Self::Crc(told) => write!(f, "the data do not have the checksum {told:#010x}"),
            Self::Tar(why) => f.write_str(why),
            Self::Over(why) => write!(f, "{why}"),
            Self::Io { reading, why } => write!(f, "cannot read the {reading}: {why}"),
        }
    }
}

impl Kind {
    /// What the user can do about it; empty where the words above say it.
    const fn advice(&self) -> &'static str {
        match self {
            Self::Truncated | Self::DirectoryOutside(_) => {
                "; the file was cut off: download or copy it again"
            }
            Self::NotZip => "; give a file that torch.save or another zip writer wrote",
            Self::DirectoryElsewhere(_) => "; PyTorch does not read this either: remove them",
            Self::MultiDisk => "; join the parts first (zip -s 0)",
            Self::Flags(_) | Self::Method(_) => "; unpack it and pack it again, stored (zip -0)",
            Self::Ambiguous => {
                "; PyTorch ignores case and may take any of them: the file was made to deceive"
            }
            Self::Local(_) | Self::EndRecordsDisagree { .. } | Self::Count { .. } => {
                "; readers differ on what to believe: the file is damaged or made to deceive"
            }
            Self::Crc(0) => "; torch.save was told to write no checksums, or the file is damaged",
            Self::Over(_) | Self::Io { .. } => "",
            _ => "; the file is damaged: get it again from where it came",
        }
    }
}

/// What flags that keep a member from being read say about it.
pub(super) const fn flagged(flags: u16) -> &'static str {
    if flags & super::zip::PATCH != 0 { "a patch" } else { "encrypted" }
}

/// A name for terminals: control characters escaped, and cut at 256 bytes.
pub(super) fn shown(name: &[u8]) -> String {
    let head = name.get(..256).unwrap_or(name);
    let dots = if head.len() < name.len() { "…" } else { "" };
    format!("`{}{dots}`", String::from_utf8_lossy(head).escape_debug())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, at, member } = &*self.0;
        write!(f, "{kind} at {at}")?;
        if let Some(member) = member {
            write!(f, ", member {}", shown(member))?;
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
        match self.kind() {
            Kind::Over(why) => Some(why),
            Kind::Io { why, .. } => Some(why),
            _ => None,
        }
    }
}
