//! Tensors as arrays of any number of dimensions.
//!
//! Elements are those of [`Element`]: `f32`, `half::f16`, `i64` and the like; complex numbers are
//! `[real, imaginary]`, and `bool` is `u8`. `mapv` makes other types of them.

use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn, ShapeBuilder};

use crate::torch::{Element, Error, Fault, TensorRef};

/// A tensor where it lies in the file, with its strides, without a copy.
///
/// ```
/// use depickle::adapters::ndarray::view;
/// use depickle::torch::Checkpoint;
///
/// let checkpoint = Checkpoint::open_mapped("tests/fixtures/views.pth")?;
/// let transposed = view::<f32>(checkpoint.tensor("transposed")?).unwrap();
/// assert!(!transposed.is_standard_layout());
/// # Ok::<(), depickle::torch::Error>(())
/// ```
///
/// None if it cannot be lent: the file is not mapped or in memory, or compressed; the elements are
/// not aligned for `T`, their bytes are in another order than this machine's, or conjugated or
/// negated only when read; they are none of `T`'s, or in no row.
#[must_use]
pub fn view<T: Element>(tensor: TensorRef<'_>) -> Option<ArrayViewD<'_, T>> {
    let elements = tensor.touched::<T>()?;
    let size = |&size: &u64| usize::try_from(size).ok();
    let shape: Vec<usize> = tensor.shape().iter().map(size).collect::<Option<_>>()?;
    if tensor.numel() == 0 || tensor.is_contiguous() {
        return ArrayViewD::from_shape(IxDyn(&shape), elements).ok();
    }
    // Strides of dimensions of one element mean nothing, and may be of any size.
    let strides = tensor.shape().iter().zip(tensor.stride());
    let strides = strides.map(|(&size, &stride)| if size == 1 { 0 } else { stride });
    let strides: Vec<usize> = strides.map(|it| usize::try_from(it).ok()).collect::<Option<_>>()?;
    ArrayViewD::from_shape(IxDyn(&shape).strides(IxDyn(&strides)), elements).ok()
}

/// A tensor as an array of its own, in row-major order.
///
/// ```
/// use depickle::adapters::ndarray::array;
/// use depickle::torch::Checkpoint;
///
/// let checkpoint = Checkpoint::open("tests/fixtures/mlp_state_dict.pth")?;
/// let weight = array::<f32>(checkpoint.tensor("first.weight")?)?;
/// assert_eq!(weight.shape(), [10, 6]);
/// # Ok::<(), depickle::torch::Error>(())
/// ```
///
/// # Errors
/// As [`TensorRef::to_vec`]; or [`Fault::Unsupported`] for packed quantized values, whose sizes
/// count values, not bytes.
pub fn array<T: Element>(tensor: TensorRef<'_>) -> Result<ArrayD<T>, Error> {
    let overflow = || tensor.fault(Fault::Overflow);
    let shape: Result<Vec<usize>, _> = tensor.shape().iter().map(|&n| usize::try_from(n)).collect();
    let shape = shape.map_err(|_| overflow())?;
    ArrayD::from_shape_vec(IxDyn(&shape), tensor.to_vec()?).map_err(|_| {
        let what = format!("an array of {}, several values in a byte,", tensor.dtype());
        tensor.fault(Fault::Unsupported(what.into()))
    })
}

/// A tensor lent if that can be, else read.
///
/// # Errors
/// As [`array()`].
pub fn cow<T: Element>(tensor: TensorRef<'_>) -> Result<CowArray<'_, T, IxDyn>, Error> {
    match view(tensor) {
        Some(view) => Ok(view.into()),
        None => Ok(array(tensor)?.into()),
    }
}
