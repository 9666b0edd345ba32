//! Single elements, decoded.

use half::f16;

use super::datetime::{Moment, Unit};
use super::dtype::{DType, Field, Kind};
use super::float::LongDouble;
use crate::pickle::Object;

/// One element of an array, or the value of a scalar.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Element<'a> {
    /// A boolean.
    Bool(bool),
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width.
    UInt(u64),
    /// A `float16`.
    Float16(f16),
    /// A `float32`.
    Float32(f32),
    /// A `float64`.
    Float64(f64),
    /// A `longdouble`.
    LongDouble(LongDouble<'a>),
    /// A `complex64`: real and imaginary part.
    Complex64([f32; 2]),
    /// A `complex128`.
    Complex128([f64; 2]),
    /// A `clongdouble`.
    ComplexLong([LongDouble<'a>; 2]),
    /// A byte string, without the zeros it ends in, as numpy gives it.
    Bytes(&'a [u8]),
    /// A text, likewise.
    Text(Ucs4<'a>),
    /// Raw bytes, those of another library's type among them.
    Void(&'a [u8]),
    /// A point in time.
    DateTime(Moment),
    /// A span of time.
    TimeDelta(Moment),
    /// A structure.
    Record(Record<'a>),
    /// An array inside an element.
    SubArray(SubArray<'a>),
    /// A Python object: whatever stood in an object array; for a structure with objects among
    /// its fields the tuple of its fields' values.
    Object(Object<'a>),
}

impl<'a> Element<'a> {
    /// Decodes an element. `bytes` are as many as the dtype is wide.
    pub(super) fn of(dtype: &'a DType<'a>, bytes: &'a [u8]) -> Self {
        Self::decode(dtype, bytes).unwrap_or(Self::Void(bytes))
    }

    fn decode(dtype: &'a DType<'a>, bytes: &'a [u8]) -> Option<Self> {
        let big = dtype.is_big();
        Some(match dtype.kind() {
            Kind::Bool => Self::Bool(bytes.iter().any(|&byte| byte != 0)),
            Kind::Int => Self::Int(signed(bytes, big)?),
            Kind::UInt => Self::UInt(unsigned(bytes, big)?),
            Kind::Float => match bytes.len() {
                2 => Self::Float16(f16::from_bits(u16::try_from(unsigned(bytes, big)?).ok()?)),
                4 => Self::Float32(float32(bytes, big)?),
                8 => Self::Float64(float64(bytes, big)?),
                _ => Self::LongDouble(LongDouble::new(bytes, big)),
            },
            Kind::Complex => {
                let (re, im) = bytes.split_at_checked(bytes.len() / 2)?;
                match bytes.len() {
                    8 => Self::Complex64([float32(re, big)?, float32(im, big)?]),
                    16 => Self::Complex128([float64(re, big)?, float64(im, big)?]),
                    _ => Self::ComplexLong([LongDouble::new(re, big), LongDouble::new(im, big)]),
                }
            }
            Kind::Bytes => Self::Bytes(without_zeros(bytes)),
            Kind::Unicode => Self::Text(Ucs4::new(bytes, big)),
            Kind::DateTime(unit) => Self::DateTime(moment(bytes, big, *unit)?),
            Kind::TimeDelta(unit) => Self::TimeDelta(moment(bytes, big, *unit)?),
            Kind::Struct(_) => Self::Record(Record { dtype, bytes }),
            Kind::SubArray { base, shape } => Self::SubArray(SubArray { base, shape, bytes }),
            Kind::Void | Kind::User(_) | Kind::Object | Kind::String { .. } => Self::Void(bytes),
        })
    }

    /// The number, if it is one that 64-bit floating point has exactly.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        /// Whole numbers up to this all have a floating-point one.
        const EXACT: u64 = 1 << 53;
        match self {
            Self::Float16(value) => Some(value.into()),
            Self::Float32(value) => Some(value.into()),
            Self::Float64(value) => Some(value),
            #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
            Self::Int(value) => (value.unsigned_abs() <= EXACT).then_some(value as f64),
            #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
            Self::UInt(value) => (value <= EXACT).then_some(value as f64),
            _ => None,
        }
    }

    /// The integer, if it is one that fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            Self::UInt(value) => i64::try_from(value).ok(),
            _ => None,
        }
    }
}

fn unsigned(bytes: &[u8], big: bool) -> Option<u64> {
    let push = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
    if bytes.len() > 8 {
        return None;
    }
    Some(if big { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) })
}

fn signed(bytes: &[u8], big: bool) -> Option<i64> {
    let value = unsigned(bytes, big)?.cast_signed();
    let unused = u32::try_from(bytes.len())
        .ok()?
        .checked_mul(8)
        .and_then(|bits| 64_u32.checked_sub(bits))?;
    value.checked_shl(unused)?.checked_shr(unused)
}

fn float32(bytes: &[u8], big: bool) -> Option<f32> {
    let bytes = bytes.try_into().ok()?;
    Some(if big { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) })
}

fn float64(bytes: &[u8], big: bool) -> Option<f64> {
    let bytes = bytes.try_into().ok()?;
    Some(if big { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) })
}

fn moment(bytes: &[u8], big: bool, unit: Unit) -> Option<Moment> {
    Some(Moment { value: signed(bytes, big)?, unit })
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last.saturating_add(1));
    bytes.get(..end).unwrap_or_default()
}

/// A text of 4 bytes a code point, the zeros at its end left out.
#[derive(Clone, Copy, Debug)]
pub struct Ucs4<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl<'a> Ucs4<'a> {
    fn new(bytes: &'a [u8], big: bool) -> Self {
        let zero = |unit: &&[u8]| unit.iter().all(|&byte| byte == 0);
        let zeros = bytes.rchunks_exact(4).take_while(zero).count();
        let end = bytes.len().saturating_sub(zeros.saturating_mul(4));
        Self { bytes: bytes.get(..end).unwrap_or_default(), big }
    }

    /// The code points. Python has no others than those of Unicode, lone surrogates among
    /// them, but a file may.
    pub fn code_points(self) -> impl Iterator<Item = u32> + use<'a> {
        let big = self.big;
        let (units, _) = self.bytes.as_chunks::<4>();
        let point = move |unit: &[u8; 4]| {
            if big { u32::from_be_bytes(*unit) } else { u32::from_le_bytes(*unit) }
        };
        units.iter().map(point)
    }

    /// The text, if every code point is a character: no surrogate, none beyond Unicode.
    #[must_use]
    pub fn to_text(self) -> Option<String> {
        self.code_points().map(char::from_u32).collect()
    }
}

