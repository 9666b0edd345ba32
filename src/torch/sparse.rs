//! Sparse tensors: which elements there are, and their values.
//!
//! Source: PyTorch 2.15 `torch/_utils.py` (`_rebuild_sparse_tensor`),
//! `aten/src/ATen/native/sparse/SparseTensor.cpp` and `SparseCsrTensor.cpp` (the invariants that
//! `_validate_sparse_coo_tensor_args` and `_validate_sparse_compressed_tensor_args` check).

use super::DType;
use super::error::Fault;
use super::layout::{Body, Layout, Split};
use super::rebuild::{boolean, sizes};
use super::storage::Storages;
use super::tensor::{Geometry, Tensor};
use crate::pickle::{Items, NodeId, Object};

/// Reads `(layout, parts)` of the call `from`.
pub(crate) fn read(args: Items, from: Object, storages: &Storages) -> Result<Tensor, Fault> {
    let Some([layout, parts]) = args.array() else {
        return Err(Fault::Arguments("a sparse tensor takes a layout and its parts"));
    };
    let layout = layout_of(layout)?;
    let wrong = Fault::NotA { wanted: "a tuple of parts", found: parts.kind() };
    of_parts(layout, parts.as_tuple().ok_or(wrong)?, from, storages)
}

/// Reads the arguments of `_rebuild_sparse_csr_tensor`, before there were other layouts.
pub(crate) fn read_csr(args: Items, from: Object, storages: &Storages) -> Result<Tensor, Fault> {
    match args.array() {
        Some([layout, parts]) if parts.as_tuple().is_some() && layout_of(layout).is_ok() => {
            read(args, from, storages)
        }
        _ => of_parts(Layout::SparseCsr, args, from, storages),
    }
}

fn of_parts(
    layout: Layout,
    parts: Items,
    from: Object,
    storages: &Storages,
) -> Result<Tensor, Fault> {
    let view = |object| Tensor::plain(object, storages);
    if layout == Layout::SparseCoo {
        let (Some([indices, values, size]), coalesced) = coo(parts) else {
            return Err(Fault::Arguments("a COO tensor has indices, values and sizes"));
        };
        let coalesced = coalesced.filter(|object| !object.is_none()).map(boolean).transpose()?;
        let size = sizes(size, from)?;
        let parts = [("indices", view(indices)?), ("values", view(values)?)];
        check_coo(&parts, &size)?;
        return make(layout, parts.into(), size, coalesced, from.id());
    }
    let Some([compressed, plain, values, size]) = parts.array() else {
        return Err(Fault::Arguments("a compressed tensor has two of indices, values and sizes"));
    };
    let (first, second) = match layout {
        Layout::SparseCsr | Layout::SparseBsr => ("crow_indices", "col_indices"),
        _ => ("ccol_indices", "row_indices"),
    };
    let size = sizes(size, from)?;
    let parts = [(first, view(compressed)?), (second, view(plain)?), ("values", view(values)?)];
    Compressed::of(layout, &parts, &size)?;
    make(layout, parts.into(), size, None, from.id())
}

fn coo(parts: Items<'_>) -> (Option<[Object<'_>; 3]>, Option<Object<'_>>) {
    match parts.array() {
        Some([indices, values, size, coalesced]) => {
            (Some([indices, values, size]), Some(coalesced))
        }
        None => (parts.array(), None),
    }
}

