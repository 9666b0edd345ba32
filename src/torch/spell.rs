//! Tensors that a container describes in its own way, spelled as `torch.save` would: the rest of
//! the crate then knows them as it knows all others.

use super::DType;
use super::error::Fault;
use crate::pickle::{BuildError, GraphBuilder, NodeId};

/// A tensor over a storage of its own or of others. Counts are in elements.
#[derive(Clone, Debug)]
pub(crate) struct Spelled {
    pub storage: SpelledStorage,
    pub dtype: DType,
    pub offset: u64,
    pub shape: Vec<u64>,
    pub stride: Vec<u64>,
    pub requires_grad: bool,
    pub is_parameter: bool,
}

/// A storage, by its key in a part.
#[derive(Clone, Debug)]
pub(crate) struct SpelledStorage {
    pub key: Box<str>,
    pub device: Box<str>,
    pub dtype: DType,
    pub numel: u64,
    /// If it is a piece of this one: the piece's key, first element and count.
    pub piece: Option<(Box<str>, u64, u64)>,
}

impl SpelledStorage {
    /// `("storage", class, key, location, numel[, view])` as a persistent id.
    pub(crate) fn build(&self, build: &mut GraphBuilder) -> Result<NodeId, BuildError> {
        let (module, class, numel) = if let Some(class) = self.dtype.storage_class() {
            ("torch", class, self.numel)
        } else {
            let nbytes = self.numel.saturating_mul(self.dtype.width());
            ("torch.storage", "UntypedStorage", nbytes)
        };
        let mut items = vec![
            build.text("storage")?,
            build.global(module, class)?,
            build.text(&self.key)?,
            build.text(&self.device)?,
            count(build, numel)?,
        ];
        if let Some((key, offset, numel)) = &self.piece {
            let piece = [build.text(key)?, count(build, *offset)?, count(build, *numel)?];
            items.push(build.tuple(&piece)?);
        }
        let id = build.tuple(&items)?;
        build.persistent(id)
    }
}

impl Spelled {
    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`, or `…_v3` for
    /// dtypes without a storage class; in a parameter if it is one.
    pub(crate) fn build(&self, build: &mut GraphBuilder) -> Result<NodeId, BuildError> {
        let storage = self.storage.build(build)?;
        let (offset, shape) = (count(build, self.offset)?, counts(build, &self.shape)?);
        let stride = counts(build, &self.stride)?;
        let hooks = hooks(build)?;
        let grad = build.bool(self.requires_grad);
        let mut args = vec![storage, offset, shape, stride, grad, hooks];
        let function = if self.dtype.storage_class().is_some() {
            "_rebuild_tensor_v2"
        } else {
            args.push(build.global("torch", self.dtype.name())?);
            "_rebuild_tensor_v3"
        };
        let (function, args) = (build.global("torch._utils", function)?, build.tuple(&args)?);
        let tensor = build.call(function, args)?;
        if !self.is_parameter {
            return Ok(tensor);
        }
        let function = build.global("torch._utils", "_rebuild_parameter")?;
        let args = build.tuple(&[tensor, grad, hooks])?;
        build.call(function, args)
    }
}

impl Spelled {
    /// A tensor of a type that PyTorch has none for, in row-major order: looking at it says so.
    pub(crate) fn unknown(
        storage: &SpelledStorage,
        dtype: &str,
        shape: &[u64],
        build: &mut GraphBuilder,
    ) -> Result<NodeId, BuildError> {
        let storage = storage.build(build)?;
        let (shape, grad) = (counts(build, shape)?, build.bool(false));
        let (offset, hooks) = (count(build, 0)?, hooks(build)?);
        let dtype = build.global("torch", dtype)?;
        let args = build.tuple(&[storage, offset, shape, shape, grad, hooks, dtype])?;
        let function = build.global("torch._utils", "_rebuild_tensor_v3")?;
        build.call(function, args)
    }
}

fn hooks(build: &mut GraphBuilder) -> Result<NodeId, BuildError> {
    let (class, args) = (build.global("collections", "OrderedDict")?, build.tuple(&[])?);
    build.call(class, args)
}

fn counts(build: &mut GraphBuilder, all: &[u64]) -> Result<NodeId, BuildError> {
    let ids = all.iter().map(|&item| count(build, item)).collect::<Result<Vec<_>, _>>()?;
    build.tuple(&ids)
}

/// A count. None of a tensor that could be read is above 2⁶³; −1 is refused later.
fn count(build: &mut GraphBuilder, value: u64) -> Result<NodeId, BuildError> {
    build.int(i64::try_from(value).unwrap_or(-1))
}

/// Strides of row-major order (elements).
pub(crate) fn row_major(shape: &[u64]) -> Result<Vec<u64>, Fault> {
    let mut stride = vec![1; shape.len()];
    let mut next = 1_u64;
    for (stride, &size) in stride.iter_mut().zip(shape).rev() {
        *stride = next;
        next = next.checked_mul(size.max(1)).ok_or(Fault::Overflow)?;
    }
    Ok(stride)
}
