//! CPython's own unpickler as the oracle.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use depickle::Category;
use depickle::python::json::{self, Nothing};

use crate::{plain_graph_of, small};

/// A stream means to us what it means to CPython's C unpickler, but for what
/// `docs/pickle-differences.md` lists. Holds where there is no `python3` (or what `PYTHON`
/// names).
pub fn cpython(bytes: &[u8]) {
    // Calls of these give plain values there and are recorded here; other tests compare those.
    let calls = [&b"builtin"[..], b"_codecs", b"copyreg", b"copy_reg"];
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    if bytes.len() > 1 << 12 || calls.into_iter().any(has) {
        return;
    }
    let Some(ours) = line(bytes) else { return };
    // Sets have no order: either member may be met first, and hold what both share.
    if ours.contains("set\":[") && ours.contains("\"$ref\"") {
        return;
    }
    let mut python = PYTHON.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(difference) = python.ask(bytes, &ours) {
        panic!("{difference}");
    }
}

/// What we read, as `examples/tagged_json.rs` says it; none if it is too much to say.
fn line(bytes: &[u8]) -> Option<String> {
    let outcome = plain_graph_of(bytes);
    let (root, read) = match (outcome.graph.root(), outcome.end) {
        (Some(root), Ok(read)) => (root, read),
        // What meets a limit may mean anything.
        (_, Err(why)) if why.category() == Category::OverLimit => return None,
        (_, Err(why)) => return Some(format!("! {why}")),
        (None, Ok(_)) => return Some("! no root".to_owned()),
    };
    let mut out = Vec::new();
    json::write(root, &Nothing, &mut small(), &mut out).ok()?;
    Some(format!("= {read} {}", String::from_utf8_lossy(&out)))
}

static PYTHON: Mutex<Python> = Mutex::new(Python::NotStarted);

/// The process that is asked, started when first needed.
enum Python {
    NotStarted,
    Runs { child: Child, to: ChildStdin, from: BufReader<ChildStdout> },
    Missing,
}

impl Python {
    fn start() -> Self {
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/differ.py");
        let mut command = Command::new(python);
        command.args([script, "--serve"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else { return Self::Missing };
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Self::Runs { child, to, from: BufReader::new(from) },
            _ => Self::Missing,
        }
    }

    /// The difference, if there is one that no row explains.
    fn ask(&mut self, stream: &[u8], ours: &str) -> Option<String> {
        if matches!(self, Self::NotStarted) {
            *self = Self::start();
        }
        let Self::Runs { child, to, from } = self else { return None };
        let part = |bytes: &[u8]| {
            let len = u32::try_from(bytes.len()).expect("a short text");
            [&len.to_le_bytes()[..], bytes].concat()
        };
        let mut answer = String::new();
        let asked = to.write_all(&part(stream)).and_then(|()| to.write_all(&part(ours.as_bytes())));
        if asked.and_then(|()| from.read_line(&mut answer)).is_ok() && !answer.is_empty() {
            return answer.strip_prefix("differs ").map(str::to_owned);
        }
        // CPython itself may break on a hostile stream: another takes its place.
        eprintln!("python ended: {:?}; the stream was {stream:?}", child.wait());
        *self = Self::NotStarted;
        None
    }
}
