//! Instances of any class, namespaces and parametrized types.
//!
//! Source: CPython 3.11 `Lib/copyreg.py` (`_reconstructor`, `__newobj__`, `__newobj_ex__`),
//! `Objects/namespaceobject.c`, `Lib/argparse.py`, `Objects/genericaliasobject.c`,
//! `Lib/typing.py` (`_GenericAlias.__reduce__`), `Lib/enum.py` (`__reduce_ex__`).

use super::View;
use super::call::{Attributes, Call, Read};
use super::kind::{self, Kind};
use crate::base::Budget;
use crate::pickle::{Dict, EffectKind, Global, Items, Make, NodeId, Object, Recipe, Value};
use crate::python::names;

/// An instance of a class, as far as the stream tells.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'graph> {
    /// The instance: its recipe holds the state and the items that were set on it.
    pub object: Object<'graph>,
    /// Its class.
    pub class: Object<'graph>,
    /// What the class or its `__new__` was given: the fields of a named tuple, the value of a
    /// member of an enumeration.
    pub args: Items<'graph>,
    /// Arguments that are themselves made by a call; `args` is empty then.
    pub spread: Option<Object<'graph>>,
    /// What it was given by name.
    pub kwargs: Option<Dict<'graph>>,
    /// What a subclass of `tuple`, `list`, `str` and so on was made from below protocol 2.
    pub base: Option<Object<'graph>>,
}

impl<'graph> Instance<'graph> {
    /// NEWOBJ, INST or OBJ of a class, or a call of what is known as a class.
    pub(super) fn of(recipe: Recipe<'graph>) -> Option<Self> {
        let (object, class, given) = (recipe.object(), recipe.callable(), recipe.args());
        if recipe.make() == Make::Reduce && !is_class(class.as_global()?) {
            return None;
        }
        let kwargs = match recipe.kwargs() {
            Some(kwargs) => Some(kwargs.as_dict()?),
            None => None,
        };
        let (args, spread) = match given.as_tuple() {
            Some(args) => (args, None),
            None => (object.graph().object(NodeId::EMPTY_TUPLE).as_tuple()?, Some(given)),
        };
        Some(Self { object, class, args, spread, kwargs, base: None })
    }

    /// The value of a member of an enumeration, were the class one: it was called with one
    /// value, and nothing was done to what that gave. Only the class can tell.
    #[must_use]
    pub fn member_value(self) -> Option<Object<'graph>> {
        let called = self.object.as_recipe()?.make() == Make::Reduce;
        let alone = called && self.kwargs.is_none() && self.object.effects().next().is_none();
        self.args.array().filter(|_| alone).map(|[value]| value)
    }
}

/// Classes whose names begin as functions' do.
#[rustfmt::skip]
const LOWERCASE: &[(&str, &str)] = &[
    ("collections", "defaultdict deque"),
    ("datetime", "datetime date time timedelta timezone tzinfo"),
    ("functools", "partial"),
    ("itertools", "count cycle repeat chain"),
    ("builtins", "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple type"),
    ("numpy", "dtype ndarray"),
    ("torch", "device dtype"),
];

/// Whether a global is a class by its name: PEP 8's capital, or one of the few well-known ones
/// without.
#[must_use]
pub fn is_class(global: Global) -> bool {
    let name = global.name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let capital = name.iter().find(|&&byte| byte != b'_').is_some_and(u8::is_ascii_uppercase);
    let listed = |(module, names): &(&str, &str)| {
        let in_module = global.module == module.as_bytes()
            || (*module == "builtins" && names::is_builtins(global.module));
        in_module && names.split(' ').any(|known| known.as_bytes() == global.name)
    };
    capital || LOWERCASE.iter().any(listed)
}

/// An instance by one of `copyreg`'s helpers: of a known class, as that class reads it.
fn instance<'graph>(
    call: &Call<'graph>,
    class: Object<'graph>,
    instance: Instance<'graph>,
    budget: &mut Budget,
) -> Read<'graph> {
    let global = class.as_global();
    let known = global.and_then(|global| Some((global, kind::of_global(global)?)));
    match known {
        // A helper given to a helper makes nothing, and a chain of them has no end.
        Some((_, Kind::Reconstructor | Kind::NewObj | Kind::NewObjEx)) => {
            Err(call.refuse("a class wanted"))
        }
        Some((global, kind)) if instance.base.is_none() && instance.kwargs.is_none() => {
            let Instance { object, args, .. } = instance;
            kind.read(&Call { object, global, new: true, args, kwargs: None }, budget)
        }
        Some(_) => Ok(None),
        None => Ok(Some(View::Instance(instance))),
    }
}

