//! What each operation does to stack and memo, followed by the columns of the table: the
//! annotations of a disassembly.
//!
//! Runs nothing and refuses nothing. Where an operation lacks what it needs this is noted, and
//! the next one is followed from what is left; only the machine says whether a stream is sound.

mod slots;
mod text;

use self::slots::{Memo, Slot, Slots};
use super::InlineArray;
use super::dis::{Content, Disassembly, Line};
use super::opcode::Op;
use super::policy::Policy;
use super::text as operand;
use crate::base::{Budget, Exceeded, FileOffset};

pub use slots::{Name, Thing};

use std::mem::take;

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
    trace: Trace<'data, 'budget>,
    /// Pickles in the pickle still to come, the next one last.
    inner: Vec<InlineArray>,
    budget: &'budget mut Budget,
}

impl<'data, 'budget> Annotated<'data, 'budget> {
    /// Disassembles `bytes`, which begin at `base` in their file. Stack and memo are paid for
    /// from `budget`, at most 64 bytes for each byte read; of what CPython writes, about one.
    pub fn new(bytes: &'data [u8], base: FileOffset, budget: &'budget mut Budget) -> Self {
        let trace = Trace::new(bytes, base);
        Self { lines: Disassembly::new(bytes, base), trace, inner: Vec::new(), budget }
    }

    /// As [`Disassembly::with_arrays`].
    #[must_use]
    pub fn with_arrays(mut self, arrays: impl IntoIterator<Item = InlineArray> + Clone) -> Self {
        self.lines = self.lines.with_arrays(arrays.clone());
        self.inner = arrays.into_iter().filter(|array| array.pickled).collect();
        self.inner.reverse();
        self
    }

    /// Explains extension codes as `policy` does. It refuses nothing here.
    #[must_use]
    pub fn with_extensions(mut self, policy: &'budget Policy) -> Self {
        self.trace.extensions = Some(policy);
        self
    }
}

