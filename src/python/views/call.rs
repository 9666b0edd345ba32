//! A call as the views read it: of which global, with what, and what was done afterwards.

use super::{Error, View};
use crate::base::{Budget, FileOffset};
use crate::pickle::{Dict, Effect, EffectKind, Global, Items, NodeId, Object, Value};

/// What a call means; none if that is not certain.
pub(super) type Read<'graph> = Result<Option<View<'graph>>, Error>;

/// One call or instantiation of a known global.
#[derive(Clone, Copy)]
pub(super) struct Call<'graph> {
    /// What it makes.
    pub object: Object<'graph>,
    /// What is called, as the stream spells it.
    pub global: Global<'graph>,
    /// Whether only `__new__` was called, as NEWOBJ does.
    pub new: bool,
    pub args: Items<'graph>,
    pub kwargs: Option<Dict<'graph>>,
}

impl<'graph> Call<'graph> {
    /// An error that says which global would not take what.
    #[cold]
    pub(super) fn refuse(&self, why: impl Into<String>) -> Error {
        Error::refused(self.global.to_string(), why, self.object.offset())
    }

    /// An error about the number or types of arguments.
    #[cold]
    pub(super) fn refuse_args(&self, wanted: &str) -> Error {
        let found: Vec<&str> = self.args.iter().take(12).map(Object::kind).collect();
        self.refuse(format!("{wanted} wanted, ({}) given", found.join(", ")))
    }

    /// Whether the class itself was called, or nothing was given to its `__new__`: classes that
    /// fill their objects in `__init__` ignore what `__new__` is given.
    pub(super) fn fills(&self) -> bool {
        !self.new || self.args.is_empty()
    }

    /// `None`, for arguments left out.
    pub(super) fn none(&self) -> Object<'graph> {
        self.object.graph().object(NodeId::NONE)
    }

    /// An argument by position; `None` beyond the last.
    pub(super) fn arg(&self, index: usize) -> Object<'graph> {
        self.args.get(index).unwrap_or_else(|| self.none())
    }

    /// Whether a container is as it was when the call copied it.
    pub(super) fn unchanged(&self, given: Object) -> bool {
        // A call that no stream made is of no time.
        self.object.offset().is_none_or(|at| !changed_since(given, at))
    }

    /// Whether anything was done to what was made. BUILD with `None` does nothing.
    pub(super) fn touched(&self) -> bool {
        self.deeds().next().is_some()
    }

    /// What was done to what was made, but for BUILD with `None`.
    fn deeds(&self) -> impl Iterator<Item = Effect<'graph>> + use<'graph> {
        self.object.effects().filter(|effect| {
            effect.kind != EffectKind::State || !effect.items.get(0).is_some_and(Object::is_none)
        })
    }

    /// Refuses state and items, for what has no attributes and is no container.
    pub(super) fn plain(&self) -> Result<(), Error> {
        self.only(&[])
    }

    /// Refuses effects of other kinds than these.
    pub(super) fn only(&self, kinds: &[EffectKind]) -> Result<(), Error> {
        match self.deeds().find(|effect| !kinds.contains(&effect.kind)) {
            None => Ok(()),
            Some(effect) => Err(self.refuse(match effect.kind {
                EffectKind::State => "it has no state to set",
                EffectKind::Append => "nothing can be appended to it",
                EffectKind::SetItems => "it has no items to set",
                _ => "nothing can be added to it",
            })),
        }
    }

    /// The state that BUILD set.
    pub(super) fn state(&self) -> State<'graph> {
        let mut states = self.deeds().filter(|effect| effect.kind == EffectKind::State);
        let (first, second) = (states.next(), states.next());
        match (first.and_then(|effect| Some((effect.items.get(0)?, effect.offset))), second) {
            (None, _) => State::None,
            (Some((state, at)), None) if !changed_since(state, at) => State::Some(state),
            _ => State::Unsure,
        }
    }

    /// The attributes that BUILD gave an object, if it is a dict; refuses anything else.
    pub(super) fn attributes(&self) -> Result<Attributes<'graph>, Error> {
        match self.state() {
            State::None => Ok(Attributes::Sure(None)),
            State::Some(state) => match state.as_dict() {
                Some(dict) => Ok(Attributes::Sure(Some(dict))),
                None => Err(self.refuse(format!("a state of dict wanted, {} given", state.kind()))),
            },
            State::Unsure => Ok(Attributes::Unsure),
        }
    }
}

/// What BUILD set.
pub(super) enum State<'graph> {
    /// Nothing, or `None`.
    None,
    Some(Object<'graph>),
    /// Several states, or one that was changed after it was set.
    Unsure,
}

/// As [`State`], of a dict.
pub(super) enum Attributes<'graph> {
    Sure(Option<Dict<'graph>>),
    Unsure,
}

fn changed_since(object: Object, at: FileOffset) -> bool {
    object.changed().is_some_and(|changed| changed > at)
}

/// Pays for reading a text or bytes of this length: a step for every 64.
pub(super) fn pay(len: usize, budget: &mut Budget) -> Result<(), Error> {
    Ok(budget.visits((len as u64).div_ceil(64))?)
}

/// Whether nothing that can be looped over: what `list(…)` and its like refuse.
pub(super) fn never_iterable(object: Object) -> bool {
    matches!(
        object.value(),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_)
    )
}
