//! What a call uses, and how: the class or function it calls, and those that it hands on to be
//! called. One reading of it serves the machine, which refuses, and whoever judges a whole graph.
//!
//! Names mean nothing here: which functions call what they are given, a [`Policy`] says
//! ([`Handing`]). Nothing is followed further than [`DEEPEST`] steps; what lies beyond is taken
//! for what nobody can know.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::BuildHasher;

use super::graph::{Effect, EffectKind, Global, Items, Make, NodeId, Object, Recipe, Value};
use super::policy::{Policy, Position, Positions};

/// Calls followed through calls, and attributes through attributes. Honest files need three.
const DEEPEST: usize = 32;
/// Bytes of a name put together of attributes.
const LONGEST: usize = 1 << 12;

/// What a function or class does with what it is called with, as far as that matters for
/// judging. Arguments are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Handing {
    /// Calls one argument at once.
    Calls {
        /// Which.
        callee: u8,
        /// The argument that is the tuple it is called with; none if that is not known.
        with: Option<u8>,
    },
    /// Keeps the first argument, to be called with the others when it is called itself; BUILD
    /// gives it other ones.
    Prepares,
    /// Keeps one argument, to be called later.
    Keeps {
        /// Which.
        callee: u8,
        /// Only if there are so many arguments at least.
        from: u8,
    },
    /// Makes an instance of one argument without calling its `__init__`.
    Instantiates(u8),
    /// Gives the attribute of the first argument that the second names.
    Attribute,
    /// Gives something that others hold already: what is done to it, is done to theirs.
    Existing,
    /// Gives the class of one argument, or makes a class out of three.
    Class,
    /// Reads one argument as a pickle, with everything it calls.
    Loads(u8),
    /// Gives bytes, made of what it is given and nothing else.
    Bytes,
    /// Keeps what one argument holds, alone or in a dict or list, to be called later: hooks.
    Holds(u8),
}

/// Keys of a state under which modules, tensors and dicts keep what they call later.
///
/// Source: PyTorch 2.15 `torch/nn/modules/module.py`, `torch/optim/optimizer.py`.
const HOOKS: &[&[u8]] = &[
    b"_forward_hooks",
    b"_forward_pre_hooks",
    b"_backward_hooks",
    b"_backward_pre_hooks",
    b"_full_backward_hooks",
    b"_state_dict_hooks",
    b"_state_dict_pre_hooks",
    b"_load_state_dict_pre_hooks",
    b"_load_state_dict_post_hooks",
    b"_optimizer_step_pre_hooks",
    b"_optimizer_step_post_hooks",
    b"default_factory",
];

/// Attributes that an unpickler looks up on the object itself, so that a state can set them, and
/// calls with what the next operation gives it.
///
/// Source: CPython 3.11 `Modules/_pickle.c` (`load_build`, `do_append`, `load_additems`).
const LOOKED_UP: &[&[u8]] = &[b"__setstate__", b"append", b"extend", b"add"];

/// Dicts of states that are short enough to be looked at for each object that shares them.
const SHORT: usize = 8;

/// One class, function or object that a call uses.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Use<'graph> {
    /// What it is.
    pub what: What<'graph>,
    /// How it is used.
    pub position: Position,
    /// The object that stands for it.
    pub object: Object<'graph>,
}

/// What is used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What<'graph> {
    /// A global, its name put together where the stream took attributes of one.
    Global {
        /// Its module.
        module: &'graph [u8],
        /// Its qualified name.
        name: Cow<'graph, [u8]>,
    },
    /// An attribute of an object that a call made.
    Attribute {
        /// The class or function that was called, if it is a global.
        of: Option<Global<'graph>>,
        /// The attribute.
        name: &'graph [u8],
    },
    /// What a call returned.
    Result,
    /// What the loader or a registry supplies.
    Outside,
    /// A class made of a name, bases and a dict.
    NewClass,
    /// Bytes that are read as a pickle.
    Pickle,
    /// What is read as a pickle though nobody can know it: not bytes, but what a call returned.
    UnseenPickle,
    /// What others hold already.
    Existing,
}

/// Arguments in up to two runs: those a partial holds, and those given.
#[derive(Clone, Copy)]
struct Args<'graph> {
    first: Option<Items<'graph>>,
    then: Option<Items<'graph>>,
    /// Whether these are all by position.
    known: bool,
    /// Whether there are others by name.
    named: bool,
}

impl<'graph> Args<'graph> {
    /// Those that nobody can tell from the file.
    const UNKNOWN: Self = Self { first: None, then: None, known: false, named: false };

