//! Text operands: integers, floats and escapes, as CPython's C unpickler reads them.
//!
//! Source: `Modules/_pickle.c` (`load_int`, `load_long`, `load_float`, `load_string`,
//! `load_unicode`), `PyLong_FromString`, `PyBytes_DecodeEscape`,
//! `_PyUnicode_DecodeRawUnicodeEscape` of CPython 3.11.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while_m_n, take_while1};
use nom::combinator::{map, map_opt, not, opt, verify};
use nom::number::complete::be_u8;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::error::Kind;

/// An integer operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Bool(bool),
    Int(i64),
    /// Two's complement, little-endian, shortest form, over 8 bytes.
    Big(Vec<u8>),
}

/// Digits that CPython converts from decimal: its default `int_max_str_digits`.
const MAX_DIGITS: usize = 4_300;

/// What a C string holds of a line: all before the first NUL.
fn c_string(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The operand of INT.
pub(super) fn int(line: &[u8]) -> Result<Number, Kind> {
    if line.is_empty() {
        return Err(Kind::BadOperand("not an integer"));
    }
    let text = c_string(line);
    match (c_integer(text), line.len()) {
        (Some(0), 2) => Ok(Number::Bool(false)),
        (Some(1), 2) => Ok(Number::Bool(true)),
        (Some(value), _) => Ok(Number::Int(value)),
        (None, _) => python_integer(text, 0),
    }
}

/// The operand of LONG, with or without its `L`.
pub(super) fn long(line: &[u8]) -> Result<Number, Kind> {
    python_integer(c_string(line.strip_suffix(b"L").unwrap_or(line)), 0)
}

/// The operand of GET or PUT.
pub(super) fn index(line: &[u8]) -> Result<u64, Kind> {
    match python_integer(c_string(line), 10)? {
        Number::Int(value) => {
            u64::try_from(value).map_err(|_| Kind::BadOperand("negative memo index"))
        }
        _ => Err(Kind::BadOperand("memo index over 64 bits")),
    }
}

/// The operand of FLOAT.
pub(super) fn float(line: &[u8]) -> Result<f64, Kind> {
    let bad = Kind::BadOperand("not a float");
    let Some(text) = std::str::from_utf8(c_string(line)).ok() else { return Err(bad) };
    let Ok(value) = text.parse::<f64>() else { return Err(bad) };
    let spelled = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    if value.is_infinite() && !spelled {
        return Err(Kind::BadOperand("float out of range"));
    }
    Ok(value)
}

/// C's `isspace`, which a vertical tab is too.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn space(input: &[u8]) -> &[u8] {
    let spaces = input.iter().take_while(|&&byte| is_space(byte)).count();
    input.get(spaces..).unwrap_or_default()
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let Some((&last, head)) = text.split_last() {
        if !is_space(last) {
            break;
        }
        text = head;
    }
    text
}

fn sign(input: &[u8]) -> IResult<&[u8], bool> {
    map(opt(alt((tag("-"), tag("+")))), |sign: Option<&[u8]>| sign == Some(b"-")).parse(input)
}

/// C's `strtol` with base 0 over the whole text; none if it stops early or overflows. Of an
/// empty text, which takes a line that begins with NUL, it makes 0.
fn c_integer(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let (digits, negative) = sign(space(text)).ok()?;
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        [b'0', _, ..] => (8, digits),
        _ => (10, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |sum, &byte| {
        let digit = i64::from(char::from(byte).to_digit(radix)?);
        let sum = sum.checked_mul(radix.into())?;
        if negative { sum.checked_sub(digit) } else { sum.checked_add(digit) }
    })
}

