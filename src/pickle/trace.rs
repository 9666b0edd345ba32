//! What each operation does to stack and memo, followed by the columns of the table: the
//! annotations of a disassembly.
//!
//! Runs nothing and refuses nothing. Where an operation lacks what it needs this is noted, and
//! the next one is followed from what is left; only the machine says whether a stream is sound.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::rc::Rc;

use super::dis::{Content, Disassembly, Line, Quoted};
use super::error::Kind;
use super::opcode::Op;
use super::text;
use crate::base::{Budget, Exceeded, FileOffset};

/// A disassembly with what stack and memo hold after each line.
///
/// ```
/// use depickle::pickle::Annotated;
/// use depickle::{Budget, FileOffset};
///
/// let mut budget = Budget::default();
/// let lines = Annotated::new(b"cos\nsystem\nq\x00h\x00.", FileOffset(0), &mut budget);
/// let text = lines.map(|line| Ok(line?.to_string())).collect::<Result<Vec<_>, depickle::base::Exceeded>>()?;
/// assert_eq!(text[0], "     0: 63 GLOBAL os system  ; stack 1, global os.system");
/// assert_eq!(text[1], "    11: 71 BINPUT 0  ; stack 1, memo 0 = global os.system");
/// assert_eq!(text[2], "    13: 68 BINGET 0  ; stack 2, global os.system");
/// # Ok::<(), depickle::base::Exceeded>(())
/// ```
#[derive(Debug)]
pub struct Annotated<'data, 'budget> {
    lines: Disassembly<'data>,
    trace: Trace<'data>,
    budget: &'budget mut Budget,
}

impl<'data, 'budget> Annotated<'data, 'budget> {
    /// Disassembles `bytes`, which begin at `base` in their file. Stack and memo are paid for
    /// from `budget`, at most 256 bytes for each byte read.
    pub fn new(bytes: &'data [u8], base: FileOffset, budget: &'budget mut Budget) -> Self {
        Self { lines: Disassembly::new(bytes, base), trace: Trace::default(), budget }
    }
}

impl<'data> Iterator for Annotated<'data, '_> {
    type Item = Result<AnnotatedLine<'data>, Exceeded>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        let note = match &line.content {
            Content::Op(op) => self.trace.step(op, self.budget),
            _ => Ok(Note::default()),
        };
        Some(note.map(|note| AnnotatedLine { line, note }))
    }
}

/// A line of a disassembly and what holds after it.
#[derive(Clone, Debug)]
pub struct AnnotatedLine<'data> {
    /// The line.
    pub line: Line<'data>,
    /// What holds after it.
    pub note: Note<'data>,
}

/// What holds after an operation.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Note<'data> {
    /// Objects on the stack, marks not counted.
    pub depth: usize,
    /// Marks among them.
    pub marks: usize,
    /// The memo slot that was written, and with what.
    pub memo: Option<(u64, Thing<'data>)>,
    /// What the operation left on top of the stack, if it put something there.
    pub result: Option<Thing<'data>>,
    /// What the operation lacked.
    pub problem: Option<&'static str>,
}

/// What stands on the stack or in the memo, as far as following the operations tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Thing<'data> {
    /// A text.
    Text(Name<'data>),
    /// A class, function or other module attribute.
    Global(Name<'data>, Name<'data>),
    /// What calling or instantiating this global gives.
    Made(Name<'data>, Name<'data>),
    /// Something of this type, in `pickletools`' words.
    Some(&'static str),
}

/// The bytes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name<'data> {
    /// They stand so in the stream.
    Plain(&'data [u8]),
    /// They held escapes.
    Unescaped(Rc<[u8]>),
}

impl Name<'_> {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Unescaped(bytes) => bytes,
        }
    }
}

#[derive(Debug, Default)]
struct Trace<'data> {
    stack: Vec<Thing<'data>>,
    marks: Vec<usize>,
    memo: HashMap<u64, Thing<'data>>,
}

/// What an operation took from the stack: its lowest two objects, and how many.
struct Taken<'data> {
    first: Option<Thing<'data>>,
    second: Option<Thing<'data>>,
    problem: Option<&'static str>,
}

impl<'data> Trace<'data> {
    /// What an entry of the memo takes (bytes), growth included.
    const ENTRY: u64 = 160;

