//! Elements as floats of another type, rounded as PyTorch's `tensor.to(dtype)` rounds.
//!
//! Every conversion rounds to nearest, ties to even. To `float16` and `bfloat16` PyTorch goes
//! through `float32`, also from `float64` and integers, and so rounds twice; so does this. Which
//! NaN comes of a NaN is not specified: PyTorch's own answer depends on the processor.
//!
//! Source: PyTorch 2.15 `c10/util/TypeCast.h`, `c10/util/Half.h`, `BFloat16.h`, `Float8_*.h`,
//! `Float4_e2m1fn_x2.h`.

use half::{bf16, f16};

use super::DType;
use super::element::Element;
use super::error::{Error, Fault};
use super::layout::Layout;
use super::read::TensorRef;

/// A float that elements of any real type can be cast to. This trait is sealed.
pub trait Real: Element + sealed::Sealed {
    /// The dtype with its bits.
    const DTYPE: DType;

    /// The nearest to a `float32`.
    fn of_f32(value: f32) -> Self;

    /// The nearest to a `float64`, by way of `float32` if narrower than that.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "rounds to nearest")]
    fn of_f64(value: f64) -> Self {
        Self::of_f32(value as f32)
    }

    /// The nearest to an integer, by way of `float32` if narrower than that.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rounds to nearest")]
    fn of_i64(value: i64) -> Self {
        Self::of_f32(value as f32)
    }

