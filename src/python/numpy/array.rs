//! Arrays: shape, dtype and data, proven to fit each other.

use std::borrow::Cow;

use super::dtype::DType;
use super::element::Element;
use super::error::{Error, Fault};
use super::given;
use super::swap;
use super::views::{Held, Views};
use crate::base::FileOffset;
use crate::pickle::{Items, Object};

/// Elements of no bytes in one array that are believed.
const MOST_EMPTY: u64 = 1 << 20;

/// An array of numpy or of a subclass of its arrays.
///
/// One that exists is proven: its data has exactly the bytes, or its list the objects, that
/// its shape needs, and no count can overflow. Elements come in row-major order, in whichever
/// order they are stored.
#[derive(Clone, Debug)]
pub struct NumpyArray<'graph> {
    object: Object<'graph>,
    class: Option<Object<'graph>>,
    rest: Vec<Object<'graph>>,
    dtype: DType<'graph>,
    layout: Layout,
    count: usize,
    data: Data<'graph>,
}

#[derive(Clone, Debug)]
pub(super) enum Data<'graph> {
    Bytes(Held<'graph>),
    /// In row-major order, whatever the order of the array.
    Objects(Items<'graph>),
}

/// In which order elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// Row by row: the last index runs fastest. One of a single dimension or none is so too.
    C,
    /// Column by column: the first index runs fastest.
    F,
    /// Row by row after some exchange of the axes.
    K,
}

/// Shape, and steps between neighbours of each dimension (elements).
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub order: Order,
    shape: Box<[u64]>,
    steps: Box<[u64]>,
}

impl Layout {
    /// `shape` must be one that [`given::product`] admits.
    pub(super) fn new(shape: Box<[u64]>, fortran: bool) -> Self {
        let mut steps = vec![0; shape.len()];
        if fortran {
            fill(steps.iter_mut().zip(shape.iter()));
        } else {
            fill(steps.iter_mut().zip(shape.iter()).rev());
        }
        // Of at most one dimension longer than 1 both orders are the same.
        let long = shape.iter().filter(|&&size| size != 1).count();
        let order = if fortran && long > 1 { Order::F } else { Order::C };
        Self { order, shape, steps: steps.into() }
    }

    /// A row-major array with its axes exchanged: its `order[i]`th becomes the `i`th.
    pub(super) fn exchanged(shape: Box<[u64]>, order: &[u64]) -> Option<Self> {
        let rows = Self::new(shape, false);
        let mut seen = vec![false; rows.shape.len()];
        let pick = |&axis: &u64| {
            let axis = usize::try_from(axis).ok()?;
            let seen = seen.get_mut(axis)?;
            let again = std::mem::replace(seen, true);
            Some((*rows.shape.get(axis)?, *rows.steps.get(axis)?)).filter(|_| !again)
        };
        let (shape, steps): (Vec<u64>, Vec<u64>) =
            order.iter().map(pick).collect::<Option<Vec<_>>>()?.into_iter().unzip();
        let all = shape.len() == rows.shape.len();
        all.then(|| Self { order: Order::K, shape: shape.into(), steps: steps.into() })
    }

    /// Where the element lies that is the `index`th in row-major order.
    fn place(&self, index: usize) -> usize {
        if self.order == Order::C {
            return index;
        }
        let (mut left, mut place) = (index as u64, 0_u64);
        for (&size, &step) in self.shape.iter().zip(&self.steps).rev() {
            let digit = left.checked_rem(size).unwrap_or(0);
            left = left.checked_div(size).unwrap_or(0);
            place = place.saturating_add(digit.saturating_mul(step));
        }
        usize::try_from(place).unwrap_or(usize::MAX)
    }

    /// The place in row-major order of the element of these indices.
    fn index(&self, indices: &[u64]) -> Option<usize> {
        if indices.len() != self.shape.len() {
            return None;
        }
        let mut index = 0_u64;
        for (&at, &size) in indices.iter().zip(&self.shape) {
            if at >= size {
                return None;
            }
            index = index.checked_mul(size)?.checked_add(at)?;
        }
        usize::try_from(index).ok()
    }
}

/// Steps as products of the sizes before; those behind a size of 0 are never taken.
fn fill<'a>(dimensions: impl Iterator<Item = (&'a mut u64, &'a u64)>) {
    let mut next = 1_u64;
    for (step, &size) in dimensions {
        *step = next;
        next = next.saturating_mul(size);
    }
}

impl<'graph> NumpyArray<'graph> {
    /// A view of `object`: what `numpy.ndarray` pickles, with its data in the stream or in
    /// out-of-band buffers ([`run_with_buffers`](crate::pickle::run_with_buffers)). [`Views`] is cheaper for many.
    ///
    /// # Errors
    /// [`Error`] if it is no array, or its parts do not fit each other. Masked arrays are
    /// refused here; see [`MaskedArray`](super::MaskedArray).
    pub fn view(object: Object<'graph>) -> Result<Self, Error> {
        Views::default().array(object)
    }