    fn step(&mut self, op: &Op<'data>, budget: &mut Budget) -> Result<Note<'data>, Exceeded> {
        let mut taken = self.take(op);
        let mut memo = None;
        let mut result = None;
        for &pushed in op.opcode().pushes() {
            if pushed == "mark" {
                budget.push(&mut self.marks, self.stack.len())?;
                continue;
            }
            let thing = self.thing(op, pushed, &mut taken, budget)?;
            budget.push(&mut self.stack, thing.clone())?;
            result = Some(thing);
        }
        if let Some(index) = self.put_index(op) {
            match self.stack.last().filter(|_| self.stack.len() > self.fence()).cloned() {
                Some(top) => {
                    if !self.memo.contains_key(&index) {
                        budget.memory(Self::ENTRY)?;
                    }
                    self.memo.insert(index, top.clone());
                    memo = Some((index, top));
                }
                None => taken.problem = Some("the stack holds too little"),
            }
            // MEMOIZE takes its object and gives it back.
            result = None;
        }
        let (depth, marks, problem) = (self.stack.len(), self.marks.len(), taken.problem);
        let note = Note { depth, marks, memo, result, problem };
        if *op == Op::Stop {
            *self = Self::default();
        }
        Ok(note)
    }

    fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// Takes off the stack what the table says.
    fn take(&mut self, op: &Op) -> Taken<'data> {
        let pops = op.opcode().pops();
        let mut problem = None;
        let bottom = match pops.iter().position(|&word| word == "mark") {
            Some(below) => {
                let height = self.marks.pop();
                problem = height.is_none().then_some("no mark on the stack");
                let height = height.unwrap_or(self.stack.len());
                // OBJ's class stands above the mark.
                let above = pops.iter().filter(|&&word| word == "any").count();
                if self.stack.len() < height.saturating_add(above) {
                    problem = Some("the stack holds too little");
                }
                height.checked_sub(below)
            }
            None if *op == Op::Pop && self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
                Some(self.stack.len())
            }
            None => self.stack.len().checked_sub(pops.len()),
        };
        let fence = self.fence();
        let bottom = bottom.filter(|&bottom| bottom >= fence).unwrap_or_else(|| {
            problem = problem.or(Some("the stack holds too little"));
            fence
        });
        let mut taken = self.stack.drain(bottom.min(self.stack.len())..);
        let (first, second) = (taken.next(), taken.next());
        Taken { first, second, problem }
    }

    /// What an operation leaves on the stack.
    fn thing(
        &self,
        op: &Op<'data>,
        pushed: &'static str,
        taken: &mut Taken<'data>,
        budget: &mut Budget,
    ) -> Result<Thing<'data>, Exceeded> {
        let Taken { first, second, problem } = taken;
        Ok(match *op {
            Op::Global((module, name)) => Thing::Global(Name::Plain(module), Name::Plain(name)),
            Op::Inst((module, name)) => Thing::Made(Name::Plain(module), Name::Plain(name)),
            Op::StackGlobal => {
                if let (Some(Thing::Text(module)), Some(Thing::Text(name))) = (first, second) {
                    return Ok(Thing::Global(module.clone(), name.clone()));
                }
                *problem = problem.or(Some("a global whose name is no text here"));
                Thing::Some(pushed)
            }
            Op::Reduce | Op::NewObj | Op::NewObjEx | Op::Obj => match first {
                Some(Thing::Global(module, name)) => Thing::Made(module.clone(), name.clone()),
                _ => Thing::Some(pushed),
            },
            Op::BinUnicode(text) | Op::ShortBinUnicode(text) | Op::BinUnicode8(text) => {
                Thing::Text(Name::Plain(text))
            }
            Op::Unicode(line) => Thing::Text(unescaped(line, text::unicode, problem, budget)?),
            // A Python 2 string is a text to Python, if it is ASCII.
            Op::String(line) => {
                let name = unescaped(line, text::string, problem, budget)?;
                if name.as_bytes().is_ascii() { Thing::Text(name) } else { Thing::Some(pushed) }
            }
            Op::BinString(bytes) | Op::ShortBinString(bytes) if bytes.is_ascii() => {
                Thing::Text(Name::Plain(bytes))
            }
            Op::Get(_) | Op::BinGet(_) | Op::LongBinGet(_) => {
                let index = get_index(op);
                let found = index.and_then(|index| self.memo.get(&index)).cloned();
                if found.is_none() {
                    *problem = Some("nothing was stored in the memo there");
                }
                found.unwrap_or(Thing::Some(pushed))
            }
            Op::Dup
            | Op::Memoize
            | Op::Build
            | Op::Append
            | Op::Appends
            | Op::SetItem
            | Op::SetItems
            | Op::AddItems
            | Op::ReadOnlyBuffer => first.clone().unwrap_or(Thing::Some(pushed)),
            _ => Thing::Some(pushed),
        })
    }

    /// The memo slot an operation writes.
    fn put_index(&self, op: &Op) -> Option<u64> {
        match *op {
            Op::Put(index) => text::index(index).ok(),
            Op::BinPut(index) => Some(index.into()),
            Op::LongBinPut(index) => Some(index.into()),
            Op::Memoize => Some(self.memo.len() as u64),
            _ => None,
        }
    }
}

