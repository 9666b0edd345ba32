//! Whether two graphs say the same, and where they part.

use std::fmt;

use super::{EffectKind, Graph, NodeId, Object, Place, Value};
use crate::base::{Budget, Exceeded, FileOffset};

/// Where two graphs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The way from the two roots, as Python would write it: `["model"].args[0]`.
    pub path: String,
    /// What differs.
    pub what: &'static str,
    /// Where the left object was made.
    pub left: Option<FileOffset>,
    /// Where the right object was made.
    pub right: Option<FileOffset>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, what, left, right } = self;
        write!(f, "{what} at root{path}")?;
        for (side, at) in [("left", left), ("right", right)] {
            if let Some(at) = at {
                write!(f, ", {side} {at}")?;
            }
        }
        Ok(())
    }
}

/// Whether two graphs are isomorphic: equal values in equal places, and one object on the left
/// wherever there is one on the right. None if they are.
///
/// Numbers have no identity here; NaN equals NaN. What was done to an object counts in its
/// order, whether it was done by one operation or several. Out-of-band buffers are not
/// compared by number, since a writer may ask for them in another order.
///
/// ```
/// use depickle::pickle::{Policy, difference, run};
/// use depickle::{Budget, FileOffset};
///
/// let mut budget = Budget::default();
/// let mut read = |stream: &[u8]| {
///     run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget).graph
/// };
/// let shared = read(b"](]q\0h\0e.");
/// let copied = read(b"](]]e.");
/// let found = difference(shared.root().unwrap(), copied.root().unwrap(), &mut budget)?;
/// assert_eq!(found.unwrap().path, "[1]");
/// # Ok::<(), depickle::base::Exceeded>(())
/// ```
///
/// # Errors
/// [`Exceeded`] if the budget does not cover a step and 64 bytes for each pair of objects.
pub fn difference(
    left: Object<'_>,
    right: Object<'_>,
    budget: &mut Budget,
) -> Result<Option<Difference>, Exceeded> {
    Same::new(left.graph(), right.graph(), budget)?.run(left.id(), right.id())
}

/// How a pair hangs on the pair before.
#[derive(Clone, Copy, Debug)]
enum Label {
    Root,
    Item(usize),
    Key(usize),
    /// With its key on the left.
    Value(NodeId),
    Callable,
    Args,
    Kwargs,
    PersistentId,
    Effect(EffectKind, usize),
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    left: NodeId,
    right: NodeId,
    parent: u32,
    label: Label,
}

struct Same<'graph, 'run> {
    left: &'graph Graph,
    right: &'graph Graph,
    budget: &'run mut Budget,
    /// For each object of the left arena its counterpart, and the other way round.
    partner: [Vec<Option<NodeId>>; 2],
    /// Every pair met; those behind `next` are still to be looked into.
    pairs: Vec<Pair>,
    next: usize,
}

impl<'graph, 'run> Same<'graph, 'run> {
    fn new(
        left: &'graph Graph,
        right: &'graph Graph,
        budget: &'run mut Budget,
    ) -> Result<Self, Exceeded> {
        let size = size_of::<Option<NodeId>>() as u64;
        budget.memory((left.len() as u64).saturating_mul(size))?;
        budget.memory((right.len() as u64).saturating_mul(size))?;
        let partner = [vec![None; left.len()], vec![None; right.len()]];
        Ok(Self { left, right, budget, partner, pairs: Vec::new(), next: 0 })
    }

    fn run(&mut self, left: NodeId, right: NodeId) -> Result<Option<Difference>, Exceeded> {
        self.add(left, right, 0, Label::Root)?;
        while let Some(&pair) = self.pairs.get(self.next) {
            let at = u32::try_from(self.next).unwrap_or(u32::MAX);
            self.next = self.next.saturating_add(1);
            if let Err(what) = self.compare(pair, at)? {
                return Ok(Some(self.tell(pair, what)));
            }
        }
        Ok(None)
    }

    fn add(&mut self, left: NodeId, right: NodeId, parent: u32, label: Label) -> Over {
        self.budget.visits(1)?;
        self.budget.push(&mut self.pairs, Pair { left, right, parent, label })
    }

    fn compare(&mut self, pair: Pair, at: u32) -> Result<Result<(), &'static str>, Exceeded> {
        let left = self.left.object(pair.left);
        let right = self.right.object(pair.right);
        let equal = match (left.value(), right.value()) {
            (Value::None, Value::None) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::BigInt(a), Value::BigInt(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => {
                a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
            }
            _ => match self.known(pair) {
                Known::Partners => return Ok(Ok(())),
                Known::Others => return Ok(Err("shared on one side, not on the other")),
                Known::New => return self.compare_new(left, right, at),
            },
        };
        Ok(if equal { Ok(()) } else { Err("another value") })
    }

    /// Whether the two were met before, together or each with another; now they are partners.
    fn known(&mut self, pair: Pair) -> Known {
        let index = |id: NodeId| match id.place() {
            Place::Arena(index) => Some(index),
            _ => None,
        };
        let (Some(left), Some(right)) = (index(pair.left), index(pair.right)) else {
            // Constants are equal by value; a constant and an object differ by kind.
            return if pair.left == pair.right { Known::Partners } else { Known::New };
        };
        let [lefts, rights] = &mut self.partner;
        let (Some(of_left), Some(of_right)) = (lefts.get_mut(left), rights.get_mut(right)) else {
            return Known::Others;
        };
        match (*of_left, *of_right) {
            (None, None) => {
                (*of_left, *of_right) = (Some(pair.right), Some(pair.left));
                Known::New
            }
            (Some(partner), _) if partner == pair.right => Known::Partners,
            _ => Known::Others,
        }
    }

