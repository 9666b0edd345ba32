//! The command-line tool, run in the folder of the fixtures.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::fixture;

/// The tool with these arguments, not yet run.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_depickle"));
    command.args(arguments).current_dir(fixture(""));
    command
}

pub fn depickle(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// With these bytes on standard input, as far as they are read.
pub fn fed(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

/// With nobody there to read what it prints.
pub fn unread(arguments: &[&str]) -> Output {
    let mut command = command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, standard output and standard error.
pub fn said(output: &Output) -> (i32, String, String) {
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}