    fn of(args: Object<'graph>) -> Self {
        let then = args.as_tuple();
        Self { first: None, then, known: then.is_some(), named: false }
    }

    /// As a partial passes them on that holds `first`.
    fn behind(self, first: Option<Items<'graph>>, named: bool) -> Self {
        let named = self.named || named;
        match self.first {
            // Python takes partials of partials apart, so that none are written.
            Some(_) => Self { known: false, named, ..self },
            None => Self { first, known: self.known && first.is_some(), named, ..self },
        }
    }

    fn len(&self) -> usize {
        let len = |items: Option<Items>| items.map_or(0, Items::len);
        len(self.first).saturating_add(len(self.then))
    }

    fn get(&self, index: u8) -> Option<Object<'graph>> {
        let index = usize::from(index);
        let first = self.first.map_or(0, Items::len);
        match index.checked_sub(first) {
            None => self.first?.get(index),
            Some(index) => self.then?.get(index),
        }
    }
}

/// A call still to be looked at.
#[derive(Clone, Copy)]
struct Call<'graph> {
    callable: Object<'graph>,
    args: Args<'graph>,
    position: Position,
}

/// What an object is when it is called.
enum Target<'graph> {
    Global {
        module: &'graph [u8],
        name: Cow<'graph, [u8]>,
    },
    Attribute {
        of: Option<Global<'graph>>,
        name: &'graph [u8],
    },
    Partial {
        callee: Object<'graph>,
        args: Option<Items<'graph>>,
        named: bool,
    },
    Result,
    Outside,
    /// Nothing that Python could call.
    Data,
}

/// The position in which an operation puts what it calls: OBJ and INST call whatever they are
/// given arguments for.
///
/// Source: CPython 3.11 `Modules/_pickle.c` (`instantiate`).
pub(crate) fn position_of(make: Make, args: Object) -> Position {
    match make {
        Make::Reduce => Position::Call,
        Make::NewObj | Make::NewObjEx => Position::Instance,
        Make::Inst | Make::Obj => match args.as_tuple() {
            Some(args) if args.is_empty() => Position::Instance,
            _ => Position::Call,
        },
    }
}

impl Policy {
    /// Calls `visit` with everything that a call uses: what is called, and what that calls of
    /// its arguments or keeps for calling.
    pub fn uses_of_call<'graph>(&self, recipe: Recipe<'graph>, visit: &mut dyn FnMut(Use<'graph>)) {
        let (callable, args) = (recipe.callable(), recipe.args());
        self.uses(callable, args, position_of(recipe.make(), args), visit);
    }

    /// Calls `visit` with what an operation on a made object uses: BUILD on a partial gives it
    /// another function, anything on what others hold changes theirs.
    pub fn uses_of_effect<'graph>(
        &self,
        object: Object<'graph>,
        effect: Effect<'graph>,
        visit: &mut dyn FnMut(Use<'graph>),
    ) {
        self.uses_of_done(object, effect.kind, effect.items.get(0), visit);
    }

    pub(crate) fn uses_of_done<'graph>(
        &self,
        object: Object<'graph>,
        kind: EffectKind,
        state: Option<Object<'graph>>,
        visit: &mut dyn FnMut(Use<'graph>),
    ) {
        let existing = Use { what: What::Existing, position: Position::Target, object };
        let recipe = match object.value() {
            Value::Recipe(recipe) => recipe,
            Value::Global(Global { module, name }) => {
                let what = What::Global { module, name: name.into() };
                return visit(Use { what, ..existing });
            }
            Value::Persistent(id) if module_class(id).is_some() => return visit(existing),
            _ => return,
        };
        let Target::Global { module, name } = self.target(recipe.callable()) else { return };
        for handing in self.handings(Global { module, name: &name }) {
            match *handing {
                Handing::Attribute | Handing::Existing | Handing::Class => visit(existing.clone()),
                Handing::Prepares if kind == EffectKind::State => {
                    let kept = state.and_then(Object::items).and_then(|parts| parts.get(0));
                    if let Some(kept) = kept {
                        self.kept(kept, visit);
                    }
                }
                _ => {}
            }
        }
    }

