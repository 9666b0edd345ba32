//! The files and archive folders that a checkpoint's objects and storages come from.
//!
//! Most checkpoints have one part. Those of several files, of several pickles in one archive,
//! and those with files embedded in their pickle have more; keys of storages are a part's own.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::archive::Archive;
use super::error::{Error, Fault, Kind};
use super::stitched::Stitched;
use crate::base::{FileOffset, Source};
use crate::container::{Extent, Member, Method};

/// One of them.
pub(crate) struct Origin {
    pub source: Arc<dyn Source>,
    /// The file, where it is not the one that was opened.
    pub path: Option<Arc<Path>>,
    /// The member or run of bytes that holds the pickle, for messages.
    pub pickle: Option<Box<str>>,
    /// Which objects of the graph came from here, by index.
    pub objects: Range<usize>,
    pub layout: Layout,
    /// What the pickle was read from, if bytes in it are to be shared.
    pub stream: Bytes,
    /// Where in the file that begins.
    pub at: FileOffset,
    /// Where in the file the source begins: elsewhere than at 0 if it is only a part of it.
    pub start: u64,
    /// Whether the pickle's offsets are those of a member that had to be inflated.
    pub inflated: bool,
    /// Where a plain pickle ends.
    pub end: FileOffset,
}

/// How the storages of a part are found by key.
#[derive(Debug)]
pub(crate) enum Layout {
    /// Members of an archive, below a folder.
    Zip { archive: Arc<Archive>, names: Names },
    /// Runs of bytes.
    Runs(Runs),
    /// Put together from chunks.
    Stitched {
        /// Bytes of all files that hold chunks or objects, as far as they are there.
        all: u64,
        tensors: HashMap<Box<str>, Stitched>,
    },
    /// There are none.
    Nothing,
}

/// Runs of bytes.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// By key; shorter than claimed if the file ends before.
    pub places: HashMap<Box<str>, Extent>,
    /// Those whose numbers are big-endian.
    pub big_endian: HashSet<Box<str>>,
    /// Why all others cannot be found, if there is more to it than that the file lacks them.
    pub others: Option<Fault>,
}

/// What stands before and after a storage's key in the name of its member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub before: &'static str,
    pub after: &'static str,
}

impl Names {
    /// Those of `torch.save`.
    pub(crate) const DATA: Self = Self { before: "data/", after: "" };
}

/// Where a storage's bytes are.
pub(crate) enum Place<'part> {
    File(FileOffset),
    Deflated(Member<'part>),
    Stitched(&'part Stitched),
}

impl Origin {
    pub(crate) fn new(source: Arc<dyn Source>, layout: Layout, objects: Range<usize>) -> Self {
        Self {
            source,
            path: None,
            pickle: None,
            objects,
            layout,
            stream: Bytes::new(),
            at: FileOffset(0),
            start: 0,
            inflated: false,
            end: FileOffset(0),
        }
    }

    pub(crate) fn archive(&self) -> Option<&Arc<Archive>> {
        match &self.layout {
            Layout::Zip { archive, .. } => Some(archive),
            _ => None,
        }
    }

    pub(crate) fn is_big_endian(&self) -> bool {
        match &self.layout {
            Layout::Runs(runs) => !runs.big_endian.is_empty(),
            _ => self.archive().is_some_and(|archive| archive.big_endian),
        }
    }

    /// Whether the numbers in the storage of a key are big-endian.
    pub(crate) fn is_swapped(&self, key: &str) -> bool {
        match &self.layout {
            Layout::Runs(runs) => runs.big_endian.contains(key),
            _ => self.is_big_endian(),
        }
    }

    /// How many bytes there are under a key.
    pub(crate) fn nbytes(&self, key: &str) -> Result<u64, Fault> {
        let found = match &self.layout {
            Layout::Zip { archive, names } => match archive.storage(*names, key) {
                Ok(member) => member.map(|member| member.size()),
                Err(why) => return Err(Fault::BadStorage(why.to_string().into())),
            },
            Layout::Runs(runs) => runs.places.get(key).map(|run| run.len),
            Layout::Stitched { tensors, .. } => tensors.get(key).map(Stitched::nbytes),
            Layout::Nothing => None,
        };
        found.ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> Fault {
        match &self.layout {
            Layout::Runs(Runs { others: Some(why), .. }) => why.clone(),
            _ => Fault::NoStorage(key.into()),
        }
    }

    /// Where the storage of a key is.
    pub(crate) fn place(&self, key: &str) -> Result<Place<'_>, Error> {
        let found = match &self.layout {
            Layout::Zip { archive, names } => match archive.storage(*names, key)? {
                Some(member) if member.method() == Method::Stored => {
                    Some(Place::File(archive.zip.locate(&*self.source, member)?.at))
                }
                member => member.map(Place::Deflated),
            },
            Layout::Runs(runs) => runs.places.get(key).map(|run| Place::File(run.at)),
            Layout::Stitched { tensors, .. } => tensors.get(key).map(Place::Stitched),
            Layout::Nothing => None,
        };
        found.ok_or_else(|| Error::fault(self.missing(key), None))
    }

    /// What the file calls the storage of a key, for messages.
    pub(crate) fn name(&self, key: &str) -> String {
        match &self.layout {
            Layout::Zip { names, .. } => format!("{}{key}{}", names.before, names.after),
            _ => format!("storage {key}"),
        }
    }

    /// An error with the file and member that the part's pickle is in.
    pub(crate) fn locate(&self, why: Error) -> Error {
        // Offsets of objects are the file's already.
        let why = match why.kind() {
            Kind::Container(_) => why.moved(self.start),
            _ => why,
        };
        let why = match &self.pickle {
            Some(member) => why.in_member(member),
            None => why,
        };
        match &self.path {
            Some(path) => why.in_file(path),
            None => why,
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("pickle", &self.pickle).finish_non_exhaustive()
    }
}