/// Python's `int(text, base)` for base 0 or 10.
fn python_integer(text: &[u8], base: u32) -> Result<Number, Kind> {
    let bad = Kind::BadOperand("not an integer");
    let Ok((body, negative)) = sign(space(text)) else { return Err(bad) };
    let (radix, digits) = match body {
        [b'0', b'x' | b'X', digits @ ..] if base == 0 => (16, digits),
        [b'0', b'o' | b'O', digits @ ..] if base == 0 => (8, digits),
        [b'0', b'b' | b'B', digits @ ..] if base == 0 => (2, digits),
        _ => (10, body),
    };
    // After a prefix one underscore may come first.
    let digits = if radix == 10 { digits } else { digits.strip_prefix(b"_").unwrap_or(digits) };
    let digits = trim_end(digits);
    let well_placed = !digits.starts_with(b"_") && !digits.ends_with(b"_");
    let doubled = digits.windows(2).any(|pair| pair == b"__");
    if digits.is_empty() || !well_placed || doubled {
        return Err(bad);
    }
    let values: Option<Vec<u32>> = digits
        .iter()
        .filter(|&&byte| byte != b'_')
        .map(|&byte| char::from(byte).to_digit(radix))
        .collect();
    let Some(values) = values else { return Err(bad) };
    let leading_zero = values.len() > 1 && values.first() == Some(&0);
    if base == 0 && radix == 10 && leading_zero && values.iter().any(|&digit| digit != 0) {
        return Err(Kind::BadOperand("decimal integer with leading zeros"));
    }
    if radix == 10 && values.len() > MAX_DIGITS {
        return Err(Kind::BadOperand("integer of more than 4,300 decimal digits"));
    }
    Ok(number(&magnitude(&values, radix), negative))
}

/// Little-endian bytes of a number given by its digits. Linear for powers of two; decimal
/// costs the square of at most 4,300 digits.
fn magnitude(digits: &[u32], radix: u32) -> Vec<u8> {
    if radix != 10 {
        return power_of_two(digits, radix.trailing_zeros());
    }
    let mut limbs: Vec<u32> = Vec::new();
    for chunk in digits.chunks(9) {
        let (scale, add) = chunk.iter().fold((1_u64, 0_u64), |(scale, sum), &digit| {
            (scale.wrapping_mul(10), sum.wrapping_mul(10).wrapping_add(digit.into()))
        });
        let carry = limbs.iter_mut().fold(add, |carry, limb| {
            let wide = u64::from(*limb).wrapping_mul(scale).wrapping_add(carry);
            *limb = low_half(wide);
            wide >> 32
        });
        if carry != 0 {
            limbs.push(low_half(carry));
        }
    }
    limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is carried")]
const fn low_half(wide: u64) -> u32 {
    wide as u32
}

fn power_of_two(digits: &[u32], bits: u32) -> Vec<u8> {
    let (mut bytes, mut word, mut held) = (Vec::new(), 0_u32, 0_u32);
    for &digit in digits.iter().rev() {
        word |= digit << held;
        held = held.saturating_add(bits);
        if held >= 8 {
            bytes.push((word & 0xff) as u8);
            word >>= 8;
            held = held.saturating_sub(8);
        }
    }
    bytes.push((word & 0xff) as u8);
    bytes
}

fn number(magnitude: &[u8], negative: bool) -> Number {
    let mut bytes = magnitude.to_vec();
    bytes.push(0);
    if negative {
        let mut carry = true;
        for byte in &mut bytes {
            (*byte, carry) = (!*byte).overflowing_add(carry.into());
        }
    }
    twos_complement(&bytes)
}

/// The integer that little-endian two's complement bytes spell; none are 0.
pub(super) fn twos_complement(bytes: &[u8]) -> Number {
    let bytes = shortest(bytes);
    if bytes.len() > 8 {
        return Number::Big(bytes.to_vec());
    }
    let fill = if bytes.last().is_some_and(|&last| last >= 0x80) { 0xff } else { 0 };
    let mut word = [fill; 8];
    word.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
    Number::Int(i64::from_le_bytes(word))
}

/// Without the high bytes that only repeat the sign.
pub(super) fn shortest(mut bytes: &[u8]) -> &[u8] {
    while let [.., below, last] = bytes {
        if !matches!((last, below), (0, 0..=0x7f) | (0xff, 0x80..=0xff)) {
            break;
        }
        bytes = bytes.split_last().map_or(bytes, |(_, head)| head);
    }
    bytes
}

/// The operand of STRING: a quoted Python 2 `str` with escapes.
pub(super) fn string(text: &[u8]) -> Result<Vec<u8>, Kind> {
    let ([b'\'', quoted @ .., b'\''] | [b'"', quoted @ .., b'"']) = text else {
        return Err(Kind::BadOperand("the string is not quoted"));
    };
    unescape(quoted, string_piece).ok_or(Kind::BadOperand("invalid escape in the string"))
}

/// The operand of UNICODE: Latin-1 with `\uXXXX` and `\UXXXXXXXX`, as UTF-8 in which
/// surrogates take three bytes.
pub(super) fn unicode(text: &[u8]) -> Result<Vec<u8>, Kind> {
    unescape(text, unicode_piece).ok_or(Kind::BadOperand("invalid \\u escape in the text"))
}

fn unescape(mut text: &[u8], piece: fn(&[u8]) -> IResult<&[u8], Piece<'_>>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    while !text.is_empty() {
        let (left, piece) = piece(text).ok()?;
        match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::Byte(byte) => out.push(byte),
            Piece::Char(code) => push_code_point(&mut out, code),
            Piece::Latin1(bytes) => {
                for &byte in bytes {
                    push_code_point(&mut out, byte.into());
                }
            }
        }
        text = left;
    }
    Some(out)
}

