//! Whether weights fit a model, as `load_state_dict` of PyTorch would say, and reading those that
//! do.
//!
//! Source: PyTorch 2.15 `torch/nn/modules/module.py` (`Module.load_state_dict`,
//! `Module._load_from_state_dict`), and the overrides that [`rules`] names.

mod copy;
mod expected;
mod message;
mod rules;
mod weights;

use std::collections::{HashMap, HashSet};

pub use expected::{Expected, Slot};
pub use message::Misfit;
pub use weights::{Entry as WeightsEntry, Given, Weights};

use super::DType;
use super::element::Element;
use super::error::Error;
use super::layout::Layout;
use super::read::TensorRef;
use super::tensor::Tensor;

/// What came of holding weights against a model.
///
/// ```
/// use depickle::torch::{Checkpoint, DType, Expected, Weights};
///
/// let checkpoint = Checkpoint::open("tests/fixtures/checkpoint.pth")?;
/// let weights = Weights::of(&checkpoint, checkpoint.at("model_state_dict")?)?;
/// let head = Expected::new("Head")
///     .with("last.weight", DType::Float16, &[3, 10])
///     .with("last.bias", DType::Float16, &[3]);
///
/// let fit = head.fit(&weights);
/// let misfit = fit.check(true).unwrap_err();
/// assert!(misfit.to_string().starts_with(
///     "Error(s) in loading state_dict for Head:\n\t\
///      Missing key(s) in state_dict: \"last.bias\". \n\t\
///      Unexpected key(s) in state_dict: \"first.weight\", "
/// ));
///
/// assert!(fit.check(false).is_ok()); // strict=False
/// let matched = fit.matched().iter().find(|matched| matched.name() == "last.weight").unwrap();
/// let weight = matched.to_vec::<half::f16>()?; // rounded, for the file has float32
/// assert_eq!(weight.len(), 30);
/// # Ok::<(), depickle::torch::Error>(())
/// ```
#[derive(Debug)]
pub struct Fit<'fit> {
    class: &'fit str,
    matched: Vec<Match<'fit>>,
    kept: Vec<&'fit str>,
    missing: Vec<&'fit str>,
    unexpected: Vec<String>,
    conflicts: Vec<Conflict<'fit>>,
}

/// A tensor of the model for which the weights have one of its sizes.
#[derive(Clone, Copy, Debug)]
pub struct Match<'fit> {
    pub(super) slot: &'fit Slot,
    pub(super) tensor: TensorRef<'fit>,
}

/// Why what stands under a key cannot be copied to the tensor of the model.
#[derive(Debug)]
#[non_exhaustive]
pub enum Conflict<'fit> {
    /// The sizes differ.
    Shape {
        /// The key.
        name: &'fit str,
        /// Sizes in the weights.
        checkpoint: Vec<u64>,
        /// Sizes in the model.
        model: &'fit [u64],
    },
    /// No tensor stands there.
    NotATensor {
        /// The key.
        name: &'fit str,
        /// The type, as Python prints it.
        found: &'fit str,
    },
    /// Elements that are not kept in one row cannot be copied to such as are.
    Layout {
        /// The key.
        name: &'fit str,
        /// Sizes of both.
        shape: &'fit [u64],
        /// How those of the weights are kept.
        layout: Layout,
    },
    /// The tensor in the weights cannot be read. PyTorch would not have opened the file.
    Unreadable {
        /// The key.
        name: &'fit str,
        /// Why.
        why: String,
    },
    /// A layer that keeps no running statistics finds those of a file of before PyTorch 0.4.
    RunningStats {
        /// Their keys.
        names: Vec<String>,
        /// The layer's class.
        class: &'fit str,
    },
}

