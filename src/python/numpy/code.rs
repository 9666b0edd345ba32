//! Codes of types of elements, `f8`, and the names that stand for them.

use super::datetime::Unit;
use super::dtype::{ByteOrder, Head, Kind};
use super::given;
use crate::base::FileOffset;
use crate::pickle::Global;

/// A kind and width.
pub(super) struct Code<'graph> {
    pub kind: Kind<'graph>,
    order: ByteOrder,
    itemsize: u64,
    /// Whether the state says the width, as for strings and structures.
    pub sized_by_state: bool,
}

impl<'graph> Code<'graph> {
    pub(super) const fn new(kind: Kind<'graph>, itemsize: u64, sized_by_state: bool) -> Self {
        Self { kind, order: ByteOrder::Unstated, itemsize, sized_by_state }
    }

    pub(super) const fn head(
        &self,
        class: Option<Global<'graph>>,
        at: Option<FileOffset>,
    ) -> Head<'graph> {
        Head {
            order: self.order,
            itemsize: self.itemsize,
            alignment: None,
            aligned: false,
            class,
            metadata: None,
            at,
        }
    }
}

/// `f8`, `<U3`, `O`: a byte order, a letter, a width.
pub(super) fn parse_code<'graph>(code: &[u8]) -> Option<Code<'graph>> {
    // A width has 20 digits at most; nothing longer is looked through.
    if code.len() > 24 {
        return None;
    }
    let (order, code) = match code {
        [b'<', rest @ ..] => (ByteOrder::Little, rest),
        [b'>', rest @ ..] => (ByteOrder::Big, rest),
        [b'|' | b'=', rest @ ..] => (ByteOrder::Unstated, rest),
        _ => (ByteOrder::Unstated, code),
    };
    let (&letter, width) = code.split_first()?;
    let digits = width.iter().all(u8::is_ascii_digit);
    let width: Option<u64> = std::str::from_utf8(width).ok().filter(|_| digits)?.parse().ok();
    let fixed = |kind, widths: &[u64]| {
        width.filter(|width| widths.contains(width)).map(|width| Code::new(kind, width, false))
    };
    let flexible = |kind, times: u64| {
        let width = if code.len() == 1 { 0 } else { width? };
        Some(Code::new(kind, width.checked_mul(times)?, true))
    };
    let made = match letter {
        b'b' => fixed(Kind::Bool, &[1]),
        b'i' => fixed(Kind::Int, &[1, 2, 4, 8]),
        b'u' => fixed(Kind::UInt, &[1, 2, 4, 8]),
        b'f' => fixed(Kind::Float, &[2, 4, 8, 12, 16]),
        b'c' => fixed(Kind::Complex, &[8, 16, 24, 32]),
        b'M' => fixed(Kind::DateTime(Unit::GENERIC), &[8]),
        b'm' => fixed(Kind::TimeDelta(Unit::GENERIC), &[8]),
        b'O' if code.len() == 1 => Some(Code::new(Kind::Object, 8, false)),
        b'O' => fixed(Kind::Object, &[4, 8]),
        b'S' | b'a' => flexible(Kind::Bytes, 1),
        b'U' => flexible(Kind::Unicode, 4),
        b'V' => flexible(Kind::Void, 1),
        _ => None,
    }?;
    Some(Code { order, ..made })
}

/// The code behind a class of numbers or of dtypes.
pub(super) fn class_code(global: Global) -> Option<&'static [u8]> {
    match global.module {
        b"numpy.dtypes" => {
            let name = global.name.strip_suffix(b"DType")?.to_ascii_lowercase();
            names_code(&name)
        }
        b"numpy.rec" if global.name == b"record" => Some(b"V"),
        b"numpy" => names_code(global.name),
        _ if given::is_core(global, ".records", "record") => Some(b"V"),
        _ => None,
    }
}

/// The code behind a name, where it is the same on every machine.
pub(super) fn names_code(name: &[u8]) -> Option<&'static [u8]> {
    Some(match name {
        b"bool" | b"bool_" | b"bool8" => b"b1",
        b"int8" | b"byte" => b"i1",
        b"int16" | b"short" => b"i2",
        b"int32" | b"intc" => b"i4",
        b"int64" | b"longlong" => b"i8",
        b"uint8" | b"ubyte" => b"u1",
        b"uint16" | b"ushort" => b"u2",
        b"uint32" | b"uintc" => b"u4",
        b"uint64" | b"ulonglong" => b"u8",
        b"float16" | b"half" => b"f2",
        b"float32" | b"single" => b"f4",
        b"float64" | b"double" | b"float_" => b"f8",
        b"float96" => b"f12",
        b"float128" => b"f16",
        b"complex64" | b"csingle" => b"c8",
        b"complex128" | b"cdouble" | b"complex_" => b"c16",
        b"complex192" => b"c24",
        b"complex256" => b"c32",
        b"bytes" | b"bytes_" | b"string_" => b"S",
        b"str" | b"str_" | b"unicode_" => b"U",
        b"void" | b"record" => b"V",
        b"object" | b"object_" => b"O",
        b"datetime64" => b"M8",
        b"timedelta64" => b"m8",
        _ => return None,
    })
}
