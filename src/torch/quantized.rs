//! Quantized tensors: integers, and what they stand for.
//!
//! Source: PyTorch 2.15 `torch/_utils.py` (`_rebuild_qtensor`), `aten/src/ATen/native/quantized`
//! (`AffineQuantizer.cpp`, `AffineQuantizerBase.cpp`).

use std::ops::Range;

use super::DType;
use super::error::Fault;
use super::rebuild::{float, integer, unsigned};
use super::storage::Storages;
use super::tensor::Tensor;
use crate::pickle::{Items, Object, Value};

/// What the integers of a quantized tensor stand for: `(integer − zero point) · scale`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Quantizer {
    /// One scale and zero point for all.
    PerTensor {
        /// What one step is.
        scale: f64,
        /// The integer that stands for 0.
        zero_point: i64,
    },
    /// A scale and zero point for each place along an axis.
    PerChannel {
        /// The dimension.
        axis: usize,
        /// What one step is, for each place.
        scales: Numbers,
        /// What stands for 0, for each place: integers, or floats with the scheme
        /// `per_channel_affine_float_qparams`.
        zero_points: Numbers,
    },
}

/// Numbers of a channel each.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Numbers {
    /// A vector in the file.
    Tensor(Box<Tensor>),
    /// Numbers in the pickle.
    Listed(Box<[f64]>),
}

impl Numbers {
    fn len(&self) -> u64 {
        match self {
            Self::Tensor(tensor) => tensor.numel(),
            Self::Listed(numbers) => numbers.len() as u64,
        }
    }

    fn cut(&mut self, range: Range<u64>) -> Result<(), Fault> {
        match self {
            Self::Tensor(tensor) => **tensor = tensor.cut(0, range)?,
            Self::Listed(numbers) => {
                let index = |at| usize::try_from(at).unwrap_or(usize::MAX);
                let kept = numbers.get(index(range.start)..index(range.end));
                *numbers = kept.ok_or(Fault::Overflow)?.into();
            }
        }
        Ok(())
    }
}

impl Quantizer {
    /// PyTorch's name of the scheme, without `torch.`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::PerTensor { .. } => "per_tensor_affine",
            Self::PerChannel { zero_points: Numbers::Tensor(points), .. }
                if points.dtype() == DType::Float32 =>
            {
                "per_channel_affine_float_qparams"
            }
            Self::PerChannel { .. } => "per_channel_affine",
        }
    }

    pub(crate) fn cut(&mut self, axis: usize, range: Range<u64>) -> Result<(), Fault> {
        match self {
            Self::PerChannel { axis: channels, scales, zero_points } if *channels == axis => {
                scales.cut(range.clone())?;
                zero_points.cut(range)
            }
            _ => Ok(()),
        }
    }

    /// Reads `(scheme, …)` for a tensor of this shape.
    pub(crate) fn read(
        parameters: Object,
        shape: &[u64],
        storages: &Storages,
    ) -> Result<Self, Fault> {
        let wrong = Fault::NotA { wanted: "a tuple of a scheme", found: parameters.kind() };
        let parameters = parameters.as_tuple().ok_or(wrong)?;
        let scheme = scheme(parameters)?;
        match (scheme, parameters.array::<3>(), parameters.array::<4>()) {
            (b"per_tensor_affine", Some([_, scale, zero_point]), _) => {
                Ok(Self::PerTensor { scale: float(scale)?, zero_point: integer(zero_point)? })
            }
            (
                b"per_channel_affine" | b"per_channel_affine_float_qparams",
                _,
                Some([_, scales, zero_points, axis]),
            ) => per_channel(scales, zero_points, axis, shape, storages),
            (b"per_tensor_affine" | b"per_channel_affine", _, _) => {
                Err(Fault::Arguments("a quantizer has a scheme, scales and zero points"))
            }
            (other, ..) => {
                let other = String::from_utf8_lossy(other);
                Err(Fault::Unsupported(format!("the quantization scheme {other}").into()))
            }
        }
    }
}

fn scheme(parameters: Items<'_>) -> Result<&[u8], Fault> {
    let scheme = parameters.get(0).ok_or(Fault::Arguments("a quantizer without a scheme"))?;
    let known = scheme.as_global().filter(|global| global.module == b"torch");
    let wrong = Fault::NotA { wanted: "a quantization scheme", found: scheme.kind() };
    Ok(known.ok_or(wrong)?.name)
}

fn per_channel(
    scales: Object,
    zero_points: Object,
    axis: Object,
    shape: &[u64],
    storages: &Storages,
) -> Result<Quantizer, Fault> {
    let (scales, zero_points) = (numbers(scales, storages)?, numbers(zero_points, storages)?);
    let axis = unsigned(axis)?;
    let axis = usize::try_from(axis).map_err(|_| Fault::Overflow)?;
    let channels = *shape
        .get(axis)
        .ok_or(Fault::Arguments("the axis of a quantizer is none of its tensor's dimensions"))?;
    if scales.len() != channels || zero_points.len() != channels {
        return Err(Fault::Arguments("a quantizer has as many scales and zero points as channels"));
    }
    Ok(Quantizer::PerChannel { axis, scales, zero_points })
}

fn numbers(object: Object, storages: &Storages) -> Result<Numbers, Fault> {
    if let Value::List(items) | Value::Tuple(items) = object.value() {
        return Ok(Numbers::Listed(items.iter().map(float).collect::<Result<_, _>>()?));
    }
    let tensor = Tensor::plain(object, storages)?;
    let real =
        matches!(tensor.dtype(), DType::Float64 | DType::Float32 | DType::Int64 | DType::Int32);
    if tensor.shape().len() != 1 || !real {
        return Err(Fault::Arguments("scales and zero points are vectors of numbers"));
    }
    Ok(Numbers::Tensor(Box::new(tensor)))
}
