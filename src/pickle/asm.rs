//! Text → bytes: one operation a line, from the table of opcodes.
//!
//! ```text
//! PROTO 2                    ; a comment
//! GLOBAL collections OrderedDict
//! BINUNICODE "caf\xc3\xa9"
//! BINFLOAT 1.5
//! LONG1 -1
//! .bytes "\x80\x02"          ; raw bytes: for what no operation spells
//! ```
//!
//! - Names are `pickletools`'. Operands of fixed size are numbers, in decimal or `0x`; a float
//!   in `0x` is the bits of it, so that every NaN can be written.
//! - Operands with a length are quoted bytes; the length is never written, so what lies about
//!   it is spelled with `.bytes`. LONG1 and LONG4 also take a number.
//! - Operands that are lines are words, or quoted bytes if they hold spaces, `;`, `"`,
//!   nothing, or what is not printable.
//! - In quotes, `\n`, `\r`, `\t`, `\"`, `\\` and `\xNN` stand for one byte each.
//!
//! [`disassemble`](super::disassemble) writes this form; assembling that gives the same bytes,
//! whatever they were.

use std::fmt;

use super::opcode::{Form, Opcode};
use super::text;

/// What is wrong with a line of assembly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssembleError {
    line: usize,
    column: usize,
    what: Box<str>,
}

impl AssembleError {
    /// The line, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for AssembleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for AssembleError {}

/// The bytes that `text` spells. See the module's description for the form.
///
/// Time and memory are in proportion to the text.
///
/// ```
/// use depickle::pickle::assemble;
///
/// assert_eq!(assemble("BININT1 7 ; seven\nSTOP")?, b"K\x07.");
/// assert_eq!(
///     assemble("BININT1 256").unwrap_err().to_string(),
///     "line 1, column 9: 256 does not fit: BININT1 takes 0 to 255"
/// );
/// # Ok::<(), depickle::pickle::AssembleError>(())
/// ```
///
/// # Errors
/// [`AssembleError`] with the first line that is not of that form.
pub fn assemble(text: &str) -> Result<Vec<u8>, AssembleError> {
    let mut out = Vec::new();
    for (index, line) in text.lines().enumerate() {
        assemble_line(line, &mut out).map_err(|Wrong { at, what }| AssembleError {
            line: index.saturating_add(1),
            column: line.get(..at).map_or(1, |before| before.chars().count().saturating_add(1)),
            what: what.into(),
        })?;
    }
    Ok(out)
}

/// What is wrong in a line, and at which of its bytes.
struct Wrong {
    at: usize,
    what: String,
}

fn wrong<T>(at: usize, what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { at, what: what.into() })
}

fn assemble_line(line: &str, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let mut tokens = Tokens { line, at: 0 };
    let Some(name) = tokens.next()? else { return Ok(()) };
    match name.word()? {
        ".bytes" => {
            let Some(token) = tokens.next()? else { return wrong(tokens.at, "no bytes given") };
            out.extend_from_slice(token.quoted()?);
        }
        word => {
            let Some(opcode) = Opcode::from_name(word) else {
                return wrong(name.at, format!("no operation is called {word}"));
            };
            out.push(opcode.byte());
            operand(opcode, &mut tokens, out)?;
        }
    }
    match tokens.next()? {
        Some(token) => wrong(token.at, "nothing more may stand on this line"),
        None => Ok(()),
    }
}

/// A piece of a line, and the byte of the line where it begins.
struct Token<'line> {
    at: usize,
    content: Content<'line>,
}

enum Content<'line> {
    Word(&'line str),
    Quoted(Vec<u8>),
}

impl<'line> Token<'line> {
    fn word(&self) -> Result<&'line str, Wrong> {
        match self.content {
            Content::Word(word) => Ok(word),
            Content::Quoted(_) => wrong(self.at, "a word is wanted here, not quoted bytes"),
        }
    }

    fn quoted(&self) -> Result<&[u8], Wrong> {
        match &self.content {
            Content::Quoted(bytes) => Ok(bytes),
            Content::Word(_) => wrong(self.at, "quoted bytes are wanted here"),
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Word(word) => word.as_bytes(),
            Content::Quoted(bytes) => bytes,
        }
    }
}

struct Tokens<'line> {
    line: &'line str,
    at: usize,
}

impl<'line> Tokens<'line> {
    fn rest(&self) -> &'line str {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn next(&mut self) -> Result<Option<Token<'line>>, Wrong> {
        let rest = self.rest();
        self.skip(rest.len().saturating_sub(rest.trim_start().len()));
        let (at, rest) = (self.at, self.rest());
        if rest.is_empty() || rest.starts_with(';') {
            return Ok(None);
        }
        let content = if rest.starts_with('"') {
            self.skip(1);
            Content::Quoted(self.quoted(at)?)
        } else {
            let ends = |char: char| char.is_whitespace() || matches!(char, ';' | '"');
            let word = rest.split(ends).next().unwrap_or_default();
            self.skip(word.len());
            Content::Word(word)
        };
        Ok(Some(Token { at, content }))
    }

