//! Fractions, decimals and random generators.
//!
//! Source: CPython 3.11 `Lib/fractions.py`, `Lib/_pydecimal.py` (`_parser`, `__str__`),
//! `Modules/_decimal/libmpdec/mpdecimal.h` (`MPD_MAX_EMAX`), `Lib/random.py` (`setstate`).

use std::fmt;

use super::View;
use super::builtins::Int;
use super::call::{Call, Read, State, pay};
use crate::base::Budget;
use crate::pickle::{EffectKind, Items, Object, Value};

/// A fraction in lowest terms; the denominator is above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in Python")]
pub struct Fraction {
    pub numerator: i128,
    pub denominator: i128,
}

pub(super) fn fraction<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let terms = match (call.args.len(), call.arg(0).value()) {
        (0, _) => Some((0, 1)),
        (1, Value::Text(text)) => {
            let Some(text) = text.as_str() else { return Ok(None) };
            pay(text.len(), budget)?;
            match terms(text) {
                // Floats and underscores in the text are Python's to read: no pickler writes them.
                None if text.chars().all(|char| " +-/_.eE".contains(char) || char.is_numeric()) => {
                    None
                }
                None => return Err(call.refuse(format!("{:?}", text.escape_debug().to_string()))),
                terms => terms,
            }
        }
        (1 | 2, Value::Recipe(_) | Value::Float(_)) => None,
        (1, _) => Int::of(call.arg(0)).map(|it| (it, Int::Small(1))).and_then(whole).or(None),
        (2, _) => match (Int::of(call.arg(0)), Int::of(call.arg(1))) {
            (Some(numerator), Some(denominator)) => whole((numerator, denominator)),
            _ if call.args.iter().any(|arg| arg.as_recipe().is_some()) => None,
            _ => return Err(call.refuse_args("two integers")),
        },
        _ => return Err(call.refuse_args("a text or two integers")),
    };
    match terms {
        Some((_, 0)) => Err(call.refuse("the denominator is 0")),
        Some((numerator, denominator)) => Ok(reduced(numerator, denominator).map(View::Fraction)),
        // Beyond 128 bits nothing is said: it would have to be brought to lowest terms.
        None => Ok(None),
    }
}

fn whole((numerator, denominator): (Int, Int)) -> Option<(i128, i128)> {
    Some((numerator.to_i128()?, denominator.to_i128()?))
}

/// `3/4` or `-7`.
fn terms(text: &str) -> Option<(i128, i128)> {
    let digits = |text: &str| text.bytes().next().is_some_and(|first| first.is_ascii_digit());
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    let unsigned = numerator.strip_prefix(['-', '+']).unwrap_or(numerator);
    if !digits(unsigned) || !digits(denominator) {
        return None;
    }
    Some((numerator.parse().ok()?, denominator.parse().ok()?))
}

fn reduced(numerator: i128, denominator: i128) -> Option<Fraction> {
    let (mut a, mut b) = (numerator.checked_abs()?, denominator.checked_abs()?);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    let sign = if denominator < 0 { -1 } else { 1 };
    let divisor = a.checked_mul(sign)?;
    let numerator = numerator.checked_div(divisor)?;
    Some(Fraction { numerator, denominator: denominator.checked_div(divisor)? })
}

/// A decimal number: `digits` × 10^`exponent`, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// Whether it has a minus sign; 0 and NaN may.
    pub negative: bool,
    /// What follows the sign.
    pub value: Digits,
}

/// The value of a decimal, sign apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digits {
    /// A number.
    Finite {
        /// Decimal digits without leading zeros; `0` for zero.
        digits: String,
        /// The power of ten that they count.
        exponent: i64,
    },
    /// Infinity.
    Infinity,
    /// No number.
    NaN {
        /// Whether using it raises an error.
        signaling: bool,
        /// What was noted with it, without leading zeros.
        payload: String,
    },
}

pub(super) fn decimal<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let given = match call.args.len() {
        0 => return Ok(Some(View::Decimal(Decimal::of("0").unwrap_or(Decimal::ZERO)))),
        1 => call.arg(0),
        2 => return Ok(None),
        _ => return Err(call.refuse_args("a text")),
    };
    match given.value() {
        Value::Text(text) => {
            let Some(text) = text.as_str() else { return Ok(None) };
            pay(text.len(), budget)?;
            budget.memory(text.len() as u64)?;
            match Decimal::of(text) {
                Some(decimal) => Ok(Some(View::Decimal(decimal))),
                // Underscores, spaces and digits of other scripts are Python's to read.
                None if text.contains('_') || text.trim() != text || !text.is_ascii() => Ok(None),
                None => {
                    let start: String = text.chars().take(40).collect();
                    Err(call.refuse(format!("{start:?} is no decimal number")))
                }
            }
        }
        Value::Int(value) => Ok(Decimal::of(&value.to_string()).map(View::Decimal)),
        Value::None => Err(call.refuse_args("a text")),
        _ => Ok(None),
    }
}

impl Decimal {
    const ZERO: Self =
        Self { negative: false, value: Digits::Finite { digits: String::new(), exponent: 0 } };

    /// Exponents that Python's decimals have on 64 bits.
    const LARGEST: i64 = 999_999_999_999_999_999;

    fn of(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        let value = if is("inf") || is("infinity") {
            Digits::Infinity
        } else if let Some((signaling, payload)) = nan(text) {
            Digits::NaN { signaling, payload: payload.trim_start_matches('0').to_owned() }
        } else {
            finite(text)?
        };
        Some(Self { negative, value })
    }
}

