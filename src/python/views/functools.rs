//! What prepares a call or names a part of something: `getattr`, `partial`, `operator`'s getters.
//!
//! Source: CPython 3.11 `Lib/functools.py` (`partial.__reduce__`, `__setstate__`),
//! `Modules/_operator.c` (`__reduce__` of each), `Lib/pickle.py` (`save_reduce`: below protocol 4
//! `__newobj_ex__` becomes `partial(cls.__new__, cls, *args, **kwargs)()`).

use super::call::{Call, Read, State};
use super::kind::{self, Kind};
use super::types::Instance;
use super::{Error, View};
use crate::base::Budget;
use crate::pickle::{Dict, Items, Make, Object, Recipe, Value};

/// `getattr(owner, name)`.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'graph> {
    /// The class or object.
    pub owner: Object<'graph>,
    /// What is taken of it.
    pub name: &'graph str,
}

/// `functools.partial(func, *args, **kwargs)`: a call prepared, not made.
#[derive(Clone, Copy, Debug)]
pub struct Partial<'graph> {
    /// What it would call.
    pub func: Object<'graph>,
    /// With which arguments, first.
    pub args: Items<'graph>,
    /// With which arguments by name.
    pub kwargs: Option<Dict<'graph>>,
    /// What was set on it.
    pub attributes: Option<Dict<'graph>>,
}

/// `operator.itemgetter(…)`, `attrgetter(…)` or `methodcaller(…)`.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'graph> {
    /// Which of them.
    pub kind: CallerKind,
    /// The method; none for the others.
    pub name: Option<Object<'graph>>,
    /// Items, attributes, or what the method is called with.
    pub args: Items<'graph>,
    /// What the method is called with by name.
    pub kwargs: Option<Dict<'graph>>,
}

/// A function of `operator` that makes functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in Python")]
pub enum CallerKind {
    ItemGetter,
    AttrGetter,
    MethodCaller,
}

pub(super) fn attribute<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    let Some([owner, name]) = call.args.array() else {
        return match call.args.len() {
            3 => Ok(None),
            _ => Err(call.refuse_args("an object and a name")),
        };
    };
    let Value::Text(text) = name.value() else {
        return Err(call.refuse_args("an object and a name"));
    };
    // State set on a function or class changes that, not what names it.
    let untouched = !call.touched() && !call.new;
    let name = text.as_str().filter(|_| untouched);
    Ok(name.map(|name| View::Attribute(Attribute { owner, name })))
}

pub(super) fn partial<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    let Some(func) = call.args.get(0) else { return Err(call.refuse_args("a function")) };
    if never_callable(func) {
        return Err(call.refuse_args("a function"));
    }
    call.only(&[crate::pickle::EffectKind::State])?;
    let made = match call.state() {
        // Python would have taken one in another apart.
        State::None => {
            let nested = direct(func).is_some_and(|(kind, _)| kind == Kind::Partial);
            let args = call.args.rest(1);
            (!nested).then_some(Partial { func, args, kwargs: None, attributes: None })
        }
        State::Some(state) => partial_state(call, state)?,
        State::Unsure => None,
    };
    Ok(made.map(View::Partial))
}

fn partial_state<'graph>(
    call: &Call<'graph>,
    state: Object<'graph>,
) -> Result<Option<Partial<'graph>>, Error> {
    let refused = || call.refuse("a state of (function, arguments, keywords, attributes) wanted");
    let parts = state.as_tuple().and_then(Items::array);
    let Some([func, args, kwargs, attributes]) = parts else { return Err(refused()) };
    let dict = |object: Object<'graph>| match object.value() {
        Value::None => Ok(None),
        Value::Dict(dict) => Ok(Some(dict)),
        _ => Err(refused()),
    };
    if never_callable(func) {
        return Err(refused());
    }
    let args = match args.value() {
        Value::Tuple(args) => args,
        // A subclass of tuple, by its recipe.
        Value::Recipe(_) => return Ok(None),
        _ => return Err(refused()),
    };
    let (kwargs, attributes) = (dict(kwargs)?, dict(attributes)?);
    Ok(Some(Partial { func, args, kwargs, attributes }))
}

/// Whether it is certain that Python could not call this.
pub(super) fn never_callable(object: Object) -> bool {
    !matches!(
        object.value(),
        Value::Global(_) | Value::Recipe(_) | Value::Persistent(_) | Value::Extension(_)
    )
}