    /// Calls `visit` with what an object keeps for calling later, once all of the stream has been
    /// read: what a hook's dict holds may be put there last. `seen` is what several objects share
    /// and has been looked at.
    pub fn uses_later<'graph, S: BuildHasher>(
        &self,
        object: Object<'graph>,
        seen: &mut HashSet<NodeId, S>,
        visit: &mut dyn FnMut(Use<'graph>),
    ) {
        for effect in object.effects().filter(|effect| effect.kind == EffectKind::State) {
            let Some(state) = effect.items.get(0) else { continue };
            let parts = state.as_tuple().filter(|parts| parts.len() == 2);
            let parts = parts.map_or([Some(state), None], |parts| [parts.get(0), parts.get(1)]);
            for dict in parts.into_iter().flatten() {
                self.state_kept(dict, seen, visit);
            }
        }
        let Some(recipe) = object.as_recipe() else { return };
        let Some(global) = recipe.callable().as_global() else { return };
        for handing in self.handings(global) {
            if let Handing::Holds(index) = *handing {
                let args = recipe.args().as_tuple();
                if let Some(held) = args.and_then(|args| args.get(index.into())) {
                    self.held(held, seen, visit);
                }
            }
        }
    }

    fn state_kept<'graph, S: BuildHasher>(
        &self,
        state: Object<'graph>,
        seen: &mut HashSet<NodeId, S>,
        visit: &mut dyn FnMut(Use<'graph>),
    ) {
        let Some(dict) = state.as_dict() else { return };
        if dict.len() > SHORT && !seen.insert(state.id()) {
            return;
        }
        for (key, value) in dict.iter() {
            let Value::Text(key) = key.value() else { continue };
            if HOOKS.contains(&key.as_bytes()) {
                self.held(value, seen, visit);
            } else if LOOKED_UP.contains(&key.as_bytes()) {
                let args = Args::UNKNOWN;
                self.follow(Call { callable: value, args, position: Position::Call }, visit);
            }
        }
    }

    /// Callables held in a dict, list or alone.
    fn held<'graph, S: BuildHasher>(
        &self,
        held: Object<'graph>,
        seen: &mut HashSet<NodeId, S>,
        visit: &mut dyn FnMut(Use<'graph>),
    ) {
        if held.as_global().is_some() {
            return self.kept(held, visit);
        }
        let mut each = |value: Object<'graph>| self.kept(value, visit);
        // Most are empty, and need no remembering.
        match held.value() {
            Value::Dict(dict) if !dict.is_empty() && seen.insert(held.id()) => {
                dict.iter().for_each(|(_, value)| each(value));
            }
            Value::Recipe(recipe)
                if recipe.set_items().next().is_some() && seen.insert(held.id()) =>
            {
                recipe.set_items().for_each(|(_, value)| each(value));
            }
            Value::List(items) | Value::Tuple(items)
                if !items.is_empty() && seen.insert(held.id()) =>
            {
                items.iter().for_each(each);
            }
            _ => {}
        }
    }

    /// Everything that calling `callable` with `args` uses.
    pub(crate) fn uses<'graph>(
        &self,
        callable: Object<'graph>,
        args: Object<'graph>,
        position: Position,
        visit: &mut dyn FnMut(Use<'graph>),
    ) {
        self.follow(Call { callable, args: Args::of(args), position }, visit);
    }

    /// What a call uses, and those that it makes in turn.
    fn follow<'graph>(&self, call: Call<'graph>, visit: &mut dyn FnMut(Use<'graph>)) {
        let object = call.callable;
        let mut next = Some(call);
        for _ in 0..DEEPEST {
            let Some(call) = next.take() else { return };
            next = self.one_call(call, visit);
        }
        if next.is_some() {
            visit(Use { what: What::Result, position: Position::Computed, object });
        }
    }