fn nan(text: &str) -> Option<(bool, &str)> {
    let signaling = text.bytes().next().is_some_and(|first| first.eq_ignore_ascii_case(&b's'));
    let rest = text.get(usize::from(signaling)..)?;
    let (word, payload) = rest.split_at_checked(3)?;
    let digits = payload.bytes().all(|byte| byte.is_ascii_digit());
    (word.eq_ignore_ascii_case("nan") && digits).then_some((signaling, payload))
}

fn finite(text: &str) -> Option<Digits> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let unsigned = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    if !unsigned.bytes().next().is_some_and(|first| first.is_ascii_digit()) {
        return None;
    }
    let fraction = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(fraction)?;
    let zeros = digits.len().saturating_sub(digits.trim_start_matches('0').len());
    digits.drain(..zeros.min(digits.len().saturating_sub(1)));
    (exponent.checked_abs()? <= Decimal::LARGEST).then_some(Digits::Finite { digits, exponent })
}

/// As Python's `str`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        match &self.value {
            Digits::Infinity => write!(f, "{sign}Infinity"),
            Digits::NaN { signaling, payload } => {
                write!(f, "{sign}{}NaN{payload}", if *signaling { "s" } else { "" })
            }
            Digits::Finite { digits, exponent } => {
                f.write_str(sign)?;
                scientific(f, digits, *exponent)
            }
        }
    }
}

/// To-scientific-string of the decimal arithmetic specification.
fn scientific(f: &mut fmt::Formatter<'_>, digits: &str, exponent: i64) -> fmt::Result {
    let len = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let left = exponent.saturating_add(len);
    // Where the point goes: plain notation down to a millionth.
    let point = if exponent <= 0 && left > -6 { left } else { 1 };
    match usize::try_from(point) {
        Ok(0) | Err(_) => {
            let zeros = usize::try_from(point.unsigned_abs()).unwrap_or(0);
            write!(f, "0.{}{digits}", "0".repeat(zeros))?;
        }
        Ok(point) => match digits.split_at_checked(point) {
            Some((whole, "")) => f.write_str(whole)?,
            Some((whole, fraction)) => write!(f, "{whole}.{fraction}")?,
            None => f.write_str(digits)?,
        },
    }
    match left.saturating_sub(point) {
        0 => Ok(()),
        exponent => write!(f, "E{exponent:+}"),
    }
}

/// The state of a Mersenne twister.
#[derive(Clone, Copy, Debug)]
pub struct Random<'graph> {
    /// 2 or 3; under 2, words may have more than 32 bits, of which the lowest count.
    pub version: i64,
    /// 624 words and the position among them, all of them integers.
    pub words: Items<'graph>,
    /// The second number of the last pair that `gauss` made, or `None`.
    pub gauss: Object<'graph>,
}

pub(super) fn random<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.only(&[EffectKind::State])?;
    let State::Some(state) = call.state() else { return Ok(None) };
    let parts = state.as_tuple().and_then(Items::array);
    let Some([version, words, gauss]) = parts else {
        return Err(call.refuse("a state of (version, words, gauss) wanted"));
    };
    let (Some(version @ 2..=3), Some(words)) = (version.as_int(), words.as_tuple()) else {
        return Err(call.refuse("a state of version 2 or 3 wanted"));
    };
    budget.visits(16)?;
    let word = |object: Object| match Int::of(object) {
        Some(Int::Small(word)) => version == 2 || u32::try_from(word).is_ok(),
        Some(Int::Big(_)) => version == 2,
        None => false,
    };
    if words.len() != 625 || !words.iter().all(word) {
        return Err(call.refuse("625 words wanted"));
    }
    let position = words.get(624).and_then(Object::as_int);
    if !position.is_some_and(|position| (0..=624).contains(&position)) {
        return Err(call.refuse("a position up to 624 wanted"));
    }
    Ok(Some(View::Random(Random { version, words, gauss })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `str(decimal.Decimal(…))` says.
    #[test]
    fn decimals_as_python_writes_them() {
        for (text, want) in [
            ("0", "0"),
            ("-0", "-0"),
            ("0.00", "0.00"),
            ("007.50", "7.50"),
            ("1e5", "1E+5"),
            ("1.5e-3", "0.0015"),
            ("0.0000001", "1E-7"),
            ("123e-10", "1.23E-8"),
            ("0.000001", "0.000001"),
            ("12.", "12"),
            (".5", "0.5"),
            ("inf", "Infinity"),
            ("-nan007", "-NaN7"),
            ("SNAN", "sNaN"),
            ("0E-28", "0E-28"),
            ("12E3", "1.2E+4"),
        ] {
            assert_eq!(Decimal::of(text).map(|it| it.to_string()).as_deref(), Some(want), "{text}");
        }
        for text in ["", ".", "e5", "1e", "1e+", "--1", "1.2.3", "1e999999999999999999999", "nanx"]
        {
            assert_eq!(Decimal::of(text), None, "{text}");
        }
    }

    #[test]
    fn fractions_in_lowest_terms() {
        let fraction = |a, b| reduced(a, b).map(|it| (it.numerator, it.denominator));
        assert_eq!(fraction(6, 4), Some((3, 2)));
        assert_eq!(fraction(6, -4), Some((-3, 2)));
        assert_eq!(fraction(0, 5), Some((0, 1)));
        assert_eq!(fraction(i128::MIN, 1), None);
        assert_eq!(fraction(i128::MAX, -1), Some((-i128::MAX, 1)));
    }
}
