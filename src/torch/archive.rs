//! The zip layout that PyTorch has written since 1.6.
//!
//! Source: PyTorch 2.15 `torch/serialization.py` (`_save`, `_load`),
//! `caffe2/serialize/inline_container.cc`.

use super::error::{Error, Kind};
use super::sniff::Container;
use crate::base::{Budget, Source};
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

impl Archive {
    pub(crate) fn open(source: &dyn Source, budget: &mut Budget) -> Result<Self, Error> {
        let zip = Zip::open(source, budget)?;
        let pickle = find_pickle(&zip)?;
        let name = pickle.name().into_owned();
        let root = name.strip_suffix("data.pkl").unwrap_or_default().to_owned();
        let mut archive = Self { zip, container: Container::Zip, root, big_endian: false };
        if archive.member("constants.pkl")?.is_some() {
            archive.container = Container::TorchScript;
        }
        archive.big_endian = archive.byte_order(source, budget)?;
        Ok(archive)
    }

    /// The member of this name below the root folder.
    pub(crate) fn member(&self, name: &str) -> Result<Option<Member<'_>>, Error> {
        Ok(self.zip.find(format!("{}{name}", self.root).as_bytes())?)
    }

    /// The member that holds the storage of this key.
    pub(crate) fn storage(&self, key: &str) -> Result<Option<Member<'_>>, Error> {
        self.member(&format!("data/{key}"))
    }

    /// The name of the pickle that holds the object.
    pub(crate) fn pickle_name(&self) -> String {
        format!("{}data.pkl", self.root)
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
        depth(member) == depth(&found)
            && member.name_bytes().ends_with(b"/data.pkl")
            && member.name_bytes() != found.name_bytes()
    });
    match rival {
        Some(rival) => Err(Error::new(Kind::SeveralRoots).in_member(&rival.name())),
        // Asks for it by name, which refuses duplicates.
        None => Ok(zip.find(found.name_bytes())?.unwrap_or(found)),
    }
}
