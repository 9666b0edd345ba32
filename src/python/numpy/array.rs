//! Arrays, masked arrays and scalars.

use std::borrow::Cow;

use super::dtype::{DType, is_dtype};
use super::element::Element;
use super::error::Error;
use super::given;
use crate::base::Budget;
use crate::pickle::{Global, Items, Object};

/// An array as its pickle describes it.
#[derive(Clone, Debug)]
pub struct NumpyArray<'graph> {
    class: Option<Global<'graph>>,
    dtype: DType,
    shape: Box<[u64]>,
    /// Whether the first index runs fastest in the data.
    fortran: bool,
    data: Data<'graph>,
}

#[derive(Clone, Debug)]
enum Data<'graph> {
    Bytes(Cow<'graph, [u8]>),
    Objects(Items<'graph>),
}

impl<'graph> NumpyArray<'graph> {
    /// The array that `object` is; none if it is none. Masked arrays are arrays here, without
    /// their mask.
    ///
    /// # Errors
    /// What is wrong with it: the data's length is not the shape's times the dtype's, or a part
    /// is not what numpy writes. Data that is spelled as text takes memory from `budget`.
    pub fn view(object: Object<'graph>, budget: &mut Budget) -> Result<Option<Self>, Error> {
        let Some((global, args)) = given::call(object) else { return Ok(None) };
        if given::is_core(global, &[b"numeric"], b"_frombuffer") {
            return Self::from_buffer(object, args, budget).map(Some);
        }
        let masked = is_masked(global);
        if !masked
            && !given::is_core(global, &[b"multiarray", b"_multiarray_umath"], b"_reconstruct")
        {
            return Ok(None);
        }
        let class = args.get(0).and_then(Object::as_global);
        let state = given::state(object)?;
        let state = state.ok_or_else(|| Error::malformed("an array without a state", object))?;
        // The oldest states have no version.
        let at = usize::from(state.get(0).is_some_and(|first| first.as_int().is_some()));
        let (Some(shape), Some(dtype), Some(fortran), Some(data)) = (
            state.get(at),
            state.get(at.saturating_add(1)),
            state.get(at.saturating_add(2)),
            state.get(at.saturating_add(3)),
        ) else {
            return Err(Error::malformed("an array's state of fewer than 4 parts", object));
        };
        let dtype = DType::read(dtype, budget)?;
        let (shape, fortran) = (given::shape(shape)?, given::flag(fortran)?);
        Self::new(class, dtype, shape, fortran, data, budget).map(Some)
    }

    /// `_frombuffer(buffer, dtype, shape, order)`
    fn from_buffer(
        object: Object<'graph>,
        args: Items<'graph>,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let Some([data, dtype, shape, order]) = args.array() else {
            return Err(Error::malformed("a buffer takes 4 arguments", object));
        };
        let fortran = match order.as_str() {
            Some("C") => false,
            Some("F") => true,
            _ => return Err(Error::not_a("an order", order)),
        };
        let dtype = DType::read(dtype, budget)?;
        Self::new(None, dtype, given::shape(shape)?, fortran, data, budget)
    }

    fn new(
        class: Option<Global<'graph>>,
        dtype: DType,
        shape: Box<[u64]>,
        fortran: bool,
        data: Object<'graph>,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let nbytes = given::product(&shape, dtype.width(), data)?;
        let count = given::product(&shape, 1, data)?;
        let data = match given::bytes(data, budget)? {
            Some(_) if dtype.has_objects() => {
                return Err(Error::malformed("bytes for Python objects", data));
            }
            Some(bytes) if bytes.len() as u64 != nbytes => {
                let what = format!("{} bytes of data where {nbytes} are needed", bytes.len());
                return Err(Error::malformed(what, data));
            }
            Some(bytes) => Data::Bytes(bytes),
            None => {
                let items = data.items().filter(|_| dtype.has_objects());
                let items = items.ok_or_else(|| Error::not_a("bytes", data))?;
                if items.len() as u64 != count {
                    let what = format!("{} objects where {count} are needed", items.len());
                    return Err(Error::malformed(what, data));
                }
                Data::Objects(items)
            }
        };
        Ok(Self { class, dtype, shape, fortran, data })
    }

    /// Its class: `numpy.ndarray` or a subclass; none where the pickle does not say.
    #[must_use]
    pub const fn class(&self) -> Option<Global<'graph>> {
        self.class
    }

    /// The type of its elements.
    #[must_use]
    pub const fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// Its sizes.
    #[must_use]
    pub const fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Whether the first index runs fastest in the data (Fortran's order), not the last (C's).
    #[must_use]
    pub const fn is_fortran(&self) -> bool {
        self.fortran
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shape.iter().copied().fold(1, u64::saturating_mul)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The data as it lies in the pickle; none if the elements are Python objects.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Bytes(bytes) => Some(bytes),
            Data::Objects(_) => None,
        }
    }

    /// Its elements in row-major order, whatever the order of the data.
    ///
    /// # Errors
    /// [`Category::OverLimit`](crate::Category::OverLimit) if elements without bytes are more
    /// than `budget` has steps for.
    pub fn elements(
        &self,
        budget: &mut Budget,
    ) -> Result<impl Iterator<Item = Element<'_>>, Error> {
        if self.dtype.width() == 0 {
            budget.visits(self.len())?;
        }
        let width = usize::try_from(self.dtype.width()).unwrap_or(usize::MAX);
        Ok(self.places().map_while(move |place| match &self.data {
            Data::Bytes(bytes) => {
                let start = place.checked_mul(width)?;
                self.dtype.element(bytes.get(start..start.checked_add(width)?)?)
            }
            Data::Objects(items) => items.get(place).map(Element::Object),
        }))
    }

    /// The bytes of its elements in row-major order, numbers little-endian; none if they are
    /// Python objects.
    ///
    /// # Errors
    /// [`Category::OverLimit`](crate::Category::OverLimit) if `budget` does not cover them.
    pub fn to_bytes(&self, budget: &mut Budget) -> Result<Option<Vec<u8>>, Error> {
        let Data::Bytes(bytes) = &self.data else { return Ok(None) };
        budget.memory(bytes.len() as u64)?;
        let width = usize::try_from(self.dtype.width()).unwrap_or(usize::MAX);
        let mut out = Vec::with_capacity(bytes.len());
        if width > 0 {
            for place in self.places() {
                let start = place.saturating_mul(width);
                let element = bytes.get(start..start.saturating_add(width));
                out.extend_from_slice(element.unwrap_or_default());
            }
            out.chunks_exact_mut(width).for_each(|element| self.dtype.to_little(element));
        }
        Ok(Some(out))
    }

    /// Where in the data each element lies, in row-major order (elements).
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let mut stride = 1_usize;
        let strides: Vec<usize> = self
            .shape
            .iter()
            .map(|&size| {
                let own = stride;
                stride = stride.saturating_mul(usize::try_from(size).unwrap_or(usize::MAX));
                own
            })
            .collect();
        let mut index = vec![0_u64; self.shape.len()];
        let mut left = self.len();
        let mut flat = 0_usize;
        // Objects are listed in row-major order even so.
        let fortran = self.fortran && self.shape.len() > 1 && self.bytes().is_some();
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            if !fortran {
                let place = flat;
                flat = flat.saturating_add(1);
                return Some(place);
            }
            let place = index.iter().zip(&strides).fold(0_usize, |place, (&at, &stride)| {
                place.saturating_add(usize::try_from(at).unwrap_or(0).saturating_mul(stride))
            });
            for (at, &size) in index.iter_mut().zip(&self.shape).rev() {
                *at = at.saturating_add(1);
                if *at < size {
                    break;
                }
                *at = 0;
            }
            Some(place)
        })
    }
}

