//! Reading the elements of a tensor: lent, or copied bit by bit.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::ops::Deref;

use bytes::Bytes;

use super::checkpoint::Checkpoint;
use super::dtype::Class;
use super::element::Element;
use super::error::{Error, Fault, Kind};
use super::gather::Pieces;
use super::layout::Body;
use super::parts::has_elements;
use super::storage::{Storage, StorageId};
use super::strided::Strided;
use super::tensor::Tensor;
use crate::base::Exceeded;

/// A tensor of a checkpoint, by name, with the means to read its elements.
///
/// Sizes, dtype and the rest are those of [`Tensor`], to which it dereferences. Elements are those
/// of plain and quantized tensors, the latter as integers; of other layouts, read the
/// [parts](Checkpoint::parts), or [`to_dense`](Self::to_dense).
#[derive(Clone, Copy)]
pub struct TensorRef<'file> {
    checkpoint: &'file Checkpoint,
    name: &'file str,
    tensor: &'file Tensor,
}

/// Bytes handled at a time where a tensor is streamed.
pub(crate) const CHUNK: usize = 1 << 20;

/// What was read of a view whose elements do not lie in order: bytes, and the view of these.
pub(super) type Region = (Strided, Bytes);

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

    /// The checkpoint it is in.
    #[must_use]
    pub const fn checkpoint(self) -> &'file Checkpoint {
        self.checkpoint
    }

    /// A part or [slice](Tensor::slice) of it, to be read as it is. Errors name this tensor.
    #[must_use]
    pub const fn part<'part>(self, part: &'part Tensor) -> TensorRef<'part>
    where
        'file: 'part,
    {
        TensorRef { checkpoint: self.checkpoint, name: self.name, tensor: part }
    }

    /// The device it was saved from.
    #[must_use]
    pub fn device(self) -> &'file str {
        self.checkpoint.device_of(self.tensor)
    }

    /// The storage it is a view of; an empty one if it is none.
    #[must_use]
    pub fn backing(self) -> &'file Storage {
        self.checkpoint.storages().get(self.on())
    }

    fn on(self) -> StorageId {
        self.storage().unwrap_or(StorageId::NONE)
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
        match self.as_bytes()? {
            [] => Some(&[]),
            bytes => bytemuck::try_cast_slice(bytes).ok(),
        }
    }

    /// Its elements in row-major order, little-endian, without a copy; none if they do not
    /// lie in the file like that, or the file is not mapped or in memory.
    #[must_use]
    pub fn as_bytes(self) -> Option<&'file [u8]> {
        if let Some(bytes) = self.tensor.inline() {
            let (start, len) = (usize::try_from(self.start()), usize::try_from(self.nbytes()));
            let (start, len) = start.ok().zip(len.ok()).filter(|_| self.is_contiguous())?;
            return bytes.get(start..start.checked_add(len)?);
        }
        match self.nbytes() {
            _ if !self.is_plain() => None,
            // Wherever that is.
            0 => Some(&[]),
            len => self.checkpoint.lend(self.on(), self.start(), len),
        }
    }

    /// Elements of its storage from its first to its last, without a copy: all that its strides
    /// lead to. None as for [`as_slice`](Self::as_slice), but that the view may be any.
    #[cfg(feature = "ndarray")]
    pub(crate) fn touched<T: Element>(self) -> Option<&'file [T]> {
        let foreign = cfg!(target_endian = "big") && size_of::<T>() > 1;
        if !T::reads(self.dtype()) || foreign || !self.is_stored_as_read() || self.is_packed() {
            return None;
        }
        let len = self.span();
        bytemuck::try_cast_slice(self.checkpoint.lend(self.on(), self.start(), len)?).ok()
    }

    /// Whether its elements are in the file as they are to be read, in a row.
    fn is_plain(self) -> bool {
        self.is_stored_as_read() && self.is_contiguous()
    }

    fn is_stored_as_read(self) -> bool {
        self.storage().is_some()
            && !self.is_lazy()
            && !self.is_swapped()
            && has_elements(self.layout())
    }

    /// Its elements in row-major order, whatever its strides. Packed quantized values come as
    /// the bytes they are packed in; [`unpack`](Self::unpack) takes them apart.
    ///
    /// # Errors
    /// Names the tensor: the elements are none of `T`'s, the file cannot be read, or
    /// [`Limits::materialised`](crate::Limits::materialised) is met.
    pub fn to_vec<T: Element>(self) -> Result<Vec<T>, Error> {
        self.reads::<T>()?;
        self.admit()?;
        let mut out = self.zeroed::<T>(self.cells())?;
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
        if self.is_plain() {
            let bytes = self.checkpoint.fetch(self.on(), self.start(), self.nbytes());
            return Ok(Cow::Owned(bytes.map_err(|why| why.in_tensor(self.name))?.into()));
        }
        let mut out = self.zeroed::<u8>(self.nbytes())?;
        self.fill(0, &mut out)?;
        Ok(Cow::Owned(out))
    }

    /// Fills `into` with its elements in row-major order, little-endian. The buffer is the
    /// caller's, so no limit applies.
    ///
    /// ```
    /// # let checkpoint = depickle::torch::Checkpoint::open("tests/fixtures/tensor.pth")?;
    /// let tensor = checkpoint.tensor("")?;
    /// let mut buffer = [0; 24];
    /// tensor.read_into(&mut buffer)?;
    /// assert_eq!(buffer[4..8], 1_f32.to_le_bytes());
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// Names the tensor: `into` is not of [`nbytes`](Tensor::nbytes) bytes
    /// ([`Fault::BufferLength`]), or the file cannot be read.
    pub fn read_into(self, into: &mut [u8]) -> Result<(), Error> {
        let (needs, has) = (self.nbytes(), into.len() as u64);
        if needs != has {
            return Err(self.fault(Fault::BufferLength { needs, has }));
        }
        self.fill(0, into)
    }

    /// Its elements one after the other, in row-major order, read as they are asked for. No limit
    /// applies, since they are never all in memory, unless the view is not contiguous: then the
    /// bytes it touches are.
    ///
    /// ```
    /// # let checkpoint = depickle::torch::Checkpoint::open("tests/fixtures/tensor.pth")?;
    /// let sum: f32 = checkpoint.tensor("")?.elements::<f32>()?.sum::<Result<f32, _>>()?;
    /// assert_eq!(sum, 15.0);
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// Names the tensor: the elements are none of `T`'s, or the file cannot be read. The iterator
    /// gives the latter too, and ends.
    pub fn elements<T: Element>(self) -> Result<Elements<'file, T>, Error> {
        self.reads::<T>()?;
        let region = self.region()?;
        Ok(Elements { tensor: self, region, next: 0, buffer: Vec::new(), at: 0 })
    }

    /// Hands its elements over in row-major order, little-endian, in pieces of whole
    /// elements, so that no tensor is too large: at most 1 MiB each, or 16 MiB of views whose
    /// elements lie out of order.
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
        if self.is_scattered() {
            return self.for_each_block(each);
        }
        let region = self.region()?;
        let mut buffer = vec![0; CHUNK.min(usize::try_from(self.nbytes()).unwrap_or(CHUNK))];
        let step = self.cells_in(CHUNK);
        let mut first = 0_u64;
        while first < self.cells() {
            let count = step.min(self.cells().saturating_sub(first));
            let len = usize::try_from(count.saturating_mul(self.dtype().width())).unwrap_or(CHUNK);
            let chunk = buffer.get_mut(..len).unwrap_or_default();
            self.fill_from(region.as_ref(), first, chunk)?;
            each(chunk)?;
            first = first.saturating_add(count);
        }
        Ok(())
    }

    /// Elements that fit in so many bytes.
    fn cells_in(self, bytes: usize) -> u64 {
        (bytes as u64).checked_div(self.dtype().width()).unwrap_or(1).max(1)
    }

    /// Some of its elements in row-major order, little-endian.
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec).
    pub(crate) fn range(self, first: u64, count: u64) -> Result<Vec<u8>, Error> {
        let mut out = self.zeroed(count.saturating_mul(self.dtype().width()))?;
        self.fill(first, &mut out)?;
        Ok(out)
    }

    /// Fills `into`, of whole elements, with its elements from `first` on.
    #[cfg(feature = "convert")]
    pub(crate) fn read_range(self, first: u64, into: &mut [u8]) -> Result<(), Error> {
        self.fill(first, into)
    }

    fn reads<T: Element>(self) -> Result<(), Error> {
        if T::reads(self.dtype()) {
            return Ok(());
        }
        let wrong = Kind::WrongDType { is: self.dtype(), wanted: T::NAME };
        Err(Error::new(wrong).in_tensor(self.name))
    }

    /// Memory for `count` items, or an error if there is not so much.
    pub(crate) fn zeroed<T: bytemuck::Zeroable>(self, count: u64) -> Result<Vec<T>, Error> {
        let zeroed = usize::try_from(count).ok();
        let zeroed = zeroed.and_then(|count| bytemuck::allocation::try_zeroed_vec(count).ok());
        zeroed.ok_or_else(|| {
            let refused = Exceeded::refused(count.saturating_mul(size_of::<T>() as u64));
            Error::from(refused).in_tensor(self.name)
        })
    }

    /// Whether the bytes that it touches are in memory.
    pub(super) fn is_lent(self) -> bool {
        self.checkpoint.lend(self.on(), self.start(), self.span()).is_some()
    }

    /// Fills `out` with its elements from `first` on, little-endian.
    fn fill(self, first: u64, out: &mut [u8]) -> Result<(), Error> {
        if first == 0 && out.len() as u64 == self.nbytes() && self.is_gathered() {
            return self.gather_near(out);
        }
        let region = self.region()?;
        self.fill_from(region.as_ref(), first, out)
    }

    /// The bytes that it touches, unless its elements can be read in order.
    pub(super) fn region(self) -> Result<Option<Region>, Error> {
        let none = self.storage().is_none() && self.inline().is_none();
        if none || !has_elements(self.layout()) {
            return Err(self.fault(Fault::NoElements(self.layout())));
        }
        if self.is_contiguous() {
            return Ok(None);
        }
        let (start, len) = self.tensor.extent();
        let overflow = || self.fault(Fault::Overflow);
        let view = Strided::new(self.dtype().width(), 0, self.shape(), self.stride());
        let view = view.ok_or_else(overflow)?;
        if let Some(bytes) = self.inline() {
            let (start, end) = (usize::try_from(start), usize::try_from(start.saturating_add(len)));
            let range = start.ok().zip(end.ok()).filter(|(_, end)| *end <= bytes.len());
            let (start, end) = range.ok_or_else(overflow)?;
            return Ok(Some((view, bytes.slice(start..end))));
        }
        let pieces = Pieces::of(&view).ok_or_else(overflow)?;
        // A view may name the same bytes often: never more than lie between first and last.
        let touched = pieces.count().saturating_mul(pieces.len) as u64;
        if touched >= len || self.is_lent() {
            let bytes = self.checkpoint.fetch(self.on(), start, len);
            return Ok(Some((view, bytes.map_err(|why| why.in_tensor(self.name))?)));
        }
        let mut bytes = self.zeroed::<u8>(touched)?;
        let starts = pieces.starts().map(|at| start.saturating_add(at));
        let read = self.checkpoint.read_pieces(self.on(), starts, pieces.len, &mut bytes);
        read.map_err(|why| why.in_tensor(self.name))?;
        Ok(Some((pieces.view, bytes.into())))
    }

    pub(super) fn fill_from(
        self,
        region: Option<&Region>,
        first: u64,
        out: &mut [u8],
    ) -> Result<(), Error> {
        if let Some((view, bytes)) = region {
            let first = usize::try_from(first).map_err(|_| self.fault(Fault::Overflow))?;
            view.copy(bytes, first, out);
        } else if let Some(bytes) = self.inline() {
            let start = self.start().saturating_add(first.saturating_mul(self.dtype().width()));
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let found = bytes.get(start..start.saturating_add(out.len()));
            out.copy_from_slice(found.ok_or_else(|| self.fault(Fault::Overflow))?);
        } else {
            let at = self.start().saturating_add(first.saturating_mul(self.dtype().width()));
            let read = self.checkpoint.read_at(self.on(), at, out);
            read.map_err(|why| why.in_tensor(self.name))?;
        }
        if self.is_swapped() {
            self.swap(out);
        }
        self.settle(out)
    }

    /// Byte of its storage where its first element begins.
    fn start(self) -> u64 {
        self.tensor.extent().0
    }

    /// From the first to the last of the bytes it touches.
    pub(crate) fn span(self) -> u64 {
        self.tensor.extent().1
    }

    /// The file in which its elements lie as they are to be read, and where they begin there; none
    /// if they are compressed, lie out of order or in memory, or change when read.
    #[must_use]
    pub fn in_file(self) -> Option<(&'file File, u64)> {
        if !self.is_plain() {
            return None;
        }
        self.checkpoint.place_in_file(self.on(), self.start())
    }

    fn is_swapped(self) -> bool {
        let swapped = self.storage().is_some_and(|storage| self.checkpoint.is_swapped(storage));
        swapped && self.dtype().component_width() > 1
    }

    fn swap(self, bytes: &mut [u8]) {
        let width = usize::try_from(self.dtype().component_width()).unwrap_or(1);
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }

    /// Carries out the conjugation and negation that PyTorch left to the reader. Of floats both
    /// flip signs, which are the top bits; integers become their two's complement.
    ///
    /// PyTorch's own kernels do the same, but for zeros and NaN of `complex128`: these they
    /// subtract from 0, some of them, depending on the processor and the number of elements.
    fn settle(self, bytes: &mut [u8]) -> Result<(), Error> {
        if !self.is_lazy() {
            return Ok(());
        }
        let (dtype, width) = (self.dtype(), self.dtype().component_width());
        let width = usize::try_from(width).unwrap_or(1);
        match dtype.class() {
            Class::Int if !self.conj && !dtype.is_quantized() => {
                bytes.chunks_exact_mut(width).for_each(negate);
                return Ok(());
            }
            Class::Complex => {}
            Class::Float if !self.conj && width > 1 => {}
            _ => {
                let what = format!("a lazily negated or conjugated tensor of {dtype}");
                return Err(self.fault(Fault::Unsupported(what.into())));
            }
        }
        let pairs = dtype.class() == Class::Complex;
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
        self.materialise(self.nbytes())
    }

    /// Whether so many bytes may be made of it.
    pub(crate) fn materialise(self, nbytes: u64) -> Result<(), Error> {
        let admitted = self.checkpoint.limits().admit(crate::Limit::Materialised, nbytes);
        admitted.map_err(|why| Error::from(why).in_tensor(self.name))
    }

    pub(crate) fn fault(self, fault: Fault) -> Error {
        Error::fault(fault, None).in_tensor(self.name)
    }
}

