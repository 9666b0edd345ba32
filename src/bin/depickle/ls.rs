//! `ls`: every tensor.

use std::fmt::Write;

use depickle::torch::{Checkpoint, Entry, Error, Scope, TensorRef};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::args::{Ls, Sort};
use crate::input::label;
use crate::output::{self, Answer, Failure, Form, Part, Table, count, human, printable};
use crate::progress::Progress;

pub(crate) fn run(args: &Ls) -> Result<Answer, Failure> {
    let form = Form::new(args.json, args.jsonl);
    output::each_file(&args.files, form, |file| {
        let checkpoint = args.reading.open(file)?;
        let object = args.key.object(&checkpoint)?;
        let scope = if args.all { Scope::All } else { Scope::StateDict };
        let list = checkpoint.tensors_in(object, scope)?;
        let rows = rows(args, &checkpoint, list.entries());
        let errors = rows.iter().filter_map(|row| row.found.as_ref().err().map(Error::to_string));
        let errors = errors.collect();
        let part = match form {
            Form::Text => Part::Text(text(args, &rows)),
            _ => Part::Json(json!({
                "path": label(file),
                "container": checkpoint.container().name(),
                "kind": checkpoint.kind_of(object)?.name(),
                "root_class": checkpoint.class_of(object),
                "chosen": { "key": args.key.key, "strip_prefix": args.names.strip_prefix },
                "tensors": rows.iter().filter_map(Row::json).collect::<Vec<_>>(),
                "unreadable": rows.iter().filter_map(Row::unreadable_json).collect::<Vec<_>>(),
            })),
        };
        Ok((part, errors))
    })
}

/// A tensor under the name it is shown by.
struct Row<'file> {
    name: &'file str,
    entry: &'file Entry,
    found: Result<(TensorRef<'file>, Option<String>), Error>,
}

/// What was asked for, in the order asked for.
fn rows<'file>(
    args: &'file Ls,
    checkpoint: &'file Checkpoint,
    entries: &'file [Entry],
) -> Vec<Row<'file>> {
    let named = entries.iter().filter_map(|entry| Some((args.names.name(entry.name())?, entry)));
    let named: Vec<_> = named.collect();
    let bytes = |entry: &Entry| entry.tensor().map_or(0, depickle::torch::Tensor::nbytes);
    let total = named.iter().map(|(_, entry)| bytes(entry)).sum();
    let progress = Progress::new("hashing", total, args.sha256 && !args.no_progress);
    let mut rows: Vec<Row> = named
        .into_iter()
        .map(|(name, entry)| {
            let found = entry.on(checkpoint).and_then(|tensor| {
                let sha256 = args.sha256.then(|| hash(tensor, &progress)).transpose()?;
                Ok((tensor, sha256))
            });
            Row { name, entry, found }
        })
        .collect();
    match args.sort {
        Some(Sort::Name) => rows.sort_by(|a, b| a.name.cmp(b.name)),
        Some(Sort::Size) => rows.sort_by_key(|row| std::cmp::Reverse(bytes(row.entry))),
        None => {}
    }
    rows
}

/// SHA-256 of the contiguous, row-major, little-endian bytes.
fn hash(tensor: TensorRef, progress: &Progress) -> Result<String, Error> {
    let mut hasher = Sha256::new();
    tensor.for_each_chunk(|chunk| {
        hasher.update(chunk);
        progress.advance(chunk.len());
        Ok::<(), Error>(())
    })?;
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

impl Row<'_> {
    fn json(&self) -> Option<Value> {
        let (tensor, sha256) = self.found.as_ref().ok()?;
        let mut json = crate::tensor::json(self.name, *tensor, self.entry.role());
        if let (Some(sha256), Some(fields)) = (sha256, json.as_object_mut()) {
            fields.insert("sha256".into(), json!(sha256));
        }
        Some(json)
    }

    fn unreadable_json(&self) -> Option<Value> {
        let why = self.found.as_ref().err()?;
        let offset = why.offset().map(|at| at.0);
        Some(json!({ "name": self.name, "error": why.to_string(), "offset": offset }))
    }

    fn cells(&self, args: &Ls) -> Vec<String> {
        let name = printable(self.name);
        let Ok((tensor, sha256)) = &self.found else {
            return vec![name, "unreadable".to_owned()];
        };
        let role = self.entry.role().map_or("-", |role| role.name());
        let mut cells = vec![
            name,
            tensor.dtype().to_string(),
            crate::tensor::list(tensor.shape()),
            human(tensor.nbytes()),
        ];
        if args.long {
            cells.extend([
                crate::tensor::list(tensor.stride()),
                tensor.storage_offset().to_string(),
                printable(tensor.backing().key()),
                printable(tensor.device()),
                role.to_owned(),
                if tensor.requires_grad() { "grad" } else { "-" }.to_owned(),
            ]);
        }
        cells.extend(sha256.clone());
        cells
    }
}

fn text(args: &Ls, rows: &[Row]) -> String {
    let mut table = Table::default();
    if args.long {
        let plain = ["name", "dtype", "shape", "size"];
        let long = ["stride", "offset", "storage", "device", "role", "grad"];
        let hash = args.sha256.then_some("sha256");
        table.header(plain.into_iter().chain(long).chain(hash));
    }
    for row in rows {
        table.row(row.cells(args));
    }
    let mut text = table.to_string();
    if args.total {
        let tensors = rows.iter().filter_map(|row| row.found.as_ref().ok());
        let (numel, bytes) = tensors.fold((0_u64, 0_u64), |(numel, bytes), (tensor, _)| {
            (numel.saturating_add(tensor.numel()), bytes.saturating_add(tensor.nbytes()))
        });
        let (len, numel, bytes) = (count(rows.len() as u64), count(numel), human(bytes));
        let _ = writeln!(text, "{len} tensors, {numel} elements, {bytes}");
    }
    text
}
