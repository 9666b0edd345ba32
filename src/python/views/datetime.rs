//! Points in time, and spans of it.
//!
//! Python takes some states that are no point in time: an hour of 25 in the 10 bytes of a
//! datetime, a 31st of February. Those are errors here.
//!
//! Source: CPython 3.11 `Modules/_datetimemodule.c` (`datetime_new`, `date_new`, `time_new`:
//! states of 10, 4 and 6 bytes, which Python 2 wrote as text), `Lib/zoneinfo/_zoneinfo.py`
//! (`_unpickle`).

use super::builtins::{Int, raw};
use super::call::{Call, Read, pay};
use super::functools::direct;
use super::{Error, Kind, View};
use crate::base::Budget;
use crate::pickle::{Object, Text, Value};

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999,999.
    pub microsecond: u32,
    /// Whether it is the later one of two, where clocks are put back.
    pub fold: bool,
}

/// A date and time.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "named as in Python")]
pub struct DateTime<'graph> {
    pub date: Date,
    pub time: Time,
    pub tzinfo: Option<Object<'graph>>,
}

/// A span of time: `days` may be below 0, the rest is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeDelta {
    /// −999,999,999 to 999,999,999.
    pub days: i64,
    /// 0 to 86,399.
    pub seconds: u32,
    /// 0 to 999,999.
    pub microseconds: u32,
}

/// A fixed distance from UTC, less than a day.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "named as in Python")]
pub struct TimeZone<'graph> {
    pub offset: TimeDelta,
    pub name: Option<Text<'graph>>,
}

/// The bytes of a state, as bytes or as the text of Python 2.
fn state<const N: usize>(object: Object, budget: &mut Budget) -> Result<Option<[u8; N]>, Error> {
    let bytes = match object.value() {
        Value::Text(text) if text.is_python2() => text.as_bytes().to_vec(),
        Value::Text(text) => {
            let chars = text.as_str().unwrap_or_default().chars().take(N.saturating_add(1));
            let bytes: Result<Vec<u8>, _> = chars.map(u8::try_from).collect();
            bytes.unwrap_or_default()
        }
        _ => match raw(object, budget)? {
            Some(raw) => raw.to_vec(),
            None => return Ok(None),
        },
    };
    Ok(bytes.try_into().ok())
}

/// Integers among the arguments, `left` where the rest is left out.
fn ints<const N: usize>(call: &Call, left: [i64; N]) -> Option<[i64; N]> {
    let mut ints = left;
    for (int, arg) in ints.iter_mut().zip(call.args.iter()) {
        match Int::of(arg)? {
            Int::Small(value) => *int = value,
            Int::Big(_) => return None,
        }
    }
    Some(ints)
}

fn within<T: TryFrom<i64>>(
    call: &Call,
    what: &str,
    value: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<T, Error> {
    let (first, last) = (range.start(), range.end());
    let wanted = || call.refuse(format!("{what} {value} is not in {first} to {last}"));
    if !range.contains(&value) {
        return Err(wanted());
    }
    T::try_from(value).map_err(|_| wanted())
}

fn checked_date(call: &Call, [year, month, day]: [i64; 3]) -> Result<Date, Error> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    Ok(Date {
        year: within(call, "year", year, 1..=9999)?,
        month: within(call, "month", month, 1..=12)?,
        day: within(call, "day", day, 1..=days)?,
    })
}

fn checked_time(call: &Call, parts: [i64; 4], fold: bool) -> Result<Time, Error> {
    let [hour, minute, second, microsecond] = parts;
    Ok(Time {
        hour: within(call, "hour", hour, 0..=23)?,
        minute: within(call, "minute", minute, 0..=59)?,
        second: within(call, "second", second, 0..=59)?,
        microsecond: within(call, "microsecond", microsecond, 0..=999_999)?,
        fold,
    })
}

fn number(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | i64::from(byte))
}

/// The time zone argument: anything but plain values, which are none.
fn tzinfo<'graph>(call: &Call<'graph>, index: usize) -> Result<Option<Object<'graph>>, Error> {
    let zone = call.arg(index);
    match zone.value() {
        Value::None => Ok(None),
        Value::Recipe(_) | Value::Global(_) | Value::Persistent(_) | Value::Extension(_) => {
            Ok(Some(zone))
        }
        _ => Err(call.refuse(format!("a time zone wanted, {} given", zone.kind()))),
    }
}