pub(super) fn item_getter<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    if call.args.is_empty() {
        return Err(call.refuse_args("at least one item"));
    }
    let (kind, args) = (CallerKind::ItemGetter, call.args);
    Ok(Some(View::Caller(Caller { kind, name: None, args, kwargs: None })))
}

pub(super) fn attr_getter<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    budget.visits(call.args.len() as u64 / 8)?;
    let text = |object: Object| matches!(object.value(), Value::Text(_));
    if call.args.is_empty() || !call.args.iter().all(text) {
        return Err(call.refuse_args("names of attributes"));
    }
    let (kind, args) = (CallerKind::AttrGetter, call.args);
    Ok(Some(View::Caller(Caller { kind, name: None, args, kwargs: None })))
}

pub(super) fn method_caller<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let name = call.args.get(0).filter(|name| matches!(name.value(), Value::Text(_)));
    if name.is_none() {
        return Err(call.refuse_args("the name of a method"));
    }
    let (kind, args) = (CallerKind::MethodCaller, call.args.rest(1));
    Ok(Some(View::Caller(Caller { kind, name, args, kwargs: call.kwargs })))
}

/// The call of a known global that made an object, if it is no more than that.
pub(super) fn direct(object: Object<'_>) -> Option<(Kind, Call<'_>)> {
    let recipe = object.as_recipe().filter(|recipe| recipe.make() == Make::Reduce)?;
    let global = recipe.callable().as_global()?;
    let kind = kind::of_global(global)?;
    let args = recipe.args().as_tuple()?;
    Some((kind, Call { object, global, new: false, args, kwargs: None }))
}

/// What calling the result of a call means: `getattr(class, name)(…)` and
/// `partial(class.__new__, class, …)()`.
pub(super) fn called<'graph>(
    object: Object<'graph>,
    made: Recipe<'graph>,
    args: Items<'graph>,
    budget: &mut Budget,
) -> Read<'graph> {
    match direct(made.object()) {
        Some((Kind::Attribute, call)) => match attribute(&call, budget)? {
            Some(View::Attribute(attribute)) => method(object, attribute, args, budget),
            _ => Ok(None),
        },
        Some((Kind::Partial, call)) => match partial(&call, budget)? {
            Some(View::Partial(partial)) => completed(object, partial, args, budget),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// A method of a class that the whitelist knows by its dotted name.
fn method<'graph>(
    object: Object<'graph>,
    Attribute { owner, name }: Attribute<'graph>,
    args: Items<'graph>,
    budget: &mut Budget,
) -> Read<'graph> {
    let Some(global) = owner.as_global() else { return Ok(None) };
    // Longer ones stand in no table.
    if name.len() > 64 || global.name.len() > 64 {
        return Ok(None);
    }
    let dotted = [global.name, b".", name.as_bytes()].concat();
    match kind::of(global.module, &dotted) {
        Some(kind) => kind.read(&Call { object, global, new: false, args, kwargs: None }, budget),
        None => Ok(None),
    }
}

/// What calling a partial means.
fn completed<'graph>(
    object: Object<'graph>,
    partial: Partial<'graph>,
    args: Items<'graph>,
    budget: &mut Budget,
) -> Read<'graph> {
    let Partial { func, kwargs, .. } = partial;
    if let Some(global) = func.as_global() {
        return match (kind::of_global(global), partial.args.array()) {
            (Some(Kind::MethodCaller), Some([name])) => {
                let (kind, name) = (CallerKind::MethodCaller, Some(name));
                Ok(Some(View::Caller(Caller { kind, name, args, kwargs })))
            }
            _ => Ok(None),
        };
    }
    let Some((Kind::Attribute, call)) = direct(func) else { return Ok(None) };
    let Some(View::Attribute(attribute)) = attribute(&call, budget)? else { return Ok(None) };
    let class = partial.args.get(0).filter(|&class| {
        let same = class == attribute.owner
            || class.as_global().is_some_and(|class| Some(class) == attribute.owner.as_global());
        same && attribute.name == "__new__" && args.is_empty()
    });
    let base = None;
    let instance = class.map(|class| Instance {
        object,
        class,
        args: partial.args.rest(1),
        spread: None,
        kwargs,
        base,
    });
    Ok(instance.map(View::Instance))
}
