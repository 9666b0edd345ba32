//! Many views of one graph, what they share made once.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;

use super::descr::Known;
use super::error::{Error, Fault};
use super::given;
use super::{DType, MaskedArray, NumpyArray, NumpyScalar, Random};
use crate::base::{Budget, FileOffset};
use crate::pickle::{NodeId, Object, Value};

/// Makes views of the objects of one graph, and remembers what these share: dtypes, and data
/// that had to be decoded. So the cost of any number of views is in proportion to the graph.
///
/// ```
/// use depickle::python::numpy::Views;
/// # let outcome = depickle::pickle::run(b"N.".to_vec().into(), depickle::FileOffset(0),
/// #     &depickle::pickle::Policy::inspect(), &mut depickle::Budget::default());
/// let graph = outcome.graph;
/// let mut views = Views::default();
/// let arrays = graph.reach().filter_map(|object| views.array(object).ok());
/// assert_eq!(arrays.count(), 0);
/// ```
#[derive(Default)]
pub struct Views<'graph> {
    pub(super) budget: Budget,
    pub(super) dtypes: HashMap<NodeId, Known<'graph>>,
    pub(super) decoded: HashMap<NodeId, Held<'graph>>,
}

/// What an object is to numpy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Numpy<'graph> {
    /// An array, of a subclass perhaps.
    Array(NumpyArray<'graph>),
    /// An array, some elements of which are hidden.
    Masked(MaskedArray<'graph>),
    /// A single element.
    Scalar(NumpyScalar<'graph>),
    /// A type of elements.
    DType(DType<'graph>),
    /// The state of a random generator.
    Random(Random<'graph>),
}

impl<'graph> Views<'graph> {
    /// Views that pay from `budget`: for each field of a dtype a step and 192 bytes, and the
    /// size of the data that protocols below 3 encode as text.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self { budget, ..Self::default() }
    }

    /// What `object` is, if a call of numpy made it. Classes are no dtypes here.
    ///
    /// # Errors
    /// [`Error`] if it is made by such a call, in a way that cannot be read.
    pub fn any(&mut self, object: Object<'graph>) -> Option<Result<Numpy<'graph>, Error>> {
        let call = given::call(object)?;
        let global = call.global;
        let is_numpy = global.module == b"numpy" || global.module.starts_with(b"numpy.");
        if !is_numpy {
            return None;
        }
        match global.name {
            b"_reconstruct" | b"_frombuffer" => Some(self.array(object).map(Numpy::Array)),
            b"_mareconstruct" | b"_mrreconstruct" => Some(self.masked(object).map(Numpy::Masked)),
            b"scalar" => Some(self.scalar(object).map(Numpy::Scalar)),
            b"dtype" | b"_convert_to_stringdtype_kwargs" => {
                Some(self.dtype(object).map(Numpy::DType))
            }
            _ if Random::is_called(global) => Some(Random::view(object).map(Numpy::Random)),
            _ => None,
        }
    }

    pub(super) fn pay(
        &mut self,
        steps: u64,
        bytes: u64,
        at: Option<FileOffset>,
    ) -> Result<(), Error> {
        let paid = self.budget.visits(steps).and_then(|()| self.budget.memory(bytes));
        paid.map_err(|why| Error::new(Fault::Over(why), at))
    }

    /// The bytes of an object that holds them, lent where the stream holds them as they are.
    pub(super) fn bytes(&mut self, object: Object<'graph>) -> Result<Held<'graph>, Error> {
        if let Value::Buffer { index, bytes, .. } = object.value() {
            let missing = || Error::new(Fault::NoBuffer(index), object.offset());
            return bytes.map(Held::Lent).ok_or_else(missing);
        }
        if let Some(known) = self.decoded.get(&object.id()) {
            return Ok(known.clone());
        }
        let held = match given::bytes(object, &mut self.budget)? {
            Some(Cow::Borrowed(bytes)) => Held::Lent(bytes),
            Some(Cow::Owned(bytes)) => {
                self.pay(0, bytes.len() as u64, object.offset())?;
                Held::Own(bytes.into())
            }
            None => return Err(given::not_a("bytes", object)),
        };
        // Others had to be looked through.
        if !matches!(object.value(), Value::Bytes(_) | Value::ByteArray(_)) {
            self.decoded.insert(object.id(), held.clone());
        }
        Ok(held)
    }
}

/// Bytes of the graph, or decoded ones.
#[derive(Clone, Debug)]
pub(super) enum Held<'graph> {
    Lent(&'graph [u8]),
    Own(Bytes),
}

impl Held<'_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}
