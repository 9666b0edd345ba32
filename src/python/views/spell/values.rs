//! Iterators, points in time, patterns, arrays.

use std::fmt::Write as _;

use super::super::{
    Array, Element, Iteration, Kind, Pattern, Raw, Time, TimeDelta, TimeZone, View, functools,
};
use super::{Parts, Spelling, copy, short, text};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Object, Value};
use crate::python::literal;

pub(super) fn iteration_of(iteration: Iteration) -> Result<Option<Spelling>, Exceeded> {
    let kind = match iteration {
        Iteration::Count { start, step } => {
            let Some(start) = start else { return text("count(0)") };
            let step = step.filter(|step| step.as_int() != Some(1));
            return Parts::new("count(", ")").unlabelled([start]).unlabelled(step).spelled();
        }
        Iteration::Repeat { object, times } => {
            let after = times.map_or(String::from(")"), |times| format!(", {times})"));
            return Parts::new("repeat(", after).unlabelled([object]).spelled();
        }
        Iteration::Iter { over, .. } => match over.value() {
            Value::List(_) => "list_iterator",
            Value::Tuple(_) => "tuple_iterator",
            Value::Text(text) if text.as_bytes().is_ascii() => "str_ascii_iterator",
            Value::Text(_) => "str_iterator",
            Value::Bytes(_) => "bytes_iterator",
            _ if functools::direct(over).is_some_and(|(kind, _)| kind == Kind::Range) => {
                "range_iterator"
            }
            _ => "bytes_iterator",
        },
        Iteration::Reversed { over, .. } => match over.value() {
            Value::List(_) => "list_reverseiterator",
            _ => "reversed",
        },
        Iteration::Enumerate { .. } => "enumerate",
        Iteration::Cycle { .. } => "itertools.cycle",
        Iteration::Chain { .. } => "itertools.chain",
    };
    Ok(Some(Spelling::Opaque(format!("<{kind} object>"))))
}

/// The names that `uuid.SafeUUID` gives its values; others keep theirs to themselves.
pub(super) fn member_of<'graph>(
    class: Object<'graph>,
    value: Object<'graph>,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let name = match value.value() {
        Value::Int(0) => "safe",
        Value::Int(-1) => "unsafe",
        Value::None => "unknown",
        _ => return Ok(None),
    };
    let class = class.as_global().map_or(String::from("?"), short);
    Parts::new(format!("<{class}.{name}: "), ">").unlabelled([value]).spelled()
}

/// `3, 4` and, if there are any, seconds and microseconds, and the fold.
pub(super) fn clock(Time { hour, minute, second, microsecond, fold }: Time) -> String {
    let mut out = format!("{hour}, {minute}");
    if (second, microsecond) != (0, 0) {
        let _ = write!(out, ", {second}");
    }
    if microsecond != 0 {
        let _ = write!(out, ", {microsecond}");
    }
    out + if fold { ", fold=1" } else { "" }
}

pub(super) fn moment(before: String, tzinfo: Option<Object>) -> Result<Option<Spelling>, Exceeded> {
    match tzinfo {
        None => text(before + ")"),
        Some(zone) => Parts::new(before + ", tzinfo=", ")").unlabelled([zone]).spelled(),
    }
}

pub(super) fn timedelta(TimeDelta { days, seconds, microseconds }: TimeDelta) -> String {
    let part = |name, value: i64| (value != 0).then(|| format!("{name}={value}"));
    let parts = [
        part("days", days),
        part("seconds", seconds.into()),
        part("microseconds", microseconds.into()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let parts = if parts.is_empty() { String::from("0") } else { parts.join(", ") };
    format!("datetime.timedelta({parts})")
}

pub(super) fn timezone(TimeZone { offset, name }: TimeZone) -> String {
    let utc = offset == TimeDelta { days: 0, seconds: 0, microseconds: 0 };
    match name {
        None if utc => String::from("datetime.timezone.utc"),
        None => format!("datetime.timezone({})", timedelta(offset)),
        Some(name) => {
            let name = literal::text(name.as_bytes());
            format!("datetime.timezone({}, {name})", timedelta(offset))
        }
    }
}

/// `re.compile('…', re.IGNORECASE)`: 200 characters of the pattern.
pub(super) fn pattern_of<'graph>(
    Pattern { pattern, flags }: Pattern,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    const FLAGS: &[(i64, &str)] = &[
        (1, "re.TEMPLATE"),
        (2, "re.IGNORECASE"),
        (4, "re.LOCALE"),
        (8, "re.MULTILINE"),
        (16, "re.DOTALL"),
        (32, "re.UNICODE"),
        (64, "re.VERBOSE"),
        (128, "re.DEBUG"),
        (256, "re.ASCII"),
    ];
    let (shown, is_text) = match pattern.value() {
        Value::Text(text) => {
            budget.memory(text.as_bytes().len() as u64)?;
            (literal::text(text.as_bytes()), true)
        }
        Value::Bytes(bytes) => (literal::bytes(&copy(Raw::Bytes(bytes), budget)?), false),
        _ => match View::of(pattern, budget) {
            Ok(Some(View::Bytes(raw))) => (literal::bytes(&copy(raw, budget)?), false),
            _ => (String::from("?"), false),
        },
    };
    let mut out = String::from("re.compile(");
    out.extend(shown.chars().take(200));
    // All texts are, unless they say otherwise.
    let mut left = if is_text && flags & (4 | 256) == 0 { flags & !32 } else { flags };
    let mut names: Vec<String> = Vec::new();
    for &(flag, name) in FLAGS {
        if left & flag != 0 {
            names.push(name.to_owned());
            left &= !flag;
        }
    }
    if left != 0 {
        names.push(format!("{left:#x}"));
    }
    if !names.is_empty() {
        out += ", ";
        out += &names.join("|");
    }
    text(out + ")")
}

pub(super) fn array_of<'graph>(
    array: Array,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let code = array.typecode;
    let elements = array.to_vec(budget)?;
    if elements.is_empty() {
        return text(format!("array('{code}')"));
    }
    budget.memory((elements.len() as u64).saturating_mul(64))?;
    let mut characters = String::new();
    let mut numbers: Vec<String> = Vec::new();
    for element in elements {
        match element {
            Element::Int(value) => numbers.push(value.to_string()),
            Element::Float(value) => numbers.push(literal::float(value)),
            Element::Char(code) => characters.push(char::from_u32(code).unwrap_or('\u{fffd}')),
        }
    }
    if characters.is_empty() {
        return text(format!("array('{code}', [{}])", numbers.join(", ")));
    }
    text(format!("array('{code}', {})", literal::text(characters.as_bytes())))
}
