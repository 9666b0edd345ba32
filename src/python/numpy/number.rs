//! Elements as Rust types: lent where they lie as Rust keeps them, or converted exactly.

use bytemuck::Pod;
use half::f16;

use super::array::{NumpyArray, Order};
use super::dtype::{DType, Kind};
use super::element::Element;
use super::error::{Error, Fault};
use crate::base::Budget;
use crate::pickle::{Object, Value};

/// A Rust type with the bits of some dtype. Complex numbers are `[real, imaginary]`, points
/// and spans in time `i64`, booleans `u8`. This trait is sealed.
pub trait Plain: Pod + FromElement + sealed::Sealed {
    /// Whether elements of `dtype` have the bits of this type, but perhaps for their order.
    fn reads(dtype: &DType) -> bool;
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that elements are converted to, exactly or not at all.
pub trait FromElement: Sized {
    /// The type as Rust names it.
    const NAME: &'static str;

    /// The value, if this type has it exactly.
    fn from_element(element: Element) -> Option<Self>;

    /// Whether some elements of `dtype` may have a value of this type.
    fn may_read(dtype: &DType) -> bool;

    /// All elements at once, where these need no conversion.
    #[doc(hidden)]
    #[must_use]
    fn bulk(_: &NumpyArray) -> Option<Vec<Self>> {
        None
    }
}

impl NumpyArray<'_> {
    /// All elements as they lie in the data: row by row, in this machine's byte order, and
    /// aligned, as happens to be. None otherwise, or if `T` is another type; then
    /// [`to_vec`](Self::to_vec) helps.
    #[must_use]
    pub fn as_slice<T: Plain>(&self) -> Option<&[T]> {
        let native = self.dtype().is_big() == cfg!(target_endian = "big") || size_of::<T>() == 1;
        if !T::reads(self.dtype()) || !native || self.order() != Order::C {
            return None;
        }
        bytemuck::try_cast_slice(self.bytes()?).ok()
    }

    /// All elements in row-major order, each converted exactly. Objects are converted too.
    ///
    /// # Errors
    /// [`Fault::WrongType`] if elements of the dtype are never a `T`; [`Fault::Inexact`] if
    /// one is not exactly.
    pub fn to_vec<T: FromElement>(&self) -> Result<Vec<T>, Error> {
        let is = || self.dtype().to_string().into();
        if !T::may_read(self.dtype()) {
            let fault = Fault::WrongType { is: is(), wanted: T::NAME };
            return Err(Error::new(fault, self.object().offset()));
        }
        if let Some(all) = T::bulk(self) {
            return Ok(all);
        }
        let convert = |(index, element)| {
            T::from_element(element).ok_or_else(|| {
                let fault = Fault::Inexact { index: index as u64, is: is(), wanted: T::NAME };
                Error::new(fault, self.object().offset())
            })
        };
        self.iter().enumerate().map(convert).collect()
    }
}

