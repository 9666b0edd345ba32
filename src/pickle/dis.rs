//! Bytes → text: every operation of every pickle, and whatever is none.

use std::fmt::{self, Write};

use super::asm::{shortest_integer, takes_integer};
use super::decode::Ops;
use super::error::Error;
use super::graph::InlineArray;
use super::opcode::{Form, Op};
use crate::base::FileOffset;

/// The text of `bytes` in the form that [`assemble`](super::assemble) reads: assembling it
/// gives `bytes` again, whatever they are.
///
/// Takes at most 24 bytes of text for each byte. [`Disassembly`] gives the same lines one by
/// one, at no cost in memory.
///
/// ```
/// use depickle::pickle::{assemble, disassemble};
///
/// let text = disassemble(b"\x80\x02K\x07.\xff");
/// assert_eq!(text, "PROTO 2\nBININT1 7\nSTOP\n.bytes \"\\xff\"\n");
/// assert_eq!(assemble(&text)?, b"\x80\x02K\x07.\xff");
/// # Ok::<(), depickle::pickle::AssembleError>(())
/// ```
#[must_use]
pub fn disassemble(bytes: &[u8]) -> String {
    Disassembly::new(bytes, FileOffset(0)).to_string()
}

/// The lines of a disassembly: the operations of all pickles in a row, then, in pieces, the
/// bytes from the first on that begin no operation.
#[derive(Clone, Debug)]
pub struct Disassembly<'data> {
    rest: &'data [u8],
    at: FileOffset,
    decodes: bool,
    /// Arrays still to come, the next one last.
    arrays: Vec<InlineArray>,
    /// Bytes of an array still to be told.
    array_left: u64,
}

/// One line of a disassembly.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'data> {
    /// Where it begins in the file.
    pub offset: FileOffset,
    /// All its bytes.
    pub bytes: &'data [u8],
    /// What they are.
    pub content: Content<'data>,
}

/// What a line holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Content<'data> {
    /// An operation.
    Op(Op<'data>),
    /// The elements of an array that joblib wrote between operations: so many bytes, padding
    /// before them included, of which this line has the first.
    Array(u64),
    /// Bytes that are none, and why.
    Undecodable(Error),
    /// More of those bytes.
    More,
}

impl<'data> Disassembly<'data> {
    /// Bytes of joblib's arrays, or that are no operation, stand in lines of so many.
    const PIECE: usize = 32;

    /// Disassembles `bytes`, which begin at `base` in their file.
    #[must_use]
    pub const fn new(bytes: &'data [u8], base: FileOffset) -> Self {
        Self { rest: bytes, at: base, decodes: true, arrays: Vec::new(), array_left: 0 }
    }

    /// Told where arrays stand between operations: by
    /// [`Graph::inline_arrays`](super::Graph::inline_arrays) of what the stream made.
    #[must_use]
    pub fn with_arrays(mut self, arrays: impl IntoIterator<Item = InlineArray>) -> Self {
        self.arrays = arrays.into_iter().filter(|array| !array.pickled && array.len > 0).collect();
        self.arrays.reverse();
        self
    }

    /// The next bytes of an array.
    fn array(&mut self, content: Content<'data>) -> Line<'data> {
        let len = self.array_left.min(Self::PIECE as u64);
        self.array_left = self.array_left.saturating_sub(len);
        self.line(usize::try_from(len).unwrap_or(Self::PIECE), content)
    }

    /// The line that spells these bytes, whatever they are.
    #[must_use]
    pub fn raw(bytes: &'data [u8]) -> impl fmt::Display + 'data {
        struct Raw<'data>(&'data [u8]);
        impl fmt::Display for Raw<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, ".bytes {}", Quoted(self.0))
            }
        }
        Raw(bytes)
    }

    fn line(&mut self, len: usize, content: Content<'data>) -> Line<'data> {
        let (bytes, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, &[]));
        let line = Line { offset: self.at, bytes, content };
        self.rest = rest;
        self.at = self.at.plus(bytes.len() as u64);
        line
    }
}

impl<'data> Iterator for Disassembly<'data> {
    type Item = Line<'data>;

    fn next(&mut self) -> Option<Line<'data>> {
        if self.rest.is_empty() {
            return None;
        }
        if self.array_left > 0 {
            return Some(self.array(Content::More));
        }
        if let Some(array) = self.arrays.pop_if(|array| array.at == self.at) {
            self.array_left = array.len;
            return Some(self.array(Content::Array(array.len)));
        }
        if !self.decodes {
            return Some(self.line(Self::PIECE, Content::More));
        }
        let mut ops = Ops::at(self.rest, self.at);
        Some(match ops.next()? {
            Ok((_, op)) => {
                let len = self.rest.len().saturating_sub(ops.rest().len());
                self.line(len, Content::Op(op))
            }
            Err(why) => {
                self.decodes = false;
                self.line(Self::PIECE, Content::Undecodable(why))
            }
        })
    }
}

impl fmt::Display for Disassembly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clone().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Op(op) => {
                f.write_str(op.opcode().name())?;
                self.write_operand(f)
            }
            _ => write!(f, ".bytes {}", Quoted(self.bytes)),
        }
    }
}

