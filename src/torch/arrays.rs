//! Arrays of numpy that tensors of devices without storages of their own were saved as.
//!
//! Each is looked at once, however many tensors are made of it: its bytes are shared where the
//! pickle holds them as they are to be read, and paid for where they must be turned.
//!
//! Source: PyTorch 2.15 `torch/_tensor.py` (`_reduce_ex_internal`), `torch/_utils.py`
//! (`_rebuild_device_tensor_from_numpy`).

use std::collections::HashMap;

use bytes::Bytes;

use super::DType;
use super::cast;
use super::error::Fault;
use super::rebuild;
use crate::base::{Budget, Limits};
use crate::pickle::{Graph, Object};
use crate::python::numpy::{self, Kind, NumpyArray, Views};

/// An array as a tensor: its elements are in row-major order, little-endian.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub dtype: DType,
    pub shape: Vec<u64>,
    pub bytes: Bytes,
}

/// The arrays that tensors are made of, by index of their object and the tensor's dtype.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrays(HashMap<(usize, DType), Result<Array, Fault>>);

impl Arrays {
    /// Finds those of `graph`.
    pub(crate) fn find(graph: &Graph, limits: &Limits) -> Self {
        let mut found = Self::default();
        if !graph.objects().any(|object| object.as_global().is_some_and(rebuild::takes_array)) {
            return found;
        }
        let mut budget = Budget::new(limits.clone());
        let mut views = Views::new(Budget::new(limits.clone()));
        let mut own: HashMap<usize, Result<Array, Fault>> = HashMap::new();
        for (array, dtype) in graph.objects().filter_map(rebuild::array_of) {
            let Some(index) = array.index() else { continue };
            if found.0.contains_key(&(index, dtype)) {
                continue;
            }
            let read = || read(array, &mut views, &mut budget);
            let of_array = own.entry(index).or_insert_with(read).clone();
            let cast = of_array.and_then(|array| array.cast(dtype, &mut budget));
            found.0.insert((index, dtype), cast);
        }
        found
    }

    /// What was found of an array; none of another object.
    pub(crate) fn get(&self, array: Object, dtype: DType) -> Option<&Result<Array, Fault>> {
        self.0.get(&(array.index()?, dtype))
    }
}

impl Array {
    /// As PyTorch's `to(dtype)`: `bfloat16` goes through `float32`, which numpy has.
    fn cast(self, dtype: DType, budget: &mut Budget) -> Result<Self, Fault> {
        if dtype == self.dtype {
            return Ok(self);
        }
        let count = (self.bytes.len() as u64).checked_div(self.dtype.width()).unwrap_or(0);
        pay(count.saturating_mul(dtype.width()), budget)?;
        let no_cast = Fault::NoCast { from: self.dtype, to: dtype };
        let bytes = cast::bytes(self.dtype, &self.bytes, dtype).ok_or(no_cast)?;
        Ok(Self { dtype, shape: self.shape, bytes: bytes.into() })
    }
}

fn read<'graph>(
    object: Object<'graph>,
    views: &mut Views<'graph>,
    budget: &mut Budget,
) -> Result<Array, Fault> {
    let array = views.array(object).map_err(elsewhere)?;
    let dtype = dtype_of(array.dtype())
        .ok_or_else(|| Fault::Unsupported(format!("an array of {:?}", array.dtype()).into()))?;
    let bytes = match shared(&array, object.graph()) {
        Some(bytes) => bytes,
        None => {
            pay(array.nbytes(), budget)?;
            array.little_endian_bytes().map_err(elsewhere)?.into_owned().into()
        }
    };
    Ok(Array { dtype, shape: array.shape().to_vec(), bytes })
}

/// The bytes of an array that lie as they are to be read, without a copy.
fn shared(array: &NumpyArray, graph: &Graph) -> Option<Bytes> {
    let order = array.dtype().byte_order();
    let plain = array.order() == numpy::Order::C && order != numpy::ByteOrder::Big;
    let bytes = array.bytes().filter(|_| plain)?;
    array.owned_bytes().or_else(|| graph.share(bytes))
}

fn pay(nbytes: u64, budget: &mut Budget) -> Result<(), Fault> {
    budget.memory(nbytes).map_err(|why| Fault::Elsewhere(why.to_string().into()))
}

#[expect(clippy::needless_pass_by_value, reason = "an error to be mapped")]
fn elsewhere(why: numpy::Error) -> Fault {
    Fault::Elsewhere(why.to_string().into())
}

/// The type that `torch.from_numpy` makes of one of numpy; none if it refuses it.
fn dtype_of(dtype: &numpy::DType) -> Option<DType> {
    Some(match (dtype.kind(), dtype.itemsize()) {
        (Kind::Bool, 1) => DType::Bool,
        (Kind::Int, 1) => DType::Int8,
        (Kind::Int, 2) => DType::Int16,
        (Kind::Int, 4) => DType::Int32,
        (Kind::Int, 8) => DType::Int64,
        (Kind::UInt, 1) => DType::UInt8,
        (Kind::UInt, 2) => DType::UInt16,
        (Kind::UInt, 4) => DType::UInt32,
        (Kind::UInt, 8) => DType::UInt64,
        (Kind::Float, 2) => DType::Float16,
        (Kind::Float, 4) => DType::Float32,
        (Kind::Float, 8) => DType::Float64,
        (Kind::Complex, 8) => DType::Complex64,
        (Kind::Complex, 16) => DType::Complex128,
        _ => return None,
    })
}