/// The elements of an array whose bits are those of `T`, numbers of `parts` parts.
fn collect<T: Plain>(array: &NumpyArray, parts: usize) -> Option<Vec<T>> {
    if !T::reads(array.dtype()) {
        return None;
    }
    let mut bytes = array.row_major_bytes()?;
    let width = size_of::<T>().checked_div(parts)?;
    if width > 1 && array.dtype().is_big() != cfg!(target_endian = "big") {
        bytes.to_mut().chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    Some(bytemuck::pod_collect_to_vec(&bytes))
}

/// A number, of whichever type it was.
enum Number {
    Int(i128),
    Float(f64),
}

fn number(element: Element) -> Option<Number> {
    Some(match element {
        Element::Bool(value) => Number::Int(value.into()),
        Element::Int(value) => Number::Int(value.into()),
        Element::UInt(value) => Number::Int(value.into()),
        Element::Float16(value) => Number::Float(value.into()),
        Element::Float32(value) => Number::Float(value.into()),
        Element::Float64(value) => Number::Float(value),
        Element::LongDouble(value) => Number::Float(value.x87()?),
        Element::Object(object) => match object.value() {
            Value::Bool(value) => Number::Int(value.into()),
            Value::Int(value) => Number::Int(value.into()),
            Value::Float(value) => Number::Float(value),
            _ => return None,
        },
        _ => return None,
    })
}

fn is_number(dtype: &DType) -> bool {
    matches!(dtype.kind(), Kind::Bool | Kind::Int | Kind::UInt | Kind::Float | Kind::Object)
}

/// The whole number, if it is one.
fn whole(number: &Number) -> Option<i128> {
    match *number {
        Number::Int(value) => Some(value),
        // Beyond 2^64 no integer type here has it.
        Number::Float(value) if value.abs() <= 18_446_744_073_709_551_616.0 => {
            #[expect(clippy::cast_possible_truncation, reason = "compared below")]
            let whole = value as i128;
            #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "exactness is asked")]
            let same = whole as f64 == value;
            same.then_some(whole)
        }
        Number::Float(_) => None,
    }
}

fn double(number: &Number) -> Option<f64> {
    match *number {
        Number::Float(value) => Some(value),
        Number::Int(value) => {
            #[expect(clippy::cast_precision_loss, reason = "compared below")]
            let double = value as f64;
            (whole(&Number::Float(double)) == Some(value)).then_some(double)
        }
    }
}

fn is_time(dtype: &DType) -> bool {
    matches!(dtype.kind(), Kind::DateTime(_) | Kind::TimeDelta(_))
}

macro_rules! integers {
    ($($type:ident: $kind:pat, $width:literal;)*) => {$(
        impl sealed::Sealed for $type {}

        impl Plain for $type {
            fn reads(dtype: &DType) -> bool {
                matches!(dtype.kind(), $kind) && dtype.itemsize() == $width
            }
        }

        impl FromElement for $type {
            const NAME: &'static str = stringify!($type);

            fn from_element(element: Element) -> Option<Self> {
                match element {
                    Element::DateTime(time) | Element::TimeDelta(time) => time.raw().try_into().ok(),
                    element => whole(&number(element)?)?.try_into().ok(),
                }
            }

            fn may_read(dtype: &DType) -> bool {
                is_number(dtype) || ($width == 8 && is_time(dtype))
            }

            fn bulk(array: &NumpyArray) -> Option<Vec<Self>> {
                // Any byte but 0 is true, so booleans are looked at one by one.
                if matches!(array.dtype().kind(), Kind::Bool) {
                    return None;
                }
                collect(array, 1)
            }
        }
    )*};
}

integers! {
    i8: Kind::Int, 1;
    i16: Kind::Int, 2;
    i32: Kind::Int, 4;
    i64: Kind::Int | Kind::DateTime(_) | Kind::TimeDelta(_), 8;
    u8: Kind::UInt | Kind::Bool, 1;
    u16: Kind::UInt, 2;
    u32: Kind::UInt, 4;
    u64: Kind::UInt, 8;
}

macro_rules! floats {
    ($($type:ident, $width:literal, $narrow:expr;)*) => {$(
        impl sealed::Sealed for $type {}

        impl Plain for $type {
            fn reads(dtype: &DType) -> bool {
                matches!(dtype.kind(), Kind::Float) && dtype.itemsize() == $width
            }
        }

        impl FromElement for $type {
            const NAME: &'static str = stringify!($type);

            fn from_element(element: Element) -> Option<Self> {
                let value = double(&number(element)?)?;
                let narrow: $type = $narrow(value);
                #[allow(clippy::float_cmp, reason = "exactness is asked")]
                let same = f64::from(narrow) == value || value.is_nan();
                same.then_some(narrow)
            }

            fn may_read(dtype: &DType) -> bool {
                is_number(dtype)
            }

            fn bulk(array: &NumpyArray) -> Option<Vec<Self>> {
                collect(array, 1)
            }
        }
    )*};
}

#[expect(clippy::cast_possible_truncation, reason = "compared with the value by the caller")]
fn single(value: f64) -> f32 {
    value as f32
}

floats! {
    f16, 2, f16::from_f64;
    f32, 4, single;
    f64, 8, std::convert::identity;
}

macro_rules! complex {
    ($($type:ident, $width:literal;)*) => {$(
        impl sealed::Sealed for [$type; 2] {}

        impl Plain for [$type; 2] {
            fn reads(dtype: &DType) -> bool {
                matches!(dtype.kind(), Kind::Complex) && dtype.itemsize() == $width
            }
        }

        impl FromElement for [$type; 2] {
            const NAME: &'static str = concat!("[", stringify!($type), "; 2]");

            fn from_element(element: Element) -> Option<Self> {
                let [re, im] = match element {
                    Element::Complex64(parts) => parts.map(Element::Float32),
                    Element::Complex128(parts) => parts.map(Element::Float64),
                    Element::ComplexLong(parts) => parts.map(Element::LongDouble),
                    _ => return None,
                };
                Some([$type::from_element(re)?, $type::from_element(im)?])
            }

            fn may_read(dtype: &DType) -> bool {
                matches!(dtype.kind(), Kind::Complex)
            }

            fn bulk(array: &NumpyArray) -> Option<Vec<Self>> {
                collect(array, 2)
            }
        }
    )*};
}

complex! {
    f32, 8;
    f64, 16;
}

impl FromElement for bool {
    const NAME: &'static str = "bool";

    fn from_element(element: Element) -> Option<Self> {
        match element {
            Element::Bool(value) => Some(value),
            Element::Object(object) => object.as_bool(),
            _ => None,
        }
    }

    fn may_read(dtype: &DType) -> bool {
        matches!(dtype.kind(), Kind::Bool | Kind::Object)
    }
}

impl FromElement for String {
    const NAME: &'static str = "String";

    fn from_element(element: Element) -> Option<Self> {
        match element {
            Element::Text(text) => text.to_text(),
            Element::Object(object) => object.as_str().map(str::to_owned),
            _ => None,
        }
    }

    fn may_read(dtype: &DType) -> bool {
        matches!(dtype.kind(), Kind::Unicode | Kind::String { .. } | Kind::Object)
    }
}

impl FromElement for Vec<u8> {
    const NAME: &'static str = "Vec<u8>";

    fn from_element(element: Element) -> Option<Self> {
        match element {
            Element::Bytes(bytes) | Element::Void(bytes) => Some(bytes.to_vec()),
            Element::Record(record) => Some(record.bytes().to_vec()),
            Element::Object(object) => bytes_of(object),
            _ => None,
        }
    }

    fn may_read(dtype: &DType) -> bool {
        matches!(
            dtype.kind(),
            Kind::Bytes | Kind::Void | Kind::User(_) | Kind::Struct(_) | Kind::Object
        )
    }
}

fn bytes_of(object: Object) -> Option<Vec<u8>> {
    let bytes = super::given::bytes(object, &mut Budget::default()).ok()??;
    Some(bytes.into_owned())
}