#[derive(Clone, Copy)]
enum Piece<'a> {
    Bytes(&'a [u8]),
    Byte(u8),
    Char(u32),
    Latin1(&'a [u8]),
}

fn plain(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|byte| byte != b'\\').parse(input)
}

fn string_piece(input: &[u8]) -> IResult<&[u8], Piece<'_>> {
    alt((map(plain, Piece::Bytes), string_escape)).parse(input)
}

fn string_escape(input: &[u8]) -> IResult<&[u8], Piece<'_>> {
    let (rest, escape) = preceded(tag("\\"), be_u8).parse(input)?;
    let piece = match escape {
        b'\n' => Piece::Bytes(b""),
        b'\\' | b'\'' | b'"' => Piece::Byte(escape),
        b'a' => Piece::Byte(7),
        b'b' => Piece::Byte(8),
        b't' => Piece::Byte(b'\t'),
        b'n' => Piece::Byte(b'\n'),
        b'v' => Piece::Byte(11),
        b'f' => Piece::Byte(12),
        b'r' => Piece::Byte(b'\r'),
        b'0'..=b'7' => return map(preceded(tag("\\"), octal), Piece::Byte).parse(input),
        b'x' => return map(digits(2, 2, 16), |code| Piece::Byte((code & 0xff) as u8)).parse(rest),
        // An unknown escape keeps its backslash.
        _ => return map(take(2_usize), Piece::Bytes).parse(input),
    };
    Ok((rest, piece))
}

/// Up to three octal digits; what exceeds a byte is cut off, as Python does.
fn octal(input: &[u8]) -> IResult<&[u8], u8> {
    map(digits(1, 3, 8), |code| (code & 0xff) as u8).parse(input)
}

fn unicode_piece(input: &[u8]) -> IResult<&[u8], Piece<'_>> {
    alt((map(plain, Piece::Latin1), unicode_escape)).parse(input)
}

fn unicode_escape(input: &[u8]) -> IResult<&[u8], Piece<'_>> {
    let escape =
        alt((preceded(tag("\\u"), digits(4, 4, 16)), preceded(tag("\\U"), digits(8, 8, 16))));
    let known = map(verify(escape, |&code| code <= 0x0010_ffff), Piece::Char);
    // Any other backslash, and what follows it, stand for themselves.
    let other = preceded(not(alt((tag("\\u"), tag("\\U")))), alt((take(2_usize), take(1_usize))));
    alt((known, map(other, Piece::Latin1))).parse(input)
}

/// Between `least` and `most` digits.
fn digits<'a>(
    least: usize,
    most: usize,
    radix: u32,
) -> impl Parser<&'a [u8], Output = u32, Error = nom::error::Error<&'a [u8]>> {
    let is_digit = move |byte: u8| char::from(byte).is_digit(radix);
    map_opt(take_while_m_n(least, most, is_digit), move |digits: &[u8]| {
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
    })
}

/// Appends a code point as UTF-8, surrogates as three bytes.
fn push_code_point(out: &mut Vec<u8>, code: u32) {
    let low = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
    if let Some(char) = char::from_u32(code) {
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.extend_from_slice(&[0xe0 | (code >> 12 & 0x0f) as u8, low(6), low(0)]);
    }
}

