//! What a running machine remembers beside its stack.

use hashbrown::{Equivalent, HashMap};

use crate::base::{Budget, Exceeded};
use crate::pickle::graph::{Builder, NodeId, Span};
use crate::pickle::policy::Positions;

/// What was stored for later: a vector, and a map for indices that leave gaps, so that
/// LONG_BINPUT with index 2³² − 1 costs no more than any other.
#[derive(Default)]
pub(super) struct Memo {
    dense: Vec<NodeId>,
    sparse: HashMap<u64, NodeId>,
    /// Distinct indices stored under: what MEMOIZE counts.
    pub(super) stored: u64,
}

impl Memo {
    /// What an entry of a hash map takes (bytes), growth included.
    const ENTRY: u64 = 48;

    #[inline(always)]
    pub(super) fn get(&self, index: u64) -> Option<NodeId> {
        match usize::try_from(index).ok().and_then(|index| self.dense.get(index)) {
            Some(id) => Some(*id),
            None => self.get_sparse(index),
        }
    }

    #[cold]
    fn get_sparse(&self, index: u64) -> Option<NodeId> {
        self.sparse.get(&index).copied()
    }

    #[inline(always)]
    pub(super) fn put(
        &mut self,
        index: u64,
        id: NodeId,
        build: &mut Builder,
    ) -> Result<(), Exceeded> {
        let len = self.dense.len() as u64;
        if index == len && self.sparse.is_empty() {
            self.stored = self.stored.saturating_add(1);
            return build.memoize(&mut self.dense, id);
        }
        match usize::try_from(index).ok().and_then(|index| self.dense.get_mut(index)) {
            Some(slot) => *slot = id,
            None => self.put_sparse(index, id, build.budget())?,
        }
        Ok(())
    }

    #[cold]
    fn put_sparse(&mut self, index: u64, id: NodeId, budget: &mut Budget) -> Result<(), Exceeded> {
        if let Some(slot) = self.sparse.get_mut(&index) {
            *slot = id;
            return Ok(());
        }
        budget.memory(Self::ENTRY)?;
        self.sparse.insert(index, id);
        self.stored = self.stored.saturating_add(1);
        Ok(())
    }
}

/// Module and name of a global.
pub(super) type Spelled = (Box<[u8]>, Box<[u8]>);

/// What a [`Spelled`] is looked up by, where it stands in the stream.
#[derive(Hash)]
pub(super) struct Spelling<'graph>(pub(super) &'graph [u8], pub(super) &'graph [u8]);

impl Equivalent<Spelled> for Spelling<'_> {
    fn equivalent(&self, spelled: &Spelled) -> bool {
        *self.0 == *spelled.0 && *self.1 == *spelled.1
    }
}

/// Globals seen so far and where the policy lets them stand.
#[derive(Default)]
pub(super) struct Globals {
    /// Of texts from the stack.
    pub(super) by_span: HashMap<(Span, Span), NodeId>,
    pub(super) by_name: HashMap<Spelled, NodeId>,
    pub(super) by_code: HashMap<u32, NodeId>,
    pub(super) standings: HashMap<NodeId, Standing>,
}

/// What the policy says of a global.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    pub(super) positions: Positions,
    /// Whether what it is called with must be looked at.
    pub(super) hands: bool,
}

impl Globals {
    /// What an entry of the maps takes (bytes), growth included.
    pub(super) const ENTRY: u64 = 256;
}