impl<'data> Iterator for Annotated<'data, '_> {
    type Item = Result<AnnotatedLine<'data>, Exceeded>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        if self.inner.pop_if(|inner| inner.at == line.offset).is_some() {
            self.trace.enter();
        }
        let note = match &line.content {
            Content::Op(op) => self.trace.step(line.offset, op, self.budget),
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
    /// Objects on the stack before it, marks not counted.
    pub before: usize,
    /// Objects on the stack after it.
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

#[derive(Debug)]
struct Trace<'data, 'policy> {
    slots: Slots<'data>,
    base: FileOffset,
    stack: Vec<Slot>,
    marks: Vec<usize>,
    memo: Memo,
    /// What waits while a pickle in the pickle is followed.
    outer: Option<(Vec<Slot>, Vec<usize>, Memo)>,
    extensions: Option<&'policy Policy>,
}

/// What an operation took from the stack: its lowest two objects.
struct Taken {
    first: Option<Slot>,
    second: Option<Slot>,
    problem: Option<&'static str>,
}

const SHORT_LINE: usize = 256;
const SHORT: &str = "the stack holds too little";

impl<'data> Trace<'data, '_> {
    fn new(bytes: &'data [u8], base: FileOffset) -> Self {
        Self {
            slots: Slots::new(bytes),
            base,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Memo::default(),
            outer: None,
            extensions: None,
        }
    }

    fn step(
        &mut self,
        at: FileOffset,
        op: &Op<'data>,
        budget: &mut Budget,
    ) -> Result<Note<'data>, Exceeded> {
        let before = self.stack.len();
        let mut taken = self.take(op);
        let mut memo = None;
        let mut result = None;
        for &pushed in op.opcode().pushes() {
            if pushed == "mark" {
                budget.push(&mut self.marks, self.stack.len())?;
                continue;
            }
            let slot = self.slot(at, op, pushed, &mut taken, budget)?;
            budget.push(&mut self.stack, slot)?;
            result = Some(slot);
        }
        if let Some(index) = self.put_index(op) {
            match self.stack.last().filter(|_| self.stack.len() > self.fence()).copied() {
                Some(top) => {
                    self.memo.put(index, top, budget)?;
                    memo = Some((index, self.slots.thing(top)));
                }
                None => taken.problem = Some(SHORT),
            }
            // MEMOIZE takes its object and gives it back.
            result = None;
        }
        let result = result.map(|slot| self.slots.thing(slot));
        let (depth, marks, problem) = (self.stack.len(), self.marks.len(), taken.problem);
        let note = Note { before, depth, marks, memo, result, problem };
        if *op == Op::Stop {
            let (stack, marks, memo) = self.outer.take().unwrap_or_default();
            (self.stack, self.marks, self.memo) = (stack, marks, memo);
        }
        Ok(note)
    }

    /// Goes on with a pickle in the pickle: what it makes takes the place of what is on top,
    /// which is left there for it.
    fn enter(&mut self) {
        let outer = (take(&mut self.stack), take(&mut self.marks), take(&mut self.memo));
        self.outer = Some(outer);
    }

    fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// Takes off the stack what the table says.
    fn take(&mut self, op: &Op) -> Taken {
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
                    problem = Some(SHORT);
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
            problem = problem.or(Some(SHORT));
            fence
        });
        let mut taken = self.stack.drain(bottom.min(self.stack.len())..);
        let (first, second) = (taken.next(), taken.next());
        Taken { first, second, problem }
    }

    /// What an operation leaves on the stack.
    fn slot(
        &mut self,
        at: FileOffset,
        op: &Op<'data>,
        pushed: &'static str,
        taken: &mut Taken,
        budget: &mut Budget,
    ) -> Result<Slot, Exceeded> {
        let Taken { first, second, problem } = taken;
        let here = at.0.saturating_sub(self.base.0);
        let slots = &mut self.slots;
        Ok(match *op {
            Op::Global((module, name)) => {
                slots.global(Name::Plain(module), Name::Plain(name), budget)?
            }
            Op::Inst((module, name)) => {
                slots.global(Name::Plain(module), Name::Plain(name), budget)?.made()
            }
            Op::StackGlobal => {
                let text = |slot: &Option<Slot>| match slot.map(|slot| slots.thing(slot)) {
                    Some(Thing::Text(text)) => Some(text),
                    _ => None,
                };
                if let (Some(module), Some(name)) = (text(first), text(second)) {
                    return slots.global(module, name, budget);
                }
                *problem = problem.or(Some("a global whose name is no text here"));
                slots.some(pushed)
            }
            Op::Reduce | Op::NewObj | Op::NewObjEx | Op::Obj => {
                first.and_then(Slot::called).unwrap_or_else(|| slots.some(pushed))
            }
            Op::Ext1(code) => self.extension(code.into(), pushed, budget)?,
            Op::Ext2(code) => self.extension(code.into(), pushed, budget)?,
            Op::Ext4(code) => self.extension(code.into(), pushed, budget)?,
            Op::BinUnicode(_) | Op::ShortBinUnicode(_) | Op::BinUnicode8(_) => Slot::text(here),
            Op::Unicode(line) => match operand::unicode(line) {
                // Where a line ends is looked for each time.
                Ok(text) if text == line && line.len() <= SHORT_LINE => Slot::text(here),
                Ok(text) => slots.unescaped(text, budget)?,
                Err(_) => {
                    *problem = Some(UNREADABLE);
                    slots.some(pushed)
                }
            },
            // A Python 2 string is a text to Python, if it is ASCII.
            Op::String(line) => match operand::string(line) {
                Ok(text) if text.is_ascii() => slots.unescaped(text, budget)?,
                Ok(_) => slots.some(pushed),
                Err(_) => {
                    *problem = Some(UNREADABLE);
                    slots.some(pushed)
                }
            },
            Op::BinString(bytes) | Op::ShortBinString(bytes) if bytes.is_ascii() => {
                Slot::text(here)
            }
            Op::Get(_) | Op::BinGet(_) | Op::LongBinGet(_) => {
                let found = get_index(op).and_then(|index| self.memo.get(index));
                if found.is_none() {
                    *problem = Some("nothing was stored in the memo there");
                }
                found.unwrap_or_else(|| slots.some(pushed))
            }
            Op::Dup
            | Op::Memoize
            | Op::Build
            | Op::Append
            | Op::Appends
            | Op::SetItem
            | Op::SetItems
            | Op::AddItems
            | Op::ReadOnlyBuffer => first.unwrap_or_else(|| slots.some(pushed)),
            _ => slots.some(pushed),
        })
    }

    /// What stands behind an extension code, if the registry says.
    fn extension(
        &mut self,
        code: i64,
        pushed: &'static str,
        budget: &mut Budget,
    ) -> Result<Slot, Exceeded> {
        let known = u32::try_from(code).ok();
        let known = known.and_then(|code| Some((code, self.extensions?.extension(code)?)));
        match known {
            Some((code, (module, name))) => self.slots.registered(code, module, name, budget),
            None => Ok(self.slots.some(pushed)),
        }
    }

    /// The memo slot an operation writes.
    fn put_index(&self, op: &Op) -> Option<u64> {
        match *op {
            Op::Put(index) => operand::index(index).ok(),
            Op::BinPut(index) => Some(index.into()),
            Op::LongBinPut(index) => Some(index.into()),
            Op::Memoize => Some(self.memo.stored()),
            _ => None,
        }
    }
}

