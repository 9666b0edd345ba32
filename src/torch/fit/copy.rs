//! Elements of one dtype as those of another, as `copy_` of PyTorch converts them.
//!
//! Source: PyTorch 2.15 `aten/src/ATen/native/cpu/CopyKernel.cpp`, `c10/util/TypeCast.h`.

use super::super::DType;
use super::super::cast::{convert, has_numbers};
use super::super::dtype::Class;
use super::super::element::Element;
use super::super::error::{Error, Fault, Kind};
use super::super::layout::Layout;
use super::super::read::TensorRef;
use super::super::tensor::Tensor;

/// Whether there are elements in a row to be copied.
pub(super) fn has_row(tensor: &Tensor) -> bool {
    super::is_plain(tensor) && (tensor.storage().is_some() || tensor.inline().is_some())
}

/// Bytes of a tensor's elements as another dtype.
pub(super) fn nbytes(tensor: TensorRef, to: DType) -> u64 {
    if to == tensor.dtype() {
        return tensor.nbytes();
    }
    tensor.numel().saturating_mul(to.width())
}

pub(super) fn to_vec<T: Element>(tensor: TensorRef, to: DType) -> Result<Vec<T>, Error> {
    if !T::reads(to) {
        let wrong = Kind::WrongDType { is: to, wanted: T::NAME };
        return Err(Error::new(wrong).in_tensor(tensor.name()));
    }
    let nbytes = nbytes(tensor, to);
    // Each byte makes at most 16: only views that repeat elements make more than a file holds.
    if tensor.nbytes() > tensor.backing().nbytes() && tensor.storage().is_some() {
        tensor.materialise(nbytes)?;
    }
    let mut out = tensor.zeroed::<T>(nbytes.checked_div(to.width()).unwrap_or(0))?;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut out);
    read_into(tensor, to, bytes)?;
    if cfg!(target_endian = "big") {
        let width = usize::try_from(to.component_width()).unwrap_or(1);
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    Ok(out)
}

pub(super) fn read_into(tensor: TensorRef, to: DType, into: &mut [u8]) -> Result<(), Error> {
    let (needs, has) = (nbytes(tensor, to), into.len() as u64);
    if needs != has {
        return Err(tensor.fault(Fault::BufferLength { needs, has }));
    }
    let from = tensor.dtype();
    if from == to {
        return tensor.read_into(into);
    }
    let mut into = Into { left: into };
    let quantized = tensor.layout() == Layout::Quantized;
    let real = quantized || (has_numbers(from) && from != DType::Float4E2M1FnX2);
    match to {
        DType::Float64 | DType::Float32 | DType::Float16 | DType::BFloat16 if real => {
            tensor.for_each_chunk_as(to, |bytes| into.put(bytes, &tensor))
        }
        _ if (to.class() == Class::Int || to == DType::Bool) && !to.is_quantized() && real => {
            integers(tensor, to, into)
        }
        DType::Complex128 | DType::Complex64 | DType::Complex32 if real => {
            let part = component(to);
            let width = usize::try_from(part.width()).unwrap_or(1);
            tensor.for_each_chunk_as(part, |bytes| {
                let zero = vec![0; width];
                bytes.chunks_exact(width).try_for_each(|real| {
                    into.put(real, &tensor)?;
                    into.put(&zero, &tensor)
                })
            })
        }
        DType::Complex128 | DType::Complex64 | DType::Complex32
            if from.class() == Class::Complex =>
        {
            tensor.for_each_chunk(|bytes| into.put(&parts(component(from), bytes, to), &tensor))
        }
        _ => Err(tensor.fault(Fault::NoCast { from, to })),
    }
}

/// What is not filled yet of the caller's buffer.
struct Into<'buffer> {
    left: &'buffer mut [u8],
}

impl Into<'_> {
    fn put(&mut self, bytes: &[u8], tensor: &TensorRef) -> Result<(), Error> {
        let Some((now, left)) = std::mem::take(&mut self.left).split_at_mut_checked(bytes.len())
        else {
            return Err(tensor.fault(Fault::Overflow));
        };
        now.copy_from_slice(bytes);
        self.left = left;
        Ok(())
    }
}

/// The type of the parts of complex numbers.
const fn component(dtype: DType) -> DType {
    match dtype {
        DType::Complex128 => DType::Float64,
        DType::Complex64 => DType::Float32,
        DType::BComplex32 => DType::BFloat16,
        _ => DType::Float16,
    }
}