    /// Proves that the data fits.
    pub(super) fn new(
        object: Object<'graph>,
        dtype: DType<'graph>,
        layout: Layout,
        data: Data<'graph>,
        at: Option<FileOffset>,
    ) -> Result<Self, Error> {
        let fault = |fault| Error::new(fault, at);
        dtype.check_stated()?;
        let needs = given::product(&layout.shape, dtype.itemsize(), at)?;
        let elements = given::count(&layout.shape);
        match &data {
            Data::Bytes(bytes) => {
                let has = bytes.as_slice().len() as u64;
                if needs != has {
                    return Err(fault(Fault::DataLength { needs, has }));
                }
                if needs == 0 && elements > MOST_EMPTY {
                    return Err(fault(Fault::EmptyElements(elements)));
                }
            }
            Data::Objects(items) => {
                let has = items.len() as u64;
                if elements != has {
                    return Err(fault(Fault::ItemCount { needs: elements, has }));
                }
            }
        }
        let count = usize::try_from(elements).map_err(|_| fault(Fault::Overflow))?;
        Ok(Self { object, class: None, rest: Vec::new(), dtype, layout, count, data })
    }

    /// As an array of this class, with what that added to the state.
    pub(super) fn of_class(self, class: Object<'graph>, rest: Vec<Object<'graph>>) -> Self {
        Self { class: Some(class), rest, ..self }
    }

    /// The object it is a view of.
    #[must_use]
    pub const fn object(&self) -> Object<'graph> {
        self.object
    }

    /// Its class: `numpy.ndarray`, `numpy.matrix`, `numpy.rec.recarray`, … A global, as a rule.
    /// None where the file does not name it, for then it is `numpy.ndarray`.
    #[must_use]
    pub const fn class(&self) -> Option<Object<'graph>> {
        self.class
    }

    /// What a subclass added to the state of the array.
    #[must_use]
    pub fn rest(&self) -> &[Object<'graph>] {
        &self.rest
    }

    /// The type of its elements.
    #[must_use]
    pub const fn dtype(&self) -> &DType<'graph> {
        &self.dtype
    }

    /// Its sizes (elements), one a dimension; empty for a single element.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.layout.shape
    }

    /// In which order its elements are stored.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.layout.order
    }

    /// How many elements it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its elements in memory (bytes): objects count as references. Cannot overflow.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        (self.count as u64).saturating_mul(self.dtype.itemsize())
    }

    /// Its data as stored, in its [`order`](Self::order) and byte order; none if its elements
    /// hold objects. Lent, never copied.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Bytes(bytes) => Some(bytes.as_slice()),
            Data::Objects(_) => None,
        }
    }

    /// Its data as stored, if it had to be decoded: then not the stream holds it.
    #[cfg(feature = "torch")]
    pub(crate) fn owned_bytes(&self) -> Option<bytes::Bytes> {
        match &self.data {
            Data::Bytes(Held::Own(bytes)) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Its objects in row-major order; none if its elements are bytes. Of a structured dtype
    /// with objects among its fields, each is a tuple of the fields' values.
    #[must_use]
    pub const fn objects(&self) -> Option<Items<'graph>> {
        match self.data {
            Data::Objects(items) => Some(items),
            Data::Bytes(_) => None,
        }
    }

    /// The `index`th element in row-major order.
    #[must_use]
    pub fn element(&self, index: usize) -> Option<Element<'_>> {
        match &self.data {
            Data::Bytes(_) => Some(Element::of(&self.dtype, self.element_bytes(index)?)),
            Data::Objects(items) => items.get(index).map(Element::Object),
        }
    }

    /// The element of these indices, one a dimension.
    ///
    /// ```
    /// # use depickle::python::numpy::NumpyArray;
    /// fn corner(array: &NumpyArray) -> Option<f64> {
    ///     array.at(&[0, 0])?.as_f64()
    /// }
    /// ```
    #[must_use]
    pub fn at(&self, indices: &[u64]) -> Option<Element<'_>> {
        self.element(self.layout.index(indices)?)
    }

    /// All elements in row-major order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Element<'_>> {
        // Unreachable default: every index below the count has an element.
        (0..self.count).map(|index| self.element(index).unwrap_or(Element::Void(&[])))
    }

    /// The bytes of one element, as stored.
    #[must_use]
    pub fn element_bytes(&self, index: usize) -> Option<&[u8]> {
        if index >= self.count {
            return None;
        }
        let width = self.width();
        let start = self.layout.place(index).checked_mul(width)?;
        self.bytes()?.get(start..start.checked_add(width)?)
    }

    /// Bytes of one element. Fits, as the data is there; of no elements it does not matter.
    fn width(&self) -> usize {
        usize::try_from(self.dtype.itemsize()).unwrap_or(usize::MAX)
    }

    /// Its data in row-major order, in its own byte order: lent where it is stored so. None if
    /// its elements hold objects.
    #[must_use]
    pub fn row_major_bytes(&self) -> Option<Cow<'_, [u8]>> {
        let bytes = self.bytes()?;
        if self.layout.order == Order::C || bytes.is_empty() {
            return Some(Cow::Borrowed(bytes));
        }
        let mut rows = Vec::with_capacity(bytes.len());
        for index in 0..self.count {
            rows.extend_from_slice(self.element_bytes(index)?);
        }
        Some(Cow::Owned(rows))
    }

    /// Its data in row-major order with every number little-endian, as
    /// `array.astype(array.dtype.newbyteorder("<")).tobytes()` gives it.
    ///
    /// # Errors
    /// [`Error`] if its elements hold objects, or big-endian fields that lie over one another.
    pub fn little_endian_bytes(&self) -> Result<Cow<'_, [u8]>, Error> {
        let objects = || given::not_a("an array of bytes", self.object);
        let mut bytes = self.row_major_bytes().ok_or_else(objects)?;
        if !self.dtype.has_big() || bytes.is_empty() {
            return Ok(bytes);
        }
        swap::to_little(&self.dtype, bytes.to_mut())?;
        Ok(bytes)
    }
}