const UNREADABLE: &str = "an operand that cannot be read";

fn get_index(op: &Op) -> Option<u64> {
    match *op {
        Op::Get(index) => operand::index(index).ok(),
        Op::BinGet(index) => Some(index.into()),
        Op::LongBinGet(index) => Some(index.into()),
        _ => None,
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
    fn what_calls_return_and_codes_mean_is_followed() {
        let policy = Policy::inspect().with_extension(7, "m", "f");
        let bytes =
            assemble("EXT1 7\nEXT2 8\nEXT4 7\nEMPTY_TUPLE\nREDUCE\nEMPTY_TUPLE\nREDUCE").unwrap();
        let mut budget = Budget::default();
        let lines = Annotated::new(&bytes, FileOffset(0), &mut budget).with_extensions(&policy);
        let things: Vec<String> =
            lines.map(|line| line.unwrap().note.result.unwrap().to_string()).collect();
        let made = ["tuple", "m.f(…)", "tuple", "m.f(…)(…)"];
        assert_eq!(things, [&["global m.f", "any", "global m.f"][..], &made].concat());
    }

    #[test]
    fn memory_is_at_most_64_bytes_for_each_byte() {
        let kinds = [
            "NONE",
            "MARK",
            "DUP",
            "NONE\nMEMOIZE",
            "NONE\nLONG_BINPUT 7\nMEMOIZE",
            "GLOBAL \"\" \"\"",
            "UNICODE \"\\\\u0041\"\nDUP\nSTACK_GLOBAL",
            "STRING ''",
            "EXT1 7",
            "SHORT_BINUNICODE \"\"\nMEMOIZE",
            "SHORT_BINUNICODE \"\"\nDUP\nSTACK_GLOBAL\nMEMOIZE",
            "GLOBAL a b\nEMPTY_TUPLE\nREDUCE\nDUP",
        ];
        let policy = Policy::inspect().with_extension(7, "m", "f");
        for kind in kinds {
            let once = assemble(kind).unwrap();
            let bytes = once.repeat((1 << 20) / once.len());
            let mut budget = Budget::default();
            let lines = Annotated::new(&bytes, FileOffset(0), &mut budget).with_extensions(&policy);
            assert!(lines.map(Result::unwrap).count() > 10_000);
            let each = budget.memory_taken() / bytes.len() as u64;
            assert!(each < 64, "{kind}: {each} bytes for each byte");
        }
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