    /// Compares two objects that were not met before, and notes their parts as pairs.
    fn compare_new(
        &mut self,
        left: Object<'graph>,
        right: Object<'graph>,
        at: u32,
    ) -> Result<Result<(), &'static str>, Exceeded> {
        let equal = match (left.value(), right.value()) {
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) | (Value::ByteArray(a), Value::ByteArray(b)) => {
                a == b
            }
            (Value::Tuple(a), Value::Tuple(b))
            | (Value::List(a), Value::List(b))
            | (Value::Set(a), Value::Set(b))
            | (Value::FrozenSet(a), Value::FrozenSet(b)) => {
                if a.len() != b.len() {
                    return Ok(Err("another number of items"));
                }
                for (number, (a, b)) in a.iter().zip(b.iter()).enumerate() {
                    self.add(a.id(), b.id(), at, Label::Item(number))?;
                }
                true
            }
            (Value::Dict(a), Value::Dict(b)) => {
                if a.len() != b.len() {
                    return Ok(Err("another number of items"));
                }
                for (number, (a, b)) in a.iter().zip(b.iter()).enumerate() {
                    self.add(a.0.id(), b.0.id(), at, Label::Key(number))?;
                    self.add(a.1.id(), b.1.id(), at, Label::Value(a.0.id()))?;
                }
                true
            }
            (Value::Global(a), Value::Global(b)) => a == b,
            (Value::Recipe(a), Value::Recipe(b)) => {
                self.add(a.callable().id(), b.callable().id(), at, Label::Callable)?;
                self.add(a.args().id(), b.args().id(), at, Label::Args)?;
                if let (Some(a), Some(b)) = (a.kwargs(), b.kwargs()) {
                    self.add(a.id(), b.id(), at, Label::Kwargs)?;
                }
                a.make() == b.make() && a.kwargs().is_some() == b.kwargs().is_some()
            }
            (Value::Persistent(a), Value::Persistent(b)) => {
                self.add(a.id(), b.id(), at, Label::PersistentId)?;
                true
            }
            (Value::Extension(a), Value::Extension(b)) => a == b,
            (
                Value::Buffer { readonly: a, bytes: left, .. },
                Value::Buffer { readonly: b, bytes: right, .. },
            ) => a == b && (left == right || left.is_none() || right.is_none()),
            _ => return Ok(Err("another type")),
        };
        if !equal {
            return Ok(Err("another value"));
        }
        self.compare_effects(left, right, at)
    }

    fn compare_effects(
        &mut self,
        left: Object<'graph>,
        right: Object<'graph>,
        at: u32,
    ) -> Result<Result<(), &'static str>, Exceeded> {
        let (mut lefts, mut rights) = (done_to(left), done_to(right));
        let mut number = 0_usize;
        loop {
            match (lefts.next(), rights.next()) {
                (None, None) => return Ok(Ok(())),
                (Some((kind, a)), Some((other, b))) if kind == other => {
                    self.add(a, b, at, Label::Effect(kind, number))?;
                }
                _ => return Ok(Err("something else was done to it")),
            }
            number = number.saturating_add(1);
        }
    }

    fn tell(&self, pair: Pair, what: &'static str) -> Difference {
        /// Steps shown of a path.
        const LONGEST: usize = 32;
        let mut steps = Vec::new();
        let mut pair_or_parent = pair;
        while !matches!(pair_or_parent.label, Label::Root) {
            steps.push(self.step(pair_or_parent.label));
            let Some(&parent) = self.pairs.get(pair_or_parent.parent as usize) else { break };
            pair_or_parent = parent;
        }
        steps.reverse();
        let cut = steps.len().saturating_sub(LONGEST);
        let mut path: String = if cut > 0 { String::from("…") } else { String::new() };
        path.extend(steps.into_iter().skip(cut));
        let (left, right) = (self.left.object(pair.left), self.right.object(pair.right));
        Difference { path, what, left: left.offset(), right: right.offset() }
    }

    fn step(&self, label: Label) -> String {
        match label {
            Label::Root => String::new(),
            Label::Item(number) => format!("[{number}]"),
            Label::Key(number) => format!(".keys()[{number}]"),
            Label::Value(key) => match self.left.object(key).value() {
                Value::Text(text) => format!("[{text:?}]"),
                Value::Int(value) => format!("[{value}]"),
                _ => format!("[{:?}]", self.left.object(key)),
            },
            Label::Callable => String::from(".callable"),
            Label::Args => String::from(".args"),
            Label::Kwargs => String::from(".kwargs"),
            Label::PersistentId => String::from(".persistent_id"),
            Label::Effect(EffectKind::State, _) => String::from(".state"),
            Label::Effect(_, number) => format!(".items[{number}]"),
        }
    }
}

type Over = Result<(), Exceeded>;

enum Known {
    Partners,
    Others,
    New,
}

/// Everything done to an object, one object at a time.
fn done_to(object: Object<'_>) -> impl Iterator<Item = (EffectKind, NodeId)> {
    object
        .effects()
        .flat_map(|effect| effect.items.iter().map(move |item| (effect.kind, item.id())))
}
