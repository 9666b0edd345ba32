//! Masked arrays.

use super::array::{Data, Layout, NumpyArray};
use super::error::{Error, Fault};
use super::given::{self, Call};
use super::views::Views;
use crate::pickle::{Global, Object};

/// An array some of whose elements are hidden by a mask.
///
/// Source: numpy `ma/core.py` (`_mareconstruct`, `MaskedArray.__getstate__`) and
/// `ma/mrecords.py` (`_mrreconstruct`).
#[derive(Clone, Debug)]
pub struct MaskedArray<'graph> {
    data: NumpyArray<'graph>,
    mask: NumpyArray<'graph>,
    fill_value: Option<Object<'graph>>,
}

impl<'graph> MaskedArray<'graph> {
    /// A view of `object`: what `numpy.ma.MaskedArray` pickles.
    ///
    /// # Errors
    /// [`Error`] if it is no masked array, or data or mask do not fit the shape.
    pub fn view(object: Object<'graph>) -> Result<Self, Error> {
        Views::default().masked(object)
    }

    /// All elements, hidden ones with the values they have below the mask. Its class is that
    /// of the masked array: `numpy.ma.MaskedArray`.
    #[must_use]
    pub const fn data(&self) -> &NumpyArray<'graph> {
        &self.data
    }

    /// Of the same shape: true where an element is hidden. A structure of booleans for
    /// structures.
    #[must_use]
    pub const fn mask(&self) -> &NumpyArray<'graph> {
        &self.mask
    }

    /// What stands in for hidden elements: an array of no dimensions, as a rule. None if it
    /// is the default for the dtype.
    #[must_use]
    pub const fn fill_value(&self) -> Option<Object<'graph>> {
        self.fill_value
    }
}

fn is_masked(global: Global) -> bool {
    global.is("numpy.ma.core", "_mareconstruct") || global.is("numpy.ma.mrecords", "_mrreconstruct")
}

impl<'graph> Views<'graph> {
    /// As [`MaskedArray::view`].
    ///
    /// # Errors
    /// As there, and if the budget is spent.
    pub fn masked(&mut self, object: Object<'graph>) -> Result<MaskedArray<'graph>, Error> {
        let call = given::call(object).filter(|call| is_masked(call.global));
        let call = call.ok_or_else(|| given::not_a("a numpy masked array", object))?;
        self.masked_by(&call).map_err(|why| why.or_at(object.offset()))
    }

    fn masked_by(&mut self, call: &Call<'graph>) -> Result<MaskedArray<'graph>, Error> {
        let object = call.object;
        let Some([class, _, _, _]) = call.args.array() else {
            let form = "a masked array made with other arguments than two classes, shape and code";
            return Err(Error::new(Fault::Form(form), object.offset()));
        };
        let mut state = self.array_state(object)?;
        if state.rest.len() < 2 {
            let form = "a masked array without mask and fill value";
            return Err(Error::new(Fault::Form(form), state.at));
        }
        let rest = state.rest.split_off(2);
        let (Some(&mask), Some(&fill)) = (state.rest.first(), state.rest.get(1)) else {
            return Err(Error::new(Fault::NoState, state.at));
        };
        self.pay(state.dtype.fields_in_all(), 0, state.at)?;
        let mask_dtype = state.dtype.mask()?;
        let data = self.data(&state)?;
        given::unchanged_since(mask, state.at)?;
        let mask = Data::Bytes(self.bytes(mask)?);
        let layout = Layout::new(state.shape, state.fortran);
        let mask = NumpyArray::new(object, mask_dtype, layout.clone(), mask, state.at)?;
        let data = NumpyArray::new(object, state.dtype, layout, data, state.at)?;
        let data = data.of_class(class, rest);
        Ok(MaskedArray { data, mask, fill_value: Some(fill).filter(|fill| !fill.is_none()) })
    }
}