    /// As [`of_i64`](Self::of_i64).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rounds to nearest")]
    fn of_u64(value: u64) -> Self {
        Self::of_f32(value as f32)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f64 {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

impl Real for f64 {
    const DTYPE: DType = DType::Float64;

    fn of_f32(value: f32) -> Self {
        value.into()
    }

    fn of_f64(value: f64) -> Self {
        value
    }

    #[expect(clippy::cast_precision_loss, reason = "rounds to nearest")]
    fn of_i64(value: i64) -> Self {
        value as Self
    }

    #[expect(clippy::cast_precision_loss, reason = "rounds to nearest")]
    fn of_u64(value: u64) -> Self {
        value as Self
    }
}

impl Real for f32 {
    const DTYPE: DType = DType::Float32;

    fn of_f32(value: f32) -> Self {
        value
    }
}

impl Real for f16 {
    const DTYPE: DType = DType::Float16;

    fn of_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Real for bf16 {
    const DTYPE: DType = DType::BFloat16;

    fn of_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl TensorRef<'_> {
    /// Its elements in row-major order as floats of another type, rounded as PyTorch's
    /// `tensor.to(dtype)` does. Quantized elements are [dequantized](Self::dequantize) first;
    /// `float4_e2m1fn_x2` gives two numbers for each of its bytes.
    ///
    /// ```
    /// # let checkpoint = depickle::torch::Checkpoint::open("tests/fixtures/dtypes.pth")?;
    /// let halves = checkpoint.tensor("torch.float16")?;
    /// assert_eq!(halves.cast::<f32>()?[3], -2.25);
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec), or [`Fault::NoCast`] for complex numbers and bits.
    pub fn cast<T: Real>(self) -> Result<Vec<T>, Error> {
        self.materialise_cast(size_of::<T>() as u64)?;
        let mut out = Vec::new();
        self.for_each_cast::<T, Error>(|numbers| {
            out.extend_from_slice(numbers);
            Ok(())
        })?;
        Ok(out)
    }

    /// Hands its elements over as [`cast`](Self::cast) does, little-endian, in pieces of whole
    /// elements; `dtype` is one of `float64`, `float32`, `float16` and `bfloat16`, or its own.
    ///
    /// # Errors
    /// As [`for_each_chunk`](Self::for_each_chunk), or [`Fault::NoCast`].
    pub fn for_each_chunk_as<E: From<Error>>(
        self,
        dtype: DType,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        macro_rules! cast {
            ($number:ty) => {
                self.for_each_cast::<$number, E>(|numbers| {
                    if cfg!(target_endian = "little") {
                        return each(bytemuck::cast_slice(numbers));
                    }
                    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
                    each(&Vec::from_iter(bytes))
                })
            };
        }
        match dtype {
            _ if dtype == self.dtype() => self.for_each_chunk(each),
            DType::Float64 => cast!(f64),
            DType::Float32 => cast!(f32),
            DType::Float16 => cast!(f16),
            DType::BFloat16 => cast!(bf16),
            to => Err(self.fault(Fault::NoCast { from: self.dtype(), to }).into()),
        }
    }

    /// The elements that [`to_dense`](Self::to_dense) gives, as this type: one of those of
    /// [`for_each_chunk_as`](Self::for_each_chunk_as).
    ///
    /// # Errors
    /// As [`to_dense`](Self::to_dense), or [`Fault::NoCast`].
    pub fn to_dense_as(self, dtype: DType) -> Result<Vec<u8>, Error> {
        let dense = self.to_dense()?;
        if dtype == self.dtype() {
            return Ok(dense);
        }
        let fault = Fault::NoCast { from: self.dtype(), to: dtype };
        if !has_numbers(self.dtype()) {
            return Err(self.fault(fault));
        }
        macro_rules! cast {
            ($number:ty) => {{
                let mut numbers: Vec<$number> = Vec::new();
                convert(self.dtype(), &dense, &mut numbers);
                numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
            }};
        }
        Ok(match dtype {
            DType::Float64 => cast!(f64),
            DType::Float32 => cast!(f32),
            DType::Float16 => cast!(f16),
            DType::BFloat16 => cast!(bf16),
            _ => return Err(self.fault(fault)),
        })
    }

    fn for_each_cast<T: Real, E: From<Error>>(
        self,
        mut each: impl FnMut(&[T]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut numbers: Vec<T> = Vec::new();
        if self.layout() == Layout::Quantized {
            return self.for_each_dequantized(|values| {
                numbers.clear();
                numbers.extend(values.iter().copied().map(T::of_f32));
                each(&numbers)
            });
        }
        if !has_numbers(self.dtype()) {
            let fault = Fault::NoCast { from: self.dtype(), to: T::DTYPE };
            return Err(self.fault(fault).into());
        }
        self.for_each_chunk(|chunk| {
            numbers.clear();
            convert(self.dtype(), chunk, &mut numbers);
            each(&numbers)
        })
    }

    /// The values of a type with several in a byte, one a byte: the codes of
    /// `float4_e2m1fn_x2`, the integers of `quint4x2` and `quint2x4`, the bits of `bits1x8` and
    /// its like. The lowest bits come first.
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec), or [`Fault::Unsupported`] if there is one value in a byte.
    pub fn unpack(self) -> Result<Vec<u8>, Error> {
        let each = self.dtype().values_per_byte();
        if each == 1 {
            let what = format!("unpacking {}, one value a byte,", self.dtype());
            return Err(self.fault(Fault::Unsupported(what.into())));
        }
        let bytes = self.to_bytes()?;
        self.materialise((bytes.len() as u64).saturating_mul(each))?;
        let mut out = Vec::new();
        unpack(self.dtype(), &bytes, &mut out);
        if self.is_packed() {
            out.truncate(usize::try_from(self.numel()).unwrap_or(usize::MAX));
        }
        Ok(out)
    }

    /// Whether so many numbers of that width may be made.
    fn materialise_cast(self, width: u64) -> Result<(), Error> {
        let storage = self.backing().nbytes();
        let numbers = self.numel().saturating_mul(self.dtype().values_per_byte());
        // Of one byte come at most two numbers, unless the view repeats it.
        if self.nbytes() <= storage {
            return Ok(());
        }
        self.materialise(numbers.saturating_mul(width))
    }
}

/// Little-endian elements of another type, cast to floats as [`TensorRef::cast`] does; none where
/// that is not defined.
pub(crate) fn bytes(from: DType, bytes: &[u8], to: DType) -> Option<Vec<u8>> {
    macro_rules! cast {
        ($number:ty) => {{
            let mut numbers: Vec<$number> = Vec::new();
            convert(from, bytes, &mut numbers);
            numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
        }};
    }
    if !has_numbers(from) {
        return None;
    }
    Some(match to {
        _ if to == from => bytes.to_vec(),
        DType::Float64 => cast!(f64),
        DType::Float32 => cast!(f32),
        DType::Float16 => cast!(f16),
        DType::BFloat16 => cast!(bf16),
        _ => return None,
    })
}

/// Appends the values of packed bytes, the lowest bits first.
pub(crate) fn unpack(dtype: DType, bytes: &[u8], out: &mut Vec<u8>) {
    let each = u32::try_from(dtype.values_per_byte()).unwrap_or(1);
    let bits = 8_u32.checked_div(each).unwrap_or(8);
    let mask = u8::MAX.checked_shr(8_u32.saturating_sub(bits)).unwrap_or(u8::MAX);
    for byte in bytes {
        let values = (0..each).map(|index| byte.checked_shr(index.saturating_mul(bits)));
        out.extend(values.map(|value| value.unwrap_or(0) & mask));
    }
}

/// Whether elements of a type stand for real numbers by themselves.
pub(super) const fn has_numbers(dtype: DType) -> bool {
    use super::Class;
    match dtype {
        DType::Bool | DType::Float8E8M0Fnu | DType::Float4E2M1FnX2 => true,
        _ => matches!(dtype.class(), Class::Int | Class::Float) && !dtype.is_quantized(),
    }
}

/// Appends the numbers that little-endian elements stand for.
pub(super) fn convert<T: Real>(dtype: DType, bytes: &[u8], out: &mut Vec<T>) {
    macro_rules! numbers {
        ($number:ty, $to:expr) => {{
            let (elements, _) = bytes.as_chunks();
            out.extend(elements.iter().map(|bytes| $to(<$number>::from_le_bytes(*bytes))));
        }};
    }
    let by_code = |out: &mut Vec<T>, decode: fn(u8) -> f32| {
        out.extend(bytes.iter().map(|&code| T::of_f32(decode(code))));
    };
    match dtype {
        DType::Float64 => numbers!(f64, T::of_f64),
        DType::Float32 => numbers!(f32, T::of_f32),
        DType::Float16 => numbers!(f16, |value: f16| T::of_f32(value.to_f32())),
        DType::BFloat16 => numbers!(bf16, |value: bf16| T::of_f32(value.to_f32())),
        DType::Int64 => numbers!(i64, T::of_i64),
        DType::Int32 => numbers!(i32, |value| T::of_i64(i64::from(value))),
        DType::Int16 => numbers!(i16, |value| T::of_i64(i64::from(value))),
        DType::Int8 => numbers!(i8, |value| T::of_i64(i64::from(value))),
        DType::UInt64 => numbers!(u64, T::of_u64),
        DType::UInt32 => numbers!(u32, |value| T::of_u64(u64::from(value))),
        DType::UInt16 => numbers!(u16, |value| T::of_u64(u64::from(value))),
        DType::UInt8 => by_code(out, f32::from),
        DType::Bool => by_code(out, |code| f32::from(u8::from(code != 0))),
        DType::Float8E4M3Fn => by_code(out, e4m3fn),
        DType::Float8E5M2 => by_code(out, |code| f16::from_bits(u16::from(code) << 8).to_f32()),
        DType::Float8E4M3Fnuz => by_code(out, |code| fnuz(code, 3, -10)),
        DType::Float8E5M2Fnuz => by_code(out, |code| fnuz(code, 2, -17)),
        DType::Float8E8M0Fnu => by_code(out, e8m0fnu),
        DType::Float4E2M1FnX2 => {
            for byte in bytes {
                out.extend([byte & 15, byte >> 4].map(|code| T::of_f32(e2m1(code))));
            }
        }
        _ => {}
    }
}

/// A NaN as PyTorch makes it of the types without a sign of zero.
const NAN: u32 = 0x7f80_0001;

fn e4m3fn(code: u8) -> f32 {
    let sign = u32::from(code & 0x80) << 24;
    match code & 0x7f {
        0x7f => f32::from_bits(sign | 0x7ff0_0000),
        magnitude => f32::from_bits(sign | small(magnitude, 3, -9).to_bits()),
    }
}

/// Without infinities and negative zero, whose place NaN takes.
fn fnuz(code: u8, mantissa: u32, least: i32) -> f32 {
    let sign = u32::from(code & 0x80) << 24;
    match code {
        0x80 => f32::from_bits(NAN),
        _ => f32::from_bits(sign | small(code & 0x7f, mantissa, least).to_bits()),
    }
}

/// The magnitude of a small float: `mantissa` bits, the least of them worth 2 to the `least` in
/// subnormals. Exact, since `float32` has both in abundance.
fn small(magnitude: u8, mantissa: u32, least: i32) -> f32 {
    let one = 1_u8.checked_shl(mantissa).unwrap_or(0);
    let fraction = magnitude & one.wrapping_sub(1);
    let exponent = i32::from(magnitude.checked_shr(mantissa).unwrap_or(0));
    let (digits, power) = match exponent {
        0 => (fraction, least),
        _ => (fraction | one, least.saturating_add(exponent).saturating_sub(1)),
    };
    f32::from(digits) * 2_f32.powi(power)
}

fn e8m0fnu(code: u8) -> f32 {
    f32::from_bits(match code {
        0 => 0x0040_0000,
        0xff => NAN,
        _ => u32::from(code) << 23,
    })
}

fn e2m1(code: u8) -> f32 {
    let magnitude = small(code & 7, 1, -1);
    if code & 8 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bits_are_sixteen_numbers() {
        let numbers: Vec<f32> = (0..16).map(e2m1).collect();
        assert_eq!(numbers[..8], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
        assert_eq!(numbers[9..], [-0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0]);
        assert_eq!(numbers[8].to_bits(), (-0.0_f32).to_bits());
    }

    #[test]
    fn packed_bytes_come_apart_lowest_bits_first() {
        let unpacked = |dtype| {
            let mut out = Vec::new();
            unpack(dtype, &[0b1110_0100], &mut out);
            out
        };
        assert_eq!(unpacked(DType::QUInt2x4), [0, 1, 2, 3]);
        assert_eq!(unpacked(DType::QUInt4x2), [4, 14]);
        assert_eq!(unpacked(DType::Bits1x8), [0, 0, 1, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn halves_are_rounded_twice_as_pytorch_does() {
        // Just above a tie of float16, and a tie itself once it is a float32.
        let above = 1.0 + 2_f64.powi(-11) + 2_f64.powi(-40);
        assert_eq!(<f16 as Real>::of_f64(above), f16::ONE);
        let far_above = 1.0 + 2_f64.powi(-11) + 2_f64.powi(-20);
        assert_eq!(<f16 as Real>::of_f64(far_above), f16::ONE + f16::EPSILON);
    }
}