fn never_class(object: Object) -> bool {
    super::functools::never_callable(object)
}

pub(super) fn reconstructor<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    let Some([class, base, value]) = call.args.array() else {
        return Err(call.refuse_args("a class, its base and a value"));
    };
    if never_class(class) || never_class(base) {
        return Err(call.refuse_args("a class, its base and a value"));
    }
    let is_object = base
        .as_global()
        .is_some_and(|base| names::is_builtins(base.module) && base.name == b"object");
    if is_object && !value.is_none() {
        // `object.__new__` takes nothing, but Python does not give it the value either.
        return Ok(None);
    }
    let base = (!is_object).then_some(value);
    let args = call.args.rest(3);
    let object = call.object;
    let made = Instance { object, class, args, spread: None, kwargs: None, base };
    instance(call, class, made, budget)
}

pub(super) fn new_obj<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    let Some(class) = call.args.get(0).filter(|&class| !never_class(class)) else {
        return Err(call.refuse_args("a class and its arguments"));
    };
    let (object, args) = (call.object, call.args.rest(1));
    let made = Instance { object, class, args, spread: None, kwargs: None, base: None };
    instance(call, class, made, budget)
}

pub(super) fn new_obj_ex<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    let parts = call.args.array().filter(|&[class, ..]: &[_; 3]| !never_class(class));
    let Some([class, args, kwargs]) = parts else {
        return Err(call.refuse_args("a class, its arguments and keywords"));
    };
    let (Some(args), Some(kwargs)) = (args.as_tuple(), kwargs.as_dict()) else {
        return Ok(None);
    };
    let kwargs = Some(kwargs).filter(|kwargs| !kwargs.is_empty());
    let object = call.object;
    let made = Instance { object, class, args, spread: None, kwargs, base: None };
    instance(call, class, made, budget)
}

/// A type with parameters: `list[int]`.
#[derive(Clone, Copy, Debug)]
pub struct Generic<'graph> {
    /// The type without them.
    pub origin: Object<'graph>,
    /// A tuple of them, or the only one.
    pub parameters: Object<'graph>,
}

pub(super) fn get_item<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    let Some([origin, parameters]) = call.args.array() else {
        return Err(call.refuse_args("an object and an item"));
    };
    // The item of a list is what the list holds then, not a type.
    let generic = matches!(origin.value(), Value::Global(_));
    let untouched = !call.touched() && !call.new;
    let view = View::Generic(Generic { origin, parameters });
    Ok((generic && untouched).then_some(view))
}

pub(super) fn generic_alias<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    let Some([origin, parameters]) = call.args.array() else {
        return match call.args.len() {
            3 => Ok(None),
            _ => Err(call.refuse_args("a type and its parameters")),
        };
    };
    let untouched = !call.touched();
    Ok(untouched.then_some(View::Generic(Generic { origin, parameters })))
}

pub(super) fn simple_namespace<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    by_attributes(call, View::SimpleNamespace)
}

pub(super) fn namespace<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    by_attributes(call, View::Namespace)
}

/// What has attributes and nothing else.
fn by_attributes<'graph>(
    call: &Call<'graph>,
    view: impl FnOnce(Option<Dict<'graph>>) -> View<'graph>,
) -> Read<'graph> {
    call.only(&[EffectKind::State])?;
    if !call.args.is_empty() {
        return Ok(None);
    }
    Ok(match call.attributes()? {
        Attributes::Sure(attributes) => Some(view(attributes)),
        Attributes::Unsure => None,
    })
}

pub(super) fn member<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let Some([value]) = call.args.array() else {
        return Err(call.refuse_args("the value of a member"));
    };
    let class = call.object.as_recipe().map(Recipe::callable);
    Ok(class.filter(|_| !call.new).map(|class| View::Member(class, value)))
}
