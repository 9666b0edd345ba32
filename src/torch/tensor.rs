//! Tensors: strided views whose every element is proven to lie in its storage, and what is
//! made of several of them.

use std::ops::Range;

use bytes::Bytes;

use super::DType;
use super::cast::Real;
use super::error::{Error, Fault};
use super::layout::{Body, Inline, Layout, Split};
use super::quantized::Quantizer;
use super::spell::row_major;
use super::storage::StorageId;
use crate::pickle::{NodeId, Object, Value};

/// A tensor: a strided view of a storage, or several of them that belong together. A view that
/// exists lies inside its storage.
///
/// Source: PyTorch `at::detail::computeStorageNbytes` for the bound.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "PyTorch's flags, each independent")]
pub struct Tensor {
    storage: Option<StorageId>,
    dtype: DType,
    shape: Box<[u64]>,
    stride: Box<[u64]>,
    offset: u64,
    numel: u64,
    /// What it has beyond a plain view.
    pub(crate) body: Option<Box<Body>>,
    pub(crate) requires_grad: bool,
    pub(crate) is_parameter: bool,
    pub(crate) is_buffer: bool,
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
        let mut tensor = Self::without_data(dtype, view, node)?;
        tensor.storage = Some(on);
        let needs = reach(tensor.offset, &tensor.shape, &tensor.stride)?;
        let has = nbytes.checked_div(dtype.width()).unwrap_or(0);
        if needs > has {
            return Err(Fault::OutOfStorage { needs, has });
        }
        Ok(tensor)
    }

    /// As [`new`](Self::new), for integers with what they stand for. Sizes of types with several
    /// values in a byte count values.
    ///
    /// # Errors
    /// As [`new`](Self::new), or [`Fault::Unsupported`] for a view of packed values that is not
    /// contiguous, which PyTorch does not make.
    pub(crate) fn quantized(
        on: StorageId,
        nbytes: u64,
        dtype: DType,
        view: Geometry,
        quantizer: Quantizer,
        node: NodeId,
    ) -> Result<Self, Fault> {
        let mut tensor = if dtype.values_per_byte() == 1 {
            Self::new(on, nbytes, dtype, view, node)?
        } else {
            Self { storage: Some(on), ..Self::without_data(dtype, view, node)? }
        };
        tensor.body = Some(Box::new(Body::Quantized(quantizer)));
        if tensor.is_packed() {
            if tensor.offset != 0 || !tensor.is_contiguous() {
                let what = format!("a view of {dtype} that is not contiguous");
                return Err(Fault::Unsupported(what.into()));
            }
            let (needs, has) = (tensor.nbytes(), nbytes);
            if needs > has {
                return Err(Fault::OutOfStorage { needs, has });
            }
        }
        Ok(tensor)
    }

    /// Whether its sizes count values of which several are in a byte.
    pub(crate) fn is_packed(&self) -> bool {
        self.layout() == Layout::Quantized && self.dtype.values_per_byte() > 1
    }

    /// A tensor that has sizes but no data of its own.
    ///
    /// # Errors
    /// [`Fault::Rank`] or [`Fault::Overflow`].
    pub(crate) fn without_data(dtype: DType, view: Geometry, node: NodeId) -> Result<Self, Fault> {
        let Geometry { offset, shape, stride } = view;
        if shape.len() != stride.len() {
            return Err(Fault::Rank { shape: shape.len(), stride: stride.len() });
        }
        let numel = product(&shape)?;
        numel.checked_mul(dtype.width()).ok_or(Fault::Overflow)?;
        Ok(Self {
            storage: None,
            dtype,
            shape: shape.into(),
            stride: stride.into(),
            offset,
            numel,
            body: None,
            requires_grad: false,
            is_parameter: false,
            is_buffer: false,
            conj: false,
            neg: false,
            node,
        })
    }

    /// The tensor of no dimensions that `torch.tensor` makes of a Python number; none of another
    /// object.
    pub(crate) fn of_number(object: Object) -> Option<Self> {
        let (dtype, bytes) = match object.value() {
            Value::Float(value) => {
                (DType::Float32, Bytes::copy_from_slice(&f32::of_f64(value).to_le_bytes()))
            }
            Value::Int(value) => (DType::Int64, Bytes::copy_from_slice(&value.to_le_bytes())),
            _ => return None,
        };
        let inline = Inline { bytes, device: "cpu".into() };
        Self::of_bytes(dtype, Vec::new(), inline, object.id()).ok()
    }

    /// A tensor of elements in row-major order that lie in no storage.
    ///
    /// # Errors
    /// [`Fault::Overflow`] or [`Fault::OutOfStorage`].
    pub(crate) fn of_bytes(
        dtype: DType,
        shape: Vec<u64>,
        inline: Inline,
        node: NodeId,
    ) -> Result<Self, Fault> {
        let stride = row_major(&shape)?;
        let mut tensor = Self::without_data(dtype, Geometry { offset: 0, shape, stride }, node)?;
        let has = (inline.bytes.len() as u64).checked_div(dtype.width()).unwrap_or(0);
        if tensor.numel > has {
            return Err(Fault::OutOfStorage { needs: tensor.numel, has });
        }
        tensor.body = Some(Box::new(Body::Inline(inline)));
        Ok(tensor)
    }

    /// A storage as a tensor of one dimension that holds all of it.
    ///
    /// # Errors
    /// None, of a storage that was found.
    pub(crate) fn of_storage(
        on: StorageId,
        nbytes: u64,
        dtype: DType,
        node: NodeId,
    ) -> Result<Self, Fault> {
        let len = nbytes.checked_div(dtype.width()).unwrap_or(0);
        let view = Geometry { offset: 0, shape: vec![len], stride: vec![1] };
        Self::new(on, nbytes, dtype, view, node)
    }

    /// Its elements, if they lie in no storage.
    pub(crate) fn inline(&self) -> Option<&Bytes> {
        match self.body.as_deref() {
            Some(Body::Inline(inline)) => Some(&inline.bytes),
            _ => None,
        }
    }

    /// The storage it is a view of; none if it is made of other tensors or has no data.
    #[must_use]
    pub const fn storage(&self) -> Option<StorageId> {
        self.storage
    }

    /// How its elements are kept.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.body.as_ref().map_or(Layout::Strided, |body| body.layout())
    }

    /// The type of its elements.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its sizes (elements), one a dimension; empty for a single number. Of a nested tensor,
    /// only how many tensors it holds.
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

    /// How many elements it has; of a nested tensor, how many its buffer has.
    #[must_use]
    pub fn numel(&self) -> u64 {
        match &self.body.as_deref() {
            Some(Body::Split(Split { layout: Layout::Nested, parts, .. })) => {
                parts.first().map_or(0, |(_, values)| values.numel())
            }
            _ => self.numel,
        }
    }

    /// Bytes of its elements, those of a layout of several parts together. What several views
    /// share or repeat counts for each.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        match &self.body {
            Some(body) if body.is_split() => body.nbytes(),
            // Cannot overflow: `new` has checked.
            _ if self.is_packed() => self.numel.div_ceil(self.dtype.values_per_byte()),
            _ => self.numel.saturating_mul(self.dtype.width()),
        }
    }

    /// Byte of its storage where its first element begins, and how many bytes there are from there
    /// to the end of the last. Cannot overflow: the view was proven.
    pub(crate) fn extent(&self) -> (u64, u64) {
        let dimensions = self.shape.iter().zip(&self.stride);
        let last = dimensions.fold(self.offset, |last, (&size, &stride)| {
            last.saturating_add(size.saturating_sub(1).saturating_mul(stride))
        });
        let start = self.offset.saturating_mul(self.dtype.width());
        match self.numel() {
            0 => (start, 0),
            _ if self.is_packed() => (start, self.nbytes()),
            _ => {
                let end = last.saturating_add(1).saturating_mul(self.dtype.width());
                (start, end.saturating_sub(start))
            }
        }
    }

    /// Elements as they are stored: bytes for the packed quantized types.
    pub(crate) fn cells(&self) -> u64 {
        self.nbytes().checked_div(self.dtype.width()).unwrap_or(0)
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

    /// Whether it was registered as a buffer by `torch.nn.Buffer`.
    #[must_use]
    pub const fn is_buffer(&self) -> bool {
        self.is_buffer
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

    /// The elements `range` along dimension `axis`: a view of the same storage. Reading it
    /// reads no others.
    ///
    /// ```
    /// # let checkpoint = depickle::torch::Checkpoint::open("tests/fixtures/views.pth")?;
    /// let base = checkpoint.tensor("base")?;
    /// let part = base.slice(0, 2..5)?;
    /// assert_eq!(base.part(&part).to_vec::<f32>()?, [2.0, 3.0, 4.0]);
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Fault::Slice`] if there is no such dimension or range; [`Fault::Unsupported`] if the
    /// layout is none that can be cut.
    pub fn slice(&self, axis: usize, range: Range<u64>) -> Result<Self, Error> {
        self.cut(axis, range).map_err(|fault| Error::fault(fault, None))
    }

    pub(crate) fn cut(&self, axis: usize, range: Range<u64>) -> Result<Self, Fault> {
        if (self.storage.is_none() && self.inline().is_none()) || self.is_packed() {
            let what = format!("a slice of a {} tensor of {}", self.layout().name(), self.dtype);
            return Err(Fault::Unsupported(what.into()));
        }
        let (Some(&size), Some(&stride)) = (self.shape.get(axis), self.stride.get(axis)) else {
            return Err(Fault::Slice { axis, range, size: None });
        };
        if range.start > range.end || range.end > size {
            return Err(Fault::Slice { axis, range, size: Some(size) });
        }
        let mut cut = self.clone();
        if let Some(size) = cut.shape.get_mut(axis) {
            *size = range.end.saturating_sub(range.start);
        }
        cut.numel = product(&cut.shape)?;
        // Of an empty view strides mean nothing, and may be of any size.
        if cut.numel > 0 {
            let skip = range.start.checked_mul(stride).ok_or(Fault::Overflow)?;
            cut.offset = cut.offset.checked_add(skip).ok_or(Fault::Overflow)?;
        }
        if let Some(body) = &mut cut.body {
            body.cut(axis, range)?;
        }
        Ok(cut)
    }

    /// The same elements as those of another type of the same width.
    pub(crate) fn reinterpreted(&self, dtype: DType) -> Self {
        let mut tensor = Self { dtype, body: None, requires_grad: false, ..self.clone() };
        (tensor.is_parameter, tensor.is_buffer) = (false, false);
        if self.is_packed() {
            // Packed elements are contiguous: their bytes lie in one row.
            let bytes = self.nbytes();
            (tensor.shape, tensor.stride, tensor.numel) = ([bytes].into(), [1].into(), bytes);
        }
        tensor
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

    #[test]
    fn slices_are_views() {
        let grid = tensor(1, &[4, 6], &[6, 1], 100).unwrap();
        let rows = grid.slice(0, 1..3).unwrap();
        assert_eq!(
            (rows.shape(), rows.stride(), rows.storage_offset()),
            (&[2, 6][..], &[6, 1][..], 7)
        );
        let inner = rows.slice(1, 2..4).unwrap();
        assert_eq!((inner.shape(), inner.storage_offset(), inner.numel()), (&[2, 2][..], 9, 4));
        assert_eq!(inner.slice(1, 2..2).unwrap().numel(), 0);
        for (axis, range) in [(0, 0..5), (2, 0..0), (1, Range { start: 3, end: 2 })] {
            assert!(
                grid.cut(axis, range.clone()).is_err_and(|why| matches!(why, Fault::Slice { .. }))
            );
        }
        let bomb = tensor(0, &[1 << 40], &[0], 4).unwrap();
        assert_eq!(bomb.slice(0, (1 << 39)..(1 << 40)).unwrap().numel(), 1 << 39);
        let empty = tensor(0, &[0, 3], &[u64::MAX, u64::MAX], 0).unwrap();
        assert_eq!(empty.slice(1, 2..3).unwrap().numel(), 0);
    }
}
