// The command-line tool over any bytes, in this process; included at the root of a crate, where
// the tool's own modules expect to be.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[allow(unused_imports, reason = "the tool's modules use what its main.rs uses")]
use clap::{CommandFactory, Parser};

use crate::args::{Args, Verb};
use crate::output::{Answer, Failure};

include!(concat!(env!("OUT_DIR"), "/cli/cli.rs"));

/// Ways to look at a file; `FILE` stands for it. Those with `--json` must print one JSON document
/// whatever happens, those with `--jsonl` one in each line.
const COMMANDS: &[&str] = &[
    "info FILE --json",
    "info FILE",
    "ls FILE --json --sha256 --all",
    "ls FILE --long --total",
    "ls FILE --jsonl --policy inspect",
    "tree FILE --json --attrs --policy inspect",
    "tree FILE --params --policy inspect",
    "show FILE --json --policy inspect",
    "show FILE --policy inspect --depth 9",
    "dis FILE --json",
    "dis FILE --jsonl",
    "dis FILE",
    "dis FILE --asm",
    "verify FILE --json",
    "verify FILE --policy weights-only",
    "scan FILE --json",
    "scan FILE --sarif",
    "scan FILE",
    "doctor FILE --json",
    "doctor FILE",
    "globals FILE --json",
    "globals FILE --python",
];

/// The first byte chooses the command, the rest is the file.
pub fn cli(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    every(&COMMANDS[usize::from(choice) % COMMANDS.len()..][..1], bytes);
}

/// Runs these commands over these bytes.
pub fn every(commands: &[&str], bytes: &[u8]) {
    let mut input = memory("input");
    input.write_all(bytes).expect("memory");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&input));
    for command in commands {
        let words = std::iter::once("depickle")
            .chain(command.split(' '))
            .chain(["--max-memory", "64M"])
            .map(|word| if word == "FILE" { &path } else { word });
        let args = Args::try_parse_from(words).expect("the command line is right");
        let (answer, printed) = caught(|| run(args.verb));
        look_at(command, answer, &printed);
    }
}

fn look_at(command: &str, answer: Result<Answer, Failure>, printed: &[u8]) {
    assert!(!matches!(answer, Err(Failure::Pipe)), "nobody closed the output");
    // An error outside of one file's means that there is no document.
    let whole = answer.is_ok();
    if let Err(Failure::Other(why)) = answer {
        assert!(!why.is_empty());
    }
    let text = std::str::from_utf8(printed);
    if command.contains("--jsonl") {
        text.expect("UTF-8").lines().for_each(|line| depickle_fuzz::one_value(line.as_bytes()));
    } else if whole && command.starts_with("tree") && command.contains("--json") {
        // The attributes of each module are a value of their own.
        depickle_fuzz::some_values(printed);
    } else if whole && (command.contains("--json") || command.contains("--sarif")) {
        depickle_fuzz::one_value(printed);
    }
}

fn memory(name: &str) -> File {
    rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC).expect("memory").into()
}

/// Runs `work` with standard output and error going to memory; gives what it printed.
fn caught<T>(work: impl FnOnce() -> T) -> (T, Vec<u8>) {
    let (mut out, err) = (memory("stdout"), memory("stderr"));
    let before = (rustix::io::dup(std::io::stdout()).expect("fd"), rustix::io::dup(std::io::stderr()).expect("fd"));
    rustix::stdio::dup2_stdout(out.as_fd()).expect("fd");
    rustix::stdio::dup2_stderr(err.as_fd()).expect("fd");
    let done = catch_unwind(AssertUnwindSafe(work));
    let _ = std::io::stdout().flush();
    rustix::stdio::dup2_stdout(before.0).expect("fd");
    rustix::stdio::dup2_stderr(before.1).expect("fd");
    let mut printed = Vec::new();
    out.seek(SeekFrom::Start(0)).expect("memory");
    out.read_to_end(&mut printed).expect("memory");
    (done.unwrap_or_else(|why| resume_unwind(why)), printed)
}