    /// What one call uses, and the call that it makes in turn.
    fn one_call<'graph>(
        &self,
        call: Call<'graph>,
        visit: &mut dyn FnMut(Use<'graph>),
    ) -> Option<Call<'graph>> {
        let Call { callable: object, args, position } = call;
        match self.target(object) {
            Target::Global { module, name } => {
                // Taking `__new__` of a class and calling it makes an instance.
                let class = name.strip_suffix(b".__new__").filter(|_| position == Position::Call);
                if let Some(class) = class {
                    let what = What::Global { module, name: class.to_vec().into() };
                    visit(Use { what, position: Position::Instance, object });
                    self.handed(Handing::Instantiates(0), object, args, visit);
                    return None;
                }
                let handings = self.handings(Global { module, name: &name });
                visit(Use { what: What::Global { module, name }, position, object });
                let mut next = None;
                for handing in handings {
                    next = next.or(self.handed(*handing, object, args, visit));
                }
                return next;
            }
            Target::Partial { callee, args: held, named } => {
                return Some(Call { callable: callee, args: args.behind(held, named), ..call });
            }
            Target::Attribute { of, name } => {
                let what = What::Attribute { of, name };
                visit(Use { what, position: Position::Computed, object });
            }
            Target::Result => {
                visit(Use { what: What::Result, position: Position::Computed, object });
            }
            Target::Outside => visit(Use { what: What::Outside, position, object }),
            Target::Data => {}
        }
        None
    }

    /// What one of a function's ways with its arguments uses; the call that it makes.
    fn handed<'graph>(
        &self,
        handing: Handing,
        object: Object<'graph>,
        args: Args<'graph>,
        visit: &mut dyn FnMut(Use<'graph>),
    ) -> Option<Call<'graph>> {
        let unknown = || Use { what: What::Result, position: Position::Computed, object };
        let at = |index: u8| if args.known { args.get(index) } else { None };
        match handing {
            Handing::Existing | Handing::Bytes | Handing::Holds(_) => {}
            Handing::Prepares => {
                let kept = args.get(0)?;
                // What is prepared is judged as if it were called with what is known by now.
                if let Target::Global { .. } = self.target(kept)
                    && args.first.is_none()
                {
                    let then = args.then.map(|args| args.rest(1));
                    let args = Args { then, ..args };
                    return Some(Call { callable: kept, args, position: Position::Call });
                }
                self.kept(kept, visit);
            }
            Handing::Instantiates(_) if args.known => {
                self.instantiated(handing, object, args, visit);
            }
            _ if !args.known || args.named => visit(unknown()),
            Handing::Instantiates(_) => {}
            Handing::Calls { callee, with } => {
                let callable = at(callee)?;
                let position = Position::Call;
                let args = with.and_then(at).map_or(Args::UNKNOWN, Args::of);
                return Some(Call { callable, args, position });
            }
            Handing::Keeps { callee, from } => {
                let enough = args.len() >= usize::from(from);
                if let Some(kept) = at(callee).filter(|_| enough) {
                    self.kept(kept, visit);
                }
            }
            Handing::Attribute => {
                let owner = at(0)?;
                match at(1)?.value() {
                    Value::Text(name) if name.as_bytes().len() <= LONGEST => {
                        visit(self.attribute(object, owner, name.as_bytes()));
                    }
                    _ => visit(unknown()),
                }
            }
            Handing::Class if args.len() > 1 => {
                visit(Use { what: What::NewClass, ..unknown() });
            }
            Handing::Class => {}
            Handing::Loads(index) => {
                let Some(object) = at(index) else {
                    visit(Use { what: What::UnseenPickle, ..unknown() });
                    return None;
                };
                let what = if self.is_bytes(object) { What::Pickle } else { What::UnseenPickle };
                visit(Use { what, position: Position::Computed, object });
            }
        }
        None
    }

    /// The class that an instance is made of.
    fn instantiated<'graph>(
        &self,
        handing: Handing,
        made_by: Object<'graph>,
        args: Args<'graph>,
        visit: &mut dyn FnMut(Use<'graph>),
    ) {
        let Handing::Instantiates(index) = handing else { return };
        let Some(object) = args.get(index) else { return };
        let position = Position::Instance;
        match self.target(object) {
            Target::Global { module, name } => {
                visit(Use { what: What::Global { module, name }, position, object });
            }
            Target::Outside => visit(Use { what: What::Outside, position, object }),
            Target::Data => {}
            _ => {
                let position = Position::Computed;
                visit(Use { what: What::Result, position, object: made_by });
            }
        }
    }

    /// An attribute taken, not called.
    fn attribute<'graph>(
        &self,
        object: Object<'graph>,
        owner: Object<'graph>,
        attribute: &'graph [u8],
    ) -> Use<'graph> {
        let what = match self.target(owner) {
            Target::Global { module, name } => {
                What::Global { module, name: [&name, &b"."[..], attribute].concat().into() }
            }
            _ => {
                let of = owner.as_recipe().and_then(|recipe| recipe.callable().as_global());
                What::Attribute { of, name: attribute }
            }
        };
        Use { what, position: Position::Value, object }
    }

    /// A callable kept for later. What calls made is judged where it was made.
    fn kept<'graph>(&self, object: Object<'graph>, visit: &mut dyn FnMut(Use<'graph>)) {
        if let Target::Global { module, name } = self.target(object) {
            let ways = self.handings(Global { module, name: &name });
            if ways.iter().any(|way| matches!(way, Handing::Loads(_))) {
                let what = What::UnseenPickle;
                visit(Use { what, position: Position::Computed, object });
            }
            let what = What::Global { module, name };
            visit(Use { what, position: Position::Call, object });
        }
    }

    /// What an object is when it is called: through attributes taken of a global, and partials.
    fn target<'graph>(&self, object: Object<'graph>) -> Target<'graph> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut owner = object;
        for _ in 0..DEEPEST {
            let recipe = match owner.value() {
                Value::Global(Global { module, name }) if names.is_empty() => {
                    return Target::Global { module, name: name.into() };
                }
                Value::Global(Global { module, name }) => {
                    names.push(name);
                    names.reverse();
                    let len: usize = names.iter().map(|name| name.len()).sum();
                    if len > LONGEST {
                        return Target::Result;
                    }
                    return Target::Global { module, name: names.join(&b'.').into() };
                }
                Value::Recipe(recipe) => recipe,
                Value::Persistent(id) => match module_class(id) {
                    Some(class) => {
                        owner = class;
                        continue;
                    }
                    None => return names.first().map_or(Target::Outside, |_| Target::Result),
                },
                Value::Extension(_) => {
                    return names.first().map_or(Target::Outside, |_| Target::Result);
                }
                _ => {
                    let attribute = names.first();
                    return attribute
                        .map_or(Target::Data, |name| Target::Attribute { of: None, name });
                }
            };
            match self.taken(recipe) {
                Some((of, name)) => {
                    names.push(name);
                    owner = of;
                }
                None => {
                    let of = recipe.callable().as_global();
                    return match names.first() {
                        Some(name) => Target::Attribute { of, name },
                        None => self.partial(recipe).unwrap_or(Target::Result),
                    };
                }
            }
        }
        Target::Result
    }

    /// The object and the name, if a call takes an attribute.
    fn taken<'graph>(&self, recipe: Recipe<'graph>) -> Option<(Object<'graph>, &'graph [u8])> {
        let global = recipe.callable().as_global()?;
        if !self.handings(global).contains(&Handing::Attribute) {
            return None;
        }
        let args = recipe.args().as_tuple()?;
        match args.get(1)?.value() {
            Value::Text(name) if name.as_bytes().len() <= LONGEST => {
                Some((args.get(0)?, name.as_bytes()))
            }
            _ => None,
        }
    }

    /// The function and arguments that a partial holds.
    fn partial<'graph>(&self, recipe: Recipe<'graph>) -> Option<Target<'graph>> {
        let global = recipe.callable().as_global()?;
        if !self.handings(global).contains(&Handing::Prepares) {
            return None;
        }
        if let Some(state) = recipe.last_state().and_then(Object::items) {
            let args = state.get(1).and_then(Object::as_tuple);
            let kwargs = state.get(2).and_then(Object::as_dict);
            let named = kwargs.is_some_and(|kwargs| !kwargs.is_empty());
            return Some(Target::Partial { callee: state.get(0)?, args, named });
        }
        let args = recipe.args().as_tuple()?;
        let (callee, args) = (args.get(0)?, Some(args.rest(1)));
        Some(Target::Partial { callee, args, named: false })
    }

    /// Whether an object is bytes, as a literal or as older protocols spell them.
    fn is_bytes(&self, object: Object) -> bool {
        match object.value() {
            Value::Bytes(_) | Value::ByteArray(_) => true,
            Value::Text(text) => text.is_python2(),
            Value::Buffer { .. } => true,
            Value::Recipe(recipe) => {
                let global = recipe.callable().as_global();
                global.is_some_and(|global| self.handings(global).contains(&Handing::Bytes))
            }
            _ => false,
        }
    }

    /// Whether a use is admitted.
    #[must_use]
    pub fn permits(&self, used: &Use<'_>) -> bool {
        let Use { what, position, .. } = used;
        match what {
            What::Global { module, name } => self.admits(Global { module, name }).has(*position),
            What::Attribute { of, name } => {
                let admitted =
                    *position != Position::Computed || self.otherwise().has(Position::Computed);
                admitted && !self.forbids_attribute(*of, name)
            }
            What::Result | What::NewClass | What::UnseenPickle => {
                self.otherwise().has(Position::Computed)
            }
            What::Existing => self.otherwise().has(Position::Target),
            What::Outside | What::Pickle => true,
        }
    }

    /// Whether an attribute is refused on any object, or on those that `of` makes.
    #[must_use]
    pub fn forbids_attribute(&self, of: Option<Global<'_>>, attribute: &[u8]) -> bool {
        let refused = |module: &[u8], owner: &[u8]| {
            let name = [owner, b".", attribute].concat();
            self.ruled(Global { module, name: &name }) == Some(Positions::NONE)
        };
        refused(b"", b"") || of.is_some_and(|of| refused(of.module, of.name))
    }
}

/// The class that a persistent id of PyTorch's older layouts stands for:
/// `("module", class, file, source)`.
pub(crate) fn module_class(id: Object<'_>) -> Option<Object<'_>> {
    let parts = id.as_tuple()?;
    if parts.get(0)?.is_text("module") { parts.get(1) } else { None }
}
