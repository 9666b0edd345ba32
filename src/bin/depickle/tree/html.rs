//! `tree --html`: one page that shows a file to people who would rather look.
//!
//! Nothing in a file can become markup or script: its names stand in one block of JSON in which
//! no `<` is left, and the page only ever makes text nodes of them. Should that fail one day,
//! the page's policy still names the one script and the one style sheet that may act, by their
//! hashes, and forbids every connection.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use depickle::pickle::Object;
use depickle::torch::Checkpoint;
use sha2::{Digest, Sha256};
use tempfile::Builder;

use super::{Chosen, data};
use crate::output::{self, Answer, Failure};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page to a path, or to standard output if that is `-`.
pub(super) fn write(
    checkpoint: &Checkpoint,
    object: Object,
    chosen: &Chosen,
    label: &str,
    path: &Path,
    force: bool,
) -> Result<Answer, Failure> {
    let data = inert(&data::write(checkpoint, object, chosen, label)?);
    if path == Path::new("-") {
        return output::stdout(|out| page(out, &data));
    }
    let failed = |why: io::Error| Failure::Other(format!("cannot write {}: {why}", path.display()));
    let taken =
        || Failure::Other(format!("{} exists already; --force replaces it", path.display()));
    if !force && path.symlink_metadata().is_ok() {
        return Err(taken());
    }
    // Beside it, then renamed: nobody sees half a page.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = new_file().tempfile_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    let mut out = io::BufWriter::new(file.as_file_mut());
    page(&mut out, &data).and_then(|()| out.flush()).map_err(failed)?;
    drop(out);
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    match kept {
        Ok(_) => Ok(Answer::Well),
        Err(why) if !force && why.error.kind() == io::ErrorKind::AlreadyExists => Err(taken()),
        Err(why) => Err(failed(why.error)),
    }
}

/// A file with the permissions that new files get.
fn new_file() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".depickle-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

fn page(out: &mut dyn Write, data: &str) -> io::Result<()> {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE),
    );
    let mut rest = PAGE;
    let parts =
        [("{policy}", &*policy), ("{style}", STYLE), ("{data}", data), ("{script}", SCRIPT)];
    for (place, text) in parts {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// How a policy names a script or style sheet.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// JSON in which nothing is left that HTML or JavaScript could take for their own. All of it
/// can only stand within strings.
fn inert(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '<' | '>' | '&' | '\'' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            _ => out.push(char),
        }
    }
    out
}
