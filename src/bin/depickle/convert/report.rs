//! What was chosen, what was written, and why it was not.

use std::fmt::Write;
use std::path::Path;

use depickle::convert::{Error, FileWritten, Group, Item, Kind, Plan};
use serde_json::{Value, json};

use super::Args;
use crate::input::label;
use crate::output::{self, Failure, Table, count, human, note, printable};
use crate::tensor::list;

/// What there is to say about one conversion.
pub(super) struct Report<'run> {
    pub args: &'run Args,
    pub plan: &'run Plan<'run>,
    pub path: &'run Path,
}

/// Notes of one kind before the rest is summed up.
const SHOWN: usize = 6;
/// Prefixes that training leaves behind.
const PREFIXES: &[&str] = &["module.", "_orig_mod.", "model."];

impl Report<'_> {
    /// On standard error: what was decided for the user.
    pub(super) fn notes(&self) {
        let file = label(&self.args.file);
        let chosen = self.plan.chosen();
        if let Some(key) = chosen.key.as_deref().filter(|_| !chosen.asked) {
            note(&format!("{file}: of several entries, {key:?} was chosen (--key takes another)"));
        }
        if !chosen.left_out.is_empty() {
            let keys = few(chosen.left_out.iter().map(|key| format!("{key:?}")));
            let kept = if self.args.sidecar.is_some() {
                ""
            } else {
                "; --sidecar keeps what is no tensor"
            };
            note(&format!("{file}: left out: {keys}{kept}"));
        }
        few_notes(self.plan.groups().iter().flat_map(group_notes));
        let lost = self.plan.unreadable().iter();
        few_notes(lost.map(|(_, why)| format!("left out, since it cannot be read: {why}")));
        if self.plan.not_taken() > 0 {
            let left = count(self.plan.not_taken() as u64);
            note(&format!("{file}: {left} tensors were not asked for"));
        }
        self.hint();
    }

    /// All names begin alike, as nobody would have named them.
    fn hint(&self) {
        let items = self.plan.items();
        let common = |prefix: &&&str| items.iter().all(|item| item.name().starts_with(**prefix));
        // Of `model.` this is said only where training wrote it.
        let whole = |prefix: &&&str| **prefix != "model." || self.plan.chosen().key.is_some();
        if let Some(prefix) = PREFIXES.iter().filter(whole).find(common) {
            note(&format!("all names begin with {prefix:?}: --strip-prefix {prefix} cuts it off"));
        }
    }

    /// On standard output: what was written, or would be.
    pub(super) fn print(&self, files: &[FileWritten], written: bool) -> Result<(), Failure> {
        let text = if self.args.json {
            format!("{:#}\n", self.json(files, written))
        } else {
            self.text(files, written)
        };
        output::stdout(|out| out.write_all(text.as_bytes())).map(drop)
    }

    fn text(&self, files: &[FileWritten], written: bool) -> String {
        let mut text = String::new();
        if !written {
            let mut table = Table::default();
            for item in self.plan.items() {
                table.row(vec![
                    printable(item.name()),
                    item.dtype().to_string(),
                    list(item.shape()),
                    human(item.nbytes()),
                ]);
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "{table}");
        }
        for file in files {
            let (tensors, bytes) = (count(file.tensors as u64), human(file.nbytes));
            let verified = if written && self.args.verify { ", verified" } else { "" };
            let would = if written { "" } else { "would be written: " };
            let path = printable(&label(&file.path));
            let _ = writeln!(text, "{would}{path}: {tensors} tensors, {bytes}{verified}");
        }
        text
    }

    fn json(&self, files: &[FileWritten], written: bool) -> Value {
        let (plan, chosen) = (self.plan, self.plan.chosen());
        let several = files.len() > 1;
        let index = plan.paths(self.path).pop().filter(|_| several);
        let places = plan.places();
        let mut picked = self.args.names.chosen(chosen.key.as_deref());
        if let Some(fields) = picked.as_object_mut() {
            let automatic = !chosen.asked && chosen.key.is_some();
            fields.insert("automatic".to_owned(), json!(automatic));
        }
        json!({
            "path": label(&self.args.file),
            "container": plan.checkpoint().container().name(),
            "chosen": picked,
            "to": plan.format().name(),
            "dry_run": !written,
            "verified": written && self.args.verify,
            "files": files.iter().map(|file| json!({
                "path": label(&file.path),
                "tensors": file.tensors,
                "nbytes": file.nbytes,
                "file_nbytes": written.then_some(file.file_nbytes),
            })).collect::<Vec<_>>(),
            "index": index.map(|path| label(&path)),
            "sidecar": self.args.sidecar.as_deref().map(label),
            "tensors": plan.items().iter().zip(places).map(|(item, place)| {
                let mut json = item_json(item);
                if several && let Some(json) = json.as_object_mut() {
                    let file = files.get(place).map(|file| label(&file.path));
                    json.insert("file".to_owned(), json!(file));
                }
                json
            }).collect::<Vec<_>>(),
            "shared": plan.groups().iter().map(|group| json!({
                "kept": group.kept,
                "removed": group.removed.iter().map(|(name, same)| {
                    json!({ "name": name, "same": same })
                }).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "left_out": chosen.left_out,
            "not_taken": plan.not_taken(),
            "unreadable": plan.unreadable().iter().map(unreadable).collect::<Vec<_>>(),
        })
    }
}

fn unreadable((name, why): &(Box<str>, depickle::torch::Error)) -> Value {
    json!({ "name": name, "error": why.to_string(), "offset": why.offset().map(|at| at.0) })
}

fn item_json(item: &Item) -> Value {
    json!({
        "name": item.name(),
        "from": item.from(),
        "dtype": item.dtype().name(),
        "shape": item.shape(),
        "nbytes": item.nbytes(),
        "from_dtype": item.tensor().dtype().name(),
        "from_layout": item.tensor().layout().name(),
    })
}

fn group_notes(group: &Group) -> impl Iterator<Item = String> {
    let kept = &group.kept;
    group.removed.iter().map(move |(name, same)| match same {
        true => format!("{name:?} is {kept:?} under another name: written once, and recorded"),
        false => format!(
            "{name:?} is a part of {kept:?}: not written, but recorded; --shared copy writes both"
        ),
    })
}

/// Words, as many as a line holds.
fn few(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    let more = words.len().saturating_sub(SHOWN);
    words.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", words.join(", "))
}

/// Notes, as many as a screen holds.
fn few_notes(notes: impl Iterator<Item = String>) {
    let notes: Vec<String> = notes.collect();
    notes.iter().take(SHOWN).for_each(|line| note(line));
    if notes.len() > SHOWN {
        note(&format!(
            "and {} more like these: --json lists all",
            notes.len().saturating_sub(SHOWN)
        ));
    }
}

/// What to say of an error, a line for each thing.
pub(super) fn lines(why: &Error) -> Vec<String> {
    let help = " (--skip-unreadable leaves out what cannot be read)";
    match why.kind() {
        Kind::Unreadable(all) => {
            let mut lines: Vec<String> = all.iter().map(|(_, why)| why.to_string()).collect();
            if let Some(last) = lines.last_mut() {
                last.push_str(help);
            }
            lines
        }
        Kind::Refused(all) => {
            all.iter().map(|it| format!("tensor {:?}: {}", it.name, it.why)).collect()
        }
        Kind::Io(inner) if inner.kind() == std::io::ErrorKind::AlreadyExists => {
            vec![format!("{why}; --force replaces it")]
        }
        Kind::Torch(inner) if is_checksum(inner) => vec![format!(
            "{why}; if the file was saved without checksums (set_crc32_options), --no-checksums \
             copies it all the same"
        )],
        _ => vec![why.to_string()],
    }
}

fn is_checksum(why: &depickle::torch::Error) -> bool {
    let depickle::torch::Kind::Container(why) = why.kind() else { return false };
    matches!(why.kind(), depickle::container::Kind::Crc(_))
}

/// An error as a document.
pub(super) fn error(path: &str, why: &Error) -> Value {
    let lost: Vec<Value> = match why.kind() {
        Kind::Unreadable(all) => all.iter().map(unreadable).collect(),
        Kind::Refused(all) => {
            all.iter().map(|it| json!({ "name": it.name, "error": it.why })).collect()
        }
        _ => Vec::new(),
    };
    json!({
        "path": path,
        "error": why.to_string(),
        "category": why.category().to_string(),
        "unreadable": lost,
    })
}
