//! Dtypes as numpy spells them.

use std::fmt;

use super::dtype::{ByteOrder, DType, Kind};

/// As numpy's `dtype.str`: `<f8`, `>U3`, `|V12` for structures and sub-arrays, `|O`,
/// `StringDType()`. Other libraries' types have their names.
impl fmt::Display for DType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, unit) = match self.kind() {
            Kind::Bool => ("b", None),
            Kind::Int => ("i", None),
            Kind::UInt => ("u", None),
            Kind::Float => ("f", None),
            Kind::Complex => ("c", None),
            Kind::Bytes => ("S", None),
            Kind::Unicode => ("U", None),
            Kind::Void | Kind::Struct(_) | Kind::SubArray { .. } => ("V", None),
            Kind::DateTime(unit) => ("M", Some(unit)),
            Kind::TimeDelta(unit) => ("m", Some(unit)),
            // numpy gives objects no width.
            Kind::Object => return f.write_str("|O"),
            Kind::String { .. } => return f.write_str("StringDType()"),
            Kind::User(global) => return write!(f, "{global}"),
        };
        let order = match self.byte_order() {
            ByteOrder::Little => "<",
            ByteOrder::Big => ">",
            ByteOrder::Irrelevant => "|",
            ByteOrder::Unstated => "=",
        };
        let width = match self.kind() {
            Kind::Unicode => self.itemsize() / 4,
            _ => self.itemsize(),
        };
        write!(f, "{order}{letter}{width}")?;
        unit.map_or(Ok(()), |unit| write!(f, "{unit}"))
    }
}
