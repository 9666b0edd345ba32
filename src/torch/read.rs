//! Reading the elements of a tensor: lent, or copied bit by bit.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use super::checkpoint::Checkpoint;
use super::dtype::Class;
use super::element::Element;
use super::error::{Error, Fault, Kind};
use super::storage::Storage;
use super::strided::Strided;
use super::tensor::Tensor;

/// A tensor of a checkpoint, by name, with the means to read its elements.
///
/// Sizes, dtype and the rest are those of [`Tensor`], to which it dereferences.
#[derive(Clone, Copy)]
pub struct TensorRef<'file> {
    checkpoint: &'file Checkpoint,
    name: &'file str,
    tensor: &'file Tensor,
}

/// Bytes handled at a time where a tensor is streamed.
const CHUNK: usize = 1 << 20;

impl<'file> TensorRef<'file> {
    pub(crate) const fn new(
        checkpoint: &'file Checkpoint,
        name: &'file str,
        tensor: &'file Tensor,
    ) -> Self {
        Self { checkpoint, name, tensor }
    }

    /// Its name in the list it came from.
    #[must_use]
    pub const fn name(self) -> &'file str {
        self.name
    }

    /// The view itself, which outlives this handle.
    #[must_use]
    pub const fn tensor(self) -> &'file Tensor {
        self.tensor
    }

    /// The device it was saved from.
    #[must_use]
    pub fn device(self) -> &'file str {
        self.backing().device()
    }

    /// The storage it is a view of.
    #[must_use]
    pub fn backing(self) -> &'file Storage {
        self.checkpoint.storages().get(self.storage())
    }

    /// Its elements where they lie in the file, without a copy.
    ///
    /// None if they cannot be lent: the file is not mapped or in memory, or compressed; the
    /// view is not contiguous; the elements are not aligned for `T`; their bytes are in
    /// another order than this machine's; or they are none of `T`'s.
    #[must_use]
    pub fn as_slice<T: Element>(self) -> Option<&'file [T]> {
        if !T::reads(self.dtype()) || (cfg!(target_endian = "big") && size_of::<T>() > 1) {
            return None;
        }
        bytemuck::try_cast_slice(self.as_bytes()?).ok()
    }

    /// Its elements in row-major order, little-endian, without a copy; none if they do not
    /// lie in the file like that, or the file is not mapped or in memory.
    #[must_use]
    pub fn as_bytes(self) -> Option<&'file [u8]> {
        let plain = self.is_contiguous() && !self.is_lazy() && !self.is_swapped();
        plain.then(|| self.checkpoint.lend(self.storage(), self.start(), self.nbytes()))?
    }

    /// Its elements in row-major order, whatever its strides.
    ///
    /// # Errors
    /// Names the tensor: the elements are none of `T`'s, the file cannot be read, or
    /// [`Limits::materialised`](crate::Limits::materialised) is met.
    pub fn to_vec<T: Element>(self) -> Result<Vec<T>, Error> {
        if !T::reads(self.dtype()) {
            let wrong = Kind::WrongDType { is: self.dtype(), wanted: T::NAME };
            return Err(Error::new(wrong).in_tensor(self.name));
        }
        self.admit()?;
        let numel = usize::try_from(self.numel()).map_err(|_| self.fault(Fault::Overflow))?;
        let out = bytemuck::allocation::try_zeroed_vec(numel);
        let mut out = out.map_err(|()| self.fault(Fault::Overflow))?;
        self.fill(0, bytemuck::cast_slice_mut(&mut out))?;
        if cfg!(target_endian = "big") {
            self.swap(bytemuck::cast_slice_mut(&mut out));
        }
        Ok(out)
    }

    /// Its elements in row-major order, little-endian: lent if they lie so in memory, else
    /// copied once.
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec).
    pub fn to_bytes(self) -> Result<Cow<'file, [u8]>, Error> {
        if let Some(bytes) = self.as_bytes() {
            return Ok(Cow::Borrowed(bytes));
        }
        self.admit()?;
        if self.is_contiguous() && !self.is_lazy() && !self.is_swapped() {
            let bytes = self.checkpoint.fetch(self.storage(), self.start(), self.nbytes());
            return Ok(Cow::Owned(bytes.map_err(|why| why.in_tensor(self.name))?.into()));
        }
        self.to_raw_vec().map(Cow::Owned)
    }

    fn to_raw_vec(self) -> Result<Vec<u8>, Error> {
        let nbytes = usize::try_from(self.nbytes()).map_err(|_| self.fault(Fault::Overflow))?;
        let out = bytemuck::allocation::try_zeroed_vec(nbytes);
        let mut out = out.map_err(|()| self.fault(Fault::Overflow))?;
        self.fill(0, &mut out)?;
        Ok(out)
    }

    /// Hands its elements over in row-major order, little-endian, in pieces of whole
    /// elements and at most 1 MiB, so that no tensor is too large.
    ///
    /// # Errors
    /// Names the tensor: the file cannot be read, or what `each` returns.
    pub fn for_each_chunk<E: From<Error>>(
        self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(bytes) = self.as_bytes() {
            return bytes.chunks(CHUNK).try_for_each(each);
        }
        let region = self.region()?;
        let mut buffer = vec![0; CHUNK.min(usize::try_from(self.nbytes()).unwrap_or(CHUNK))];
        let step = (CHUNK as u64).checked_div(self.dtype().width()).unwrap_or(1);
        let mut first = 0_u64;
        while first < self.numel() {
            let count = step.min(self.numel().saturating_sub(first));
            let len = usize::try_from(count.saturating_mul(self.dtype().width())).unwrap_or(CHUNK);
            let chunk = buffer.get_mut(..len).unwrap_or_default();
            self.fill_from(region.as_ref(), first, chunk)?;
            each(chunk)?;
            first = first.saturating_add(count);
        }
        Ok(())
    }

    /// Some of its elements in row-major order, little-endian.
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec).
    pub(crate) fn elements(self, first: u64, count: u64) -> Result<Vec<u8>, Error> {
        let nbytes = usize::try_from(count.saturating_mul(self.dtype().width()));
        let mut out = vec![0; nbytes.map_err(|_| self.fault(Fault::Overflow))?];
        self.fill(first, &mut out)?;
        Ok(out)
    }

    /// Fills `out` with its elements from `first` on, little-endian.
    fn fill(self, first: u64, out: &mut [u8]) -> Result<(), Error> {
        let region = self.region()?;
        self.fill_from(region.as_ref(), first, out)
    }

    /// The bytes between its first and last element, unless they can be read in order.
    fn region(self) -> Result<Option<(Strided, Bytes)>, Error> {
        if self.is_contiguous() {
            return Ok(None);
        }
        let (storage, start) = (self.storage(), self.start());
        let end = self.end();
        let bytes = self.checkpoint.fetch(storage, start, end.saturating_sub(start));
        let bytes = bytes.map_err(|why| why.in_tensor(self.name))?;
        let view = Strided::new(self.dtype().width(), 0, self.shape(), self.stride());
        let view = view.ok_or_else(|| self.fault(Fault::Overflow))?;
        Ok(Some((view, bytes)))
    }

    fn fill_from(
        self,
        region: Option<&(Strided, Bytes)>,
        first: u64,
        out: &mut [u8],
    ) -> Result<(), Error> {
        if let Some((view, bytes)) = region {
            let first = usize::try_from(first).map_err(|_| self.fault(Fault::Overflow))?;
            view.copy(bytes, first, out);
        } else {
            let at = self.start().saturating_add(first.saturating_mul(self.dtype().width()));
            let read = self.checkpoint.read_at(self.storage(), at, out);
            read.map_err(|why| why.in_tensor(self.name))?;
        }
        if self.is_swapped() {
            self.swap(out);
        }
        self.settle(out)
    }

    /// Byte of its storage where its first element begins.
    fn start(self) -> u64 {
        self.storage_offset().saturating_mul(self.dtype().width())
    }

    /// Byte of its storage behind its last element. Cannot overflow: the view was proven.
    fn end(self) -> u64 {
        let dimensions = self.shape().iter().zip(self.stride());
        let last = dimensions.fold(self.storage_offset(), |last, (&size, &stride)| {
            last.saturating_add(size.saturating_sub(1).saturating_mul(stride))
        });
        match self.numel() {
            0 => self.start(),
            _ => last.saturating_add(1).saturating_mul(self.dtype().width()),
        }
    }

    fn is_swapped(self) -> bool {
        self.checkpoint.is_swapped(self.storage()) && self.dtype().component_width() > 1
    }

    fn swap(self, bytes: &mut [u8]) {
        let width = usize::try_from(self.dtype().component_width()).unwrap_or(1);
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }

    /// Carries out the conjugation and negation that PyTorch left to the reader: both flip
    /// signs, which are the top bits of floats.
    fn settle(self, bytes: &mut [u8]) -> Result<(), Error> {
        if !self.is_lazy() {
            return Ok(());
        }
        let (dtype, width) = (self.dtype(), self.dtype().component_width());
        let pairs = dtype.class() == Class::Complex;
        if !pairs && (self.conj || dtype.class() != Class::Float || width < 2) {
            let what = format!("a lazily negated or conjugated tensor of {dtype}");
            return Err(self.fault(Fault::Unsupported(what.into())));
        }
        let width = usize::try_from(width).unwrap_or(1);
        for (index, component) in bytes.chunks_exact_mut(width).enumerate() {
            let imaginary = pairs && index % 2 == 1;
            if let Some(top) = component.last_mut().filter(|_| self.neg != (self.conj && imaginary))
            {
                *top ^= 0x80;
            }
        }
        Ok(())
    }

    /// Whether its elements may be written out: a view that repeats elements can be of any
    /// size over a few bytes.
    fn admit(self) -> Result<(), Error> {
        if self.nbytes() <= self.backing().nbytes() {
            return Ok(());
        }
        let limits = self.checkpoint.limits();
        let admitted = limits.admit(crate::Limit::Materialised, self.nbytes());
        admitted.map_err(|why| Error::from(why).in_tensor(self.name))
    }

    fn fault(self, fault: Fault) -> Error {
        Error::fault(fault, None).in_tensor(self.name)
    }
}

impl Deref for TensorRef<'_> {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        self.tensor
    }
}

impl fmt::Debug for TensorRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} {:?}", self.name, self.dtype(), self.shape())
    }
}