fn get_index(op: &Op) -> Option<u64> {
    match *op {
        Op::Get(index) => text::index(index).ok(),
        Op::BinGet(index) => Some(index.into()),
        Op::LongBinGet(index) => Some(index.into()),
        _ => None,
    }
}

fn unescaped<'data>(
    line: &'data [u8],
    unescape: fn(&[u8]) -> Result<Vec<u8>, Kind>,
    problem: &mut Option<&'static str>,
    budget: &mut Budget,
) -> Result<Name<'data>, Exceeded> {
    // At most two bytes come of one.
    budget.memory((line.len() as u64).saturating_mul(2))?;
    match unescape(line) {
        Ok(bytes) if bytes == line => Ok(Name::Plain(line)),
        Ok(bytes) => Ok(Name::Unescaped(bytes.into())),
        Err(_) => {
            *problem = Some("an operand that cannot be read");
            Ok(Name::Plain(line))
        }
    }
}

impl fmt::Display for Thing<'_> {
    /// In words, a long text cut short.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "str {}", clipped(&Quoted(text.as_bytes()))),
            Self::Global(module, name) => {
                write!(f, "global {}.{}", clipped(module), clipped(name))
            }
            Self::Made(module, name) => write!(f, "{}.{}(…)", clipped(module), clipped(name)),
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
        if let Some(thing @ (Thing::Global(..) | Thing::Made(..))) = &note.result {
            write!(f, ", {thing}")?;
        }
        match note.problem {
            Some(problem) => write!(f, ", ! {problem}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::assemble;

    fn notes(text: &str) -> Vec<String> {
        let bytes = assemble(text).unwrap();
        let mut budget = Budget::default();
        let lines = Annotated::new(&bytes, FileOffset(0), &mut budget);
        lines.map(|line| line.unwrap().to_string().split_once("; ").unwrap().1.to_owned()).collect()
    }

    #[test]
    fn what_is_called_and_stored_is_named() {
        let text = r#"
            PROTO 4
            SHORT_BINUNICODE "torch._utils"
            MEMOIZE
            UNICODE "_rebuild_tensor_v\\u0032"
            STACK_GLOBAL
            MEMOIZE
            MARK
            BINGET 0
            MARK
            TUPLE
            TUPLE
            REDUCE
            LONG_BINPUT 4294967295
            EMPTY_DICT
            BUILD
            STOP"#;
        assert_eq!(
            notes(text),
            [
                "stack 0",
                "stack 1",
                "stack 1, memo 0 = str \"torch._utils\"",
                "stack 2",
                "stack 1, global torch._utils._rebuild_tensor_v2",
                "stack 1, memo 1 = global torch._utils._rebuild_tensor_v2",
                "stack 1, marks 1",
                "stack 2, marks 1",
                "stack 2, marks 2",
                "stack 3, marks 1",
                "stack 2",
                "stack 1, torch._utils._rebuild_tensor_v2(…)",
                "stack 1, memo 4294967295 = torch._utils._rebuild_tensor_v2(…)",
                "stack 2",
                "stack 1, torch._utils._rebuild_tensor_v2(…)",
                "stack 0",
            ]
        );
    }

    #[test]
    fn what_is_missing_is_noted_and_the_rest_followed() {
        assert_eq!(
            notes("POP\nTUPLE\nMARK\nPOP\nBINGET 7\nMARK\nTUPLE1\nSTOP\nBINGET 7\nSTOP"),
            [
                "stack 0, ! the stack holds too little",
                "stack 1, ! no mark on the stack",
                "stack 1, marks 1",
                "stack 1",
                "stack 2, ! nothing was stored in the memo there",
                "stack 2, marks 1",
                "stack 3, marks 1, ! the stack holds too little",
                "stack 2, marks 1",
                "stack 1, ! nothing was stored in the memo there",
                "stack 0",
            ]
        );
    }

    #[test]
    fn long_texts_are_cut_and_names_made_visible() {
        let text = format!("SHORT_BINUNICODE \"{}\"\nMEMOIZE", "x".repeat(200));
        let bytes = assemble(&text).unwrap();
        let mut budget = Budget::default();
        let lines: Vec<_> = Annotated::new(&bytes, FileOffset(9), &mut budget)
            .map(|line| line.unwrap().to_string())
            .collect();
        assert!(lines.iter().all(|line| line.chars().count() < 170), "{lines:?}");
        assert!(lines[0].starts_with("     9: 8c SHORT_BINUNICODE \"xxx"));
        let notes = notes("GLOBAL \"a\\x1b[2J\" \"b\\xff\"");
        assert_eq!(notes, ["stack 1, global a\\u{1b}[2J.b\\xff"]);
    }
}
