//! What a file is, by its content and never by its name.

use std::fmt;

use super::formats;
use super::legacy::MAGIC;
use crate::base::Source;
use crate::pickle::{Kind, Ops};

/// How a checkpoint's parts lie in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Container {
    /// The archive that `torch.save` has written since 1.6.
    Zip,
    /// An archive that `torch.jit.save` wrote.
    TorchScript,
    /// An archive that `torch.package` wrote.
    Package,
    /// An archive that `torch.export.save` wrote.
    Export,
    /// The tar archive of before 0.1.10.
    Tar,
    /// Several files under one index, as Hugging Face's `*.bin.index.json` and
    /// `*.safetensors.index.json`.
    Sharded,
    /// A safetensors file.
    Safetensors,
    /// A folder that `torch.distributed.checkpoint` wrote.
    Distributed,
    /// The run of pickles and storages that it wrote before.
    Legacy,
    /// A plain pickle.
    Pickle,
}

impl Container {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::TorchScript => "torchscript",
            Self::Package => "package",
            Self::Export => "export",
            Self::Tar => "tar",
            Self::Sharded => "sharded",
            Self::Safetensors => "safetensors",
            Self::Distributed => "distributed",
            Self::Legacy => "legacy",
            Self::Pickle => "pickle",
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Bytes looked at.
const HEAD: u64 = 512;

/// Said of text that may yet be a pickle of protocol 0.
pub(crate) const TEXT: &str = "this is a text file, not a PyTorch file";

/// Said of web pages.
pub(crate) const PAGE: &str =
    "this is a web page, not the file itself: an error or log-in page was saved";

/// What a file is if it is text; none if it is not.
#[cfg_attr(not(feature = "doctor"), expect(dead_code, reason = "only doctor asks"))]
pub(crate) fn text_of(source: &dyn Source) -> std::io::Result<Option<&'static str>> {
    Ok(text(&source.fetch(0, source.len().min(HEAD))?))
}

/// Words in which web pages begin.
const PAGES: &[&str] = &["<!doctype", "<html", "<head", "<body", "<?xml", "<error"];

/// Whether a file begins as those of PyTorch before 1.6 do.
pub(crate) fn is_legacy(source: &dyn Source) -> std::io::Result<bool> {
    let head = source.fetch(0, source.len().min(64))?;
    let mut rest = &head[..];
    // PROTO, and FRAME since protocol 4.
    for (opcode, len) in [(0x80, 2), (0x95, 9)] {
        if rest.first() == Some(&opcode) {
            rest = rest.get(len..).unwrap_or_default();
        }
    }
    Ok(MAGIC.iter().any(|magic| rest.starts_with(magic)))
}

/// Whether a file is JSON text, as far as its beginning tells: an object, as indexes are.
pub(crate) fn is_json(source: &dyn Source) -> std::io::Result<bool> {
    let head = source.fetch(0, source.len().min(HEAD))?;
    let mut text = head.trim_ascii_start();
    if let Some(rest) = text.strip_prefix(b"{") {
        text = rest.trim_ascii_start();
        return Ok(matches!(text.first(), Some(b'"' | b'}')));
    }
    Ok(false)
}

/// What a file is that is no zip archive and no pickle; none if its content does not tell.
pub(crate) fn name_other(source: &dyn Source) -> std::io::Result<Option<&'static str>> {
    if source.is_empty() {
        return Ok(Some("the file is empty: get it again from where it came"));
    }
    if let Some(format) = formats::of(source)? {
        return Ok(Some(format.message));
    }
    let head = source.fetch(0, source.len().min(HEAD))?;
    Ok(text(&head))
}

/// Whether text reads as the operations of protocol 0, up to STOP or to where it was cut.
pub(crate) fn is_text_pickle(source: &dyn Source) -> std::io::Result<bool> {
    let head = source.fetch(0, source.len().min(HEAD))?;
    Ok(match Ops::new(&head).find_map(Result::err) {
        None => true,
        Some(why) => {
            let cut = head.len() as u64 == HEAD;
            cut && matches!(why.kind(), Kind::Ended(_) | Kind::NoStop | Kind::NoNewline)
        }
    })
}

/// What text is, none if the bytes are no text.
fn text(head: &[u8]) -> Option<&'static str> {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut at the end.
        Err(why) if why.error_len().is_none() => {
            std::str::from_utf8(head.get(..why.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    if valid.chars().any(|char| char.is_control() && !char.is_whitespace()) {
        return None;
    }
    let start = valid.trim_start().to_ascii_lowercase();
    if PAGES.iter().any(|page| start.starts_with(page)) {
        return Some(PAGE);
    }
    if start.starts_with(['{', '[']) {
        return Some(
            "this is JSON text, not a PyTorch file; an index of shards is opened by its path",
        );
    }
    Some(TEXT)
}
