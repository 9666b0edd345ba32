//! Lists, dicts, sets and tuples, and what is put into them.

use super::{Machine, Step, open_to_effects};
use crate::pickle::error::Kind;
use crate::pickle::graph::{EffectKind, Node, NodeId};

impl Machine<'_> {
    pub(super) fn tuple(&mut self, height: usize) -> Step {
        let id = self.build.tuple(self.stack.get(height..).unwrap_or_default())?;
        self.replace(height, id)
    }

    pub(super) fn check_even(&self, height: usize) -> Step {
        if self.above(height).len().is_multiple_of(2) { Ok(()) } else { Err(Kind::OddItems.into()) }
    }

    /// Checks that keys and values in turn stand above `height`.
    #[inline(always)]
    pub(super) fn check_pairs(&self, height: usize) -> Step {
        let (pairs, odd) = self.above(height).as_chunks::<2>();
        if !odd.is_empty() {
            return Err(Kind::OddItems.into());
        }
        for &[key, _] in pairs {
            self.check_hashable(key)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn check_hashable(&self, key: NodeId) -> Step {
        if self.build.is_hashable(key) {
            return Ok(());
        }
        Err(Kind::Unhashable(self.build.unhashable(key)).into())
    }

    /// Checks that members of a set stand above `height`.
    pub(super) fn check_members(&self, height: usize) -> Step {
        self.above(height).iter().try_for_each(|&member| self.check_hashable(member))
    }

    pub(super) fn append(&mut self, height: usize) -> Step {
        let list = self.below(height)?;
        let items = self.stack.get(height..).unwrap_or_default();
        if items.is_empty() {
            return Ok(());
        }
        match self.build.graph().kind(list) {
            Some(Node::List(growing)) => self.build.extend(growing, items)?,
            _ => self.record(list, EffectKind::Append, "a list", height)?,
        }
        self.stack.truncate(height);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn set_items(&mut self, height: usize) -> Step {
        let dict = self.below(height)?;
        if let Some(growing) = self.build.as_dict(dict) {
            self.check_pairs(height)?;
            self.build.extend(growing, self.stack.get(height..).unwrap_or_default())?;
        } else if !self.above(height).is_empty() {
            self.record(dict, EffectKind::SetItems, "a dict", height)?;
        }
        self.stack.truncate(height);
        Ok(())
    }

    pub(super) fn add_items(&mut self) -> Step {
        let height = self.pop_mark()?;
        let set = self.below(height)?;
        let items = self.stack.get(height..).unwrap_or_default();
        if items.is_empty() {
            return Ok(());
        }
        match self.build.graph().kind(set) {
            Some(Node::Set(growing)) => {
                self.check_members(height)?;
                self.build.extend(growing, self.stack.get(height..).unwrap_or_default())?;
            }
            _ => self.record(set, EffectKind::AddItems, "a set", height)?,
        }
        self.stack.truncate(height);
        Ok(())
    }

    /// Records what stands above `height` as put into what is no container of our own.
    #[inline(never)]
    fn record(
        &mut self,
        on: NodeId,
        kind: EffectKind,
        wanted: &'static str,
        height: usize,
    ) -> Step {
        open_to_effects(self.build.graph().kind(on), wanted)?;
        self.check_effect(on, kind, None)?;
        if kind == EffectKind::SetItems {
            // What it can hash is for its class to say.
            self.check_even(height)?;
        }
        let items = self.stack.get(height..).unwrap_or_default();
        Ok(self.build.effect(on, kind, items)?)
    }
}