    /// What stands up to the closing quote; the opening one, at `start`, has been read.
    fn quoted(&mut self, start: usize) -> Result<Vec<u8>, Wrong> {
        let mut bytes = Vec::new();
        loop {
            let rest = self.rest();
            let plain = rest.split(['"', '\\']).next().unwrap_or_default();
            bytes.extend_from_slice(plain.as_bytes());
            self.skip(plain.len());
            match self.rest().as_bytes() {
                [b'"', ..] => {
                    self.skip(1);
                    return Ok(bytes);
                }
                [b'\\', escape @ ..] => {
                    let Some((byte, len)) = unescape(escape) else {
                        return wrong(self.at, "unknown escape: \\n \\r \\t \\\" \\\\ \\xNN exist");
                    };
                    bytes.push(byte);
                    self.skip(len);
                }
                _ => return wrong(start, "no quote ends what begins here"),
            }
        }
    }
}

/// The byte an escape stands for and the escape's length, backslash included.
fn unescape(escape: &[u8]) -> Option<(u8, usize)> {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(match *escape {
        [b'n', ..] => (b'\n', 2),
        [b'r', ..] => (b'\r', 2),
        [b't', ..] => (b'\t', 2),
        [byte @ (b'"' | b'\\'), ..] => (byte, 2),
        [b'x', high, low, ..] => (hex(high)? << 4 | hex(low)?, 4),
        _ => return None,
    })
}

fn operand(opcode: Opcode, tokens: &mut Tokens, out: &mut Vec<u8>) -> Result<(), Wrong> {
    match opcode.form() {
        Form::none => {}
        Form::uint1 => number(opcode, tokens, 0, u8::MAX.into(), 1, out)?,
        Form::uint2 => number(opcode, tokens, 0, u16::MAX.into(), 2, out)?,
        Form::uint4 => number(opcode, tokens, 0, u32::MAX.into(), 4, out)?,
        Form::uint8 => number(opcode, tokens, 0, u64::MAX.into(), 8, out)?,
        Form::int4 => number(opcode, tokens, i32::MIN.into(), i32::MAX.into(), 4, out)?,
        Form::float8 => {
            let token = want(opcode, tokens)?;
            let Some(value) = float(token.word()?) else { return wrong(token.at, "not a float") };
            out.extend_from_slice(&value.to_bits().to_be_bytes());
        }
        Form::len1 => counted(opcode, tokens, u8::MAX.into(), 1, out)?,
        Form::len4 => counted(opcode, tokens, u32::MAX.into(), 4, out)?,
        Form::len4s => counted(opcode, tokens, i32::MAX.unsigned_abs().into(), 4, out)?,
        Form::len8 => counted(opcode, tokens, u64::MAX, 8, out)?,
        Form::line => line(opcode, tokens, out)?,
        Form::line2 => {
            line(opcode, tokens, out)?;
            line(opcode, tokens, out)?;
        }
    }
    Ok(())
}

fn want<'line>(opcode: Opcode, tokens: &mut Tokens<'line>) -> Result<Token<'line>, Wrong> {
    match tokens.next()? {
        Some(token) => Ok(token),
        None => wrong(tokens.at, format!("{opcode} wants another operand")),
    }
}

fn number(
    opcode: Opcode,
    tokens: &mut Tokens,
    least: i128,
    most: i128,
    width: usize,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let token = want(opcode, tokens)?;
    let word = token.word()?;
    let Some(value) = integer(word) else { return wrong(token.at, "not an integer") };
    if !(least..=most).contains(&value) {
        let what = format!("{word} does not fit: {opcode} takes {least} to {most}");
        return wrong(token.at, what);
    }
    out.extend(value.to_le_bytes().iter().take(width));
    Ok(())
}

/// An integer in decimal or, after `0x`, in hexadecimal.
fn integer(word: &str) -> Option<i128> {
    match word.strip_prefix("0x") {
        Some(digits) if !digits.starts_with('+') => i128::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => word.parse().ok(),
    }
}

/// A float in decimal or, after `0x`, its bits.
fn float(word: &str) -> Option<f64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(f64::from_bits),
        None => word.parse().ok(),
    }
}

fn counted(
    opcode: Opcode,
    tokens: &mut Tokens,
    most: u64,
    width: usize,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let token = want(opcode, tokens)?;
    let integer = match token.content {
        Content::Word(word) if takes_integer(opcode) => match integer(word) {
            Some(value) => Some(value.to_le_bytes()),
            None => return wrong(token.at, "neither an integer of 127 bits nor quoted bytes"),
        },
        _ => None,
    };
    let bytes = match &integer {
        Some(bytes) => shortest_integer(bytes),
        None => token.quoted()?,
    };
    let len = bytes.len() as u64;
    if len > most {
        return wrong(token.at, format!("{len} bytes are too many for {opcode}: at most {most}"));
    }
    out.extend(len.to_le_bytes().iter().take(width));
    out.extend_from_slice(bytes);
    Ok(())
}

