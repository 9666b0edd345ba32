//! A folder whose files are one checkpoint, and which nothing in them leads out of.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::error::{Error, Kind};
use crate::base::Source;

/// How files are opened: for positioned reads, or mapped.
type Open = fn(&Path) -> io::Result<Arc<dyn Source>>;

/// The folder.
#[derive(Clone)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Without links, to compare with.
    real: PathBuf,
    open: Open,
}

impl Folder {
    pub(crate) fn new(path: &Path, open: Open) -> Result<Self, Error> {
        let path = if path == Path::new("") { Path::new(".") } else { path };
        Ok(Self { path: path.to_owned(), real: fs::canonicalize(path)?, open })
    }

    /// The path of a file that a checkpoint names.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file that a checkpoint names.
    ///
    /// # Errors
    /// [`Kind::Outside`] if the name leads out of the folder; [`Kind::Io`].
    pub(crate) fn open(&self, name: &str) -> Result<Arc<dyn Source>, Error> {
        let path = self.path(name);
        let inside = self.admit(name, &path).and_then(|path| Ok((self.open)(&path)?));
        inside.map_err(|why| why.in_file(&path))
    }

    fn admit(&self, name: &str, path: &Path) -> Result<PathBuf, Error> {
        let outside = || Error::new(Kind::Outside(name.into()));
        let plain = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
        let odd = name.is_empty() || name.contains(['\\', '\0']);
        if odd || !Path::new(name).components().all(plain) {
            return Err(outside());
        }
        let real = fs::canonicalize(path)?;
        if real.starts_with(&self.real) || self.is_cached(&real) {
            return Ok(real);
        }
        Err(outside())
    }

    /// Whether a link leads where the cache of Hugging Face keeps its files:
    /// `snapshots/REVISION/… → blobs/HASH`.
    fn is_cached(&self, real: &Path) -> bool {
        let mut above = self.real.ancestors();
        let snapshots = above.find(|path| path.file_name().is_some_and(|it| it == "snapshots"));
        let blobs = snapshots.and_then(Path::parent).map(|cache| cache.join("blobs"));
        blobs.is_some_and(|blobs| real.parent() == Some(&blobs))
    }

    /// The file of that name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Arc<dyn Source>>, Error> {
        if !self.path(name).is_file() {
            return Ok(None);
        }
        self.open(name).map(Some)
    }

    /// The one index of shards in it, if there is one.
    ///
    /// # Errors
    /// [`Kind::NotACheckpoint`] if there are several.
    pub(crate) fn index(&self) -> Result<Option<String>, Error> {
        let mut found = None;
        for entry in fs::read_dir(&self.path)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if INDEXES.iter().any(|end| name.ends_with(end)) && found.replace(name).is_some() {
                return Err(Error::new(Kind::NotACheckpoint(SEVERAL)));
            }
        }
        Ok(found)
    }
}

/// In what names of indexes end.
const INDEXES: &[&str] = &[".bin.index.json", ".safetensors.index.json"];

const SEVERAL: &str = "this folder holds several indexes of shards: name one of them";

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}
