//! `doctor`: what a file is, or what is wrong with it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use depickle::Limits;
use depickle::base::Existing;
use depickle::doctor::{Diagnosis, Expected, Lost, Options, Report, Salvaged, human};
use serde_json::{Value, json};

use crate::input::{label, spool};
use crate::output::{self, Answer, Failure, Form, Part, count, printable};
use crate::progress::Progress;

/// Says what a file or folder is; what keeps PyTorch from loading it, with an advice; the Python
/// that loads it; and the PyTorch that this needs. Nothing of a file runs. All of it is read, to
/// compare checksums; --quick leaves that out.
///
/// Exit codes: 0 healthy; 1 something is wrong, and named; 2 could not look.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags are booleans")]
pub(crate) struct Args {
    /// Files or folders; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Do not read the tensors' data: no checksums are compared.
    #[arg(long)]
    quick: bool,
    /// What the file should hold: anything else is wrong.
    #[arg(long, value_enum, value_name = "WHAT")]
    expect: Option<Expect>,
    /// Write every tensor that is whole to OUT: a state dict, or safetensors if OUT ends so. A tensor
    /// of which anything is missing, or whose checksum is wrong, is not written. Of one file.
    #[arg(long, value_name = "OUT")]
    salvage: Option<PathBuf>,
    /// Replace OUT if it exists.
    #[arg(long, requires = "salvage")]
    force: bool,
    /// One JSON document; a list of them for several files.
    #[arg(long)]
    json: bool,
    /// One JSON document a line, a line for each file.
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
    /// No progress bar.
    #[arg(long)]
    no_progress: bool,
    /// Memory for reading structure, such as 512M or 4G.
    #[arg(long, value_parser = crate::args::size, value_name = "SIZE", help_heading = "Reading")]
    max_memory: Option<u64>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Expect {
    /// A state dict, or a checkpoint that holds one.
    Weights,
    /// A whole pickled model.
    Model,
    /// What torch.jit.save writes.
    Torchscript,
    /// What torch.export.save writes.
    Export,
}

impl From<Expect> for Expected {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::Weights => Self::Weights,
            Expect::Model => Self::Model,
            Expect::Torchscript => Self::TorchScript,
            Expect::Export => Self::Export,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<Answer, Failure> {
    let form = Form::new(args.json, args.jsonl);
    let mut limits = Limits::default();
    if let Some(bytes) = args.max_memory {
        limits = limits.with_memory(bytes);
    }
    let options = Options::default()
        .quick(args.quick)
        .expected(args.expect.map(Into::into))
        .limits(limits.clone());
    if let (Some(_), [_, _, ..]) = (&args.salvage, &args.files[..]) {
        return Err(Failure::Other("--salvage takes one file at a time".to_owned()));
    }
    let mut healthy = true;
    let answer = output::each_file(&args.files, form, |file| {
        let report = if label(file) == "-" {
            options.examine_source(bytes::Bytes::from(spool(limits.memory)?), "-")?
        } else {
            let wanted = !args.quick && !args.no_progress;
            let progress = Progress::of_file("comparing checksums", file, wanted);
            options.examine_with(file, &|bytes| progress.advance(bytes))?
        };
        healthy &= report.is_healthy();
        let mut errors = Vec::new();
        let saved = args.salvage.as_deref().map(|out| salvage(file, out, args.force, &limits));
        let saved = match saved {
            Some(Err(why)) => {
                errors.push(format!("nothing salvaged: {why}"));
                None
            }
            other => other.transpose().ok().flatten(),
        };
        let saved = saved.as_ref().zip(args.salvage.as_deref());
        let part = match form {
            Form::Text => Part::Text(text(&report) + &saved.map(of_saved).unwrap_or_default()),
            _ => Part::Json(document(&report, saved)),
        };
        Ok((part, errors))
    })?;
    Ok(if answer == Answer::Well && !healthy { Answer::No } else { answer })
}

fn salvage(
    file: &Path,
    out: &Path,
    force: bool,
    limits: &Limits,
) -> Result<Salvaged, depickle::convert::Error> {
    let existing = if force { Existing::Replace } else { Existing::Refuse };
    depickle::doctor::salvage(file, out, existing, limits)
}

fn of_saved((saved, out): (&Salvaged, &Path)) -> String {
    let mut text = String::new();
    let (whole, lost) = (saved.written.len() as u64, saved.lost.len() as u64);
    let all = count(whole.saturating_add(lost));
    // Writing to a string cannot fail.
    let _ = if whole == 0 {
        writeln!(text, "  salvaged nothing: none of its {all} tensors is whole")
    } else {
        let out = printable(&out.display().to_string());
        let (whole, checked) = (count(whole), count(saved.checked));
        writeln!(
            text,
            "  salvaged {whole} of {all} tensors to {out}, {checked} of them by checksum"
        )
    };
    for lost in &saved.lost {
        let _ = writeln!(text, "    lost: {}: {}", printable(&lost.name), printable(&lost.why));
    }
    text
}

fn document(report: &Report, saved: Option<(&Salvaged, &Path)>) -> Value {
    let lost = |lost: &Lost| json!({ "name": lost.name, "why": lost.why });
    let salvage = saved.map(|(saved, out)| {
        json!({
            "path": (!saved.written.is_empty()).then(|| label(out)),
            "nbytes": saved.nbytes,
            "written": saved.written,
            "lost": saved.lost.iter().map(lost).collect::<Vec<_>>(),
            "checked": saved.checked,
        })
    });
    let diagnosis = |found: &Diagnosis| {
        json!({
            "id": found.id,
            "severity": found.severity.name(),
            "message": found.message,
            "advice": found.advice,
            "offset": found.offset.map(|at| at.0),
        })
    };
    let requires = report.requires.as_ref();
    json!({
        "path": report.path,
        "healthy": report.is_healthy(),
        "kind": report.kind,
        "container": report.container.map(depickle::torch::Container::name),
        "nbytes": report.nbytes,
        "what": report.what,
        "diagnosis": report.diagnosis.iter().map(diagnosis).collect::<Vec<_>>(),
        "load": report.load,
        "requires": requires.map(|it| json!({ "torch": it.torch, "because": it.because })),
        "salvage": salvage,
    })
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{}: {}, {}",
        printable(&report.path),
        printable(&report.what),
        human(report.nbytes)
    );
    for found in &report.diagnosis {
        let _ = writeln!(
            out,
            "  {}: {} [{}]",
            found.severity.name(),
            printable(&found.message),
            found.id
        );
        if let Some(at) = found.offset {
            let _ = writeln!(out, "    at byte {} ({:#x})", at.0, at.0);
        }
        if let Some(advice) = &found.advice {
            let _ = writeln!(out, "    {}", printable(advice));
        }
    }
    if report.is_healthy() {
        out.push_str("  healthy\n");
    }
    if let Some(requires) = &report.requires {
        let _ = writeln!(
            out,
            "  needs PyTorch {} or later ({})",
            requires.torch,
            printable(&requires.because)
        );
    }
    if !report.load.is_empty() {
        out.push_str("  in Python:\n");
        for line in &report.load {
            let _ = writeln!(out, "    {}", printable(line));
        }
    }
    out
}
