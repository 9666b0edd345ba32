//! What goes to standard output and error, and the exit codes.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{fmt, iter};

pub(crate) use depickle::doctor::{human, thousands as count};
use depickle::python::json;
use depickle::torch::Error;
use serde_json::{Value, json};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 0
    Well,
    /// 1
    No,
    /// 2
    Failed,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Well => Self::SUCCESS,
            Answer::No => Self::from(1),
            Answer::Failed => Self::from(2),
        }
    }
}

/// Why a command could not go on.
pub(crate) enum Failure {
    /// Standard output was closed.
    Pipe,
    Other(String),
}

impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            io::ErrorKind::Other => Self::Other(why.to_string()),
            _ => Self::Other(format!("cannot write: {why}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(why: Error) -> Self {
        Self::Other(why.to_string())
    }
}

/// Writes to standard output, buffered, and answers that all is well.
pub(crate) fn stdout(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Answer, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    out.flush()?;
    Ok(Answer::Well)
}

/// A line on standard error, beginning `error:`.
pub(crate) fn error(why: &str) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    // Nobody is left to tell if this fails. Names from files may hold anything.
    let _ = writeln!(anstream::stderr(), "{style}error:{style:#} {}", printable(why));
}

/// A line on standard error that tells what was chosen for the user.
pub(crate) fn note(what: &str) {
    let style = anstyle::AnsiColor::Cyan.on_default();
    let _ = writeln!(anstream::stderr(), "{style}note:{style:#} {}", printable(what));
}

/// How several documents are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
    JsonLines,
}

impl Form {
    pub(crate) const fn new(json: bool, jsonl: bool) -> Self {
        match (json, jsonl) {
            (true, _) => Self::Json,
            (_, true) => Self::JsonLines,
            _ => Self::Text,
        }
    }
}

/// What could not be written as JSON, as an error of the output.
pub(crate) fn json_error(why: json::Error) -> io::Error {
    match why {
        json::Error::Io(why) => why,
        json::Error::Over(why) => io::Error::other(why),
    }
}

/// What a command has to say about one file.
pub(crate) enum Part {
    Text(String),
    Json(Value),
}

/// Runs a command over files: what it says goes to standard output, a document a file or a
/// list of them; errors go to standard error, and one file's never stop the others.
pub(crate) fn each_file(
    files: &[PathBuf],
    form: Form,
    mut each: impl FnMut(&PathBuf) -> Result<(Part, Vec<String>), Error>,
) -> Result<Answer, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut documents, mut answer) = (Vec::new(), Answer::Well);
    for file in files {
        let (part, errors) = each(file).unwrap_or_else(|why| {
            (Part::Json(error_json(&file.display().to_string(), &why)), vec![why.to_string()])
        });
        for why in errors {
            answer = Answer::Failed;
            out.flush()?;
            error(&why);
        }
        match (part, form) {
            (Part::Text(text), _) => {
                if files.len() > 1 {
                    writeln!(out, "{}:", printable(&file.display().to_string()))?;
                }
                out.write_all(text.as_bytes())?;
            }
            (Part::Json(document), Form::JsonLines) => writeln!(out, "{document}")?,
            (Part::Json(document), Form::Json) => documents.push(document),
            (Part::Json(_), Form::Text) => {}
        }
    }
    if form == Form::Json {
        let whole = if files.len() == 1 { documents.pop() } else { None };
        serde_json::to_writer_pretty(&mut out, &whole.unwrap_or(Value::Array(documents)))
            .map_err(io::Error::from)?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(answer)
}

/// An error as a document.
fn error_json(path: &str, why: &Error) -> Value {
    json!({
        "path": path,
        "error": why.to_string(),
        "category": why.category().to_string(),
        "member": why.member(),
        "offset": why.offset().map(|at| at.0),
    })
}

/// Rows of cells, each column as wide as its widest cell.
#[derive(Default)]
pub(crate) struct Table {
    /// What all cells say, one after the other: tables may have a row for each of many tensors.
    text: String,
    /// Where each cell ends in it.
    ends: Vec<usize>,
    /// How many cells there are up to the end of each row.
    rows: Vec<usize>,
}

impl Table {
    pub(crate) fn header<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        self.row(cells.into_iter().map(str::to_uppercase));
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        for cell in cells {
            self.text.push_str(&cell);
            self.ends.push(self.text.len());
        }
        self.rows.push(self.ends.len());
    }

    /// The cells of each row.
    fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        let (mut first, mut start) = (0, 0);
        self.rows.iter().map(move |&last| {
            let ends = self.ends.get(first..last).unwrap_or_default();
            let starts = iter::once(start).chain(ends.iter().copied());
            first = last;
            start = ends.last().copied().unwrap_or(start);
            starts.zip(ends).map(|(start, &end)| self.text.get(start..end).unwrap_or_default())
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths: Vec<usize> = Vec::new();
        for row in self.rows() {
            for (column, cell) in row.enumerate() {
                let width = cell.chars().count();
                match widths.get_mut(column) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        for row in self.rows() {
            let mut row = row.zip(&widths).peekable();
            while let Some((cell, width)) = row.next() {
                match row.peek() {
                    Some(_) => write!(f, "{cell:width$}  ")?,
                    None => f.write_str(cell)?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Lines of text from a file as they are; on a terminal without control characters, which
/// could take it over.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    if !io::stdout().is_terminal() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.lines().map(printable).collect::<Vec<_>>().join("\n"))
}

/// Text from a file, made safe for a terminal: control characters are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}
