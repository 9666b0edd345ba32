//! The zip layout that PyTorch has written since 1.6.
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`_save`, `_load`),
//! `caffe2/serialize/inline_container.cc`.

use super::error::{Error, Kind};
use super::origin::Names;
use super::sniff::Container;
use crate::base::{Budget, Category, Source};
use crate::container::{Member, Zip};

/// An archive with its parts found.
#[derive(Debug)]
pub(crate) struct Archive {
    pub zip: Zip,
    pub container: Container,
    /// The folder that all members lie in, with its slash; empty if they lie in none.
    root: String,
    pub big_endian: bool,
}

/// The member that holds the object in what `torch.save` and `torch.jit.save` write.
pub(crate) const PICKLE: &str = "data.pkl";

/// Names up to this long are put together without an allocation: one for each storage.
const SHORT: usize = 128;

/// Members by which the archives of other writers are known; each always writes its own.
const MARKS: &[(&str, Container)] = &[
    (".data/extern_modules", Container::Package),
    ("archive_format", Container::Export),
    ("serialized_exported_program.json", Container::Export),
];

impl Archive {
    pub(crate) fn open(source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        Self::of(Zip::open(source, budget)?, source, budget)
    }

    /// Opens an archive, without its directory if that is missing or damaged.
    pub(crate) fn salvage(source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        let zip = match Zip::open(source, &mut budget.clone()) {
            Err(why) if why.category() == Category::Malformed => Zip::recover(source, budget)?,
            other => other?,
        };
        Self::of(zip, source, budget)
    }

    fn of(zip: Zip, source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        let (root, container) = if let Some(found) = marked(&zip)? {
            found
        } else {
            let name = find_pickle(&zip)?.name().into_owned();
            (name.strip_suffix(PICKLE).unwrap_or_default().to_owned(), Container::Zip)
        };
        let mut archive = Self { zip, container, root, big_endian: false };
        if container == Container::Zip && archive.member("constants.pkl")?.is_some() {
            archive.container = Container::TorchScript;
        }
        archive.big_endian = archive.byte_order(source, budget)?;
        Ok(archive)
    }

    /// The whole name of a member below the root folder.
    pub(crate) fn name(&self, below: &str) -> String {
        format!("{}{below}", self.root)
    }

    /// Members below the root folder, each with its name there.
    pub(crate) fn members(&self) -> impl Iterator<Item = (Member<'_>, &[u8])> {
        self.zip.members().filter_map(|member| {
            Some((member, member.name_bytes().strip_prefix(self.root.as_bytes())?))
        })
    }

    /// The member of this name below the root folder.
    pub(crate) fn member(&self, name: &str) -> Result<Option<Member<'_>>, Error> {
        Ok(self.zip.find(self.name(name).as_bytes())?)
    }

    /// The member that holds the storage of this key.
    pub(crate) fn storage(&self, names: Names, key: &str) -> Result<Option<Member<'_>>, Error> {
        let parts = [&self.root, names.before, key, names.after];
        let mut short = [0; SHORT];
        let found = match concat(parts, &mut short) {
            Some(name) => self.zip.find(name),
            None => self.zip.find(parts.concat().as_bytes()),
        };
        Ok(found?)
    }

    /// Whether the storages are big-endian. Files from before the member `byteorder` are not.
    fn byte_order(&self, source: &dyn Source, budget: &mut Budget) -> Result<bool, Error> {
        let Some(member) = self.member("byteorder")? else { return Ok(false) };
        let bytes = match member.size() {
            0..=8 => self.zip.read(source, member, budget)?,
            _ => bytes::Bytes::new(),
        };
        match &bytes[..] {
            b"little" => Ok(false),
            b"big" => Ok(true),
            _ => Err(Error::new(Kind::ByteOrder).in_member(&member.name())),
        }
    }
}

/// Puts parts together in `room`, if they fit.
fn concat<'room>(parts: [&str; 4], room: &'room mut [u8]) -> Option<&'room [u8]> {
    let mut end = 0_usize;
    for part in parts {
        let start = end;
        end = start.saturating_add(part.len());
        room.get_mut(start..end)?.copy_from_slice(part.as_bytes());
    }
    room.get(..end)
}

/// The root folder and kind of an archive that another writer than `torch.save` marks as its own:
/// by a member in the folder that all lie in, or in none.
fn marked(zip: &Zip) -> Result<Option<(String, Container)>, Error> {
    let Some(first) = zip.members().next() else { return Ok(None) };
    let name = first.name();
    let folder = name.split_once('/').map_or("", |(folder, _)| folder);
    for root in [format!("{folder}/"), String::new()] {
        for &(mark, container) in MARKS {
            let has = |name: &str| zip.find(format!("{root}{name}").as_bytes());
            // Where there is a `data.pkl`, `torch.load` takes it.
            if has(mark)?.is_some() && has(PICKLE)?.is_none() {
                return Ok(Some((root, container)));
            }
        }
    }
    Ok(None)
}

/// The one member called `data.pkl` in the outermost folder that has one.
fn find_pickle(zip: &Zip) -> Result<Member<'_>, Error> {
    let depth = |member: &Member| member.name_bytes().split(|&byte| byte == b'/').count();
    let named = zip.members().filter(|member| {
        let folder = member.name_bytes().strip_suffix(b"data.pkl");
        folder.is_some_and(|folder| folder.is_empty() || folder.ends_with(b"/"))
    });
    let found = named.min_by_key(depth);
    let Some(found) = found else {
        return Err(Error::new(Kind::MissingMember).in_member("data.pkl"));
    };
    let rival = zip.members().find(|member| {
        member.name_bytes().ends_with(b"/data.pkl")
            && member.name_bytes() != found.name_bytes()
            && depth(member) == depth(&found)
    });
    match rival {
        Some(rival) => Err(Error::new(Kind::SeveralRoots).in_member(&rival.name())),
        // Asks for it by name, which refuses duplicates.
        None => Ok(zip.find(found.name_bytes())?.unwrap_or(found)),
    }
}
