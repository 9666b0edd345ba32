//! What tensors have beyond one plain view: other layouts, and the parts they consist of.

use std::ops::Range;

use bytes::Bytes;

use super::error::Fault;
use super::quantized::Quantizer;
use super::tensor::Tensor;
use crate::pickle::NodeId;

/// How the elements of a tensor are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// One view of a storage.
    Strided,
    /// Coordinates and values.
    SparseCoo,
    /// Rows compressed.
    SparseCsr,
    /// Columns compressed.
    SparseCsc,
    /// Rows of blocks compressed.
    SparseBsr,
    /// Columns of blocks compressed.
    SparseBsc,
    /// Tensors of different sizes in one buffer.
    Nested,
    /// Integers that stand for other numbers.
    Quantized,
    /// Sizes without data.
    Meta,
    /// A class of Python that keeps its data in tensors among its attributes.
    Wrapper,
}

impl Layout {
    /// Its name in JSON: PyTorch's, where it has one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strided => "strided",
            Self::SparseCoo => "sparse_coo",
            Self::SparseCsr => "sparse_csr",
            Self::SparseCsc => "sparse_csc",
            Self::SparseBsr => "sparse_bsr",
            Self::SparseBsc => "sparse_bsc",
            Self::Nested => "nested",
            Self::Quantized => "quantized",
            Self::Meta => "meta",
            Self::Wrapper => "wrapper",
        }
    }
}

/// What makes up a tensor that is no plain view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Quantized(Quantizer),
    Split(Split),
    /// On a device that only knows sizes.
    Meta,
    Wrapper(Wrapper),
    /// Little-endian elements that lie in no storage.
    Inline(Inline),
    /// A plain view that was on another device than its storage was saved from.
    Device(Box<str>),
}

/// Elements that the pickle itself holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inline {
    /// What the tensor is a view of, as of a storage.
    pub bytes: Bytes,
    pub device: Box<str>,
}

/// A tensor made of views of storages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Split {
    pub layout: Layout,
    /// By PyTorch's names.
    pub parts: Box<[(&'static str, Tensor)]>,
    /// Of a nested tensor.
    pub nested: Option<Nested>,
    /// Of a COO tensor: whether coordinates are sorted and none stands twice.
    pub coalesced: Option<bool>,
}

/// How the tensors of a nested one differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nested {
    /// Sizes of all dimensions, none where they differ or only data tells.
    pub sizes: Box<[Option<u64>]>,
    /// Of the jagged layout: the dimension that differs, counted in the whole.
    pub ragged: Option<usize>,
}

/// A tensor whose data lie in attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapper {
    pub class: Box<str>,
    pub device: Box<str>,
    /// Attributes that are tensors, in order.
    pub attributes: Box<[(Box<str>, NodeId)]>,
}

impl Split {
    /// The part of this name.
    pub(crate) fn part(&self, name: &str) -> Option<&Tensor> {
        self.parts.iter().find(|(known, _)| *known == name).map(|(_, part)| part)
    }
}

impl Body {
    pub(crate) const fn layout(&self) -> Layout {
        match self {
            Self::Quantized(_) => Layout::Quantized,
            Self::Split(split) => split.layout,
            Self::Meta => Layout::Meta,
            Self::Wrapper(_) => Layout::Wrapper,
            Self::Device(_) | Self::Inline(_) => Layout::Strided,
        }
    }

    /// Whether the elements are in parts, none of which is the tensor itself.
    pub(crate) const fn is_split(&self) -> bool {
        matches!(self, Self::Split(_) | Self::Wrapper(_))
    }

    /// Bytes of all parts that are views.
    pub(crate) fn nbytes(&self) -> u64 {
        match self {
            Self::Split(split) => {
                let parts = split.parts.iter().map(|(_, part)| part.nbytes());
                parts.fold(0, u64::saturating_add)
            }
            _ => 0,
        }
    }

    /// Follows a slice of the view.
    pub(crate) fn cut(&mut self, axis: usize, range: Range<u64>) -> Result<(), Fault> {
        match self {
            Self::Quantized(quantizer) => quantizer.cut(axis, range),
            _ => Ok(()),
        }
    }
}
