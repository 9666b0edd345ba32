//! States of random generators.
//!
//! Source: numpy `random/_pickle.py`, `random/bit_generator.pyx`, `random/mtrand.pyx`.

use super::error::{Error, Fault};
use super::given;
use crate::pickle::{Global, Items, Object, Value};

/// The state of a random generator, held as data.
#[derive(Clone, Copy, Debug)]
pub struct Random<'graph> {
    kind: RandomKind,
    algorithm: Option<&'graph str>,
    state: Object<'graph>,
    seed: Option<Object<'graph>>,
}

/// What the state is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RandomKind {
    /// `numpy.random.Generator`.
    Generator,
    /// `numpy.random.RandomState`.
    RandomState,
    /// A bit generator alone: `numpy.random.PCG64`, say.
    BitGenerator,
    /// `numpy.random.SeedSequence`.
    SeedSequence,
}

impl RandomKind {
    /// Its class in `numpy.random`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generator => "Generator",
            Self::RandomState => "RandomState",
            Self::BitGenerator => "BitGenerator",
            Self::SeedSequence => "SeedSequence",
        }
    }

    fn of(global: Global) -> Option<Self> {
        Some(match (global.module, global.name) {
            (b"numpy.random._pickle", b"__generator_ctor") => Self::Generator,
            (b"numpy.random._pickle", b"__randomstate_ctor")
            | (b"numpy.random", b"__RandomState_ctor") => Self::RandomState,
            (b"numpy.random._pickle", b"__bit_generator_ctor") => Self::BitGenerator,
            (
                b"numpy.random.bit_generator" | b"numpy.random._bit_generator",
                b"__pyx_unpickle_SeedSequence",
            ) => Self::SeedSequence,
            _ => return None,
        })
    }
}

impl<'graph> Random<'graph> {
    /// Whether a call of `global` makes one.
    pub(super) fn is_called(global: Global) -> bool {
        RandomKind::of(global).is_some()
    }

    /// A view of `object`: what a generator of `numpy.random` pickles.
    ///
    /// # Errors
    /// [`Error`] if it is none, or it has no state.
    pub fn view(object: Object<'graph>) -> Result<Self, Error> {
        let (call, kind) = given::call(object)
            .and_then(|call| Some((call, RandomKind::of(call.global)?)))
            .ok_or_else(|| given::not_a("a random generator of numpy", object))?;
        let state = given::state(object)?.map(|state| state.value);
        let first = call.args.get(0);
        // Since numpy 2 a generator is called with its bit generator, which has the state.
        let bits = first.filter(|first| {
            let inner = given::call(*first).and_then(|call| RandomKind::of(call.global));
            inner == Some(RandomKind::BitGenerator)
        });
        let bits_state = bits.map(given::state).transpose()?.flatten().map(|state| state.value);
        let state =
            state.or(bits_state).ok_or_else(|| Error::new(Fault::NoState, object.offset()))?;
        let pair = |state: Object<'graph>| state.as_tuple().and_then(Items::array);
        let (state, seed) = match (kind, bits_state.and_then(pair), pair(state)) {
            (RandomKind::SeedSequence, ..) => (state, None),
            (_, _, Some([state, seed])) => (state, Some(seed)),
            (_, Some([_, seed]), None) => (state, Some(seed)),
            _ => (state, None),
        };
        let named = [Some(state), first].into_iter().flatten().find_map(algorithm);
        let named = named.or_else(|| bits.and_then(given::call)?.args.get(0).and_then(algorithm));
        let named = named.filter(|_| kind != RandomKind::SeedSequence);
        let seed = seed.filter(|seed| !seed.is_none());
        Ok(Self { kind, algorithm: named, state, seed })
    }

    /// What it is the state of.
    #[must_use]
    pub const fn kind(self) -> RandomKind {
        self.kind
    }

    /// The name of the bit generator: `PCG64`. None for seeds.
    #[must_use]
    pub const fn bit_generator(self) -> Option<&'graph str> {
        self.algorithm
    }

    /// The state: a dict; of RandomState before numpy 1.17, and of seeds, a tuple.
    #[must_use]
    pub const fn state(self) -> Object<'graph> {
        self.state
    }

    /// The seed that it began with.
    #[must_use]
    pub const fn seed(self) -> Option<Object<'graph>> {
        self.seed
    }
}

/// The name of a bit generator as a state, an argument or a class gives it.
fn algorithm(object: Object<'_>) -> Option<&str> {
    /// Characters of a name, pairs of a state.
    const MOST: usize = 64;
    let name = match object.value() {
        Value::Global(global) => return std::str::from_utf8(global.name).ok(),
        Value::Dict(dict) if dict.len() < MOST => dict.get("bit_generator")?,
        Value::Tuple(items) => items.get(0)?,
        _ => object,
    };
    match name.value() {
        Value::Text(text) if text.as_bytes().len() < MOST => text.as_str(),
        _ => None,
    }
}
