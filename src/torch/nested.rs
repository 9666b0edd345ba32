//! Nested tensors: tensors of different sizes in one buffer.
//!
//! Source: PyTorch 2.15 `torch/_utils.py` (`_rebuild_nested_tensor`),
//! `aten/src/ATen/NestedTensorImpl.cpp`, `torch/nested/_internal/nested_tensor.py`
//! (`_rebuild_njt`).

use super::DType;
use super::error::Fault;
use super::layout::{Body, Layout, Nested, Split};
use super::rebuild::{boolean, unsigned};
use super::storage::Storages;
use super::tensor::{Geometry, Tensor};
use crate::pickle::{Items, Object};

/// Reads `(buffer, sizes, strides, offsets)`.
pub(crate) fn read(args: Items, from: Object, storages: &Storages) -> Result<Tensor, Fault> {
    let Some(parts) = args.array::<4>() else {
        return Err(Fault::Arguments("a nested tensor takes 4 arguments"));
    };
    let [buffer, sizes, strides, offsets] = parts.map(|part| Tensor::plain(part, storages));
    let (buffer, sizes, strides, offsets) = (buffer?, sizes?, strides?, offsets?);
    let fits = [&sizes, &strides, &offsets].iter().all(|part| part.dtype() == DType::Int64)
        && sizes.shape() == strides.shape()
        && matches!((sizes.shape(), offsets.shape()), ([count, _], [offsets]) if count == offsets);
    // One of no tensors has sizes of no dimension.
    let empty = sizes.numel() == 0 && strides.numel() == 0 && offsets.numel() == 0;
    if !fits && !empty {
        return Err(Fault::Arguments("sizes, strides and offsets of a nested tensor do not fit"));
    }
    // PyTorch takes offsets from the beginning of the buffer's storage, and so what follows
    // only holds if that is where the buffer begins.
    if buffer.shape().len() != 1 || buffer.storage_offset() != 0 || !buffer.is_contiguous() {
        return Err(Fault::Unsupported("a nested tensor over a part of a buffer".into()));
    }
    let (count, dimensions) = match *sizes.shape() {
        [count, dimensions] => (count, usize::try_from(dimensions).unwrap_or(usize::MAX)),
        _ => (0, 0),
    };
    // Sizes are read with the data.
    if dimensions > 64 {
        return Err(Fault::Unsupported("a nested tensor of so many dimensions".into()));
    }
    let unknown = std::iter::repeat_n(None, dimensions);
    let sizes_known = std::iter::once(Some(count)).chain(unknown).collect();
    let nested = Nested { sizes: sizes_known, ragged: None };
    let parts =
        [("values", buffer), ("sizes", sizes), ("strides", strides), ("storage_offsets", offsets)];
    make(parts.into(), nested, count, from)
}

/// Reads `({"values": …, "offsets": …, "lengths": …, "_ragged_idx": …, …},)`.
pub(crate) fn read_jagged(args: Items, from: Object, storages: &Storages) -> Result<Tensor, Fault> {
    let Some(given) = args.get(0).and_then(Object::as_dict) else {
        return Err(Fault::Arguments("a jagged tensor takes a dict of its parts"));
    };
    let part = |name| given.get(name).filter(|object| !object.is_none());
    let (Some(values), Some(offsets)) = (part("values"), part("offsets")) else {
        return Err(Fault::Arguments("a jagged tensor has values and offsets"));
    };
    let (values, offsets) = (Tensor::plain(values, storages)?, Tensor::plain(offsets, storages)?);
    let lengths = part("lengths").map(|part| Tensor::plain(part, storages)).transpose()?;
    let ragged = part("_ragged_idx").map_or(Ok(1), unsigned)?;
    let ragged = usize::try_from(ragged).map_err(|_| Fault::Overflow)?;
    let &[ends] = offsets.shape() else {
        return Err(Fault::Arguments("the offsets of a jagged tensor are a vector"));
    };
    let count = ends.checked_sub(1).ok_or(Fault::Arguments("a jagged tensor without offsets"))?;
    let whole = [&offsets].into_iter().chain(&lengths).all(|part| is_integer(part.dtype()));
    let fits = lengths.as_ref().is_none_or(|lengths| lengths.shape() == [count])
        && (1..=values.shape().len()).contains(&ragged)
        && whole;
    if !fits {
        return Err(Fault::Arguments("the parts of a jagged tensor do not fit"));
    }
    let inner = values.shape().iter().enumerate();
    let inner = inner.map(|(index, &size)| (Some(index) != ragged.checked_sub(1)).then_some(size));
    let sizes = std::iter::once(Some(count)).chain(inner).collect();
    let nested = Nested { sizes, ragged: Some(ragged) };
    let requires_grad = part("requires_grad").map_or(Ok(false), boolean)?;
    let mut parts = vec![("values", values), ("offsets", offsets)];
    parts.extend(lengths.map(|lengths| ("lengths", lengths)));
    let mut tensor = make(parts.into(), nested, count, from)?;
    tensor.requires_grad = requires_grad;
    Ok(tensor)
}

const fn is_integer(dtype: DType) -> bool {
    matches!(dtype, DType::Int64 | DType::Int32)
}

fn make(
    parts: Box<[(&'static str, Tensor)]>,
    nested: Nested,
    count: u64,
    from: Object,
) -> Result<Tensor, Fault> {
    let values = parts.first().map(|(_, values)| values);
    let dtype = values.map_or(DType::Float32, Tensor::dtype);
    let requires_grad = values.is_some_and(Tensor::requires_grad);
    let view = Geometry { offset: 0, shape: vec![count], stride: vec![0] };
    let mut tensor = Tensor::without_data(dtype, view, from.id())?;
    tensor.requires_grad = requires_grad;
    let split = Split { layout: Layout::Nested, parts, nested: Some(nested), coalesced: None };
    tensor.body = Some(Box::new(Body::Split(split)));
    Ok(tensor)
}
