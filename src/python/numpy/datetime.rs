//! Points in time and spans of it, and their text.
//!
//! Source: numpy `multiarray/datetime.c` (`parse_datetime_unit_from_string`,
//! `convert_datetime_to_datetimestruct`) and `datetime_strings.c` (`make_iso_8601_datetime`).

use std::fmt;

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is what it says")]
pub enum UnitBase {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Picosecond,
    Femtosecond,
    Attosecond,
    /// None in particular.
    Generic,
}

/// Unit, its name in numpy, and as a part or multiple of a day: below a day, how many make
/// one second, or seconds that make one.
const UNITS: &[(UnitBase, &str)] = &[
    (UnitBase::Year, "Y"),
    (UnitBase::Month, "M"),
    (UnitBase::Week, "W"),
    (UnitBase::Day, "D"),
    (UnitBase::Hour, "h"),
    (UnitBase::Minute, "m"),
    (UnitBase::Second, "s"),
    (UnitBase::Millisecond, "ms"),
    (UnitBase::Microsecond, "us"),
    (UnitBase::Nanosecond, "ns"),
    (UnitBase::Picosecond, "ps"),
    (UnitBase::Femtosecond, "fs"),
    (UnitBase::Attosecond, "as"),
    (UnitBase::Generic, "generic"),
];

impl UnitBase {
    /// Its name in numpy: `"ns"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        UNITS.iter().find(|(base, _)| *base == self).map_or("generic", |(_, name)| name)
    }

    /// The unit of that name.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        match name {
            // Python 2 could not write the letter of microseconds otherwise either.
            b"\xce\xbcs" | b"\xc2\xb5s" => Some(Self::Microsecond),
            _ => UNITS.iter().find(|(_, known)| known.as_bytes() == name).map(|(base, _)| *base),
        }
    }

    /// Digits of a second that its ISO text shows.
    fn digits(self) -> Option<u32> {
        Some(match self {
            Self::Second => 0,
            Self::Millisecond => 3,
            Self::Microsecond => 6,
            Self::Nanosecond => 9,
            Self::Picosecond => 12,
            Self::Femtosecond => 15,
            Self::Attosecond => 18,
            _ => return None,
        })
    }
}

/// A number of units that are counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unit {
    pub(super) base: UnitBase,
    pub(super) count: u32,
}

impl Unit {
    pub(super) const GENERIC: Self = Self { base: UnitBase::Generic, count: 1 };

    /// Which unit.
    #[must_use]
    pub const fn base(self) -> UnitBase {
        self.base
    }

    /// How many of it are one step; above 0.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }
}

impl fmt::Display for Unit {
    /// As in a dtype: `[ns]`, `[25s]`, nothing for generic units.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.base, self.count) {
            (UnitBase::Generic, _) => Ok(()),
            (base, 1) => write!(f, "[{}]", base.name()),
            (base, count) => write!(f, "[{count}{}]", base.name()),
        }
    }
}

/// A point in time or a span of it: a count of units, or `NaT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    pub(super) value: i64,
    pub(super) unit: Unit,
}

impl Moment {
    /// What numpy stores for "not a time".
    pub const NAT: i64 = i64::MIN;

    /// The count, [`NAT`](Self::NAT) among them.
    #[must_use]
    pub const fn raw(self) -> i64 {
        self.value
    }

    /// The count, if it is a time.
    #[must_use]
    pub const fn count(self) -> Option<i64> {
        if self.value == Self::NAT { None } else { Some(self.value) }
    }

    /// What is counted.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// As a point in time counted from 1970, in ISO 8601 as numpy prints it:
    /// `2020-02-29T23:59:58.125`, as precise as the unit. None if the unit is generic.
    #[must_use]
    pub fn iso(self) -> Option<String> {
        let Some(count) = self.count() else { return Some("NaT".to_owned()) };
        // Of 95 bits at most, so nothing below wraps.
        let count = i128::from(count).saturating_mul(i128::from(self.unit.count));
        let whole = |per: i128| (count.div_euclid(per), count.rem_euclid(per));
        Some(match self.unit.base {
            UnitBase::Year => year(count.saturating_add(1970)),
            UnitBase::Month => {
                let (years, month) = whole(12);
                format!("{}-{:02}", year(years.saturating_add(1970)), month.saturating_add(1))
            }
            UnitBase::Week => date(count.saturating_mul(7)),
            UnitBase::Day => date(count),
            UnitBase::Hour => {
                let (days, hour) = whole(24);
                format!("{}T{hour:02}", date(days))
            }
            UnitBase::Minute => {
                let (days, minutes) = whole(24 * 60);
                format!("{}T{:02}:{:02}", date(days), minutes / 60, minutes % 60)
            }
            base => {
                let digits = base.digits()?;
                let (seconds, part) = whole(10_i128.checked_pow(digits)?);
                let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
                let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
                let time = format!("{}T{hour:02}:{minute:02}:{second:02}", date(days));
                match usize::try_from(digits) {
                    Ok(digits @ 1..) => format!("{time}.{part:0digits$}"),
                    _ => time,
                }
            }
        })
    }
}

/// Four digits at least, as numpy.
fn year(year: i128) -> String {
    if year < 0 { format!("-{:04}", year.unsigned_abs()) } else { format!("{year:04}") }
}

/// The Gregorian date some days after 1970-01-01, by eras of 400 years that begin in March.
#[expect(clippy::arithmetic_side_effects, reason = "days have 98 bits at most")]
fn date(days: i128) -> String {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let first = year_of_era + era * 400 + i128::from(month <= 2);
    format!("{}-{month:02}-{day_of_month:02}", year(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(value: i64, base: UnitBase, count: u32) -> String {
        Moment { value, unit: Unit { base, count } }.iso().unwrap()
    }

    #[test]
    fn points_in_time_as_numpy_prints_them() {
        // str(numpy.datetime64(value, (unit, count))), numpy 2.4.
        assert_eq!(iso(0, UnitBase::Year, 1), "1970");
        assert_eq!(iso(-1971, UnitBase::Year, 1), "-0001");
        assert_eq!(iso(-1, UnitBase::Month, 1), "1969-12");
        assert_eq!(iso(1, UnitBase::Week, 1), "1970-01-08");
        assert_eq!(iso(-719_529, UnitBase::Day, 1), "-0001-12-31");
        assert_eq!(iso(18_321, UnitBase::Day, 1), "2020-02-29");
        assert_eq!(iso(7, UnitBase::Hour, 25), "1970-01-08T07");
        assert_eq!(iso(-1, UnitBase::Second, 1), "1969-12-31T23:59:59");
        assert_eq!(iso(1_500, UnitBase::Millisecond, 1), "1970-01-01T00:00:01.500");
        assert_eq!(iso(-1, UnitBase::Attosecond, 1), "1969-12-31T23:59:59.999999999999999999");
        assert_eq!(iso(i64::MIN, UnitBase::Day, 1), "NaT");
        assert_eq!(iso(i64::MAX, UnitBase::Nanosecond, 1), "2262-04-11T23:47:16.854775807");
        assert_eq!(Moment { value: 1, unit: Unit::GENERIC }.iso(), None);
    }

    #[test]
    fn extremes_do_not_wrap() {
        for (base, _) in UNITS {
            for value in [i64::MIN + 1, i64::MAX] {
                let _ = Moment { value, unit: Unit { base: *base, count: u32::MAX } }.iso();
            }
        }
    }
}
