//! Strided tensors: views whose every element is proven to lie in its storage.

use super::DType;
use super::error::Fault;
use super::storage::StorageId;
use crate::pickle::NodeId;

/// A strided view of a storage. One that exists lies inside its storage.
///
/// Source: PyTorch `at::detail::computeStorageNbytes` for the bound.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "PyTorch's flags, each independent")]
pub struct Tensor {
    storage: StorageId,
    dtype: DType,
    shape: Box<[u64]>,
    stride: Box<[u64]>,
    offset: u64,
    numel: u64,
    pub(crate) requires_grad: bool,
    pub(crate) is_parameter: bool,
    pub(crate) conj: bool,
    pub(crate) neg: bool,
    pub(crate) node: NodeId,
}

/// Where and how a view lies: all counts in elements.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub offset: u64,
    pub shape: Vec<u64>,
    pub stride: Vec<u64>,
}

impl Tensor {
    /// A view of the storage `on`, which has `nbytes` bytes.
    ///
    /// # Errors
    /// [`Fault::Rank`], [`Fault::Overflow`] or [`Fault::OutOfStorage`].
    pub(crate) fn new(
        on: StorageId,
        nbytes: u64,
        dtype: DType,
        view: Geometry,
        node: NodeId,
    ) -> Result<Self, Fault> {
        let Geometry { offset, shape, stride } = view;
        if shape.len() != stride.len() {
            return Err(Fault::Rank { shape: shape.len(), stride: stride.len() });
        }
        let numel = product(&shape)?;
        numel.checked_mul(dtype.width()).ok_or(Fault::Overflow)?;
        let needs = reach(offset, &shape, &stride)?;
        let has = nbytes.checked_div(dtype.width()).unwrap_or(0);
        if needs > has {
            return Err(Fault::OutOfStorage { needs, has });
        }
        Ok(Self {
            storage: on,
            dtype,
            shape: shape.into(),
            stride: stride.into(),
            offset,
            numel,
            requires_grad: false,
            is_parameter: false,
            conj: false,
            neg: false,
            node,
        })
    }

    /// The storage it is a view of.
    #[must_use]
    pub const fn storage(&self) -> StorageId {
        self.storage
    }

    /// The type of its elements.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its sizes (elements), one a dimension; empty for a single number.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Steps between neighbours (elements), one a dimension; 0 repeats an element.
    #[must_use]
    pub fn stride(&self) -> &[u64] {
        &self.stride
    }

    /// Where its first element lies (elements from the storage's beginning).
    #[must_use]
    pub const fn storage_offset(&self) -> u64 {
        self.offset
    }

    /// How many elements it has.
    #[must_use]
    pub const fn numel(&self) -> u64 {
        self.numel
    }

    /// Bytes of its elements, each counted once. Cannot overflow: `new` has checked.
    #[must_use]
    pub const fn nbytes(&self) -> u64 {
        self.numel.saturating_mul(self.dtype.width())
    }

    /// Whether PyTorch would compute gradients for it.
    #[must_use]
    pub const fn requires_grad(&self) -> bool {
        self.requires_grad
    }

    /// Whether it is a `torch.nn.Parameter`.
    #[must_use]
    pub const fn is_parameter(&self) -> bool {
        self.is_parameter
    }

    /// Whether its elements lie in row-major order without gaps.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1_u64;
        let dimensions = self.shape.iter().zip(&self.stride).rev();
        self.numel == 0
            || dimensions.filter(|&(&size, _)| size != 1).all(|(&size, &stride)| {
                let fits = stride == expected;
                expected = expected.saturating_mul(size);
                fits
            })
    }

    /// Whether its elements must be conjugated or negated when read.
    pub(crate) const fn is_lazy(&self) -> bool {
        self.conj || self.neg
    }
}

fn product(shape: &[u64]) -> Result<u64, Fault> {
    if shape.contains(&0) {
        return Ok(0);
    }
    shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size)).ok_or(Fault::Overflow)
}

/// Elements of storage that a view reaches, counted from the storage's beginning:
/// `offset + Σ (nᵢ − 1)·strideᵢ + 1`, or 0 if some `nᵢ` is 0.
fn reach(offset: u64, shape: &[u64], stride: &[u64]) -> Result<u64, Fault> {
    if shape.contains(&0) {
        return Ok(0);
    }
    let end = shape.iter().zip(stride).try_fold(offset, |end, (&size, &stride)| {
        end.checked_add(size.saturating_sub(1).checked_mul(stride)?)
    });
    end.and_then(|end| end.checked_add(1)).ok_or(Fault::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(offset: u64, shape: &[u64], stride: &[u64], nbytes: u64) -> Result<Tensor, Fault> {
        let view = Geometry { offset, shape: shape.into(), stride: stride.into() };
        Tensor::new(StorageId::default(), nbytes, DType::Float32, view, NodeId::NONE)
    }

    #[test]
    fn a_view_lies_in_its_storage() {
        assert!(tensor(0, &[2, 3], &[3, 1], 24).is_ok());
        assert!(tensor(2, &[2, 2], &[1, 2], 24).is_ok());
        assert_eq!(tensor(0, &[2, 3], &[3, 1], 23), Err(Fault::OutOfStorage { needs: 6, has: 5 }));
        assert_eq!(tensor(1, &[2, 3], &[3, 1], 24), Err(Fault::OutOfStorage { needs: 7, has: 6 }));
        assert!(tensor(9, &[0, 3], &[3, 1], 0).is_ok(), "an empty view reaches nothing");
        assert!(tensor(0, &[1 << 40], &[0], 4).is_ok(), "stride 0 repeats one element");
    }

    #[test]
    fn sizes_do_not_wrap() {
        assert_eq!(tensor(0, &[1 << 32, 1 << 32], &[0, 0], 4), Err(Fault::Overflow));
        assert_eq!(tensor(0, &[1 << 62], &[0], 4), Err(Fault::Overflow), "in bytes");
        assert_eq!(tensor(u64::MAX, &[1], &[1], 4), Err(Fault::Overflow));
        assert_eq!(tensor(0, &[3], &[u64::MAX], 4), Err(Fault::Overflow));
        assert_eq!(tensor(0, &[3], &[1, 1], 4), Err(Fault::Rank { shape: 1, stride: 2 }));
    }

    #[test]
    fn contiguous_is_row_major_without_gaps() {
        assert!(tensor(0, &[2, 3], &[3, 1], 24).unwrap().is_contiguous());
        assert!(tensor(0, &[2, 1, 3], &[3, 99, 1], 24).unwrap().is_contiguous());
        assert!(!tensor(0, &[3, 2], &[1, 3], 24).unwrap().is_contiguous());
        assert!(!tensor(0, &[2], &[0], 24).unwrap().is_contiguous());
        assert!(tensor(0, &[], &[], 4).unwrap().is_contiguous());
    }
}