fn make(
    layout: Layout,
    parts: Box<[(&'static str, Tensor)]>,
    shape: Vec<u64>,
    coalesced: Option<bool>,
    node: NodeId,
) -> Result<Tensor, Fault> {
    let dtype = parts.last().map_or(DType::Float32, |(_, values)| values.dtype());
    let requires_grad = parts.last().is_some_and(|(_, values)| values.requires_grad());
    let stride = vec![0; shape.len()];
    let mut tensor = Tensor::without_data(dtype, Geometry { offset: 0, shape, stride }, node)?;
    tensor.requires_grad = requires_grad;
    let split = Split { layout, parts, nested: None, coalesced };
    tensor.body = Some(Box::new(Body::Split(split)));
    Ok(tensor)
}

/// `torch.sparse_coo`, or `torch.serialization._get_layout("torch.sparse_coo")`.
fn layout_of(object: Object) -> Result<Layout, Fault> {
    let wrong = Fault::NotA { wanted: "a layout", found: object.kind() };
    let name = match (object.as_global(), object.as_recipe()) {
        (Some(global), _) if global.module == b"torch" => {
            String::from_utf8_lossy(global.name).into_owned()
        }
        (_, Some(recipe)) => {
            let callable = recipe.callable().as_global().ok_or(wrong.clone())?;
            if !callable.is("torch.serialization", "_get_layout") {
                return Err(wrong);
            }
            let name = recipe.args().as_tuple().and_then(|args| args.get(0)?.as_str());
            name.ok_or(wrong)?.trim_start_matches("torch.").to_owned()
        }
        _ => return Err(wrong),
    };
    [Layout::SparseCoo, Layout::SparseCsr, Layout::SparseCsc, Layout::SparseBsr, Layout::SparseBsc]
        .into_iter()
        .find(|layout| layout.name() == name)
        .ok_or_else(|| Fault::Unsupported(format!("the layout {name}").into()))
}

fn are_indices(tensor: &Tensor) -> Result<(), Fault> {
    match tensor.dtype() {
        DType::Int64 | DType::Int32 => Ok(()),
        other => Err(Fault::Unsupported(format!("a sparse tensor with indices of {other}").into())),
    }
}

const SHAPES: Fault = Fault::Arguments("the parts of a sparse tensor do not fit its sizes");

fn check_coo(parts: &[(&'static str, Tensor); 2], size: &[u64]) -> Result<(), Fault> {
    let [(_, indices), (_, values)] = parts;
    are_indices(indices)?;
    let (&[sparse, nnz], Some((&count, dense))) = (indices.shape(), values.shape().split_first())
    else {
        return Err(SHAPES);
    };
    let sparse = usize::try_from(sparse).map_err(|_| Fault::Overflow)?;
    if nnz != count || size.get(sparse..) != Some(dense) {
        return Err(SHAPES);
    }
    Ok(())
}

/// What the shapes of the parts of a compressed tensor say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compressed {
    /// Stored elements, or blocks, in each batch.
    pub nnz: u64,
    /// Rows and columns, counted in blocks.
    pub grid: [u64; 2],
    /// Rows and columns of a block.
    pub block: [u64; 2],
    /// Product of the dense dimensions.
    pub dense: u64,
    /// Whether rows are compressed; else columns.
    pub by_row: bool,
}

impl Compressed {
    /// Takes the shapes apart.
    pub(crate) fn of(
        layout: Layout,
        parts: &[(&'static str, Tensor)],
        size: &[u64],
    ) -> Result<Self, Fault> {
        let [(_, pointers), (_, plain), (_, values)] = parts else { return Err(SHAPES) };
        are_indices(pointers)?;
        are_indices(plain)?;
        let blocks = matches!(layout, Layout::SparseBsr | Layout::SparseBsc);
        let by_row = matches!(layout, Layout::SparseCsr | Layout::SparseBsr);
        let Some((&count, batch)) = pointers.shape().split_last() else { return Err(SHAPES) };
        let (Some(rest), Some(of_values)) =
            (size.strip_prefix(batch), values.shape().strip_prefix(batch))
        else {
            return Err(SHAPES);
        };
        let (Some((&[rows, columns], dense)), Some((&nnz, of_values))) =
            (rest.split_first_chunk::<2>(), of_values.split_first())
        else {
            return Err(SHAPES);
        };
        let (block, of_values) = match of_values.split_first_chunk::<2>() {
            Some((&block, rest)) if blocks => (block, rest),
            _ => ([1, 1], of_values),
        };
        let grid = [(rows, block[0]), (columns, block[1])].map(|(size, block)| {
            size.checked_div(block).filter(|count| count.checked_mul(block) == Some(size))
        });
        let [Some(rows), Some(columns)] = grid else { return Err(SHAPES) };
        let compressed = if by_row { rows } else { columns };
        let fits = plain.shape().strip_prefix(batch) == Some(&[nnz])
            && compressed.checked_add(1) == Some(count)
            && of_values == dense;
        if !fits {
            return Err(SHAPES);
        }
        let dense = dense.iter().try_fold(1_u64, |all, &size| all.checked_mul(size));
        let dense = dense.ok_or(Fault::Overflow)?;
        Ok(Self { nnz, grid: [rows, columns], block, dense, by_row })
    }
}
