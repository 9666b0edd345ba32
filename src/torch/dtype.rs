//! Element types: one table of names, widths and storage classes.
//!
//! Source: PyTorch 2.15 `torch/storage.py` (`_dtype_to_storage_type_map`, `_new_dtypes`),
//! `c10/core/ScalarType.h` for widths.

use std::fmt;

/// What the halves or bytes of an element are, for byte order and for negation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Two's complement or unsigned.
    Int,
    /// IEEE 754 or a narrower cousin, sign in the top bit.
    Float,
    /// A pair of floats: real, imaginary.
    Complex,
    /// Bits without arithmetic.
    Opaque,
}

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $width:literal $class:ident $storage:expr;)*) => {
        /// The type of a tensor's elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum DType { $($(#[$doc])* $variant,)* }

        impl DType {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// PyTorch's name, without `torch.`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bytes of one element.
            #[must_use]
            pub const fn width(self) -> u64 {
                match self { $(Self::$variant => $width,)* }
            }

            /// What an element consists of.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// The class of storages of this type, if PyTorch has one of its own.
            #[must_use]
            pub const fn storage_class(self) -> Option<&'static str> {
                match self { $(Self::$variant => $storage,)* }
            }
        }
    };
}

dtypes! {
    /// 64-bit float, also `torch.double`.
    Float64 "float64" 8 Float Some("DoubleStorage");
    /// 32-bit float, also `torch.float`.
    Float32 "float32" 4 Float Some("FloatStorage");
    /// 16-bit float, also `torch.half`.
    Float16 "float16" 2 Float Some("HalfStorage");
    /// 16-bit float with the exponent of a 32-bit one.
    BFloat16 "bfloat16" 2 Float Some("BFloat16Storage");
    /// 64-bit integer, also `torch.long`.
    Int64 "int64" 8 Int Some("LongStorage");
    /// 32-bit integer, also `torch.int`.
    Int32 "int32" 4 Int Some("IntStorage");
    /// 16-bit integer, also `torch.short`.
    Int16 "int16" 2 Int Some("ShortStorage");
    /// 8-bit integer.
    Int8 "int8" 1 Int Some("CharStorage");
    /// Unsigned 8-bit integer.
    UInt8 "uint8" 1 Int Some("ByteStorage");
    /// One byte, 0 or 1.
    Bool "bool" 1 Opaque Some("BoolStorage");
    /// Two 64-bit floats.
    Complex128 "complex128" 16 Complex Some("ComplexDoubleStorage");
    /// Two 32-bit floats.
    Complex64 "complex64" 8 Complex Some("ComplexFloatStorage");
    /// Quantized to 8 bits.
    QInt8 "qint8" 1 Int Some("QInt8Storage");
    /// Quantized to 8 unsigned bits.
    QUInt8 "quint8" 1 Int Some("QUInt8Storage");
    /// Quantized to 32 bits.
    QInt32 "qint32" 4 Int Some("QInt32Storage");
    /// Quantized to 4 unsigned bits, two in a byte.
    QUInt4x2 "quint4x2" 1 Opaque Some("QUInt4x2Storage");
    /// Quantized to 2 unsigned bits, four in a byte.
    QUInt2x4 "quint2x4" 1 Opaque Some("QUInt2x4Storage");
    /// 8-bit float: 5 bits of exponent, 2 of mantissa.
    Float8E5M2 "float8_e5m2" 1 Float None;
    /// 8-bit float: 4 bits of exponent, 3 of mantissa, no infinities.
    Float8E4M3Fn "float8_e4m3fn" 1 Float None;
    /// As `float8_e5m2`, without infinities and negative zero.
    Float8E5M2Fnuz "float8_e5m2fnuz" 1 Float None;
    /// As `float8_e4m3fn`, without negative zero.
    Float8E4M3Fnuz "float8_e4m3fnuz" 1 Float None;
    /// Powers of two: 8 bits of exponent, no sign.
    Float8E8M0Fnu "float8_e8m0fnu" 1 Opaque None;
    /// Two 4-bit floats in a byte.
    Float4E2M1FnX2 "float4_e2m1fn_x2" 1 Opaque None;
    /// 8 bits.
    Bits8 "bits8" 1 Opaque None;
    /// 16 bits.
    Bits16 "bits16" 2 Opaque None;
    /// Eight single bits in a byte.
    Bits1x8 "bits1x8" 1 Opaque None;
    /// Four pairs of bits in a byte.
    Bits2x4 "bits2x4" 1 Opaque None;
    /// Two halves of a byte.
    Bits4x2 "bits4x2" 1 Opaque None;
    /// Two 16-bit floats.
    Complex32 "complex32" 4 Complex None;
    /// Two `bfloat16`s.
    BComplex32 "bcomplex32" 4 Complex None;
    /// Unsigned 16-bit integer.
    UInt16 "uint16" 2 Int None;
    /// Unsigned 32-bit integer.
    UInt32 "uint32" 4 Int None;
    /// Unsigned 64-bit integer.
    UInt64 "uint64" 8 Int None;
    /// 1-bit unsigned integer, a byte each: only its name is in use.
    UInt1 "uint1" 1 Opaque None;
    /// 2-bit unsigned integer, a byte each: only its name is in use.
    UInt2 "uint2" 1 Opaque None;
    /// 3-bit unsigned integer, a byte each: only its name is in use.
    UInt3 "uint3" 1 Opaque None;
    /// 4-bit unsigned integer, a byte each: only its name is in use.
    UInt4 "uint4" 1 Opaque None;
    /// 5-bit unsigned integer, a byte each: only its name is in use.
    UInt5 "uint5" 1 Opaque None;
    /// 6-bit unsigned integer, a byte each: only its name is in use.
    UInt6 "uint6" 1 Opaque None;
    /// 7-bit unsigned integer, a byte each: only its name is in use.
    UInt7 "uint7" 1 Opaque None;
    /// 1-bit integer, a byte each: only its name is in use.
    Int1 "int1" 1 Opaque None;
    /// 2-bit integer, a byte each: only its name is in use.
    Int2 "int2" 1 Opaque None;
    /// 3-bit integer, a byte each: only its name is in use.
    Int3 "int3" 1 Opaque None;
    /// 4-bit integer, a byte each: only its name is in use.
    Int4 "int4" 1 Opaque None;
    /// 5-bit integer, a byte each: only its name is in use.
    Int5 "int5" 1 Opaque None;
    /// 6-bit integer, a byte each: only its name is in use.
    Int6 "int6" 1 Opaque None;
    /// 7-bit integer, a byte each: only its name is in use.
    Int7 "int7" 1 Opaque None;
}

