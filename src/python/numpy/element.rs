//! Single elements.

use byteorder::{BigEndian, ByteOrder as _, LittleEndian};
use half::f16;

use super::dtype::{ByteOrder, DType, Kind};
use crate::pickle::Object;

/// One element of an array, or a scalar.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Element<'a> {
    /// `bool`.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A floating-point number of up to 64 bits.
    Float(f64),
    /// A complex number of up to 128 bits.
    Complex(f64, f64),
    /// A byte string, without the zeros that fill it up.
    Bytes(&'a [u8]),
    /// A text, likewise; what is no character is U+FFFD.
    Text(String),
    /// A point in or span of time, in units of the dtype; none if it is no time (`NaT`).
    Time(Option<i64>),
    /// Void, a structure, a sub-array, or a `long double`: as it lies there.
    Raw(&'a [u8]),
    /// A Python object.
    Object(Object<'a>),
}

impl DType {
    /// What the bytes of one element say; none if they are too few or many.
    ///
    /// Parts of structures are had by [`field`](Self::field), its offset and its dtype.
    #[must_use]
    pub fn element<'a>(&self, bytes: &'a [u8]) -> Option<Element<'a>> {
        if bytes.len() as u64 != self.width() {
            return None;
        }
        let big = self.byte_order() == ByteOrder::Big;
        Some(match (self.kind(), bytes.len()) {
            (Kind::Bool, _) => Element::Bool(bytes.iter().any(|&byte| byte != 0)),
            (Kind::Int, len) => Element::Int(if big {
                BigEndian::read_int(bytes, len)
            } else {
                LittleEndian::read_int(bytes, len)
            }),
            (Kind::UInt, _) => Element::UInt(unsigned(bytes, big)),
            (Kind::Float, 2 | 4 | 8) => Element::Float(float(bytes, big)),
            (Kind::Complex, 8 | 16) => {
                let (re, im) = bytes.split_at_checked(bytes.len() / 2)?;
                Element::Complex(float(re, big), float(im, big))
            }
            (Kind::Bytes, _) => Element::Bytes(trimmed(bytes)),
            (Kind::Text, _) => Element::Text(text(bytes, big)),
            (Kind::DateTime(_) | Kind::TimeDelta(_), 8) => {
                let value = unsigned(bytes, big).cast_signed();
                Element::Time((value != i64::MIN).then_some(value))
            }
            (Kind::Object, _) => return None,
            _ => Element::Raw(bytes),
        })
    }
}

fn unsigned(bytes: &[u8], big: bool) -> u64 {
    let len = bytes.len();
    if big { BigEndian::read_uint(bytes, len) } else { LittleEndian::read_uint(bytes, len) }
}

#[expect(clippy::cast_possible_truncation, reason = "as many bits as there are bytes")]
fn float(bytes: &[u8], big: bool) -> f64 {
    let bits = unsigned(bytes, big);
    match bytes.len() {
        2 => f16::from_bits(bits as u16).to_f64(),
        4 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
    bytes.get(..bytes.len().saturating_sub(zeros)).unwrap_or_default()
}

fn text(bytes: &[u8], big: bool) -> String {
    let (points, _) = bytes.as_chunks::<4>();
    let point = |point: &[u8; 4]| {
        let code = if big { u32::from_be_bytes(*point) } else { u32::from_le_bytes(*point) };
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    let text: String = points.iter().map(point).collect();
    text.trim_end_matches('\0').to_owned()
}
