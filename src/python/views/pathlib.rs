//! Paths, by their parts.
//!
//! Source: CPython 3.11 `Lib/pathlib.py` (`__reduce__`: drive and root, then names), 3.13
//! `Lib/pathlib/_local.py` (the texts it was made from), `Lib/posixpath.py` and `Lib/ntpath.py`
//! (`join`, `splitroot`).

use super::View;
use super::call::{Call, Read};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Global, Items, Object, Value};

/// A path. Nothing is looked up: it may exist nowhere.
#[derive(Clone, Copy, Debug)]
pub struct Path<'graph> {
    /// Its class, as the stream spells it.
    pub class: Global<'graph>,
    /// What it is joined from, all of it text.
    pub parts: Items<'graph>,
    windows: bool,
}

impl Path<'_> {
    /// Whether it has drives and takes `\` for a separator too.
    #[must_use]
    pub const fn is_windows(&self) -> bool {
        self.windows
    }

    /// The path as one text, names apart by `/`, as `Path.as_posix`.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget does not cover its length.
    pub fn as_posix(&self, budget: &mut Budget) -> Result<String, Exceeded> {
        let mut joined = String::new();
        for part in self.parts.iter().filter_map(Object::as_str) {
            budget.visits((part.len() as u64).div_ceil(64))?;
            budget.memory(part.len() as u64)?;
            if self.windows {
                join_windows(&mut joined, part);
            } else {
                join_posix(&mut joined, part);
            }
        }
        budget.memory(joined.len() as u64)?;
        let (drive, root, rest) =
            if self.windows { split_windows(&joined) } else { split_posix(&joined) };
        let separators: &[char] = if self.windows { &['/', '\\'] } else { &['/'] };
        let names = rest.split(separators).filter(|name| !matches!(*name, "" | "."));
        let names: Vec<&str> = names.collect();
        let start = format!("{drive}{root}").replace(if self.windows { '\\' } else { '/' }, "/");
        let nothing = start.is_empty() && names.is_empty();
        Ok(if nothing { String::from(".") } else { start + &names.join("/") })
    }
}

fn join_posix(joined: &mut String, part: &str) {
    if part.starts_with('/') {
        joined.clear();
    } else if !joined.is_empty() && !joined.ends_with('/') {
        joined.push('/');
    }
    joined.push_str(part);
}

/// No drive; two slashes at the start are a root of their own, more are one.
fn split_posix(path: &str) -> (&str, &str, &str) {
    let rest = path.trim_start_matches('/');
    let slashes = path.len().saturating_sub(rest.len());
    let root = match slashes {
        0 => "",
        2 => "//",
        _ => "/",
    };
    ("", root, rest)
}

fn is_separator(char: char) -> bool {
    matches!(char, '/' | '\\')
}

fn join_windows(joined: &mut String, part: &str) {
    let (drive, root, _) = split_windows(joined);
    let (part_drive, part_root, part_rest) = split_windows(part);
    let same_drive = part_drive.is_empty() || part_drive.eq_ignore_ascii_case(drive);
    if !part_root.is_empty() {
        let drive = if part_drive.is_empty() { drive.to_owned() } else { String::new() };
        *joined = drive + part;
    } else if !same_drive {
        part.clone_into(joined);
    } else {
        // A drive alone takes what follows relative to where it is: `C:` and `a` give `C:a`.
        let open = joined.len() == drive.len() && root.is_empty();
        let share = open && drive.starts_with(is_separator);
        if (!open && !joined.ends_with(is_separator)) || share {
            joined.push('\\');
        }
        joined.push_str(part_rest);
    }
}

/// Drive or share, root, and the rest.
fn split_windows(path: &str) -> (&str, &str, &str) {
    let drive = if path.starts_with(is_separator)
        && path.get(1..).is_some_and(|rest| rest.starts_with(is_separator))
    {
        // \\server\share
        let server = path.get(2..).unwrap_or_default().find(is_separator);
        let share = server.and_then(|server| server.checked_add(3));
        let end = share.and_then(|share| {
            let share_len = path.get(share..)?.find(is_separator)?;
            share.checked_add(share_len)
        });
        end.unwrap_or(path.len())
    } else if path.get(1..2) == Some(":") {
        2
    } else {
        0
    };
    let (drive, rest) = path.split_at_checked(drive).unwrap_or(("", path));
    let root = usize::from(rest.starts_with(is_separator));
    let (root, rest) = rest.split_at_checked(root).unwrap_or(("", rest));
    (drive, root, rest)
}

pub(super) fn posix<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    path(call, false, budget)
}

pub(super) fn windows<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    path(call, true, budget)
}

fn path<'graph>(call: &Call<'graph>, windows: bool, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    budget.visits(call.args.len() as u64 / 8)?;
    for part in call.args.iter() {
        match part.value() {
            Value::Text(text) => match text.as_str() {
                // Devices and verbatim paths follow rules of their own.
                Some(text)
                    if windows && ["\\\\?\\", "\\\\.\\"].iter().any(|it| text.starts_with(it)) =>
                {
                    return Ok(None);
                }
                Some(_) => {}
                None => return Ok(None),
            },
            // Another path, by its recipe.
            Value::Recipe(_) => return Ok(None),
            _ => return Err(call.refuse_args("parts of text")),
        }
    }
    let Call { global: class, args: parts, .. } = *call;
    Ok(Some(View::Path(Path { class, parts, windows })))
}