/// Real and imaginary parts of one type as those of another.
fn parts(from: DType, bytes: &[u8], to: DType) -> Vec<u8> {
    macro_rules! cast {
        ($number:ty) => {{
            let mut numbers: Vec<$number> = Vec::new();
            convert(from, bytes, &mut numbers);
            numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
        }};
    }
    match to {
        DType::Complex128 => cast!(f64),
        DType::Complex64 => cast!(f32),
        _ => cast!(half::f16),
    }
}

fn integers(tensor: TensorRef, to: DType, mut into: Into) -> Result<(), Error> {
    let from = tensor.dtype();
    let (mut at, mut out) = (0_u64, Vec::new());
    if matches!(from.class(), Class::Int) && !from.is_quantized() || from == DType::Bool {
        return tensor.for_each_chunk(|bytes| {
            out.clear();
            whole(from, bytes, |value| wrapped(value, to, &mut out));
            into.put(&out, &tensor)
        });
    }
    // Every float is a float64 exactly, but those that come of quantized numbers are float32.
    tensor.for_each_chunk_as(DType::Float64, |bytes| {
        out.clear();
        let (numbers, _) = bytes.as_chunks();
        for number in numbers {
            let number = f64::from_le_bytes(*number);
            let Some(value) = truncated(number, to) else {
                let value = number.to_string().into();
                return Err(tensor.fault(Fault::NoInteger { at, value, to }));
            };
            wrapped(value, to, &mut out);
            at = at.saturating_add(1);
        }
        into.put(&out, &tensor)
    })
}

/// Integers and booleans, one by one.
fn whole(from: DType, bytes: &[u8], mut each: impl FnMut(i128)) {
    macro_rules! numbers {
        ($number:ty) => {{
            let (numbers, _) = bytes.as_chunks();
            for bytes in numbers {
                each(<$number>::from_le_bytes(*bytes).into());
            }
        }};
    }
    match from {
        DType::Int64 => numbers!(i64),
        DType::Int32 => numbers!(i32),
        DType::Int16 => numbers!(i16),
        DType::Int8 => numbers!(i8),
        DType::UInt64 => numbers!(u64),
        DType::UInt32 => numbers!(u32),
        DType::UInt16 => numbers!(u16),
        DType::Bool => bytes.iter().for_each(|byte| each((*byte != 0).into())),
        _ => numbers!(u8),
    }
}

/// A float without its fraction, if the type holds it; for `bool`, whether it is not zero.
/// `uint8` goes by way of `int64`, and wraps.
fn truncated(value: f64, to: DType) -> Option<i128> {
    if to == DType::Bool {
        return Some((value != 0.0).into());
    }
    let bits =
        if to == DType::UInt8 { 64 } else { i32::try_from(to.width()).ok()?.checked_mul(8)? };
    let (least, over) = match to {
        DType::UInt16 | DType::UInt32 | DType::UInt64 => (0.0, 2_f64.powi(bits)),
        _ => (-(2_f64.powi(bits.saturating_sub(1))), 2_f64.powi(bits.saturating_sub(1))),
    };
    let whole = value.trunc();
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    (whole >= least && whole < over).then_some(whole as i128)
}

/// The lowest bytes of an integer; for `bool`, whether it is not zero.
fn wrapped(value: i128, to: DType, out: &mut Vec<u8>) {
    if to == DType::Bool {
        out.push((value != 0).into());
        return;
    }
    let width = usize::try_from(to.width()).unwrap_or(1);
    out.extend(value.to_le_bytes().iter().take(width));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_lose_their_fraction_or_are_refused() {
        for (value, to, wanted) in [
            (-1.9, DType::Int8, Some(-1)),
            (127.9, DType::Int8, Some(127)),
            (128.0, DType::Int8, None),
            (-128.9, DType::Int8, Some(-128)),
            (300.0, DType::UInt8, Some(300)),
            (-0.9, DType::UInt16, Some(0)),
            (-1.0, DType::UInt16, None),
            (f64::NAN, DType::Int64, None),
            (f64::NAN, DType::Bool, Some(1)),
            (9_223_372_036_854_775_808.0, DType::Int64, None),
            (-9_223_372_036_854_775_808.0, DType::Int64, Some(i64::MIN.into())),
        ] {
            assert_eq!(truncated(value, to), wanted, "{value} as {to}");
        }
    }

    #[test]
    fn integers_wrap() {
        let mut out = Vec::new();
        wrapped(300, DType::UInt8, &mut out);
        wrapped(-1, DType::Int16, &mut out);
        wrapped(256, DType::Bool, &mut out);
        assert_eq!(out, [44, 255, 255, 1]);
    }
}
