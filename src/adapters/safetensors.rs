//! Tensors that writers of safetensors take.

use std::borrow::Cow;

use safetensors::{Dtype, tensor};

use crate::torch::{DType, Error, Fault, TensorRef};

/// A tensor of a checkpoint with its bytes, as `safetensors::serialize` and
/// `serialize_to_file` take it.
///
/// The bytes are lent where they lie in row-major order in a file that is mapped or in memory;
/// else they are read at once and held, so map files that are large.
///
/// ```
/// use depickle::adapters::safetensors::View;
/// use depickle::torch::Checkpoint;
///
/// let checkpoint = Checkpoint::open_mapped("tests/fixtures/mlp_state_dict.pth")?;
/// let list = checkpoint.tensors()?;
/// let views = list.iter().map(|entry| Ok((entry.name(), View::new(entry.on(&checkpoint)?)?)));
/// let views: Vec<_> = views.collect::<Result<_, depickle::torch::Error>>()?;
/// let bytes = safetensors::serialize(views, None)?;
/// assert_eq!(safetensors::SafeTensors::deserialize(&bytes)?.tensor("first.bias")?.shape(), [10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct View<'file> {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Cow<'file, [u8]>,
}

impl<'file> View<'file> {
    /// Reads a tensor, or borrows it.
    ///
    /// # Errors
    /// Names the tensor: safetensors have no such dtype, its elements are in no row
    /// (read its [parts](crate::torch::Checkpoint::parts), or make it
    /// [dense](TensorRef::to_dense)), or it cannot be read.
    pub fn new(tensor: TensorRef<'file>) -> Result<Self, Error> {
        let dtype = dtype(tensor.dtype()).ok_or_else(|| {
            let what = format!("{} in safetensors", tensor.dtype());
            tensor.fault(Fault::Unsupported(what.into()))
        })?;
        let shape = tensor.shape().iter().map(|&size| usize::try_from(size));
        let shape: Result<Vec<usize>, _> = shape.collect();
        let mut shape = shape.map_err(|_| tensor.fault(Fault::Overflow))?;
        if tensor.dtype() == DType::Float4E2M1FnX2 {
            // Sizes of PyTorch count bytes of two values, those of safetensors values.
            let last = shape.last_mut().ok_or_else(|| {
                let what = "a packed number without dimensions";
                tensor.fault(Fault::Unsupported(what.into()))
            })?;
            *last = last.checked_mul(2).ok_or_else(|| tensor.fault(Fault::Overflow))?;
        }
        Ok(Self { dtype, shape, data: tensor.to_bytes()? })
    }
}

/// The dtype of safetensors with the same bits. They have none for `complex128`, `complex32` and
/// what is quantized or packed otherwise.
#[must_use]
pub const fn dtype(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::Float64 => Dtype::F64,
        DType::Float32 => Dtype::F32,
        DType::Float16 => Dtype::F16,
        DType::BFloat16 => Dtype::BF16,
        DType::Int64 => Dtype::I64,
        DType::Int32 => Dtype::I32,
        DType::Int16 => Dtype::I16,
        DType::Int8 => Dtype::I8,
        DType::UInt64 => Dtype::U64,
        DType::UInt32 => Dtype::U32,
        DType::UInt16 => Dtype::U16,
        DType::UInt8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
        DType::Complex64 => Dtype::C64,
        DType::Float8E5M2 => Dtype::F8_E5M2,
        DType::Float8E4M3Fn => Dtype::F8_E4M3,
        DType::Float8E5M2Fnuz => Dtype::F8_E5M2FNUZ,
        DType::Float8E4M3Fnuz => Dtype::F8_E4M3FNUZ,
        DType::Float8E8M0Fnu => Dtype::F8_E8M0,
        DType::Float4E2M1FnX2 => Dtype::F4,
        _ => return None,
    })
}

impl tensor::View for View<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

impl tensor::View for &View<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}
