//! Globals, and objects that Python would make by calling them.

use std::collections::HashSet;

use super::arrays::may_wrap;
use super::memo::{Globals, Spelled, Spelling, Standing};
use super::{Machine, Step, forbidden, refusal, wrong};
use crate::base::Limit;
use crate::pickle::error::Kind;
use crate::pickle::graph::{Dict, EffectKind, Global, Items, Make, Node, NodeId, Span, Value};
use crate::pickle::policy::{Position, Positions, Reading};
use crate::pickle::uses::{self, Handing};

impl Machine<'_> {
    pub(super) fn line_global(&mut self, module: &[u8], name: &[u8]) -> Step<NodeId> {
        if module.is_empty() || name.is_empty() {
            return Err(Kind::BadOperand("empty module or name").into());
        }
        let name_span = self.line_span(name);
        let before = name_span.start.saturating_sub(1).saturating_sub(module.len() as u64);
        let module_span = Span { start: before, len: module.len() as u64, decoded: false };
        for line in [module, name] {
            if std::str::from_utf8(line).is_err() {
                return Err(Kind::BadOperand("the name is not UTF-8").into());
            }
        }
        self.global(module_span, name_span)
    }

    pub(super) fn stack_global(&mut self) -> Step {
        let name = self.pop()?;
        let module = self.pop()?;
        let graph = self.build.graph();
        let span = |id| -> Step<Span> {
            match graph.kind(id) {
                Some(Node::Text(span)) => Ok(span),
                // A Python 2 string is a text to Python, if it is ASCII.
                Some(Node::Str8(span)) if graph.bytes(span).is_ascii() => Ok(span),
                _ => Err(wrong("two texts", graph.object(id).kind()).into()),
            }
        };
        let spans = (span(module)?, span(name)?);
        // Texts may be long and come again at three bytes each: they are read once.
        let id = match self.globals.by_span.get(&spans) {
            Some(&id) => id,
            None => {
                let id = self.global(spans.0, spans.1)?;
                self.build.budget().memory(Globals::ENTRY)?;
                self.globals.by_span.insert(spans, id);
                id
            }
        };
        self.push(id)
    }

    /// The node of a global; the same for the same name, so that `is` holds.
    pub(super) fn global(&mut self, module: Span, name: Span) -> Step<NodeId> {
        let limits = self.build.budget().limits();
        limits.admit(Limit::NameBytes, module.len)?;
        limits.admit(Limit::NameBytes, name.len)?;
        let graph = self.build.graph();
        let spelling = Spelling(graph.bytes(module), graph.bytes(name));
        match self.globals.by_name.get(&spelling) {
            Some(&id) => Ok(id),
            None => {
                let spelled = (spelling.0.into(), spelling.1.into());
                self.new_global(module, name, spelled)
            }
        }
    }

    #[cold]
    fn new_global(&mut self, module: Span, name: Span, spelled: Spelled) -> Step<NodeId> {
        let global = Global { module: &spelled.0, name: &spelled.1 };
        let positions = self.policy.admits(global);
        if positions == Positions::NONE {
            return Err(forbidden(global, Position::Value).into());
        }
        // What is called later is looked at in the end.
        let hands = self.policy.handings(global).iter();
        let hands = hands.into_iter().any(|handing| !matches!(handing, Handing::Holds(_)));
        let bytes = module.len.saturating_add(name.len).saturating_add(Globals::ENTRY);
        self.build.budget().memory(bytes)?;
        self.wrappers |= self.policy.reading() != Reading::Plain && may_wrap(global);
        let id = self.build.global(module, name)?;
        self.globals.by_name.insert(spelled, id);
        self.globals.standings.insert(id, Standing { positions, hands });
        Ok(id)
    }

    /// Whether the policy lets a call be: of `callable` in `position`, with `args`, and with what
    /// that hands on to be called.
    pub(super) fn check(&self, callable: NodeId, args: NodeId, position: Position) -> Step {
        let standing = self.globals.standings.get(&callable);
        if let Some(Standing { positions, hands: false }) = standing
            && positions.has(position)
        {
            return Ok(());
        }
        self.check_uses(callable, args, position)
    }

    #[cold]
    fn check_uses(&self, callable: NodeId, args: NodeId, position: Position) -> Step {
        let graph = self.build.graph();
        let (object, args) = (graph.object(callable), graph.object(args));
        match object.value() {
            Value::Global(_) | Value::Recipe(_) | Value::Persistent(_) | Value::Extension(_) => {}
            _ => return Err(wrong("something to call", object.kind()).into()),
        }
        let mut refused = None;
        self.policy.uses(object, args, position, &mut |used| {
            if refused.is_none() && !self.policy.permits(&used) {
                refused = Some(refusal(&used));
            }
        });
        refused.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Whether the policy lets something be done to what a call made.
    pub(super) fn check_effect(
        &self,
        object: NodeId,
        kind: EffectKind,
        state: Option<NodeId>,
    ) -> Step {
        if !self.policy.knows_handings() {
            return Ok(());
        }
        let graph = self.build.graph();
        let callable = match graph.kind(object) {
            Some(Node::Recipe(recipe)) => match graph.made(recipe) {
                Some(made) if made.make == Make::Reduce => *made.callable,
                _ => return Ok(()),
            },
            Some(Node::Persistent(_)) => object,
            _ => return Ok(()),
        };
        let standing = self.globals.standings.get(&callable);
        if standing.is_some_and(|standing| !standing.hands) {
            return Ok(());
        }
        let (object, state) = (graph.object(object), state.map(|state| graph.object(state)));
        let mut refused = None;
        self.policy.uses_of_done(object, kind, state, &mut |used| {
            if refused.is_none() && !self.policy.permits(&used) {
                refused = Some(refusal(&used));
            }
        });
        refused.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Whether the policy lets be what objects keep for calling later. Looked at once all has been
    /// read; where it stands, and what is wrong, if not.
    pub(super) fn check_kept(&mut self) -> Result<(), (u64, Box<Kind>)> {
        if !self.policy.knows_handings() {
            return Ok(());
        }
        // Whoever lets anything be called lets hooks be.
        let all = !self.policy.otherwise().has(Position::Call);
        let mut seen = HashSet::new();
        let graph = self.build.graph();
        for object in graph.recipes_or_changed(all) {
            let mut refused = None;
            self.policy.uses_later(object, &mut seen, &mut |used| {
                if refused.is_none() && !self.policy.permits(&used) {
                    refused = Some(refusal(&used));
                }
            });
            if let Some(kind) = refused {
                let at = object.changed().or(object.offset()).unwrap_or(graph.base());
                return Err((at.0, kind.into()));
            }
        }
        Ok(())
    }

    /// Arguments are a tuple, or something that a call would have made one.
    pub(super) fn check_args(&self, args: NodeId) -> Step {
        let object = self.build.graph().object(args);
        match object.value() {
            Value::Tuple(_) | Value::Recipe(_) => Ok(()),
            _ => Err(wrong("a tuple of arguments", object.kind()).into()),
        }
    }

    /// Keyword arguments are a dict, or something that a call would have made one.
    pub(super) fn check_kwargs(&self, kwargs: NodeId) -> Step {
        let object = self.build.graph().object(kwargs);
        match object.value() {
            Value::Dict(_) | Value::Recipe(_) => Ok(()),
            _ => Err(wrong("a dict of keyword arguments", object.kind()).into()),
        }
    }

    pub(super) fn reduce(&mut self) -> Step {
        let args = self.pop()?;
        let callable = self.pop()?;
        self.check_args(args)?;
        self.check(callable, args, Position::Call)?;
        let id = self.build.recipe(Make::Reduce, callable, args, NodeId::NONE)?;
        self.push(id)
    }

    pub(super) fn new_obj(&mut self, make: Make, args: NodeId, kwargs: NodeId) -> Step {
        let class = self.pop()?;
        self.check_args(args)?;
        if make == Make::NewObjEx {
            self.check_kwargs(kwargs)?;
        }
        self.check(class, args, Position::Instance)?;
        let id = self.build.recipe(make, class, args, kwargs)?;
        self.push(id)
    }

    pub(super) fn obj(&mut self) -> Step {
        let height = self.pop_mark()?;
        let above = self.stack.get(height..).unwrap_or_default();
        let (&class, args) = above.split_first().ok_or(Kind::Underflow)?;
        let args = self.build.tuple(args)?;
        self.check(class, args, self.position_of(Make::Obj, args))?;
        let id = self.build.recipe(Make::Obj, class, args, NodeId::NONE)?;
        self.replace(height, id)
    }

    pub(super) fn inst(&mut self, module: &[u8], name: &[u8]) -> Step {
        let height = self.pop_mark()?;
        if !module.is_ascii() || !name.is_ascii() {
            return Err(Kind::BadOperand("the name is not ASCII").into());
        }
        let args = self.build.tuple(self.stack.get(height..).unwrap_or_default())?;
        let class = self.line_global(module, name)?;
        self.check(class, args, self.position_of(Make::Inst, args))?;
        let id = self.build.recipe(Make::Inst, class, args, NodeId::NONE)?;
        self.replace(height, id)
    }

    fn position_of(&self, make: Make, args: NodeId) -> Position {
        uses::position_of(make, self.build.graph().object(args))
    }

    pub(super) fn set_state(&mut self) -> Step {
        let state = self.pop()?;
        let object = self.top()?;
        match self.build.graph().kind(object) {
            Some(Node::Recipe(_) | Node::Persistent(_)) => {
                self.check_effect(object, EffectKind::State, Some(state))?;
            }
            Some(Node::Extension(_)) => {}
            Some(Node::Global(_)) => self.check(object, NodeId::EMPTY_TUPLE, Position::Target)?,
            // Nothing to do, so Python does not notice that it could not.
            _ if self.is_no_state(state) => return Ok(()),
            _ => {
                return Err(wrong(
                    "an object with state",
                    self.build.graph().object(object).kind(),
                )
                .into());
            }
        }
        Ok(self.build.effect(object, EffectKind::State, &[state])?)
    }

    /// `None`, or `None` and no slots.
    pub(super) fn is_no_state(&self, state: NodeId) -> bool {
        let object = self.build.graph().object(state);
        let parts = object.as_tuple().and_then(Items::array);
        object.is_none()
            || parts.is_some_and(|[state, slots]| {
                state.is_none() && slots.as_dict().is_some_and(Dict::is_empty)
            })
    }

    pub(super) fn extension(&mut self, code: i64) -> Step {
        let known = u32::try_from(code).ok().filter(|&code| code > 0);
        let Some(code) = known else {
            return Err(Kind::BadOperand("extension code below 1").into());
        };
        match self.policy.extension(code) {
            Some((module, name)) => {
                if let Some(&id) = self.globals.by_code.get(&code) {
                    return self.push(id);
                }
                let module = self.build.keep(module.as_bytes())?;
                let name = self.build.keep(name.as_bytes())?;
                let id = self.global(module, name)?;
                self.build.budget().memory(Globals::ENTRY)?;
                self.globals.by_code.insert(code, id);
                self.push(id)
            }
            None if self.policy.otherwise() == Positions::ALL => self.add(Node::Extension(code)),
            None => Err(Kind::UnregisteredExtension(code.into()).into()),
        }
    }
}
