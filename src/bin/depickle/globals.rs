//! `globals`: every class and function that a file names.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use depickle::Limits;
use depickle::doctor::globals::{self, Globals, Used};
use depickle::doctor::obstacle;
use depickle::pickle::Policy;
use depickle::torch::Options;
use serde_json::{Map, Value, json};

use crate::input::{self, label};
use crate::output::{self, Answer, Failure, Form, Part, Table, count, note, printable};

/// Every global that a file names, in all of its pickles: where it stands (call, instance, value,
/// storage), how often, at which byte first, and whether it is whitelisted there, unknown, or
/// forbidden. Nothing runs.
///
/// Exit codes: 0 told; 1 with --python, if the lines would not do; 2 a pickle breaks or cannot be
/// read: what it names before is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The lines of Python that make torch.load(weights_only=True) accept the file: imports, and
    /// torch.serialization.add_safe_globals. Forbidden globals are not written.
    #[arg(long, conflicts_with_all = ["json", "jsonl"])]
    python: bool,
    /// One JSON document; a list of them for several files.
    #[arg(long)]
    json: bool,
    /// One JSON document a line, a line for each file.
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
    /// Memory for one pickle, such as 512M or 4G.
    #[arg(long, value_parser = crate::args::size, value_name = "SIZE", help_heading = "Reading")]
    max_memory: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Failure> {
    let form = Form::new(args.json, args.jsonl);
    let mut limits = Limits::default();
    if let Some(bytes) = args.max_memory {
        limits = limits.with_memory(bytes);
    }
    let mut enough = true;
    let answer = output::each_file(&args.files, form, |file| {
        let found = if file == Path::new("-") {
            let bytes = bytes::Bytes::from(input::spool(limits.memory)?);
            globals::of(&bytes, &limits)?
        } else {
            globals::of_file(file, &limits)?
        };
        let errors = found.broken.iter().map(ToString::to_string).collect();
        let part = match form {
            _ if args.python => {
                enough &= explain(file, &found, &limits);
                Part::Text(
                    found.python.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect(),
                )
            }
            Form::Text => Part::Text(table(&found)),
            _ => Part::Json(document(&label(file), &found)),
        };
        Ok((part, errors))
    })?;
    Ok(if answer == Answer::Well && !enough { Answer::No } else { answer })
}

/// Says what the lines cannot do; whether there is nothing of the sort.
fn explain(file: &Path, found: &Globals, limits: &Limits) -> bool {
    let path = label(file);
    for (global, why) in &found.python.refused {
        note(&format!("{path}: {global} is left out: {why}"));
    }
    let options = Options::default().policy(Policy::inspect()).limits(limits.clone());
    let opened = if file == Path::new("-") { None } else { options.open(file).ok() };
    let why = opened.and_then(|checkpoint| obstacle(&checkpoint).ok().flatten());
    if let Some(why) = &why {
        note(&format!("{path}: weights_only=True cannot load it whatever it is told: {why}"));
    } else if found.python.lines.is_empty() && found.python.refused.is_empty() {
        note(&format!("{path}: nothing need be named: PyTorch's own list has all of it"));
    } else if found.python.torch > (2, 4) {
        let (major, minor) = found.python.torch;
        note(&format!("{path}: names in pairs need PyTorch {major}.{minor} or later"));
    }
    why.is_none() && found.python.refused.is_empty()
}

fn places(used: &Used) -> String {
    let place = |(stands, times): (&globals::Stands, &u64)| match times {
        1 => stands.name().to_owned(),
        times => format!("{} ×{}", stands.name(), count(*times)),
    };
    used.positions.iter().map(place).collect::<Vec<_>>().join(", ")
}

fn table(found: &Globals) -> String {
    let mut table = Table::default();
    table.header(["global", "verdict", "count", "position", "first at"]);
    let members = found.all.iter().any(|used| used.member.is_some());
    for used in &found.all {
        let verdict = match used.verdict {
            globals::Verdict::Forbidden => "FORBIDDEN",
            other => other.name(),
        };
        let first = match (&used.member, members) {
            (Some(member), _) => format!("{} ({})", used.first.0, printable(member)),
            _ => used.first.0.to_string(),
        };
        table.row(vec![
            printable(&format!("{}.{}", used.module, used.name)),
            verdict.to_owned(),
            count(used.count()),
            places(used),
            first,
        ]);
    }
    let mut text = if found.all.is_empty() { String::new() } else { table.to_string() };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} globals in {} pickles",
        count(found.all.len() as u64),
        count(found.pickles)
    );
    text
}

fn document(path: &str, found: &Globals) -> Value {
    let used = |used: &Used| {
        let positions: Map<String, Value> = (used.positions.iter())
            .map(|(stands, times)| (stands.name().to_owned(), Value::from(*times)))
            .collect();
        json!({
            "global": format!("{}.{}", used.module, used.name),
            "module": used.module,
            "name": used.name,
            "verdict": used.verdict.name(),
            "count": used.count(),
            "positions": positions,
            "member": used.member,
            "offset": used.first.0,
            "inflated": used.inflated,
        })
    };
    json!({
        "path": path,
        "pickles": found.pickles,
        "globals": found.all.iter().map(used).collect::<Vec<_>>(),
        "python": found.python.lines,
        "not_written": found.python.refused.iter().map(|(global, why)| json!({ "global": global, "why": why })).collect::<Vec<_>>(),
        "broken": found.broken.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
