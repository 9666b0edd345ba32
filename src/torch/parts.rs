//! The parts that tensors of other layouts consist of, each a tensor that reads like any other.

use super::checkpoint::Checkpoint;
use super::error::{Error, Fault};
use super::layout::{Body, Layout, Nested, Split};
use super::quantized::{Numbers, Quantizer};
use super::read::TensorRef;
use super::tensor::{Geometry, Tensor};
use crate::base::Budget;
use crate::pickle::Object;

/// A part of a tensor.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part {
    /// PyTorch's name of it; of a wrapper, the attribute's.
    pub name: Box<str>,
    /// The view, or why it cannot be read. Of a wrapper it may be of any layout itself.
    pub tensor: Result<Tensor, Error>,
}

impl Tensor {
    /// How the integers of a quantized tensor are to be understood.
    #[must_use]
    pub fn quantizer(&self) -> Option<&Quantizer> {
        match self.body.as_deref() {
            Some(Body::Quantized(quantizer)) => Some(quantizer),
            _ => None,
        }
    }

    /// Whether a COO tensor is marked as having its coordinates sorted and none of them twice;
    /// none for others, and where nothing says so.
    #[must_use]
    pub fn is_coalesced(&self) -> Option<bool> {
        self.split()?.coalesced
    }

    /// Sizes of a nested tensor, none where its tensors differ or only its data tells; none for
    /// other layouts.
    #[must_use]
    pub fn nested_sizes(&self) -> Option<&[Option<u64>]> {
        self.split()?.nested.as_ref().map(|nested| &*nested.sizes)
    }

    /// The Python class of a wrapper: one whose data lie in attributes.
    #[must_use]
    pub fn wrapper_class(&self) -> Option<&str> {
        match self.body.as_deref() {
            Some(Body::Wrapper(wrapper)) => Some(&wrapper.class),
            _ => None,
        }
    }

    pub(crate) fn split(&self) -> Option<&Split> {
        match self.body.as_deref() {
            Some(Body::Split(split)) => Some(split),
            _ => None,
        }
    }
}

impl Checkpoint {
    /// The parts of one of its tensors by PyTorch's names, such as `indices` and `values`. None
    /// for a plain one.
    ///
    /// Of a quantized tensor: `int_repr`, and per channel `scales` and `zero_points` where these
    /// are tensors.
    #[must_use]
    pub fn parts(&self, tensor: &Tensor) -> Vec<Part> {
        let part = |name: &str, tensor| Part { name: name.into(), tensor: Ok(tensor) };
        match tensor.body.as_deref() {
            Some(Body::Split(split)) => {
                split.parts.iter().map(|(name, view)| part(name, view.clone())).collect()
            }
            Some(Body::Quantized(quantizer)) => {
                let integers = tensor.integers().map(|integers| part("int_repr", integers));
                let mut parts = Vec::from_iter(integers);
                if let Quantizer::PerChannel { scales, zero_points, .. } = quantizer {
                    for (name, numbers) in [("scales", scales), ("zero_points", zero_points)] {
                        if let Numbers::Tensor(numbers) = numbers {
                            parts.push(part(name, (**numbers).clone()));
                        }
                    }
                }
                parts
            }
            Some(Body::Wrapper(wrapper)) => {
                let attributes = wrapper.attributes.iter();
                let views = attributes.filter_map(|(name, id)| {
                    let tensor = self.view(self.graph().object(*id))?;
                    Some(Part { name: name.clone(), tensor })
                });
                views.collect()
            }
            Some(Body::Meta | Body::Device(_) | Body::Inline(_)) | None => Vec::new(),
        }
    }
}

impl Checkpoint {
    /// The Python class of a tensor that is of a subclass: `module.qualname` as pickled. None
    /// for plain tensors and parameters.
    #[must_use]
    pub fn subclass_of(&self, tensor: &Tensor) -> Option<String> {
        Tensor::dressed(self.graph().object(tensor.node)).0.map(|class| class.to_string())
    }

    /// The attributes that a tensor was saved with: a dict, or a tuple of that and of slots.
    #[must_use]
    pub fn attributes_of(&self, tensor: &Tensor) -> Option<Object<'_>> {
        Tensor::dressed(self.graph().object(tensor.node)).1
    }
}

impl Tensor {
    /// The integers of a quantized tensor: PyTorch's `int_repr()`.
    pub(crate) fn integers(&self) -> Option<Self> {
        self.storage()?;
        Some(self.reinterpreted(self.dtype().integers()?))
    }
}

