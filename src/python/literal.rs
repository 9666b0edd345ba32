//! Python's spelling of numbers, texts and bytes.
//!
//! Source: `unicode_repr`, `bytes_repr` and `complex_repr` of CPython 3.11.

use std::fmt::Write as _;

pub use crate::pickle::digits::{big_int, float};

/// `repr` of a `complex`.
#[must_use]
pub fn complex(re: f64, im: f64) -> String {
    let part = |value: f64| {
        let text = float(value);
        text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
    };
    let imaginary = part(im);
    if re == 0.0 && re.is_sign_positive() {
        return format!("{imaginary}j");
    }
    let sign = if imaginary.starts_with('-') { "" } else { "+" };
    format!("({}{sign}{imaginary}j)", part(re))
}

/// The quote Python picks: single, unless the text has single ones and no double ones.
fn quote(bytes: &[u8]) -> char {
    if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' }
}

/// `repr` of a `str`, given as UTF-8 in which surrogates may stand as three bytes each.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let quote = quote(bytes);
    let mut out = String::with_capacity(bytes.len().saturating_add(2));
    out.push(quote);
    let mut rest = bytes;
    loop {
        let valid = rest.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        valid.chars().for_each(|char| push_escaped(&mut out, char, quote));
        rest = match rest.get(valid.len()..).unwrap_or_default() {
            [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, rest @ ..] => {
                let code = 0xd000 | u32::from(second & 0x3f) << 6 | u32::from(third & 0x3f);
                let _ = write!(out, "\\u{code:04x}");
                rest
            }
            [byte, rest @ ..] => {
                let _ = write!(out, "\\x{byte:02x}");
                rest
            }
            [] => break,
        };
    }
    out.push(quote);
    out
}

fn push_escaped(out: &mut String, char: char, quote: char) {
    match char {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if char == quote => {
            out.push('\\');
            out.push(char);
        }
        ' '..='~' => out.push(char),
        _ if printable(char) => out.push(char),
        _ => {
            let code = u32::from(char);
            let _ = match code {
                0..=0xff => write!(out, "\\x{code:02x}"),
                0x100..=0xffff => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// `str.isprintable`: Rust escapes the same categories in `Debug`, behind another character.
fn printable(char: char) -> bool {
    let mut after = [b'a'; 5];
    let len = char.encode_utf8(after.get_mut(1..).unwrap_or_default()).len();
    let both = after.get(..len.saturating_add(1)).and_then(|bytes| std::str::from_utf8(bytes).ok());
    both.is_some_and(|both| both.escape_debug().eq(both.chars()))
}

/// `repr` of `bytes`.
#[must_use]
pub fn bytes(bytes: &[u8]) -> String {
    let quote = quote(bytes);
    let mut out = String::with_capacity(bytes.len().saturating_add(3));
    out.push('b');
    out.push(quote);
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ if char::from(byte) == quote => {
                out.push('\\');
                out.push(quote);
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complex_numbers() {
        assert_eq!(complex(0.0, 1.0), "1j");
        assert_eq!(complex(1.5, -2.0), "(1.5-2j)");
    }

    #[test]
    fn texts_as_python_quotes_them() {
        for (value, want) in [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("'\"", "'\\'\"'"),
            ("\n\t\\\0", "'\\n\\t\\\\\\x00'"),
            ("é€😀", "'é€😀'"),
            ("\u{a0}\u{2028}\u{e000}\u{ad}", "'\\xa0\\u2028\\ue000\\xad'"),
            ("e\u{301}", "'e\u{301}'"),
        ] {
            assert_eq!(text(value.as_bytes()), want);
        }
        assert_eq!(text(b"a\xed\xa0\x80b"), "'a\\ud800b'");
        assert_eq!(bytes(b"a\x00\xff'"), "b\"a\\x00\\xff'\"");
    }
}
