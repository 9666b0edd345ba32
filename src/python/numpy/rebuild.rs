//! Arrays out of the calls and states that numpy pickles.

use super::array::{Data, Layout, NumpyArray};
use super::dtype::{DType, Kind};
use super::error::{Error, Fault};
use super::given::{self, Call};
use super::views::Views;
use crate::base::FileOffset;
use crate::pickle::{Object, Value};

/// Items of a state, those of a subclass among them, that are believed.
const LONGEST_STATE: usize = 64;

/// The parts of an array's state that every version has.
pub(super) struct ArrayState<'graph> {
    pub shape: Box<[u64]>,
    pub dtype: DType<'graph>,
    pub fortran: bool,
    pub data: Object<'graph>,
    /// What follows.
    pub rest: Vec<Object<'graph>>,
    pub at: Option<FileOffset>,
}

impl<'graph> Views<'graph> {
    /// As [`NumpyArray::view`].
    ///
    /// # Errors
    /// As there, and if the budget is spent.
    pub fn array(&mut self, object: Object<'graph>) -> Result<NumpyArray<'graph>, Error> {
        let call = given::call(object).ok_or_else(|| given::not_a("a numpy array", object))?;
        if given::is_multiarray(call.global, "_reconstruct") {
            return self.reconstruct(&call).map_err(|why| why.or_at(object.offset()));
        }
        if given::is_core(call.global, ".numeric", "_frombuffer") {
            return self.buffered(&call).map_err(|why| why.or_at(object.offset()));
        }
        Err(given::not_a("a numpy array", object))
    }

    /// `_reconstruct(class, shape, code)`, which makes an empty array, and its state.
    fn reconstruct(&mut self, call: &Call<'graph>) -> Result<NumpyArray<'graph>, Error> {
        let object = call.object;
        let Some([class, _, _]) = call.args.array() else {
            let form = "_reconstruct with other arguments than class, shape and code";
            return Err(Error::new(Fault::Form(form), object.offset()));
        };
        let state = self.array_state(object)?;
        let plain = class.as_global().is_some_and(|class| class.is("numpy", "ndarray"));
        if plain && !state.rest.is_empty() {
            let form = "more items in the state than an array has";
            return Err(Error::new(Fault::Form(form), state.at));
        }
        let data = self.data(&state)?;
        let layout = Layout::new(state.shape, state.fortran);
        let array = NumpyArray::new(object, state.dtype, layout, data, state.at)?;
        Ok(array.of_class(class, state.rest))
    }

    /// `(version, shape, dtype, is_fortran, data, …)`; the oldest have no version.
    ///
    /// Source: numpy `multiarray/methods.c` (`array_setstate`).
    pub(super) fn array_state(
        &mut self,
        object: Object<'graph>,
    ) -> Result<ArrayState<'graph>, Error> {
        let state =
            given::state(object)?.ok_or_else(|| Error::new(Fault::NoState, object.offset()))?;
        let at = state.at;
        let items = state.value.as_tuple().ok_or_else(|| given::not_a("a tuple", state.value))?;
        let form = || Error::new(Fault::Form("a state of an array of another length"), at);
        if items.len() > LONGEST_STATE {
            return Err(form());
        }
        let has_version = items.get(0).is_some_and(|first| first.as_tuple().is_none());
        if has_version {
            let version = given::integer(items.get(0).ok_or_else(form)?)?;
            if !(0..=1).contains(&version) {
                return Err(Error::new(Fault::Version(version), at));
            }
        }
        let mut rest = items.iter().skip(usize::from(has_version));
        let mut next = || rest.next().ok_or_else(form);
        let (shape, dtype, fortran, data) = (next()?, next()?, next()?, next()?);
        given::unchanged_since(dtype, at)?;
        given::unchanged_since(data, at)?;
        Ok(ArrayState {
            shape: given::shape(shape)?,
            dtype: self.own_dtype(dtype)?,
            fortran: given::flag(fortran)?,
            data,
            rest: rest.collect(),
            at,
        })
    }

    /// A dtype that has data: a class does for numpy as a description only.
    pub(super) fn own_dtype(&mut self, object: Object<'graph>) -> Result<DType<'graph>, Error> {
        if object.as_recipe().is_none() {
            return Err(given::not_a("a numpy.dtype", object));
        }
        self.dtype(object)
    }

    pub(super) fn data(&mut self, state: &ArrayState<'graph>) -> Result<Data<'graph>, Error> {
        let ArrayState { dtype, data, .. } = state;
        if dtype.has_objects() || matches!(dtype.kind(), Kind::String { .. }) {
            return match data.value() {
                Value::List(items) => Ok(Data::Objects(items)),
                _ => Err(given::not_a("a list of objects", *data)),
            };
        }
        self.bytes(*data).map(Data::Bytes)
    }

    /// `_frombuffer(buffer, dtype, shape, order[, axes])`.
    ///
    /// Source: numpy `_core/numeric.py`, `multiarray/methods.c` (`array_reduce_ex_picklebuffer`).
    fn buffered(&mut self, call: &Call<'graph>) -> Result<NumpyArray<'graph>, Error> {
        let (object, at) = (call.object, call.object.offset());
        let form = |what| Error::new(Fault::Form(what), at);
        if object.effects().next().is_some() {
            return Err(form("_frombuffer with a state"));
        }
        let args = (call.args.get(0), call.args.get(1), call.args.get(2), call.args.get(3));
        let ((Some(buffer), Some(dtype), Some(shape), Some(order)), 4 | 5) =
            (args, call.args.len())
        else {
            return Err(form("_frombuffer with other arguments than buffer, dtype, shape, order"));
        };
        given::unchanged_since(dtype, at)?;
        given::unchanged_since(buffer, at)?;
        let dtype = self.own_dtype(dtype)?;
        if dtype.has_objects() || matches!(dtype.kind(), Kind::String { .. }) {
            return Err(form("objects in a buffer"));
        }
        let shape = given::shape(shape)?;
        // Before steps are made of it.
        given::product(&shape, dtype.itemsize(), at)?;
        let axes = call.args.get(4).filter(|axes| !axes.is_none());
        let layout = match (given::text(order)?.as_bytes(), axes) {
            (b"C", None) => Layout::new(shape, false),
            (b"F", None) => Layout::new(shape, true),
            (b"K", Some(axes)) => Layout::exchanged(shape, &given::shape(axes)?)
                .ok_or_else(|| form("an exchange of axes that is none"))?,
            _ => return Err(form("an order that is none of C, F and K")),
        };
        let data = Data::Bytes(self.bytes(buffer)?);
        NumpyArray::new(object, dtype, layout, data, at)
    }
}
