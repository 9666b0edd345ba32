//! `ls`: every tensor.

use std::borrow::Cow;
use std::fmt::Write;

use depickle::torch::{Checkpoint, Entry, Error, Layout, Scope, TensorRef};
use serde_json::{Value, json};

use crate::args::{Ls, Sort};
use crate::input::label;
use crate::output::{self, Answer, Failure, Form, Part, Table, count, human, printable};
use crate::progress::Progress;
use crate::tensor::Shown;

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
                "chosen": args.names.chosen(args.key.key.as_deref()),
                "tensors": rows.iter().filter_map(Row::json).collect::<Vec<_>>(),
                "unreadable": rows.iter().filter_map(Row::unreadable_json).collect::<Vec<_>>(),
            })),
        };
        Ok((part, errors))
    })
}

/// A tensor under the name it is shown by.
struct Row<'file> {
    name: Cow<'file, str>,
    entry: &'file Entry,
    found: Result<Shown<'file>, Error>,
}

/// What was asked for, in the order asked for.
fn rows<'file>(
    args: &'file Ls,
    checkpoint: &'file Checkpoint,
    entries: &'file [Entry],
) -> Vec<Row<'file>> {
    let named = || entries.iter().filter_map(|it| Some((args.names.name(it.name())?, it)));
    let bytes = |entry: &Entry| entry.tensor().map_or(0, depickle::torch::Tensor::nbytes);
    let hashed = if args.sha256 { named().map(|(_, entry)| bytes(entry)).sum() } else { 0 };
    let progress = Progress::new("hashing", hashed, !args.no_progress);
    let mut rows = Vec::with_capacity(entries.len());
    rows.extend(named().map(|(name, entry)| {
        let hashing = args.sha256.then_some(&progress);
        let found = entry.on(checkpoint).and_then(|tensor| Shown::new(tensor, hashing));
        Row { name, entry, found }
    }));
    match args.sort {
        Some(Sort::Name) => rows.sort_by(|a: &Row, b| a.name.cmp(&b.name)),
        Some(Sort::Size) => rows.sort_by_key(|row| std::cmp::Reverse(bytes(row.entry))),
        None => {}
    }
    rows
}

impl Row<'_> {
    fn json(&self) -> Option<Value> {
        Some(self.found.as_ref().ok()?.json(&self.name, self.entry.role()))
    }

    fn unreadable_json(&self) -> Option<Value> {
        let why = self.found.as_ref().err()?;
        let offset = why.offset().map(|at| at.0);
        Some(json!({ "name": self.name, "error": why.to_string(), "offset": offset }))
    }

    fn cells(&self, args: &Ls) -> Vec<String> {
        let name = printable(&self.name);
        let Ok(Shown { tensor, sha256, .. }) = &self.found else {
            return vec![name, "unreadable".to_owned()];
        };
        let role = self.entry.role().map_or("-", |role| role.name());
        cells(args, name, *tensor, role, sha256.as_deref())
    }

    /// With `--long`, a row for each part.
    fn parts(&self, args: &Ls) -> Vec<Vec<String>> {
        let Ok(shown) = &self.found else { return Vec::new() };
        let rows = shown.parts.iter().filter(|_| args.long).map(|part| {
            let name = printable(&format!("{}.{}", self.name, part.part.name));
            match &part.part.tensor {
                Ok(view) => {
                    cells(args, name, shown.tensor.part(view), "part", part.sha256.as_deref())
                }
                Err(_) => vec![name, "unreadable".to_owned()],
            }
        });
        rows.collect()
    }
}

fn cells(
    args: &Ls,
    name: String,
    tensor: TensorRef,
    role: &str,
    sha256: Option<&str>,
) -> Vec<String> {
    let mut cells = vec![
        name,
        crate::tensor::kind(&tensor),
        crate::tensor::shape(&tensor),
        human(tensor.nbytes()),
    ];
    if args.long {
        let own = tensor.storage().is_some() || tensor.layout() == Layout::Meta;
        let or_dash = |text: String| if own { text } else { "-".to_owned() };
        cells.extend([
            or_dash(crate::tensor::list(tensor.stride())),
            or_dash(tensor.storage_offset().to_string()),
            match tensor.storage() {
                Some(_) => printable(tensor.backing().key()),
                None => "-".to_owned(),
            },
            printable(tensor.device()),
            role.to_owned(),
            if tensor.requires_grad() { "grad" } else { "-" }.to_owned(),
        ]);
    }
    cells.extend(args.sha256.then(|| sha256.unwrap_or("-").to_owned()));
    cells
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
        row.parts(args).into_iter().for_each(|cells| table.row(cells));
    }
    let mut text = table.to_string();
    if args.total {
        let tensors = rows.iter().filter_map(|row| row.found.as_ref().ok());
        let (numel, bytes) = tensors.fold((0_u64, 0_u64), |(numel, bytes), shown| {
            let tensor = &shown.tensor;
            (numel.saturating_add(tensor.numel()), bytes.saturating_add(tensor.nbytes()))
        });
        let (len, numel, bytes) = (count(rows.len() as u64), count(numel), human(bytes));
        let _ = writeln!(text, "{len} tensors, {numel} elements, {bytes}");
    }
    text
}
