//! The listing for people.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use depickle::pickle::{AnnotatedLine, Content, Op, Position};

use super::verdict::{Named, Verdict};
use super::{Other, Pickle, Teller, What};
use crate::output::{human, printable};

pub(super) struct Listing<'run> {
    out: &'run mut dyn Write,
    styles: Styles,
    begun: bool,
}

/// All empty where no colours are wanted.
#[derive(Clone, Copy, Default)]
struct Styles {
    bold: Style,
    faint: Style,
    red: Style,
    yellow: Style,
}

impl<'run> Listing<'run> {
    pub(super) fn new(out: &'run mut dyn Write, coloured: bool) -> Self {
        let styles = Styles {
            bold: Style::new().bold(),
            faint: Style::new().dimmed(),
            red: AnsiColor::Red.on_default().bold(),
            yellow: AnsiColor::Yellow.on_default(),
        };
        let styles = if coloured { styles } else { Styles::default() };
        Self { out, styles, begun: false }
    }
}

impl Teller for Listing<'_> {
    fn begin(&mut self, pickle: &Pickle) -> io::Result<()> {
        if self.begun {
            writeln!(self.out)?;
        }
        self.begun = true;
        let member = pickle.member.map_or(String::new(), |member| format!("{member}, "));
        let place = if pickle.inflated {
            format!("byte {} of the member once inflated", pickle.at.0)
        } else {
            pickle.at.to_string()
        };
        let head = format!("{member}pickle {} at {place}", pickle.index);
        let bold = self.styles.bold;
        writeln!(self.out, "{bold}{}{bold:#}", printable(&head))
    }

    fn line(&mut self, pickle: &Pickle, line: &AnnotatedLine) -> io::Result<()> {
        let Content::Op(op) = line.line.content else { return Ok(()) };
        let Styles { faint, red, .. } = self.styles;
        let marks = line.note.marks.saturating_sub(usize::from(op == Op::Mark));
        let indent = "  ".repeat(marks.min(MOST_INDENT));
        let operand = clipped(&line.line.operand());
        let opcode = op.opcode();
        let what = format!("{indent}{opcode}{operand}");
        write!(self.out, "{:>8}: {:02x} {what:<WIDTH$}", line.line.offset.0, opcode.byte())?;
        write!(self.out, "{faint} ; stack {}", line.note.depth)?;
        if line.note.marks > 0 {
            write!(self.out, ", marks {}", line.note.marks)?;
        }
        if let Some((index, thing)) = &line.note.memo {
            write!(self.out, ", memo {index} = {thing}")?;
        }
        write!(self.out, "{faint:#}")?;
        if let Some(named) = Named::of(line) {
            self.global(&named)?;
        }
        let breaks = pickle.broken.as_ref().filter(|why| why.offset() == line.line.offset);
        match (breaks, line.note.problem) {
            (Some(why), _) => write!(self.out, ", {red}! breaks here: {}{red:#}", why.kind())?,
            (_, Some(problem)) => write!(self.out, ", {red}! {problem}{red:#}")?,
            _ => {}
        }
        writeln!(self.out)
    }

    fn other(&mut self, pickle: &Pickle, other: &Other) -> io::Result<()> {
        let (at, len) = (other.at.0, other.len);
        let Styles { red, yellow, .. } = self.styles;
        match other.what {
            What::Storages => {
                writeln!(self.out, "\n{at:>8}: {len} bytes of storages follow ({})", human(len))
            }
            What::Array => {
                writeln!(self.out, "{at:>8}:    {len} bytes of an array ({})", human(len))
            }
            What::Rest => writeln!(
                self.out,
                "\n{at:>8}: {yellow}{len} bytes follow that are no pickle:{yellow:#} {}",
                head(other.head)
            ),
            What::Undecodable => {
                let why =
                    pickle.broken.as_ref().map_or(String::new(), |why| why.kind().to_string());
                let head = head(other.head);
                writeln!(self.out, "{at:>8}: {red}! breaks here: {why}{red:#}; {len} bytes: {head}")
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Listing<'_> {
    fn global(&mut self, named: &Named) -> io::Result<()> {
        let verb = match named.position {
            Position::Call => "calls",
            Position::Instance => "instance of",
            Position::Computed => "calls what this returned:",
            _ => "global",
        };
        let name = clipped(&named.full_name());
        let Styles { red, yellow, .. } = self.styles;
        match named.verdict {
            Verdict::Whitelisted => write!(self.out, ", {verb} {name}"),
            Verdict::Unknown => {
                write!(self.out, ", {verb} {yellow}{name} (off the whitelist){yellow:#}")
            }
            Verdict::Forbidden => write!(self.out, ", {verb} {red}{name} (FORBIDDEN){red:#}"),
        }
    }
}

/// Columns for an operation with its operand.
const WIDTH: usize = 40;
/// Marks that are shown by indenting.
const MOST_INDENT: usize = 10;

/// The first bytes of many, so that they can be recognised.
fn head(bytes: &[u8]) -> String {
    let most = 16;
    let shown = bytes.get(..most.min(bytes.len())).unwrap_or_default();
    let more = if bytes.len() > most { " …" } else { "" };
    format!("{}{more}", shown.escape_ascii())
}

/// The beginning of a text, as much as a line has room for.
struct Clip(String);

impl fmt::Write for Clip {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            // The error ends the writing: what is left costs nothing.
            if self.0.len() >= 100 {
                return Err(fmt::Error);
            }
            self.0.push(char);
        }
        Ok(())
    }
}

fn clipped(value: &impl fmt::Display) -> String {
    let mut clip = Clip(String::new());
    if write!(clip, "{value}").is_err() {
        clip.0.push('…');
    }
    clip.0
}
