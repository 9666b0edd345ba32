//! Numbers as Python spells them in text.
//!
//! Source: `float_repr_style` and `long_to_decimal_string` of CPython 3.11.

use std::fmt::Write as _;

#[cfg(feature = "python")]
use super::BigInt;

/// `repr` of a `float`: the shortest digits that read back the same, an exponent below
/// 1e-4 and from 1e16 on.
///
/// ```
/// assert_eq!(depickle::python::literal::float(1e-5), "1e-05");
/// assert_eq!(depickle::python::literal::float(1e15), "1000000000000000.0");
/// ```
#[must_use]
#[cfg_attr(
    not(feature = "python"),
    expect(unreachable_pub, reason = "exported by the python layer")
)]
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

/// `repr` of an `int` of any size. Above 4,300 digits, where Python refuses, hexadecimal.
#[cfg(feature = "python")]
#[must_use]
pub fn big_int(value: BigInt) -> String {
    big_int_of(value.as_le_bytes())
}

/// As [`big_int`], of little-endian two's complement bytes.
pub(crate) fn big_int_of(bytes: &[u8]) -> String {
    // 4,300 digits are 1,786 bytes.
    const LONGEST: usize = 1_786;
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut magnitude = bytes.to_vec();
    if negative {
        negate(&mut magnitude);
    }
    let digits = if bytes.len() > LONGEST { hex(&magnitude) } else { decimal(magnitude) };
    format!("{}{digits}", if negative { "-" } else { "" })
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