impl<'file> TensorRef<'file> {
    /// The tensors that a nested one holds: views of its buffer. Reads their sizes and offsets.
    ///
    /// # Errors
    /// Names the tensor: it is not nested, an offset or size reaches past the buffer, or the
    /// file cannot be read.
    pub fn nested(self) -> Result<Vec<Tensor>, Error> {
        let nested = self.tensor().split().and_then(|split| Some((split, split.nested.as_ref()?)));
        let Some((split, nested)) = nested else {
            let what = format!("a tensor of layout {} as a nested one", self.layout().name());
            return Err(self.fault(Fault::Unsupported(what.into())));
        };
        let mut budget = Budget::new(self.checkpoint().limits().clone());
        match nested.ragged {
            Some(ragged) => self.jagged(split, ragged, &mut budget),
            None => self.strided_nested(split, nested, &mut budget),
        }
    }

    fn strided_nested(
        self,
        split: &Split,
        nested: &Nested,
        budget: &mut Budget,
    ) -> Result<Vec<Tensor>, Error> {
        let values = self.split_part(split, "values")?;
        let [sizes, strides, offsets] = ["sizes", "strides", "storage_offsets"].map(|name| {
            let part = self.split_part(split, name)?;
            budget.memory(part.nbytes())?;
            let numbers = self.part(part).to_vec::<i64>()?;
            Ok::<_, Error>((name, numbers))
        });
        let (sizes, strides, offsets) = (sizes?, strides?, offsets?);
        let dimensions = nested.sizes.len().saturating_sub(1);
        let mut views = Vec::new();
        for (index, &offset) in offsets.1.iter().enumerate() {
            let start = index.saturating_mul(dimensions);
            let row = |(part, numbers): &(&'static str, Vec<i64>)| {
                let row = numbers.get(start..start.saturating_add(dimensions));
                let row = row.unwrap_or_default().iter().enumerate();
                row.map(|(at, &value)| {
                    let at = start.saturating_add(at) as u64;
                    u64::try_from(value).map_err(|_| Fault::BadIndex { part, at, value })
                })
                .collect::<Result<Vec<u64>, Fault>>()
            };
            let at = index as u64;
            let bad = Fault::BadIndex { part: "storage_offsets", at, value: offset };
            let view = || {
                let offset = u64::try_from(offset).map_err(|_| bad)?;
                let view = Geometry { offset, shape: row(&sizes)?, stride: row(&strides)? };
                let storage = values.storage().ok_or(Fault::Arguments("values without data"))?;
                let nbytes = self.checkpoint().storages().get(storage).nbytes();
                Tensor::new(storage, nbytes, values.dtype(), view, values.node)
            };
            let view = view().map_err(|fault| self.fault(fault))?;
            budget.memory((dimensions as u64).saturating_mul(16))?;
            budget.push(&mut views, view)?;
        }
        Ok(views)
    }

    fn jagged(
        self,
        split: &Split,
        ragged: usize,
        budget: &mut Budget,
    ) -> Result<Vec<Tensor>, Error> {
        let values = self.split_part(split, "values")?;
        let offsets = self.indices(self.split_part(split, "offsets")?, budget)?;
        let lengths = split.part("lengths").map(|part| self.indices(part, budget)).transpose()?;
        let mut views = Vec::new();
        for (index, ends) in offsets.windows(2).enumerate() {
            let &[start, end] = ends else { continue };
            let length = lengths.as_ref().and_then(|lengths| lengths.get(index)).copied();
            let end = length.map_or(Some(end), |length| start.checked_add(length));
            let at = index as u64;
            let bad = || self.fault(Fault::BadIndex { part: "offsets", at, value: start });
            let range = u64::try_from(start).ok().zip(end.and_then(|end| u64::try_from(end).ok()));
            let (start, end) = range.ok_or_else(bad)?;
            let view = values.cut(ragged.saturating_sub(1), start..end).map_err(|_| bad())?;
            budget.memory((view.shape().len() as u64).saturating_mul(16))?;
            budget.push(&mut views, view)?;
        }
        Ok(views)
    }

    /// A part that layouts like this always have.
    pub(crate) fn split_part(
        self,
        split: &'file Split,
        name: &str,
    ) -> Result<&'file Tensor, Error> {
        split.part(name).ok_or_else(|| self.fault(Fault::Arguments("a part is missing")))
    }

    /// The integers of a part, as wide as they get.
    pub(crate) fn indices(self, part: &Tensor, budget: &mut Budget) -> Result<Vec<i64>, Error> {
        budget.memory(part.numel().saturating_mul(8))?;
        match part.dtype() {
            super::DType::Int32 => {
                Ok(self.part(part).to_vec::<i32>()?.into_iter().map(i64::from).collect())
            }
            _ => self.part(part).to_vec(),
        }
    }
}

/// Whether a tensor of this layout keeps its elements in a row, to be read as they are.
pub(crate) const fn has_elements(layout: Layout) -> bool {
    matches!(layout, Layout::Strided | Layout::Quantized)
}
