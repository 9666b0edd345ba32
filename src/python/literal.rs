//! Python's spelling of numbers, texts and bytes.
//!
//! Source: `float_repr_style`, `unicode_repr`, `bytes_repr` and `complex_repr` of CPython 3.11.

use std::fmt::Write as _;

use crate::pickle::BigInt;

/// `repr` of a `float`: the shortest digits that read back the same, an exponent below
/// 1e-4 and from 1e16 on.
///
/// ```
/// assert_eq!(depickle::python::literal::float(1e-5), "1e-05");
/// assert_eq!(depickle::python::literal::float(1e15), "1000000000000000.0");
/// ```
#[must_use]
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return String::from("nan");
    }
    if value.is_infinite() {
        return String::from(if value > 0.0 { "inf" } else { "-inf" });
    }
    // As few digits as read back the same; of two such numbers equally near, the even one,
    // which Rust's shortest form does not promise.
    let shortest = format!("{value:e}");
    let digits = shortest.split('e').next().unwrap_or_default();
    let after_point = digits.split('.').nth(1).map_or(0, str::len);
    let exact = format!("{value:.after_point$e}");
    let same = exact.parse::<f64>().is_ok_and(|read| read.to_bits() == value.to_bits());
    let scientific = if same { exact } else { shortest };
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let decimals = i32::try_from(after_point).unwrap_or(0).saturating_sub(exponent).max(1);
        return format!("{value:.*}", usize::try_from(decimals).unwrap_or(1));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

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

/// `repr` of an `int` of any size. Above 4,300 digits, where Python refuses, hexadecimal.
#[must_use]
pub fn big_int(value: BigInt) -> String {
    // 4,300 digits are 1,786 bytes.
    const LONGEST: usize = 1_786;
    let bytes = value.as_le_bytes();
    let mut magnitude = bytes.to_vec();
    if value.is_negative() {
        negate(&mut magnitude);
    }
    let digits = if bytes.len() > LONGEST { hex(&magnitude) } else { decimal(magnitude) };
    format!("{}{digits}", if value.is_negative() { "-" } else { "" })
}

/// Two's complement, negated.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        let (next, over) = (!*byte).overflowing_add(u8::from(carry));
        *byte = next;
        carry = over;
    }
}

fn hex(magnitude: &[u8]) -> String {
    let mut out = String::from("0x");
    let top = magnitude.iter().rev().skip_while(|&&byte| byte == 0);
    for byte in top {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn decimal(mut magnitude: Vec<u8>) -> String {
    const CHUNK: u64 = 1_000_000_000_000_000;
    let mut chunks = Vec::new();
    while magnitude.iter().any(|&byte| byte != 0) {
        let mut rest = 0_u64;
        for byte in magnitude.iter_mut().rev() {
            let value = rest.saturating_mul(256).saturating_add(u64::from(*byte));
            *byte = u8::try_from(value / CHUNK).unwrap_or(0);
            rest = value % CHUNK;
        }
        chunks.push(rest);
        while magnitude.last() == Some(&0) {
            magnitude.pop();
        }
    }
    let mut out = chunks.pop().unwrap_or(0).to_string();
    for chunk in chunks.iter().rev() {
        let _ = write!(out, "{chunk:015}");
    }
    out
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
    fn floats_as_python_spells_them() {
        for (value, want) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1.5e-5, "1.5e-05"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (5e-324, "5e-324"),
            (3.077_247_619_628_906_3, "3.0772476196289062"),
            (1e22, "1e+22"),
            (123_456.0, "123456.0"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(value), want);
        }
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

    #[test]
    fn integers_of_any_size() {
        assert_eq!(decimal(10_u128.pow(30).to_le_bytes().to_vec()), format!("1{:030}", 0));
        assert_eq!(decimal(vec![0]), "0");
        let mut bytes = 5_i16.to_le_bytes();
        negate(&mut bytes);
        assert_eq!(i16::from_le_bytes(bytes), -5);
    }
}
