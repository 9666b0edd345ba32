//! Scalars: a dtype, and the bytes of one element.

use super::dtype::{DType, Kind};
use super::element::Element;
use super::error::{Error, Fault};
use super::given;
use super::views::{Held, Views};
use crate::pickle::Object;

/// A scalar of numpy. One that exists is proven: it has exactly the bytes that its dtype needs.
///
/// Source: numpy `multiarray/scalartypes.c.src` (`gentype_reduce`), `multiarray/multiarraymodule.c`
/// (`array_scalar`).
#[derive(Clone, Debug)]
pub struct NumpyScalar<'graph> {
    object: Object<'graph>,
    dtype: DType<'graph>,
    data: Data<'graph>,
}

#[derive(Clone, Debug)]
enum Data<'graph> {
    Bytes(Held<'graph>),
    Object(Object<'graph>),
}

impl<'graph> NumpyScalar<'graph> {
    /// A view of `object`: what `numpy.float64(1)` pickles. [`Views`] is cheaper for many.
    ///
    /// # Errors
    /// [`Error`] if it is no scalar, or its bytes are not those of one element.
    pub fn view(object: Object<'graph>) -> Result<Self, Error> {
        Views::default().scalar(object)
    }

    /// The object it is a view of.
    #[must_use]
    pub const fn object(&self) -> Object<'graph> {
        self.object
    }

    /// Its type.
    #[must_use]
    pub const fn dtype(&self) -> &DType<'graph> {
        &self.dtype
    }

    /// Its bytes as stored; none if it holds objects.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Bytes(bytes) => Some(bytes.as_slice()),
            Data::Object(_) => None,
        }
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> Element<'_> {
        match &self.data {
            Data::Bytes(bytes) => Element::of(&self.dtype, bytes.as_slice()),
            Data::Object(object) => Element::Object(*object),
        }
    }
}

impl<'graph> Views<'graph> {
    /// As [`NumpyScalar::view`].
    ///
    /// # Errors
    /// As there, and if the budget is spent.
    pub fn scalar(&mut self, object: Object<'graph>) -> Result<NumpyScalar<'graph>, Error> {
        let call = given::call(object).filter(|call| given::is_multiarray(call.global, "scalar"));
        let call = call.ok_or_else(|| given::not_a("a numpy scalar", object))?;
        let at = object.offset();
        let form = |what| Error::new(Fault::Form(what), at);
        let Some([dtype, data]) = call.args.array() else {
            return Err(form("a scalar made with other arguments than dtype and data"));
        };
        if given::state(object)?.is_some() {
            return Err(form("a scalar with a state"));
        }
        given::unchanged_since(dtype, at)?;
        given::unchanged_since(data, at)?;
        let dtype = self.own_dtype(dtype)?;
        dtype.check_stated()?;
        if matches!(dtype.kind(), Kind::String { .. }) {
            return Err(form("a scalar of StringDType"));
        }
        if dtype.has_objects() {
            let data = match dtype.kind() {
                Kind::Object => data,
                _ => self.tuple(data)?,
            };
            return Ok(NumpyScalar { object, dtype, data: Data::Object(data) });
        }
        let bytes = self.bytes(data).map_err(|why| why.or_at(at))?;
        let (needs, has) = (dtype.itemsize(), bytes.as_slice().len() as u64);
        if needs != has {
            return Err(Error::new(Fault::DataLength { needs, has }, at));
        }
        Ok(NumpyScalar { object, dtype, data: Data::Bytes(bytes) })
    }

    /// The values of a structure with objects, a tuple: numpy wraps it in an array.
    fn tuple(&mut self, data: Object<'graph>) -> Result<Object<'graph>, Error> {
        if data.as_tuple().is_some() {
            return Ok(data);
        }
        // numpy 1.16 wrote the addresses of the objects, which mean nothing here.
        if self.bytes(data).is_ok() {
            let form = "a structure with objects, of which numpy wrote only their addresses";
            return Err(Error::new(Fault::Form(form), data.offset()));
        }
        let array = self.array(data)?;
        let item = array.objects().filter(|items| items.len() == 1);
        let item = item.and_then(|items| items.get(0));
        item.ok_or_else(|| given::not_a("an array of one structure", data))
    }
}