/// Whether the bytes are UTF-8 that may encode surrogates as three bytes.
#[inline]
pub(super) fn is_utf8_with_surrogates(mut bytes: &[u8]) -> bool {
    // Most are, and to see that takes a third of the time.
    if bytes.is_ascii() {
        return true;
    }
    loop {
        let Err(why) = std::str::from_utf8(bytes) else { return true };
        match bytes.get(why.valid_up_to()..) {
            Some([0xed, 0xa0..=0xbf, 0x80..=0xbf, rest @ ..]) => bytes = rest,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Number::{Big, Bool, Int};
    use super::*;

    #[test]
    fn integers_as_the_c_unpickler_reads_them() {
        for (text, want) in [
            ("00", Bool(false)),
            ("01", Bool(true)),
            ("+1", Bool(true)),
            ("1", Int(1)),
            ("001", Int(1)),
            ("-12", Int(-12)),
            (" 7", Int(7)),
            ("0x10", Int(16)),
            ("010", Int(8)),
            ("0b11", Int(3)),
            ("0o17", Int(15)),
            ("1_000", Int(1000)),
            ("9223372036854775807", Int(i64::MAX)),
            ("-9223372036854775808", Int(i64::MIN)),
            ("9223372036854775808", Big(vec![0, 0, 0, 0, 0, 0, 0, 0x80, 0])),
            ("-9223372036854775809", Big(vec![255, 255, 255, 255, 255, 255, 255, 0x7f, 255])),
            ("1\0", Bool(true)),
            ("\0", Int(0)),
            ("\0x", Bool(false)),
            ("1\x0b", Int(1)),
            ("1\0x", Int(1)),
            ("0xffffffffffffffffff", Big(vec![255, 255, 255, 255, 255, 255, 255, 255, 255, 0])),
        ] {
            assert_eq!(int(text.as_bytes()), Ok(want), "{text}");
        }
        for text in ["", "-", "x", "1x", "0x", "08", "1__0", "_1", "1_", "1 2"] {
            assert!(int(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn longs() {
        assert_eq!(long(b"12L"), Ok(Int(12)));
        assert_eq!(long(b"-0x10L"), Ok(Int(-16)));
        assert_eq!(long(b"00L"), Ok(Int(0)));
        assert!(long(b"010L").is_err());
        assert!(long(b"L").is_err());
        let ten_to_20 = long(b"100000000000000000000").unwrap();
        assert_eq!(ten_to_20, Big(10_u128.pow(20).to_le_bytes()[..9].to_vec()));
        assert!(long(&[b'1'; MAX_DIGITS]).is_ok());
        assert!(long(&[b'1'; MAX_DIGITS + 1]).is_err());
    }

    #[test]
    fn twos_complement_is_shortened() {
        assert_eq!(twos_complement(b""), Int(0));
        assert_eq!(twos_complement(&[0xff]), Int(-1));
        assert_eq!(twos_complement(&[0xff, 0]), Int(255));
        assert_eq!(twos_complement(&[0; 300]), Int(0));
        assert_eq!(twos_complement(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Int(1));
    }

    #[test]
    fn floats() {
        for (text, want) in
            [("1.5", 1.5), ("-0", -0.0), ("1e5", 1e5), (".5", 0.5), ("inf", f64::INFINITY)]
        {
            assert_eq!(float(text.as_bytes()).map(f64::to_bits), Ok(want.to_bits()), "{text}");
        }
        assert!(float(b"nan").is_ok_and(f64::is_nan));
        for text in ["", "1e400", "0x1p3", " 1", "1_0", "1e"] {
            assert!(float(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_and_their_escapes() {
        for (text, want) in [
            (r"'abc'", &b"abc"[..]),
            (r#""a'b""#, b"a'b"),
            (r"'\n\t\\\'\x41\101\0'", b"\n\t\\'AA\0"),
            (r"'\q'", b"\\q"),
            (r"'\777'", b"\xff"),
            ("''", b""),
        ] {
            assert_eq!(string(text.as_bytes()).as_deref(), Ok(want), "{text}");
        }
        for text in ["abc", "'", "'abc", r"'\x4'", "'\"", r"'\'"] {
            assert!(string(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn unicode_escapes() {
        for (text, want) in [
            (&b"abc"[..], "abc".as_bytes()),
            (b"\xe9", "é".as_bytes()),
            (br"\u20ac\U0001f600", "€😀".as_bytes()),
            (br"\\u0041", br"\\u0041"),
            (br"\ud800", b"\xed\xa0\x80"),
            (b"\\", b"\\"),
            (br"\n", br"\n"),
        ] {
            assert_eq!(unicode(text).as_deref(), Ok(want), "{text:?}");
        }
        for text in [&br"\u12"[..], br"\U00110000", br"\u"] {
            assert!(unicode(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn surrogates_pass() {
        assert!(is_utf8_with_surrogates("aé€😀".as_bytes()));
        assert!(is_utf8_with_surrogates(b"a\xed\xa0\x80b\xed\xbf\xbf"));
        assert!(!is_utf8_with_surrogates(b"\xff"));
        assert!(!is_utf8_with_surrogates(b"\xed\xa0"));
    }
}
