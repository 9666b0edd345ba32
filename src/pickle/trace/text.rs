//! Annotated lines as text, what is long cut short.

use std::fmt::{self, Write};

use super::{AnnotatedLine, Name, Thing};
use crate::pickle::dis::{Content, Quoted};

impl fmt::Display for Thing<'_> {
    /// In words, a long text cut short.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "str {}", clipped(&Quoted(text.as_bytes()))),
            Self::Global(module, name) => {
                write!(f, "global {}.{}", clipped(module), clipped(name))
            }
            Self::Made(module, name) => write!(f, "{}.{}(…)", clipped(module), clipped(name)),
            Self::Computed(module, name) => {
                write!(f, "{}.{}(…)(…)", clipped(module), clipped(name))
            }
            Self::Some(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Name<'_> {
    /// As UTF-8, what cannot be printed escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            chunk.valid().chars().try_for_each(|char| write!(f, "{}", char.escape_debug()))?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// The beginning of a text, as much as a line of a listing has room for.
struct Clip {
    text: String,
    room: usize,
}

impl Write for Clip {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            // The error ends the writing: what is left costs nothing.
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(char);
        }
        Ok(())
    }
}

fn clip(write: impl FnOnce(&mut Clip) -> fmt::Result) -> String {
    let mut clip = Clip { text: String::new(), room: 100 };
    if write(&mut clip).is_err() {
        clip.text.push('…');
    }
    clip.text
}

fn clipped(value: &impl fmt::Display) -> String {
    clip(|out| write!(out, "{value}"))
}

impl fmt::Display for AnnotatedLine<'_> {
    /// `offset: byte NAME operand  ; notes`, a long operand cut short.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, note } = self;
        write!(f, "{:>6}: ", line.offset.0)?;
        let Content::Op(op) = &line.content else {
            write!(f, "{line}")?;
            return match &line.content {
                Content::Undecodable(why) => write!(f, "  ; ! {why}"),
                _ => Ok(()),
            };
        };
        let operand = clip(|out| line.write_operand(out));
        let opcode = op.opcode();
        write!(f, "{:02x} {opcode}{operand}  ; stack {}", opcode.byte(), note.depth)?;
        if note.marks > 0 {
            write!(f, ", marks {}", note.marks)?;
        }
        if let Some((index, thing)) = &note.memo {
            write!(f, ", memo {index} = {thing}")?;
        }
        if let Some(thing @ (Thing::Global(..) | Thing::Made(..) | Thing::Computed(..))) =
            &note.result
        {
            write!(f, ", {thing}")?;
        }
        match note.problem {
            Some(problem) => write!(f, ", ! {problem}"),
            None => Ok(()),
        }
    }
}
