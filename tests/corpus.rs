//! Cases in the text form: what a stream gives, or how and where it is refused.
//!
//! A file `tests/corpus/**/*.pkla` holds cases, each begun by a line `;; name`. Lines of it may
//! say `; forbid GLOB`, `; extension CODE MODULE NAME` or `; differs ROW`, where ROW is a row of
//! `docs/pickle-differences.md`. The outcome stands at its end, a line for each pickle of the
//! stream: `; = JSON` or `; ! OPCODE at OFFSET: what`. `BLESS=1` writes the outcomes anew.
//! `tests/python/corpus.py` asks CPython the same.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use depickle::pickle::{
    Error, Op, Opcode, Ops, Pattern, Policy, Positions, Rule, assemble, disassemble, run,
};
use depickle::python::json;
use depickle::{Budget, FileOffset, Limits};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    let mut paths: Vec<PathBuf> =
        nested.filter(|path| path.extension().is_some_and(|ext| ext == "pkla")).collect();
    paths.sort();
    paths
}

/// The heading of a file, and its cases from `;;` to `;;`.
fn cases(text: &str) -> Vec<String> {
    let mut cases = vec![String::new()];
    for line in text.lines() {
        if line.starts_with(";; ") {
            cases.push(String::new());
        }
        let case = cases.last_mut().unwrap();
        case.push_str(line);
        case.push('\n');
    }
    cases
}

fn is_outcome(line: &str) -> bool {
    line.starts_with("; = ") || line.starts_with("; ! ")
}

fn policy(case: &str) -> Policy {
    let mut policy = Policy::inspect();
    for line in case.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [";", "forbid", glob] => {
                let positions = Positions::NONE;
                policy = policy.with(Rule { pattern: Pattern::glob(glob.to_owned()), positions });
            }
            [";", "extension", code, module, name] => {
                policy = policy.with_extension(code.parse().unwrap(), module, name);
            }
            _ => {}
        }
    }
    policy
}

/// What each pickle of the stream gives.
fn outcomes(stream: &[u8], policy: &Policy) -> Vec<String> {
    let mut outcomes = Vec::new();
    let mut at = 0;
    while at < stream.len() || outcomes.is_empty() {
        let mut budget = Budget::new(Limits::default().with_memory(64 << 20));
        let rest = stream[at..].to_vec();
        let outcome = run(rest.into(), FileOffset(at as u64), policy, &mut budget);
        match outcome.end {
            Ok(read) => {
                let mut out = Vec::new();
                let root = outcome.graph.root().unwrap();
                json::write(root, &json::Nothing, &mut budget, &mut out).unwrap();
                outcomes.push(format!("; = {}", String::from_utf8(out).unwrap()));
                at += usize::try_from(read).unwrap();
            }
            Err(why) => {
                outcomes.push(format!("; ! {}", summary(&why)));
                break;
            }
        }
    }
    outcomes
}

fn summary(why: &Error) -> String {
    let opcode = why.opcode().map_or("stream", |opcode| opcode.name());
    format!("{opcode} at {}: {}", why.offset().0, why.kind())
}

/// The case with the outcomes that it has now.
fn blessed(case: &str, path: &Path) -> String {
    let name = case.lines().next().unwrap_or_default();
    let body: Vec<&str> = case.lines().filter(|line| !is_outcome(line)).collect();
    let bytes = assemble(&body.join("\n"))
        .unwrap_or_else(|why| panic!("{}: {name}: {why}", path.display()));
    assert_eq!(assemble(&disassemble(&bytes)).unwrap(), bytes, "{name}");
    let mut text = body.join("\n").trim_end().to_owned();
    for outcome in outcomes(&bytes, &policy(case)) {
        text.push('\n');
        text.push_str(&outcome);
    }
    text + "\n\n"
}

#[test]
fn every_case_has_its_outcome() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut seen = 0;
    for path in files(&root().join("tests/corpus")) {
        let text = fs::read_to_string(&path).unwrap();
        let cases = cases(&text);
        let (heading, cases) = cases.split_first().unwrap();
        let mut now = heading.clone();
        for case in cases {
            seen += 1;
            let new = blessed(case, &path);
            now.push_str(&new);
            assert!(
                bless || new.trim_end() == case.trim_end(),
                "{}: now this gives\n{new}\nBLESS=1 writes it down",
                path.display()
            );
        }
        if bless {
            fs::write(&path, now.trim_end().to_owned() + "\n").unwrap();
        }
    }
    assert!(seen > 300, "only {seen} cases were found");
}

/// Operations of the case's pickles, up to where decoding stops.
fn opcodes(stream: &[u8]) -> BTreeSet<Opcode> {
    let mut opcodes = BTreeSet::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let mut ops = Ops::new(rest);
        let decoded: Result<Vec<_>, _> = ops.by_ref().map(|op| op.map(|(_, op)| op)).collect();
        let Ok(decoded) = decoded else { break };
        opcodes.extend(decoded.iter().map(Op::opcode));
        rest = ops.rest();
    }
    opcodes
}

#[test]
fn every_opcode_succeeds_in_one_case_and_fails_in_another() {
    let mut succeeded = BTreeSet::new();
    let mut failed = BTreeSet::new();
    for path in files(&root().join("tests/corpus")) {
        let text = fs::read_to_string(&path).unwrap();
        for case in cases(&text).iter().skip(1) {
            let why = case.lines().find_map(|line| line.strip_prefix("; ! "));
            match why {
                Some(why) => failed.extend(why.split(' ').next().and_then(Opcode::from_name)),
                None => succeeded.extend(opcodes(&assemble(case).unwrap())),
            }
        }
    }
    let all: BTreeSet<Opcode> = Opcode::all().collect();
    assert_eq!(succeeded, all);
    // Neither operand nor stack can be wrong for the others.
    let harmless = [
        "MARK",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "EMPTY_DICT",
        "EMPTY_LIST",
        "EMPTY_TUPLE",
        "EMPTY_SET",
        "NEXT_BUFFER",
    ];
    let harmless = harmless.iter().filter_map(|name| Opcode::from_name(name)).collect();
    assert_eq!(&all - &failed, harmless);
}

#[test]
fn names_of_cases_are_distinct() {
    for path in files(&root().join("tests/corpus")) {
        let text = fs::read_to_string(&path).unwrap();
        let mut names = BTreeSet::new();
        for name in text.lines().filter(|line| line.starts_with(";; ")) {
            assert!(names.insert(name), "{}: {name} twice", path.display());
        }
    }
}

#[test]
fn every_difference_from_cpython_is_written_down_and_held() {
    let held: BTreeSet<String> = files(&root().join("tests/corpus"))
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let rows = text.lines().filter_map(|line| line.strip_prefix("; differs "));
            rows.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let docs = fs::read_to_string(root().join("docs/pickle-differences.md")).unwrap();
    let written: BTreeSet<String> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(row, _)| row.to_owned())
        .collect();
    assert_eq!(held, written);
}
