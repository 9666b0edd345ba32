//! `asm`: the text that `dis --asm` writes, as bytes.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use depickle::Limits;
use depickle::pickle::assemble;

use crate::args::Asm;
use crate::input::{self, label};
use crate::output::{self, Answer, Failure};

pub(crate) fn run(args: &Asm) -> Result<Answer, Failure> {
    let path = label(&args.file);
    let text = text(&args.file).map_err(|why| Failure::Other(format!("{path}: {why}")))?;
    let bytes = assemble(&text).map_err(|why| Failure::Other(format!("{path}: {why}")))?;
    match &args.output {
        Some(output) if output != Path::new("-") => {
            write(output, &bytes, args.force)
                .map_err(|why| Failure::Other(format!("{}: {why}", label(output))))?;
            Ok(Answer::Well)
        }
        None if io::stdout().is_terminal() => Err(Failure::Other(
            "a pickle is not for a terminal: name a file (-o FILE), or -o - for a terminal all the same".to_owned(),
        )),
        _ => output::stdout(|out| out.write_all(&bytes)),
    }
}

fn text(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let bytes = input::spool(Limits::default().memory)?;
        return String::from_utf8(bytes)
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.utf8_error()));
    }
    let mut text = String::new();
    fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Writes beside `path` and renames, so that nobody sees half of it.
fn write(path: &Path, bytes: &[u8], force: bool) -> io::Result<()> {
    if !force && path.exists() {
        let why = "it exists already; --force replaces it";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(name);
    let written = fs::File::create_new(&beside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What matters is the first error.
        let _ = fs::remove_file(&beside);
    }
    written
}
