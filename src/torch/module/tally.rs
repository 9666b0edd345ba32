//! How many parameters and bytes each module has.

use std::collections::HashMap;

use super::walk::{Event, Repeats, walk};
use super::{Module, TensorSummary, Tensors};
use crate::base::{Budget, Exceeded};
use crate::pickle::{NodeId, Object};

/// What a module and all below it hold. A tensor that stands in several places counts once in
/// each module that reaches it, as in `sum(p.numel() for p in module.parameters())`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Parameters (tensors).
    pub tensors: u64,
    /// Elements of all parameters.
    pub parameters: u64,
    /// Elements of those that require a gradient.
    pub trainable: u64,
    /// Bytes of the elements of all parameters. Two that view one storage count twice.
    pub parameter_bytes: u64,
    /// Buffers (tensors), persistent or not.
    pub buffers: u64,
    /// Elements of all buffers.
    pub buffer_elements: u64,
    /// Bytes of the elements of all buffers.
    pub buffer_bytes: u64,
    /// Parameters and buffers whose size is not known: uninitialised, or in a form not
    /// understood.
    pub unknown: u64,
}

impl Tally {
    /// Elements of parameters that require no gradient.
    #[must_use]
    pub const fn frozen(&self) -> u64 {
        self.parameters.saturating_sub(self.trainable)
    }

    /// Bytes of parameters and buffers.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.parameter_bytes.saturating_add(self.buffer_bytes)
    }

    /// Of one tensor.
    fn of(summary: Option<&TensorSummary>, is_parameter: bool) -> Self {
        let mut tally = Self::default();
        let numel = summary.and_then(TensorSummary::numel);
        let bytes = summary.and_then(TensorSummary::nbytes);
        tally.unknown = u64::from(numel.is_none() || bytes.is_none());
        let (numel, bytes) = (numel.unwrap_or(0), bytes.unwrap_or(0));
        if is_parameter {
            (tally.tensors, tally.parameters, tally.parameter_bytes) = (1, numel, bytes);
            if summary.is_some_and(|summary| summary.requires_grad) {
                tally.trainable = numel;
            }
        } else {
            (tally.buffers, tally.buffer_elements, tally.buffer_bytes) = (1, numel, bytes);
        }
        tally
    }

    /// Each number with its other's by `with`.
    fn each(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        self.tensors = with(self.tensors, other.tensors);
        self.parameters = with(self.parameters, other.parameters);
        self.trainable = with(self.trainable, other.trainable);
        self.parameter_bytes = with(self.parameter_bytes, other.parameter_bytes);
        self.buffers = with(self.buffers, other.buffers);
        self.buffer_elements = with(self.buffer_elements, other.buffer_elements);
        self.buffer_bytes = with(self.buffer_bytes, other.buffer_bytes);
        self.unknown = with(self.unknown, other.unknown);
    }
}

/// The tally of every module reached from `root`, itself included.
///
/// ```
/// use depickle::torch::Checkpoint;
///
/// let checkpoint = Checkpoint::open("tests/fixtures/mlp_model.pth")?;
/// let model = checkpoint.module()?;
/// let all = model.tallies()?[&model.id()];
/// assert_eq!((all.parameters, all.frozen(), all.bytes()), (210, 0, 840));
/// # Ok::<(), depickle::torch::Error>(())
/// ```
///
/// # Errors
/// [`Exceeded`] if the budget does not cover the walk, a step for each path.
pub fn tallies<'graph>(
    root: Module<'graph>,
    tensors: &dyn Tensors<'graph>,
    budget: &mut Budget,
) -> Result<HashMap<NodeId, Tally>, Exceeded> {
    let mut count = Count { tensors, entered: 0, open: Vec::new(), seen: HashMap::new() };
    let mut out = HashMap::new();
    walk(root, Repeats::Enter, budget, |_, event, budget| {
        match event {
            Event::Enter(module) => count.enter(module, budget)?,
            Event::Leave(module) => {
                let Some((_, tally)) = count.open.pop() else { return Ok(()) };
                if let Some((_, above)) = count.open.last_mut() {
                    above.each(&tally, u64::saturating_add);
                }
                budget.memory(size_of::<(NodeId, Tally)>() as u64)?;
                out.entry(module.id()).or_insert(tally);
            }
            Event::Again | Event::Opaque(_) => {}
        }
        Ok(())
    })?;
    Ok(out)
}

struct Count<'call, 'graph> {
    tensors: &'call dyn Tensors<'graph>,
    /// Modules entered so far, which numbers them.
    entered: usize,
    /// Modules being walked: their numbers, ascending, and what was met in them.
    open: Vec<(usize, Tally)>,
    /// Where each tensor was met last, and its own tally.
    seen: HashMap<NodeId, (usize, Tally)>,
}

impl<'graph> Count<'_, 'graph> {
    fn enter(&mut self, module: Module<'graph>, budget: &mut Budget) -> Result<(), Exceeded> {
        self.entered = self.entered.saturating_add(1);
        budget.push(&mut self.open, (self.entered, Tally::default()))?;
        for (_, parameter) in module.parameters(budget)? {
            self.add(parameter, true, budget)?;
        }
        for (_, buffer) in module.buffers(budget)? {
            self.add(buffer, false, budget)?;
        }
        Ok(())
    }

    /// Counts a tensor in the module entered last, and so in all that are open. Those that had
    /// it already are the innermost open one around its last place and all around that.
    fn add(
        &mut self,
        object: Object<'graph>,
        is_parameter: bool,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        budget.visits(1)?;
        if object.is_none() {
            return Ok(());
        }
        let tally = if let Some((last, tally)) = self.seen.get_mut(&object.id()) {
            let around = self.open.partition_point(|(number, _)| number <= last);
            let around = around.checked_sub(1).and_then(|index| self.open.get_mut(index));
            if let Some((_, counted)) = around {
                counted.each(tally, u64::saturating_sub);
            }
            *last = self.entered;
            *tally
        } else {
            budget.memory(size_of::<(NodeId, usize, Tally)>() as u64)?;
            let summary = self.tensors.describe(object);
            let tally = Tally::of(summary.as_ref(), is_parameter);
            self.seen.insert(object.id(), (self.entered, tally));
            tally
        };
        if let Some((_, open)) = self.open.last_mut() {
            open.each(&tally, u64::saturating_add);
        }
        Ok(())
    }
}