impl Expected {
    /// Holds weights against what is expected. Reads no data.
    #[must_use]
    pub fn fit<'fit>(&'fit self, weights: &'fit Weights<'_>) -> Fit<'fit> {
        let mut keys = weights.keys();
        let mut stats = rules::apply(self, weights, &mut keys);
        let mut unexpected = self.place(&keys);
        let mut fit = Fit {
            class: self.class(),
            matched: Vec::new(),
            kept: Vec::new(),
            missing: Vec::new(),
            unexpected: Vec::new(),
            conflicts: Vec::new(),
        };
        for node in self.in_order() {
            if let Some(found) = stats.remove(&node.index) {
                fit.conflicts.push(found);
            }
            for slot in &node.slots {
                fit.slot(slot, keys.find(slot.name()), weights);
                if keys.find(slot.name()).is_none() {
                    let kept = rules::keeps(node, slot, weights);
                    let list = if kept { &mut fit.kept } else { &mut fit.missing };
                    list.push(slot.name());
                }
            }
            fit.unexpected.extend(unexpected.remove(&node.index).unwrap_or_default());
        }
        fit
    }

    /// Keys that a module neither has nor hands to a child, by the module that would say so.
    fn place(&self, keys: &weights::Keys) -> HashMap<usize, Vec<String>> {
        let names: HashSet<&str> = self.slots().map(Slot::name).collect();
        let mut found: HashMap<usize, Vec<String>> = HashMap::new();
        for key in keys.iter() {
            if names.contains(key) {
                continue;
            }
            if let Some((node, extra)) = self.refuses(key) {
                let keys = found.entry(node).or_default();
                // `_extra_state` is looked at before the rest.
                let at = if extra { 0 } else { keys.len() };
                keys.insert(at, key.to_owned());
            }
        }
        found
    }
}

impl<'fit> Fit<'fit> {
    fn slot(&mut self, slot: &'fit Slot, found: Option<usize>, weights: &'fit Weights<'_>) {
        let Some(entry) = found.and_then(|index| weights.entries().get(index)) else { return };
        if slot.takes_anything() {
            return;
        }
        let name = slot.name();
        let conflict = match entry.given() {
            Given::Other(found) => Conflict::NotATensor { name, found },
            Given::Unreadable(why) => Conflict::Unreadable { name, why: why.to_string() },
            Given::Tensor(tensor) => match self.tensor(slot, weights.read(entry, tensor)) {
                Some(conflict) => conflict,
                None => return,
            },
        };
        self.conflicts.push(conflict);
    }

    fn tensor(&mut self, slot: &'fit Slot, tensor: TensorRef<'fit>) -> Option<Conflict<'fit>> {
        let name = slot.name();
        if let Some(wanted) = slot.shape() {
            // As PyTorch 0.3 saved numbers.
            let number = wanted.is_empty() && tensor.shape() == [1];
            if tensor.shape() != wanted && !number {
                let checkpoint = tensor.shape().to_vec();
                return Some(Conflict::Shape { name, checkpoint, model: wanted });
            }
        }
        if slot.takes_elements() && !copy::has_row(&tensor) {
            let (shape, layout) = (tensor.tensor().shape(), tensor.layout());
            return Some(Conflict::Layout { name, shape, layout });
        }
        self.matched.push(Match { slot, tensor });
        None
    }

    /// What can be copied, in the model's order.
    #[must_use]
    pub fn matched(&self) -> &[Match<'fit>] {
        &self.matched
    }

    /// Keys of the model that the weights lack, in PyTorch's order.
    #[must_use]
    pub fn missing(&self) -> &[&'fit str] {
        &self.missing
    }

    /// Keys that the weights lack and the model does without: `num_batches_tracked` of layers that
    /// files of before PyTorch 0.4.1, or without versions, do not have. They keep their values.
    #[must_use]
    pub fn kept(&self) -> &[&'fit str] {
        &self.kept
    }

    /// Keys of the weights that the model has no place for, in PyTorch's order.
    #[must_use]
    pub fn unexpected(&self) -> &[String] {
        &self.unexpected
    }

    /// What cannot be copied, strict or not, in PyTorch's order.
    #[must_use]
    pub fn conflicts(&self) -> &[Conflict<'fit>] {
        &self.conflicts
    }

    /// What `load_state_dict(strict=…)` raises, if it does. Its text is PyTorch's.
    ///
    /// # Errors
    /// The keys that do not match if `strict`, and what cannot be copied in any case.
    pub fn check(&self, strict: bool) -> Result<(), Misfit> {
        message::check(self, strict)
    }

    /// Checks as [`check`](Self::check) does, then reads every matched tensor, cast to the dtype
    /// that is expected, into the buffer that `buffer` gives for it: little-endian, in row-major
    /// order, of [`Match::nbytes`] bytes. Tensors for which there is none are skipped. Nothing is
    /// read unless the check goes well, where PyTorch copies what it can before it raises.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// use depickle::torch::{Checkpoint, DType, Expected, Weights};
    ///
    /// let checkpoint = Checkpoint::open("tests/fixtures/tied.pth")?;
    /// let weights = Weights::of(&checkpoint, checkpoint.root())?;
    /// let model = Expected::of(&checkpoint, checkpoint.root())?;
    /// let slots: Vec<_> = model.slots().collect();
    /// let mut memory: Vec<Vec<u8>> =
    ///     slots.iter().map(|slot| vec![0; slot.nbytes().unwrap() as usize]).collect();
    /// let mut buffers: HashMap<&str, &mut [u8]> =
    ///     slots.iter().map(|slot| slot.name()).zip(memory.iter_mut().map(|it| &mut it[..])).collect();
    /// model.fit(&weights).load(true, |matched| buffers.remove(matched.name()))?;
    /// # assert!(buffers.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LoadError::Misfit`], or why a tensor cannot be read or cast.
    pub fn load<'buffer>(
        &self,
        strict: bool,
        mut buffer: impl FnMut(&Match<'fit>) -> Option<&'buffer mut [u8]>,
    ) -> Result<(), LoadError> {
        self.check(strict)?;
        for matched in &self.matched {
            if let Some(into) = buffer(matched) {
                matched.read_into(into)?;
            }
        }
        Ok(())
    }
}

