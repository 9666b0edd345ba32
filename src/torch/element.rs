//! Rust types that elements can be read as.

use bytemuck::Pod;
use half::{bf16, f16};

use super::DType;

/// A Rust type with the bits of some dtype: nothing is converted.
///
/// Complex numbers are read as `[real, imaginary]`; `bool`, 8-bit floats and packed bits as
/// `u8`. This trait is sealed.
pub trait Element: Pod + sealed::Sealed {
    /// The type as Rust names it.
    const NAME: &'static str;

    /// Whether elements of `dtype` have the bits of this type.
    fn reads(dtype: DType) -> bool;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ty: $($dtype:ident)|+;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const NAME: &'static str = stringify!($type);

            fn reads(dtype: DType) -> bool {
                matches!(dtype, $(DType::$dtype)|+)
            }
        }
    )*};
}

elements! {
    f64: Float64;
    f32: Float32;
    f16: Float16;
    bf16: BFloat16;
    i64: Int64;
    i32: Int32 | QInt32;
    i16: Int16;
    i8: Int8 | QInt8;
    u64: UInt64;
    u32: UInt32;
    u16: UInt16 | Bits16;
    u8: UInt8 | Bool | QUInt8 | QUInt4x2 | QUInt2x4 | Float8E5M2 | Float8E4M3Fn | Float8E5M2Fnuz
        | Float8E4M3Fnuz | Float8E8M0Fnu | Float4E2M1FnX2 | Bits8 | Bits1x8 | Bits2x4 | Bits4x2
        | UInt1 | UInt2 | UInt3 | UInt4 | UInt5 | UInt6 | UInt7
        | Int1 | Int2 | Int3 | Int4 | Int5 | Int6 | Int7;
    [f64; 2]: Complex128;
    [f32; 2]: Complex64;
    [f16; 2]: Complex32;
    [bf16; 2]: BComplex32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_is_read_as_a_type_of_its_width() {
        macro_rules! widths {
            ($($type:ty),*) => {
                |dtype| [$(<$type>::reads(dtype).then_some(size_of::<$type>() as u64)),*]
            };
        }
        let widths = widths!(
            f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, [f64; 2], [f32; 2],
            [f16; 2], [bf16; 2]
        );
        for &dtype in DType::ALL {
            let found: Vec<u64> = widths(dtype).into_iter().flatten().collect();
            assert_eq!(found, [dtype.width()], "{dtype}");
        }
    }
}