/// The two's complement of a little-endian integer.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
        (*byte, carry) = (sum, over);
    }
}

impl Checkpoint {
    /// The means to read one of its tensors, and what errors call it.
    #[must_use]
    pub const fn named<'file>(
        &'file self,
        name: &'file str,
        tensor: &'file Tensor,
    ) -> TensorRef<'file> {
        TensorRef::new(self, name, tensor)
    }

    /// The device that one of its tensors was saved from, as `torch.device` prints it.
    #[must_use]
    pub fn device_of<'tensor>(&'tensor self, tensor: &'tensor Tensor) -> &'tensor str {
        match (tensor.storage(), tensor.body.as_deref()) {
            (_, Some(Body::Meta)) => "meta",
            (_, Some(Body::Wrapper(wrapper))) => &wrapper.device,
            (_, Some(Body::Device(device))) => device,
            (_, Some(Body::Inline(inline))) => &inline.device,
            (Some(storage), _) => self.storages().get(storage).device(),
            (None, Some(Body::Split(split))) => {
                let storage = split.parts.last().and_then(|(_, part)| part.storage());
                storage.map_or("cpu", |storage| self.storages().get(storage).device())
            }
            (None, _) => "cpu",
        }
    }
}

/// The elements of a tensor, one after the other.
#[derive(Debug)]
pub struct Elements<'file, T> {
    tensor: TensorRef<'file>,
    region: Option<Region>,
    /// The element that the buffer does not hold yet.
    next: u64,
    buffer: Vec<T>,
    at: usize,
}

