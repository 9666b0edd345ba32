//! What reading one value costs and where it stands.

use std::collections::HashSet;

use super::error::{Error, Kind};
use super::form::Form;
use super::options::{DeOptions, Python2};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Dict, Items, Keys, NodeId, Object, Pair, Recipe, Value};
use crate::python::mapping;

/// What all parts of one reading share.
pub(super) struct Context<'graph, 'run> {
    budget: &'run mut Budget,
    keys: Keys<'graph>,
    pub(super) python2: Python2,
    depth: u32,
    /// The values around the current one.
    entered: Vec<NodeId>,
    /// Steps and bytes that cost nothing: as many as the graph's own making paid for. Only what
    /// is read again goes beyond.
    steps: u64,
    bytes: u64,
}

/// The pairs of a mapping, equal keys once.
pub(super) enum Pairs<'graph> {
    Dict(Dict<'graph>),
    Merged(Vec<Pair<'graph>>),
}

/// A key that is equal only to those of its own kind that look the same; true of all texts and
/// integers where a dict has no others.
#[derive(PartialEq, Eq, Hash)]
enum Simple<'graph> {
    Text(&'graph [u8]),
    Int(i64),
}

impl<'graph> Simple<'graph> {
    fn of(object: Object<'graph>) -> Option<Self> {
        match object.value() {
            Value::Text(text) if !text.is_python2() || text.as_bytes().is_ascii() => {
                Some(Self::Text(text.as_bytes()))
            }
            Value::Int(value) => Some(Self::Int(value)),
            _ => None,
        }
    }
}

/// Whether all objects are simple and different, as is the rule.
fn are_different<'graph>(len: usize, mut objects: impl Iterator<Item = Object<'graph>>) -> bool {
    /// So many are compared one by one.
    const FEW: usize = 8;
    if len <= FEW {
        let mut seen: [Option<Simple>; FEW] = [const { None }; FEW];
        return objects.enumerate().all(|(at, object)| {
            let Some(simple) = Simple::of(object).map(Some) else { return false };
            let fresh = seen.get(..at).is_some_and(|seen| !seen.contains(&simple));
            if let Some(place) = seen.get_mut(at) {
                *place = simple;
            }
            fresh
        });
    }
    let mut seen = HashSet::with_capacity(len);
    objects.all(|object| Simple::of(object).is_some_and(|simple| seen.insert(simple)))
}

impl<'graph, 'run> Context<'graph, 'run> {
    /// `paid`: what may be read for nothing, in steps and in bytes.
    /// What pays for looking at objects.
    pub(super) const fn budget(&mut self) -> &mut Budget {
        self.budget
    }

    pub(super) fn new(options: &DeOptions, budget: &'run mut Budget, paid: u64) -> Self {
        Self {
            budget,
            keys: Keys::new(),
            python2: options.python2,
            depth: options.depth,
            entered: Vec::new(),
            steps: paid,
            bytes: paid,
        }
    }

    /// Pays for a look at so many objects.
    #[inline]
    pub(super) fn step(&mut self, steps: u64) -> Result<(), Exceeded> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => self.budget.visits(steps),
        }
    }

    /// Pays for bytes that are copied out of the graph.
    #[inline]
    pub(super) fn copied(&mut self, bytes: usize) -> Result<(), Exceeded> {
        match self.bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => self.budget.memory(bytes as u64),
        }
    }

    /// Goes into an object; [`leave`](Self::leave) goes out again.
    pub(super) fn enter(&mut self, object: Object<'graph>) -> Result<(), Error> {
        /// Objects compared for the price of one step.
        const AT_ONCE: u64 = 64;
        let around = self.entered.len() as u64;
        if around >= AT_ONCE {
            self.step(around / AT_ONCE)?;
        }
        // Constants, such as the empty tuple, hold nothing.
        if object.index().is_some() && self.entered.contains(&object.id()) {
            return Err(Kind::Cycle(object.kind()).into());
        }
        if around >= self.depth.into() {
            return Err(Kind::TooDeep { limit: self.depth, writing: false }.into());
        }
        self.entered.push(object.id());
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.entered.pop();
    }

    /// One more option or newtype around the same value.
    pub(super) fn wrap(&self, wraps: u32) -> Result<u32, Error> {
        if wraps >= self.depth {
            return Err(Kind::TooDeep { limit: self.depth, writing: false }.into());
        }
        Ok(wraps.saturating_add(1))
    }

    /// The pairs of what is filled like a dict.
    pub(super) fn pairs(&mut self, form: Form<'graph>) -> Result<Pairs<'graph>, Exceeded> {
        match form {
            Form::Dict(dict) | Form::Attributes([Some(dict), None] | [None, Some(dict)]) => {
                self.of_dict(dict)
            }
            Form::Attributes(dicts) => {
                let pairs = dicts.into_iter().flatten().flat_map(Dict::iter);
                Ok(Pairs::Merged(self.keys.unique(pairs, self.budget)?))
            }
            Form::Mapping(recipe) => {
                let pairs = mapping::pairs_by(recipe.object(), &mut self.keys, self.budget)?;
                Ok(Pairs::Merged(pairs.unwrap_or_default()))
            }
            _ => Ok(Pairs::Merged(Vec::new())),
        }
    }

    fn of_dict(&mut self, dict: Dict<'graph>) -> Result<Pairs<'graph>, Exceeded> {
        self.step(dict.len() as u64)?;
        if are_different(dict.len(), dict.iter().map(|(key, _)| key)) {
            return Ok(Pairs::Dict(dict));
        }
        Ok(Pairs::Merged(dict.unique(&mut self.keys, self.budget)?))
    }

    /// The members of a set, equal ones once; none if they are as they stand.
    pub(super) fn members(
        &mut self,
        items: Items<'graph>,
    ) -> Result<Option<Vec<Object<'graph>>>, Exceeded> {
        self.step(items.len() as u64)?;
        if are_different(items.len(), items.iter()) {
            return Ok(None);
        }
        self.keys.members(items, self.budget).map(Some)
    }

    /// What was appended to a recipe.
    pub(super) fn appended(
        &mut self,
        recipe: Recipe<'graph>,
    ) -> Result<Vec<Object<'graph>>, Exceeded> {
        let mut items = Vec::new();
        for item in recipe.appended() {
            self.step(1)?;
            items.push(item);
        }
        Ok(items)
    }
}
