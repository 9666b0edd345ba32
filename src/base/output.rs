//! Files that appear whole or not at all.
//!
//! What is written goes to a file beside the one that is asked for, which takes its name only
//! once all of it is on the disk. Until then whatever had that name is untouched, and whoever
//! gives up removes what was begun.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::early::Early;

/// What to do where a file of that name is already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse: [`io::ErrorKind::AlreadyExists`].
    #[default]
    Refuse,
    /// Put the new file in its place, once that is whole.
    Replace,
}

/// A file in the making. Dropped before [`commit`](Self::commit), it leaves nothing behind.
///
/// ```
/// use std::io::Write;
/// use depickle::base::{Existing, Output};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("answer");
/// let mut output = Output::create(&path, Existing::Refuse)?;
/// output.write_all(b"42")?;
/// assert!(!path.exists());
/// output.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"42");
/// assert!(Output::create(&path, Existing::Refuse).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Output {
    into: Into,
    path: PathBuf,
    existing: Existing,
    early: Option<Early>,
}

#[derive(Debug)]
enum Into {
    Beside(NamedTempFile),
    /// A file without a name, of which nothing is left even by who is killed.
    #[cfg(target_os = "linux")]
    Unnamed(File),
    /// A device or pipe: nothing in it can be lost, and it must not be replaced.
    Straight(File),
}

impl Into {
    fn file(&self) -> &File {
        match self {
            Self::Beside(file) => file.as_file(),
            #[cfg(target_os = "linux")]
            Self::Unnamed(file) => file,
            Self::Straight(file) => file,
        }
    }
}

impl Output {
    /// Begins a file that will be at `path`. A symbolic link there counts as the file: it is
    /// replaced, and what it leads to is untouched. Devices and pipes are written to straight.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`]; [`io::ErrorKind::IsADirectory`]; what the system says of
    /// a folder that is not there or cannot be written to.
    pub fn create(path: impl AsRef<Path>, existing: Existing) -> io::Result<Self> {
        let path = path.as_ref();
        let (into, path) = (begin(path, existing)?, path.to_owned());
        Ok(Self { into, path, existing, early: None })
    }

    /// Lets the disk begin while more is being written, which makes [`commit`](Self::commit) of a
    /// large file shorter: for who will wait for the disk anyway.
    #[must_use]
    pub fn early(mut self) -> Self {
        let is_file = !matches!(self.into, Into::Straight(_));
        self.early = is_file.then(Early::default);
        self
    }

    /// The file that is being written, for calls of the system.
    #[must_use]
    pub fn file(&self) -> &File {
        self.into.file()
    }

    /// Where it will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until all of it is on the disk, then gives it its name.
    ///
    /// # Errors
    /// What the system says, and [`io::ErrorKind::AlreadyExists`] if a file of that name has
    /// appeared meanwhile. Nothing is left behind then.
    pub fn commit(self) -> io::Result<()> {
        self.settle(true)
    }

    /// As [`commit`](Self::commit), but waits for the disk only if a file is replaced: otherwise
    /// nothing that was there can be lost, should the machine stop now.
    ///
    /// # Errors
    /// As `commit`.
    pub fn commit_soon(self) -> io::Result<()> {
        let replaces = self.existing == Existing::Replace && self.path.exists();
        self.settle(replaces)
    }

    fn settle(self, synced: bool) -> io::Result<()> {
        let Self { into, path, existing, early } = self;
        early.map_or(Ok(()), Early::finish)?;
        let sync = |file: &File| if synced { file.sync_all() } else { Ok(()) };
        match into {
            Into::Straight(_) => return Ok(()),
            #[cfg(target_os = "linux")]
            Into::Unnamed(file) => {
                sync(&file)?;
                unnamed::give_name(&file, &path, existing)
            }
            Into::Beside(file) => {
                sync(file.as_file())?;
                let named = match existing {
                    Existing::Replace => file.persist(&path),
                    Existing::Refuse => file.persist_noclobber(&path),
                };
                named.map(drop).map_err(|why| why.error)
            }
        }
        .map_err(|why| match why.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => why,
        })?;
        if synced {
            sync_folder(&path);
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { into, early, .. } = self;
        let count = into.file().write(bytes)?;
        if let Some(early) = early {
            early.wrote(into.file(), count);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

fn begin(path: &Path, existing: Existing) -> io::Result<Into> {
    match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(facts) if !facts.is_file() && is_special(path) => {
            return Ok(Into::Straight(OpenOptions::new().write(true).open(path)?));
        }
        Ok(_) if existing == Existing::Refuse => return Err(exists()),
        Ok(_) => {}
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(why),
    }
    if path.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file"));
    }
    #[cfg(target_os = "linux")]
    if let Some(file) = unnamed::create(path)? {
        return Ok(Into::Unnamed(file));
    }
    let prefix = prefix(path);
    let mut builder = builder(&prefix);
    if let Some(permissions) = permissions(path) {
        builder.permissions(permissions);
    }
    Ok(Into::Beside(builder.tempfile_in(folder_of(path))?))
}

/// What names of unfinished files begin with.
fn prefix(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or_default();
    let mut prefix = OsString::from(".");
    prefix.push(name);
    // Names may be as long as the file system allows already.
    if prefix.len() > 200 { OsString::from(".depickle") } else { prefix }
}

fn builder(prefix: &OsString) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(".part");
    builder
}

/// Files that have no name until they are whole.
#[cfg(target_os = "linux")]
mod unnamed {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags};
    use rustix::io::Errno;

    use super::{Existing, builder, folder_of, permissions, prefix};

    /// None where the file system or the system has none.
    pub(super) fn create(path: &Path) -> io::Result<Option<File>> {
        if !Path::new("/proc/self/fd").exists() {
            return Ok(None);
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = match rustix::fs::open(folder_of(path), flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => File::from(file),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        if let (true, Some(permissions)) = (path.exists(), permissions(path)) {
            file.set_permissions(permissions)?;
        }
        Ok(Some(file))
    }

    pub(super) fn give_name(file: &File, path: &Path, existing: Existing) -> io::Result<()> {
        match (link(file, path), existing) {
            (Err(why), Existing::Replace) if why.kind() == io::ErrorKind::AlreadyExists => {}
            (linked, _) => return linked,
        }
        // Another name first: a link takes no place that is taken.
        let beside = builder(&prefix(path)).make_in(folder_of(path), |name| link(file, name))?;
        beside.into_temp_path().persist(path).map_err(|why| why.error)
    }

    fn link(file: &File, path: &Path) -> io::Result<()> {
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, from, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
}

/// Whether a path leads to what is neither file nor folder.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|facts| !facts.is_file() && !facts.is_dir())
}

/// Those that a file made in the usual way gets; its own if there is one to be replaced.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn permissions(path: &Path) -> Option<fs::Permissions> {
    use std::os::unix::fs::PermissionsExt;
    let old = fs::metadata(path).map(|facts| facts.permissions().mode() & 0o777);
    Some(fs::Permissions::from_mode(old.unwrap_or(0o666)))
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Option<fs::Permissions> {
    None
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name is on the disk once the folder is. Some file systems know no such thing.
fn sync_folder(path: &Path) {
    if cfg!(unix)
        && let Ok(folder) = File::open(folder_of(path))
    {
        let _ = folder.sync_all();
    }
}

#[cold]
fn exists() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        "the file exists already, and was not to be replaced",
    )
}