pub(super) fn datetime<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let refused = || call.refuse_args("a state of 10 bytes, or numbers");
    let view = |date, time, tzinfo| Ok(Some(View::DateTime(DateTime { date, time, tzinfo })));
    match call.args.len() {
        1 | 2 => {
            let Some([y0, y1, month, rest @ ..]) = state::<10>(call.arg(0), budget)? else {
                return Err(refused());
            };
            let [day, hour, minute, second, micros @ ..] = rest;
            let year = number(&[y0, y1]);
            // The high bit of the month is the fold.
            let date = checked_date(call, [year, (month & 0x7f).into(), day.into()])?;
            let clock = [hour.into(), minute.into(), second.into(), number(&micros)];
            let time = checked_time(call, clock, month & 0x80 != 0)?;
            view(date, time, tzinfo(call, 1)?)
        }
        3..=8 => {
            let given = ints(call, [0; 7]).ok_or_else(refused)?;
            let [year, month, day, clock @ ..] = given;
            let date = checked_date(call, [year, month, day])?;
            view(date, checked_time(call, clock, false)?, tzinfo(call, 7)?)
        }
        _ => Err(refused()),
    }
}

pub(super) fn date<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let parts = match call.args.len() {
        1 => state::<4>(call.arg(0), budget)?
            .map(|[y0, y1, month, day]| [number(&[y0, y1]), month.into(), day.into()]),
        3 => ints(call, [0; 3]),
        _ => None,
    };
    let Some(parts) = parts else {
        return Err(call.refuse_args("a state of 4 bytes, or three numbers"));
    };
    Ok(Some(View::Date(checked_date(call, parts)?)))
}

pub(super) fn time<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let refused = || call.refuse_args("a state of 6 bytes, or numbers");
    let first = call.args.get(0);
    let is_state = first.is_some_and(|first| Int::of(first).is_none());
    if is_state && call.args.len() <= 2 {
        let Some([hour, minute, second, micros @ ..]) = state::<6>(call.arg(0), budget)? else {
            return Err(refused());
        };
        let clock = [(hour & 0x7f).into(), minute.into(), second.into(), number(&micros)];
        let time = checked_time(call, clock, hour & 0x80 != 0)?;
        return Ok(Some(View::Time(time, tzinfo(call, 1)?)));
    }
    if is_state || call.args.len() > 5 {
        return Err(refused());
    }
    let clock = ints(call, [0; 4]).ok_or_else(refused)?;
    Ok(Some(View::Time(checked_time(call, clock, false)?, tzinfo(call, 4)?)))
}

/// Microseconds of a day.
const DAY: i128 = 86_400_000_000;

/// The span of a call of `timedelta` with integers.
fn span(call: &Call) -> Result<TimeDelta, Error> {
    call.plain()?;
    let Some([days, seconds, micros]) = ints(call, [0; 3]).filter(|_| call.args.len() <= 3) else {
        return Err(call.refuse_args("days, seconds and microseconds"));
    };
    // Python carries what is beyond a day or a second.
    let micros = i128::from(micros);
    let total = i128::from(days)
        .checked_mul(86_400)
        .and_then(|day| day.checked_add(seconds.into()))
        .and_then(|seconds| seconds.checked_mul(1_000_000))
        .and_then(|whole| whole.checked_add(micros));
    let total = total.unwrap_or(i128::MAX);
    let (days, rest) = (total.div_euclid(DAY), total.rem_euclid(DAY));
    let days = i64::try_from(days).unwrap_or(i64::MAX);
    let (seconds, micros) = (rest.div_euclid(1_000_000), rest.rem_euclid(1_000_000));
    Ok(TimeDelta {
        days: within(call, "days", days, -999_999_999..=999_999_999)?,
        seconds: u32::try_from(seconds).unwrap_or(0),
        microseconds: u32::try_from(micros).unwrap_or(0),
    })
}

pub(super) fn timedelta<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    let float = |object: Object| matches!(object.value(), Value::Float(_));
    // Parts of days and weeks in floats are Python's to add up.
    if call.args.len() > 3 && call.args.len() <= 7 || call.args.iter().take(7).any(float) {
        return Ok(None);
    }
    Ok(Some(View::TimeDelta(span(call)?)))
}

pub(super) fn timezone<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let refused = || call.refuse_args("an offset and a name");
    let offset = match direct(call.arg(0)) {
        Some((Kind::TimeDelta, offset)) => span(&offset)?,
        _ if call.arg(0).as_recipe().is_some() => return Ok(None),
        _ => return Err(refused()),
    };
    let name = match (call.args.len(), call.arg(1).value()) {
        (1, _) => None,
        (2, Value::Text(name)) => Some(name),
        _ => return Err(refused()),
    };
    let day = TimeDelta { days: -1, seconds: 0, microseconds: 0 };
    if !matches!(offset.days, -1 | 0) || offset == day {
        return Err(call.refuse("an offset of a day or more"));
    }
    Ok(Some(View::TimeZone(TimeZone { offset, name })))
}

pub(super) fn zone<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let key = call.arg(0).as_str().filter(|_| call.args.len() == 2);
    let Some(key) = key.filter(|_| Int::of(call.arg(1)).is_some()) else {
        return Err(call.refuse_args("a key and whether it comes from the cache"));
    };
    pay(key.len(), budget)?;
    Ok(Some(View::Zone(key)))
}