/// Other spellings of a dtype in the `torch` module.
const ALIASES: &[(&str, DType)] = &[
    ("double", DType::Float64),
    ("float", DType::Float32),
    ("half", DType::Float16),
    ("long", DType::Int64),
    ("int", DType::Int32),
    ("short", DType::Int16),
    ("chalf", DType::Complex32),
    ("cfloat", DType::Complex64),
    ("cdouble", DType::Complex128),
];

impl DType {
    /// The dtype of this name, as attribute of the `torch` module.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let alias = || ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, dtype)| *dtype);
        Self::ALL.iter().copied().find(|dtype| dtype.name() == name).or_else(alias)
    }

    /// The dtype of storages of this class.
    #[must_use]
    pub fn from_storage_class(class: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dtype| dtype.storage_class() == Some(class))
    }

    /// Values that lie in one byte: more than 1 for the packed types.
    ///
    /// Sizes of quantized tensors count these values; those of others count bytes.
    #[must_use]
    pub const fn values_per_byte(self) -> u64 {
        match self {
            Self::QUInt4x2 | Self::Float4E2M1FnX2 | Self::Bits4x2 => 2,
            Self::QUInt2x4 | Self::Bits2x4 => 4,
            Self::Bits1x8 => 8,
            _ => 1,
        }
    }

    /// Whether elements are quantized: integers that stand for other numbers.
    #[must_use]
    pub const fn is_quantized(self) -> bool {
        self.integers().is_some()
    }

    /// The type of the integers that a quantized type is made of (PyTorch's `int_repr()`).
    #[must_use]
    pub const fn integers(self) -> Option<Self> {
        match self {
            Self::QInt8 => Some(Self::Int8),
            Self::QUInt8 | Self::QUInt4x2 | Self::QUInt2x4 => Some(Self::UInt8),
            Self::QInt32 => Some(Self::Int32),
            _ => None,
        }
    }

    /// Bytes of what byte order applies to: half an element if it is complex.
    #[must_use]
    pub const fn component_width(self) -> u64 {
        match self.class() {
            Class::Complex => self.width() / 2,
            _ => self.width(),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_storage_classes_find_their_dtype() {
        for &dtype in DType::ALL {
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
            if let Some(class) = dtype.storage_class() {
                assert_eq!(DType::from_storage_class(class), Some(dtype));
            }
        }
        assert_eq!(DType::from_name("half"), Some(DType::Float16));
        assert_eq!(DType::from_name("float128"), None);
        assert_eq!(DType::Complex64.component_width(), 4);
    }
}