impl Line<'_> {
    /// The operand as the assembler reads it; nothing if there is none. What is written of it
    /// is all that it costs.
    #[must_use]
    pub fn operand(&self) -> impl fmt::Display {
        struct Operand<'line>(&'line Line<'line>);
        impl fmt::Display for Operand<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write_operand(f)
            }
        }
        Operand(self)
    }

    /// Writes the operand as the assembler reads it, after a space; nothing if there is none.
    pub(super) fn write_operand(&self, out: &mut impl Write) -> fmt::Result {
        let Content::Op(op) = &self.content else { return Ok(()) };
        let operand = self.bytes.get(1..).unwrap_or_default();
        let counted = |width| operand.get(width..).unwrap_or_default();
        let opcode = op.opcode();
        match opcode.form() {
            Form::none => Ok(()),
            Form::uint1 | Form::uint2 | Form::uint4 | Form::uint8 => {
                write!(out, " {}", unsigned(operand))
            }
            Form::int4 => write!(out, " {}", signed(operand)),
            Form::float8 => write_float(operand, out),
            Form::len1 if takes_integer(opcode) => write_integer(counted(1), out),
            Form::len4s if takes_integer(opcode) => write_integer(counted(4), out),
            Form::len1 => write!(out, " {}", Quoted(counted(1))),
            Form::len4 | Form::len4s => write!(out, " {}", Quoted(counted(4))),
            Form::len8 => write!(out, " {}", Quoted(counted(8))),
            Form::line | Form::line2 => operand
                .strip_suffix(b"\n")
                .unwrap_or(operand)
                .split(|&byte| byte == b'\n')
                .try_for_each(|line| write_line(line, out)),
        }
    }
}

/// Up to eight little-endian bytes.
fn unsigned(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
    u64::from_le_bytes(word)
}

/// Up to 16 little-endian bytes in two's complement.
fn signed(bytes: &[u8]) -> i128 {
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut word = [if negative { 0xff } else { 0 }; 16];
    word.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
    i128::from_le_bytes(word)
}

fn write_float(bytes: &[u8], out: &mut impl Write) -> fmt::Result {
    let bits = bytes.iter().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
    let value = f64::from_bits(bits);
    // A NaN has bits that no decimal says.
    if value.is_nan() { write!(out, " {bits:#018x}") } else { write!(out, " {value:?}") }
}

/// An integer, if the assembler would make the same bytes of it.
fn write_integer(bytes: &[u8], out: &mut impl Write) -> fmt::Result {
    if bytes.len() <= 16 && shortest_integer(bytes) == bytes {
        return write!(out, " {}", signed(bytes));
    }
    write!(out, " {}", Quoted(bytes))
}

/// A line operand: a word if it can be one.
fn write_line(line: &[u8], out: &mut impl Write) -> fmt::Result {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b';');
    match std::str::from_utf8(line) {
        Ok(word) if !word.is_empty() && line.iter().all(plain) => write!(out, " {word}"),
        _ => write!(out, " {}", Quoted(line)),
    }
}

/// Bytes in quotes, escaped as the assembler reads them.
pub(super) struct Quoted<'data>(pub &'data [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for &byte in self.0 {
            match byte {
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' => f.write_char(byte.into())?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::{Opcode, assemble};
    use proptest::prelude::*;

    #[test]
    fn operands_are_readable() {
        let line = |bytes: &[u8]| disassemble(bytes).trim_end().to_owned();
        assert_eq!(line(b"K\xff"), "BININT1 255");
        assert_eq!(line(b"J\xfe\xff\xff\xff"), "BININT -2");
        assert_eq!(line(b"G\x3f\xb9\x99\x99\x99\x99\x99\x9a"), "BINFLOAT 0.1");
        assert_eq!(line(b"G\x80\0\0\0\0\0\0\0"), "BINFLOAT -0.0");
        assert_eq!(line(b"G\x7f\xf8\0\0\0\0\0\x01"), "BINFLOAT 0x7ff8000000000001");
        assert_eq!(line(b"\x8a\x01\xff"), "LONG1 -1");
        assert_eq!(line(b"\x8a\x02\xff\xff"), r#"LONG1 "\xff\xff""#);
        assert_eq!(line(b"\x8a\x00"), "LONG1 0");
        assert_eq!(line(b"\x8a\x01\x00"), r#"LONG1 "\x00""#);
        assert_eq!(line(b"X\x02\0\0\0\xc3\xa9"), r#"BINUNICODE "\xc3\xa9""#);
        assert_eq!(line(b"cos\nsystem\n"), "GLOBAL os system");
        assert_eq!(line(b"c\na b\n"), r#"GLOBAL "" "a b""#);
        assert_eq!(line(b"S'a;b'\n"), r#"STRING "'a;b'""#);
        assert_eq!(line(b"I01\n"), "INT 01");
    }

    #[test]
    fn what_is_no_operation_stands_in_pieces_with_the_reason() {
        let bytes = [&b"N.NX\xff"[..], &[7; 40]].concat();
        let lines: Vec<Line> = Disassembly::new(&bytes, FileOffset(100)).collect();
        let offsets: Vec<u64> = lines.iter().map(|line| line.offset.0).collect();
        assert_eq!(offsets, [100, 101, 102, 103, 135]);
        let Content::Undecodable(why) = &lines[3].content else { panic!("{lines:?}") };
        assert_eq!(why.offset(), FileOffset(103));
        assert_eq!(lines[4].content, Content::More);
    }

    /// Bytes that are mostly operations.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let opcodes: Vec<u8> = Opcode::all().map(Opcode::byte).collect();
        let piece = prop_oneof![
            4 => prop::sample::select(opcodes).prop_map(|byte| vec![byte]),
            2 => prop::collection::vec(0..6_u8, 0..9),
            1 => prop::collection::vec(any::<u8>(), 0..9),
            1 => "[ -~]{0,5}\n".prop_map(String::into_bytes),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn disassembly_loses_nothing(bytes in stream()) {
            let text = disassemble(&bytes);
            prop_assert_eq!(assemble(&text).unwrap(), bytes.clone(), "{}", text);
            prop_assert!(text.len() <= 24 * bytes.len());
        }

        #[test]
        fn assembling_any_text_never_panics(text in any::<String>()) {
            let _ = assemble(&text);
        }
    }
}