impl<'fit> Match<'fit> {
    /// The key, as the model has it.
    #[must_use]
    pub fn name(&self) -> &'fit str {
        self.slot.name()
    }

    /// What the model has there.
    #[must_use]
    pub const fn slot(&self) -> &'fit Slot {
        self.slot
    }

    /// What the weights have there.
    #[must_use]
    pub const fn tensor(&self) -> TensorRef<'fit> {
        self.tensor
    }

    /// The dtype it is to be read as: the model's, or its own if the model has none.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.slot.dtype().unwrap_or_else(|| self.tensor.dtype())
    }

    /// Bytes of its elements once they are cast.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        copy::nbytes(self.tensor, self.dtype())
    }

    /// Reads its elements as the model's dtype, as `copy_` of PyTorch does, into `into`:
    /// little-endian, in row-major order.
    ///
    /// Floats are rounded to nearest; integers and booleans of other types are as C converts them
    /// (integers wrap, floats lose their fraction, what is not zero is true).
    ///
    /// # Errors
    /// Names the tensor: it cannot be read, the dtypes do not convert
    /// ([`Fault::NoCast`](super::Fault::NoCast)), a float that no integer holds
    /// ([`Fault::NoInteger`](super::Fault::NoInteger); PyTorch's answer depends on the processor),
    /// or `into` is not of [`nbytes`](Self::nbytes) bytes.
    pub fn read_into(&self, into: &mut [u8]) -> Result<(), Error> {
        copy::read_into(self.tensor, self.dtype(), into)
    }

    /// As [`read_into`](Self::read_into), in a new vector.
    ///
    /// # Errors
    /// As [`read_into`](Self::read_into); or the model's dtype is none of `T`'s, or memory is over
    /// [`Limits::materialised`](crate::Limits::materialised).
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, Error> {
        copy::to_vec(self.tensor, self.dtype())
    }
}

impl Conflict<'_> {
    /// The key it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Shape { name, .. }
            | Self::NotATensor { name, .. }
            | Self::Layout { name, .. }
            | Self::Unreadable { name, .. } => name,
            Self::RunningStats { names, .. } => names.first().map_or("", String::as_str),
        }
    }
}

/// Why weights were not loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// They do not fit.
    Misfit(Misfit),
    /// One cannot be read or cast.
    Tensor(Error),
}

impl From<Misfit> for LoadError {
    fn from(why: Misfit) -> Self {
        Self::Misfit(why)
    }
}

impl From<Error> for LoadError {
    fn from(why: Error) -> Self {
        Self::Tensor(why)
    }
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Misfit(why) => write!(f, "{why}"),
            Self::Tensor(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Whether a tensor's elements lie in a row, as those of plain tensors do.
fn is_plain(tensor: &Tensor) -> bool {
    matches!(tensor.layout(), Layout::Strided | Layout::Quantized)
}