/// A structure inside an array: its fields by name.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    dtype: &'a DType<'a>,
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Its bytes, those between the fields among them.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The value of the field of that name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Element<'a>> {
        self.dtype.field(name).map(|field| self.value(field))
    }

    /// All fields and their values, in order.
    #[must_use]
    pub fn fields(self) -> impl ExactSizeIterator<Item = (&'a Field<'a>, Element<'a>)> {
        self.dtype.fields().iter().map(move |field| (field, self.value(field)))
    }

    fn value(self, field: &'a Field<'a>) -> Element<'a> {
        let start = usize::try_from(field.offset()).unwrap_or(usize::MAX);
        let end = field.offset().saturating_add(field.dtype().itemsize());
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        // Always there: the dtype has proven it.
        Element::of(field.dtype(), self.bytes.get(start..end).unwrap_or_default())
    }
}

/// An array inside an element, row by row.
#[derive(Clone, Copy, Debug)]
pub struct SubArray<'a> {
    base: &'a DType<'a>,
    shape: &'a [u64],
    bytes: &'a [u8],
}

impl<'a> SubArray<'a> {
    /// The type of its elements.
    #[must_use]
    pub const fn dtype(self) -> &'a DType<'a> {
        self.base
    }

    /// Its sizes (elements).
    #[must_use]
    pub const fn shape(self) -> &'a [u64] {
        self.shape
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many elements it has. Cannot overflow: the dtype has proven it.
    #[must_use]
    pub fn len(self) -> usize {
        usize::try_from(super::given::count(self.shape)).unwrap_or(0)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Its elements in row-major order.
    #[must_use]
    pub fn iter(self) -> impl ExactSizeIterator<Item = Element<'a>> {
        let width = usize::try_from(self.base.itemsize()).unwrap_or(usize::MAX);
        (0..self.len()).map(move |index| {
            let start = index.saturating_mul(width);
            let bytes = self.bytes.get(start..start.saturating_add(width));
            Element::of(self.base, bytes.unwrap_or_default())
        })
    }
}