/// Whether the counted bytes of this operation are an integer: LONG1 and LONG4.
pub(super) fn takes_integer(opcode: Opcode) -> bool {
    opcode.pushes() == ["int"]
}

/// Two's complement as CPython writes it for LONG1: no bytes for 0.
pub(super) fn shortest_integer(bytes: &[u8]) -> &[u8] {
    match text::shortest(bytes) {
        [0] => &[],
        bytes => bytes,
    }
}

fn line(opcode: Opcode, tokens: &mut Tokens, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let token = want(opcode, tokens)?;
    let bytes = token.bytes();
    if bytes.contains(&b'\n') {
        return wrong(token.at, "a newline would end this operand");
    }
    out.extend_from_slice(bytes);
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Vec<u8>, String> {
        assemble(line).map_err(|why| why.to_string())
    }

    #[test]
    fn operands_of_every_form() {
        for (line, want) in [
            ("NONE", &b"N"[..]),
            ("  NONE;comment", b"N"),
            ("; comment only", b""),
            ("", b""),
            ("BININT1 255", b"K\xff"),
            ("BININT1 0xff", b"K\xff"),
            ("BININT2 513", b"M\x01\x02"),
            ("BININT -1", b"J\xff\xff\xff\xff"),
            ("LONG_BINPUT 4294967295", b"r\xff\xff\xff\xff"),
            ("FRAME 18446744073709551615", b"\x95\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("BINFLOAT 1", b"G\x3f\xf0\0\0\0\0\0\0"),
            ("BINFLOAT -inf", b"G\xff\xf0\0\0\0\0\0\0"),
            ("BINFLOAT 0x7ff0000000000001", b"G\x7f\xf0\0\0\0\0\0\x01"),
            ("SHORT_BINSTRING \"a;b\\x00\\\"\\\\\"", b"U\x06a;b\0\"\\"),
            ("BINUNICODE \"é\"", b"X\x02\0\0\0\xc3\xa9"),
            ("BINSTRING \"\"", b"T\0\0\0\0"),
            ("BINBYTES8 \"x\"", b"\x8e\x01\0\0\0\0\0\0\0x"),
            ("LONG1 0", b"\x8a\0"),
            ("LONG1 -1", b"\x8a\x01\xff"),
            ("LONG1 255", b"\x8a\x02\xff\0"),
            ("LONG1 \"\\xff\\xff\"", b"\x8a\x02\xff\xff"),
            ("LONG4 128", b"\x8b\x02\0\0\0\x80\0"),
            ("INT 01", b"I01\n"),
            ("INT \"\"", b"I\n"),
            ("STRING 'abc'", b"S'abc'\n"),
            ("GLOBAL os \"sys tem\"", b"cos\nsys tem\n"),
            (".bytes \"\\x80\\xff\"", b"\x80\xff"),
        ] {
            assert_eq!(one(line).as_deref(), Ok(want), "{line}");
        }
    }

    #[test]
    fn errors_name_line_and_column() {
        for (line, want) in [
            ("NONES", "line 1, column 1: no operation is called NONES"),
            ("NONE 1", "line 1, column 6: nothing more may stand on this line"),
            ("BININT2", "line 1, column 8: BININT2 wants another operand"),
            ("BININT2 x", "line 1, column 9: not an integer"),
            ("BININT2 -1", "line 1, column 9: -1 does not fit: BININT2 takes 0 to 65535"),
            ("BINFLOAT x", "line 1, column 10: not a float"),
            ("BINUNICODE x", "line 1, column 12: quoted bytes are wanted here"),
            ("BINUNICODE \"x", "line 1, column 12: no quote ends what begins here"),
            (
                "BINUNICODE \"é\\q\"",
                "line 1, column 14: unknown escape: \\n \\r \\t \\\" \\\\ \\xNN exist",
            ),
            ("\"NONE\"", "line 1, column 1: a word is wanted here, not quoted bytes"),
            ("INT \"1\\n2\"", "line 1, column 5: a newline would end this operand"),
            ("GLOBAL os", "line 1, column 10: GLOBAL wants another operand"),
            ("LONG1 x", "line 1, column 7: neither an integer of 127 bits nor quoted bytes"),
            (".bytes", "line 1, column 7: no bytes given"),
        ] {
            assert_eq!(one(line), Err(want.to_owned()), "{line}");
        }
        let why = assemble("NONE\n\n  FOO").unwrap_err();
        assert_eq!((why.line(), why.column()), (3, 3));
        let long = format!("SHORT_BINBYTES \"{}\"", "x".repeat(256));
        assert!(one(&long).unwrap_err().contains("256 bytes are too many"));
    }
}