/// Bytes that the iterator reads at a time.
const READ_AHEAD: usize = 64 << 10;

impl<T: Element> Elements<'_, T> {
    fn refill(&mut self) -> Result<(), Error> {
        let tensor = self.tensor;
        let left = tensor.cells().saturating_sub(self.next);
        let count = tensor.cells_in(READ_AHEAD).min(left);
        self.buffer.resize(usize::try_from(count).unwrap_or(0), T::zeroed());
        self.at = 0;
        tensor.fill_from(
            self.region.as_ref(),
            self.next,
            bytemuck::cast_slice_mut(&mut self.buffer),
        )?;
        if cfg!(target_endian = "big") {
            tensor.swap(bytemuck::cast_slice_mut(&mut self.buffer));
        }
        self.next = self.next.saturating_add(count);
        Ok(())
    }
}

impl<T: Element> Iterator for Elements<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let empty = self.at >= self.buffer.len() && self.next < self.tensor.cells();
        if empty && let Err(why) = self.refill() {
            self.buffer.clear();
            self.next = self.tensor.cells();
            return Some(Err(why));
        }
        let element = *self.buffer.get(self.at)?;
        self.at = self.at.saturating_add(1);
        Some(Ok(element))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let unread = usize::try_from(self.tensor.cells().saturating_sub(self.next));
        let left = self.buffer.len().saturating_sub(self.at);
        let all = unread.ok().and_then(|unread| unread.checked_add(left));
        (0, all)
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
