//! Which files are scanned: those named, and those in folders.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use depickle::pickle::glob_matches;

/// A file to be scanned.
pub(super) struct Found {
    pub path: PathBuf,
    /// Whether it was named itself, and not found in a folder.
    pub named: bool,
    /// Why it cannot be.
    pub trouble: Option<String>,
}

/// Files in the order they were named; of folders by name, links to folders not followed in
/// circles.
pub(super) fn find(paths: &[PathBuf], include: &[String], exclude: &[String]) -> Vec<Found> {
    let mut walk = Walk { include, exclude, found: Vec::new(), seen: HashSet::new() };
    for path in paths {
        if path == Path::new("-") {
            walk.add(path.clone(), true, None);
            continue;
        }
        match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => walk.folder(path),
            Ok(_) => walk.add(path.clone(), true, None),
            Err(why) => walk.add(path.clone(), true, Some(format!("cannot be opened: {why}"))),
        }
    }
    walk.found
}

struct Walk<'args> {
    include: &'args [String],
    exclude: &'args [String],
    found: Vec<Found>,
    /// Folders that were gone into, by their true paths.
    seen: HashSet<PathBuf>,
}

impl Walk<'_> {
    fn add(&mut self, path: PathBuf, named: bool, trouble: Option<String>) {
        self.found.push(Found { path, named, trouble });
    }

    /// Whether a glob matches a path, its file name, or what of it lies below the folder named.
    fn matches(globs: &[String], path: &Path) -> bool {
        let whole = path.to_string_lossy();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        globs.iter().any(|glob| {
            let glob = glob.as_bytes();
            glob_matches(glob, whole.as_bytes()) || glob_matches(glob, name.as_bytes())
        })
    }

    /// Goes through a folder and those below it, without recursion.
    fn folder(&mut self, root: &Path) {
        let mut todo = vec![root.to_path_buf()];
        while let Some(folder) = todo.pop() {
            let first = fs::canonicalize(&folder).is_ok_and(|path| self.seen.insert(path));
            if !first {
                continue;
            }
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(why) => {
                    self.add(folder, false, Some(format!("cannot be read: {why}")));
                    continue;
                }
            };
            let (mut files, mut folders) = (Vec::new(), Vec::new());
            for entry in entries {
                let path = match entry {
                    Ok(entry) => entry.path(),
                    Err(why) => {
                        self.add(folder.clone(), false, Some(format!("cannot be read: {why}")));
                        continue;
                    }
                };
                if Self::matches(self.exclude, &path) {
                    continue;
                }
                match fs::metadata(&path) {
                    Ok(facts) if facts.is_dir() => folders.push(path),
                    Ok(facts) if facts.is_file() => files.push((path, None)),
                    // Sockets, pipes and devices hold nothing, and may never answer.
                    Ok(_) => {}
                    Err(why) => files.push((path, Some(format!("cannot be opened: {why}")))),
                }
            }
            files.sort();
            folders.sort();
            for (path, trouble) in files {
                if self.include.is_empty() || Self::matches(self.include, &path) {
                    self.add(path, false, trouble);
                }
            }
            todo.extend(folders.into_iter().rev());
        }
    }
}