/// An array some elements of which are masked.
#[derive(Clone, Debug)]
pub struct MaskedArray<'graph> {
    /// The array, with values under the mask as well.
    pub array: NumpyArray<'graph>,
    mask: Cow<'graph, [u8]>,
}

impl<'graph> MaskedArray<'graph> {
    /// The masked array that `object` is; none if it is none.
    ///
    /// # Errors
    /// As [`NumpyArray::view`]; the mask has another size than the array.
    pub fn view(object: Object<'graph>, budget: &mut Budget) -> Result<Option<Self>, Error> {
        if !given::call(object).is_some_and(|(global, _)| is_masked(global)) {
            return Ok(None);
        }
        let Some(array) = NumpyArray::view(object, budget)? else { return Ok(None) };
        let mask = given::state(object)?.and_then(|state| state.get(5));
        let mask = mask.ok_or_else(|| Error::malformed("a masked array without a mask", object))?;
        let bytes = given::bytes(mask, budget)?.ok_or_else(|| Error::not_a("bytes", mask))?;
        let whole = (bytes.len() as u64).checked_rem(array.len().max(1)) == Some(0);
        if !whole || bytes.is_empty() != array.is_empty() {
            return Err(Error::malformed("a mask of another size than the array", mask));
        }
        Ok(Some(Self { array, mask: bytes }))
    }

    /// The mask as it lies in the pickle, in the order of the array's data: a byte for each
    /// element, or for each field of each; not 0 where it is masked.
    #[must_use]
    pub fn mask(&self) -> &[u8] {
        &self.mask
    }
}

fn is_masked(global: Global) -> bool {
    global.name == b"_mareconstruct" && matches!(global.module, b"numpy.ma.core" | b"numpy.ma")
}

/// A single number, text or time of numpy's.
#[derive(Clone, Debug)]
pub struct NumpyScalar<'graph> {
    dtype: DType,
    data: Result<Cow<'graph, [u8]>, Object<'graph>>,
}

impl<'graph> NumpyScalar<'graph> {
    /// The scalar that `object` is; none if it is none.
    ///
    /// # Errors
    /// As [`NumpyArray::view`].
    pub fn view(object: Object<'graph>, budget: &mut Budget) -> Result<Option<Self>, Error> {
        let Some((global, args)) = given::call(object) else { return Ok(None) };
        if !given::is_core(global, &[b"multiarray", b"_multiarray_umath"], b"scalar") {
            return Ok(None);
        }
        let Some([dtype, data]) = args.array().filter(|[dtype, _]| is_dtype(*dtype)) else {
            return Err(Error::malformed("a scalar takes a dtype and data", object));
        };
        let dtype = DType::read(dtype, budget)?;
        if dtype.has_objects() {
            return Ok(Some(Self { dtype, data: Err(data) }));
        }
        let bytes = given::bytes(data, budget)?.ok_or_else(|| Error::not_a("bytes", data))?;
        if bytes.len() as u64 != dtype.width() {
            let what = format!("{} bytes where {} are needed", bytes.len(), dtype.width());
            return Err(Error::malformed(what, data));
        }
        Ok(Some(Self { dtype, data: Ok(bytes) }))
    }

    /// Its type.
    #[must_use]
    pub const fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> Element<'_> {
        match &self.data {
            Ok(bytes) => self.dtype.element(bytes).unwrap_or(Element::Raw(bytes)),
            Err(object) => Element::Object(*object),
        }
    }
}
