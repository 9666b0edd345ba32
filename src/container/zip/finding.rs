//! What is odd about an archive and yet does not keep it from being read.

use std::fmt;

use super::{Member, MemberId, Method, Zip};
use crate::base::{Budget, Exceeded, FileOffset};
use crate::container::error::{flagged, shown};

/// One thing about an archive that honest writers do not do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub oddity: Oddity,
    /// Where in the file: a directory entry, a local header, or the odd bytes themselves.
    pub at: FileOffset,
    /// The member it is about, if it is about one.
    pub member: Option<Box<[u8]>>,
}

/// The kinds of [`Finding`]. Numbers are bytes unless said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oddity {
    /// An earlier member has this name, or differs from it in case only. PyTorch ignores case
    /// and takes one or the other by its place in the directory; Python takes the last.
    Duplicate,
    /// The member begins before the one at this place ends.
    Overlap(FileOffset),
    /// The member reaches into the directory, by so many bytes at least.
    Outside(u64),
    /// General purpose flags (bits) that say it is encrypted or a patch.
    Flags(u16),
    /// A compression method other than stored and deflated.
    Method(u16),
    /// It is stored, but its two sizes differ.
    StoredSizes {
        /// In the archive.
        compressed: u64,
        /// Outside it.
        size: u64,
    },
    /// A name that leads elsewhere when unpacked, or that readers split or cut differently; the
    /// text says why.
    Name(&'static str),
    /// An extra field gives the member this name, which some readers prefer.
    OtherName(Box<[u8]>),
    /// So many bytes stand before the first local header. PyTorch then takes the file for one
    /// of its older formats.
    Prefix(u64),
    /// So many bytes stand between the directory and the records that end the archive, or among
    /// those. Python takes the directory to be that much further on.
    Gap(u64),
    /// So many bytes follow the archive.
    Trailing(u64),
    /// The archive's comment lacks so many bytes.
    CommentCut(u64),
    /// Another END record, which some readers may take.
    SecondEnd,
}

impl Finding {
    pub(super) const fn new(oddity: Oddity, at: FileOffset) -> Self {
        Self { oddity, at, member: None }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate => f.write_str("an earlier member has this name, but for case"),
            Self::Overlap(other) => write!(f, "begins inside the member at {other}"),
            Self::Outside(by) => write!(f, "reaches {by} bytes into the directory"),
            Self::Flags(flags) => write!(f, "said to be {} (flags {flags:#06x})", flagged(*flags)),
            Self::Method(method) => write!(f, "unsupported compression method {method}"),
            Self::StoredSizes { compressed, size } => {
                write!(f, "stored, yet its {compressed} bytes are said to be {size}")
            }
            Self::Name(why) => write!(f, "a name that {why}"),
            Self::OtherName(other) => write!(f, "an extra field names it {}", shown(other)),
            Self::Prefix(len) => write!(f, "{len} bytes before the first member"),
            Self::Gap(len) => write!(f, "{len} bytes between the directory and the file's end"),
            Self::Trailing(len) => write!(f, "{len} bytes after the archive"),
            Self::CommentCut(len) => write!(f, "the archive's comment lacks {len} bytes"),
            Self::SecondEnd => f.write_str("another END record, which some readers may take"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(member) = &self.member {
            write!(f, "{}: ", shown(member))?;
        }
        write!(f, "{} (at {})", self.oddity, self.at)
    }
}

/// Findings about members, each paid for from the budget.
pub(super) struct Notes<'a> {
    pub(super) all: Vec<Finding>,
    pub(super) budget: &'a mut Budget,
}

impl Notes<'_> {
    pub(super) fn note(
        &mut self,
        oddity: Oddity,
        at: FileOffset,
        member: &Member<'_>,
    ) -> Result<(), Exceeded> {
        let name = member.name_bytes();
        let other = if let Oddity::OtherName(other) = &oddity { other.len() } else { 0 };
        self.budget.memory((name.len() as u64).saturating_add(other as u64))?;
        let finding = Finding { oddity, at, member: Some(name.into()) };
        self.budget.push(&mut self.all, finding)
    }

    /// What one entry's fields show.
    pub(super) fn look_at(&mut self, member: &Member<'_>) -> Result<(), Exceeded> {
        let at = member.entry_offset();
        if member.bad_flags() != 0 {
            self.note(Oddity::Flags(member.bad_flags()), at, member)?;
        }
        if let Method::Other(method) = member.method() {
            self.note(Oddity::Method(method), at, member)?;
        }
        let (compressed, size) = (member.compressed_size(), member.size());
        if member.method() == Method::Stored && compressed != size {
            self.note(Oddity::StoredSizes { compressed, size }, at, member)?;
        }
        if let Some(why) = odd_name(member.name_bytes()) {
            self.note(Oddity::Name(why), at, member)?;
        }
        Ok(())
    }

    /// What the members' places show: bytes before all of them, and overlaps. Headers whose
    /// length only the member itself tells are taken at their shortest.
    pub(super) fn look_at_places(&mut self, zip: &Zip) -> Result<(), Exceeded> {
        let mut order: Vec<MemberId> = Vec::new();
        for member in zip.members() {
            self.budget.push(&mut order, member.id())?;
        }
        let header = |id: &MemberId| zip.member(*id).map(|member| member.header_offset());
        order.sort_by_key(header);
        let directory = zip.directory().at;
        let first = order.first().and_then(header).unwrap_or(directory);
        if first > FileOffset(0) {
            self.all.push(Finding::new(Oddity::Prefix(first.0), FileOffset(0)));
        }
        let mut furthest = (FileOffset(0), FileOffset(0));
        for member in order.iter().filter_map(|id| zip.member(*id)) {
            let (at, end) = (member.header_offset(), member.soonest_end());
            if at < furthest.1 {
                self.note(Oddity::Overlap(furthest.0), at, &member)?;
            }
            if end > furthest.1 {
                furthest = (at, end);
            }
            if let Some(by @ 1..) = end.0.checked_sub(directory.0) {
                self.note(Oddity::Outside(by), at, &member)?;
            }
        }
        Ok(())
    }
}

/// Why a name is odd, if it is.
fn odd_name(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        [] => "is empty",
        _ if name.contains(&0) => "holds a zero byte, where some readers cut it",
        _ if name.contains(&b'\\') => "holds a backslash, which separates folders on Windows",
        [b'/', ..] => "begins at the root folder",
        [b'a'..=b'z' | b'A'..=b'Z', b':', ..] => "begins with a drive",
        _ if name.split(|&byte| byte == b'/').any(|part| part == b"..") => {
            "leads to parent folders"
        }
        _ => return None,
    })
}
