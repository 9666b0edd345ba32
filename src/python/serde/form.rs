//! Which plain value an object stands for.

use crate::base::Budget;
use crate::pickle::{
    BigInt, Dict, Effect, EffectKind, Global, Items, Make, Object, Recipe, Text, Value,
};
use crate::python::views::{Raw, View};
use crate::python::{meaning, names};

use super::error::Kind;

/// An object as serde's data model may see it.
#[derive(Clone, Copy)]
pub(super) enum Form<'graph> {
    None,
    Bool(bool),
    Int(i64),
    BigInt(BigInt<'graph>),
    Float(f64),
    Complex(f64, f64),
    Text(Text<'graph>),
    Bytes(&'graph [u8]),
    /// Bytes, each as a character.
    Latin1(&'graph str),
    Items(Items<'graph>),
    /// What was appended to a recipe.
    Appended(Recipe<'graph>),
    /// Members of a set; equal ones may repeat.
    Members(Items<'graph>),
    Dict(Dict<'graph>),
    /// A recipe that is filled as a dict is.
    Mapping(Recipe<'graph>),
    /// An object by its attributes: those in its dict, those in slots.
    Attributes([Option<Dict<'graph>>; 2]),
}

impl<'graph> Form<'graph> {
    /// What `object` stands for.
    pub(super) fn of(object: Object<'graph>, budget: &mut Budget) -> Result<Self, Kind> {
        /// An object whose state is an object, and so on.
        const HOPS: usize = 8;
        let mut object = object;
        for _ in 0..HOPS {
            object = match object.value() {
                Value::Recipe(recipe) => match of_recipe(recipe, budget)? {
                    Hop::At(form) => return Ok(form),
                    Hop::To(next) => next,
                },
                value => return of_value(object, value),
            };
        }
        Err(not_plain(object))
    }
}

/// A form, or the object that has it.
enum Hop<'graph> {
    At(Form<'graph>),
    To(Object<'graph>),
}

#[inline]
fn of_value<'graph>(object: Object<'graph>, value: Value<'graph>) -> Result<Form<'graph>, Kind> {
    Ok(match value {
        Value::None => Form::None,
        Value::Bool(value) => Form::Bool(value),
        Value::Int(value) => Form::Int(value),
        Value::BigInt(value) => Form::BigInt(value),
        Value::Float(value) => Form::Float(value),
        Value::Text(text) => Form::Text(text),
        Value::Bytes(bytes) | Value::ByteArray(bytes) => Form::Bytes(bytes),
        Value::Tuple(items) | Value::List(items) => Form::Items(items),
        Value::Set(items) | Value::FrozenSet(items) => Form::Members(items),
        Value::Dict(dict) => Form::Dict(dict),
        _ => return Err(not_plain(object)),
    })
}

fn of_recipe<'graph>(recipe: Recipe<'graph>, budget: &mut Budget) -> Result<Hop<'graph>, Kind> {
    let object = recipe.object();
    match meaning::view(object, budget).map_err(Kind::Over)? {
        Some(View::Complex(re, im)) => return Ok(Hop::At(Form::Complex(re, im))),
        Some(View::Set(items) | View::FrozenSet(items)) => {
            return Ok(Hop::At(Form::Members(items)));
        }
        Some(View::Bytes(raw) | View::ByteArray(raw)) => {
            return Ok(Hop::At(match raw {
                Raw::Bytes(bytes) => Form::Bytes(bytes),
                Raw::Latin1(text) => Form::Latin1(text),
            }));
        }
        _ => {}
    }
    let mut states = [None; 2];
    for effect in object.effects() {
        match effect.kind {
            EffectKind::SetItems => return Ok(Hop::At(Form::Mapping(recipe))),
            EffectKind::Append => return Ok(Hop::At(Form::Appended(recipe))),
            EffectKind::State => states = [Some(effect), states[0]],
            EffectKind::AddItems => return Err(not_plain(object)),
        }
    }
    if is_mapping(recipe) {
        return Ok(Hop::At(Form::Mapping(recipe)));
    }
    if let Some([_, base, value]) = reconstructed(recipe) {
        // What an object of a subclass of `list`, `tuple` and so on holds.
        if !is_builtin(base, b"object") {
            return Ok(Hop::To(value));
        }
    }
    let hop = match states {
        [Some(state), None] => of_state(state),
        // A second state may add to the first or replace it, as the class decides.
        [_, Some(_)] => None,
        [None, None] => without_state(recipe),
    };
    hop.ok_or_else(|| not_plain(object))
}

/// An object that was given this state: its attributes, unless the class has a `__setstate__`
/// that takes something else.
///
/// Source: `load_build` of CPython 3.11 `Modules/_pickle.c`.
fn of_state(effect: Effect<'_>) -> Option<Hop<'_>> {
    let dict = |part: Object<'_>| part.is_none() || part.as_dict().is_some();
    let state = effect.items.get(0)?;
    // Python would have used it as it was then.
    if state.changed() > Some(effect.offset) {
        return None;
    }
    Some(match state.value() {
        Value::Dict(dict) => Hop::At(Form::Attributes([Some(dict), None])),
        Value::Tuple(items) => match items.array() {
            Some([own, slots]) if dict(own) && dict(slots) => {
                Hop::At(Form::Attributes([own.as_dict(), slots.as_dict()]))
            }
            _ => Hop::To(state),
        },
        _ => Hop::To(state),
    })
}

fn without_state(recipe: Recipe<'_>) -> Option<Hop<'_>> {
    const NOTHING: Form<'static> = Form::Attributes([None, None]);
    let args = recipe.args().as_tuple()?;
    if recipe.kwargs().is_some_and(|kwargs| kwargs.as_dict().is_none_or(|dict| !dict.is_empty())) {
        return None;
    }
    if recipe.make() != Make::Reduce {
        // A namedtuple is made of its items.
        let plain = matches!(recipe.make(), Make::NewObj | Make::NewObjEx);
        let form = if args.is_empty() { NOTHING } else { Form::Items(args) };
        return (plain || args.is_empty()).then_some(Hop::At(form));
    }
    let global = recipe.callable().as_global()?;
    if is_builtin(recipe.callable(), b"bytearray") {
        // Python 2 gives the bytes as a text, each a character.
        let [text, encoding] = args.array()?;
        let text = text.as_str().filter(|text| text.chars().all(|char| u32::from(char) < 256))?;
        let latin1 = matches!(encoding.as_str()?, "latin1" | "latin-1");
        return latin1.then_some(Hop::At(Form::Latin1(text)));
    }
    if global.is("collections", "deque") {
        let Some(given) = args.get(0) else { return Some(Hop::At(Form::Items(args))) };
        let made = recipe.object().offset();
        let unchanged = made.is_none_or(|made| given.changed() <= Some(made));
        return unchanged.then_some(Hop::To(given));
    }
    if reconstructed(recipe).is_some() {
        return Some(Hop::At(NOTHING));
    }
    let instance = meaning::instance_of(recipe).is_some();
    (instance && args.is_empty()).then_some(Hop::At(NOTHING))
}

/// The class, base and value of `copyreg._reconstructor(class, base, value)`, which is how
/// objects are made below protocol 2.
fn reconstructed(recipe: Recipe<'_>) -> Option<[Object<'_>; 3]> {
    let global = recipe.callable().as_global()?;
    let known = matches!(global.module, b"copyreg" | b"copy_reg");
    recipe.args().as_tuple().filter(|_| known && global.name == b"_reconstructor")?.array()
}

fn is_builtin(object: Object<'_>, name: &[u8]) -> bool {
    let is = |global: Global| names::is_builtins(global.module) && global.name == name;
    object.as_global().is_some_and(is)
}

/// Whether it is filled as a dict is, even if nothing is in it.
fn is_mapping(recipe: Recipe<'_>) -> bool {
    let Some(global) = recipe.callable().as_global() else { return false };
    let counted = matches!(global.name, b"OrderedDict" | b"defaultdict" | b"Counter");
    let known = global.module == b"collections" && counted;
    known || reconstructed(recipe).is_some_and(|[_, base, _]| is_builtin(base, b"dict"))
}

/// The name of an `enum.Enum`'s member: `getattr(class, name)` as Python 3.11 writes it, or
/// `class(value)` if the value is a text.
///
/// Source: `Enum.__reduce_ex__` of CPython 3.11 and 3.12 `Lib/enum.py`.
pub(super) fn member(object: Object<'_>) -> Option<Object<'_>> {
    let recipe = object.as_recipe()?;
    if recipe.make() != Make::Reduce || object.effects().next().is_some() {
        return None;
    }
    let Global { module, name } = recipe.callable().as_global()?;
    let args = recipe.args().as_tuple()?;
    let text = |object: &Object<'_>| object.as_str().is_some();
    if names::is_builtins(module) {
        let [class, member] = args.array()?;
        class.as_global().filter(|_| name == b"getattr")?;
        return Some(member).filter(text);
    }
    meaning::instance_of(recipe)?;
    let [value] = args.array()?;
    Some(value).filter(text)
}

/// What an object is that is no plain value.
#[cold]
fn not_plain(object: Object<'_>) -> Kind {
    let what = match object.value() {
        Value::Global(global) => format!("the global {global}"),
        Value::Recipe(recipe) => {
            let class = meaning::instance_of(recipe).map(|instance| instance.class);
            let of = if class.is_some() { "an object of" } else { "a call of" };
            match class.unwrap_or(recipe.callable()).as_global() {
                Some(global) => format!("{of} {global}"),
                None => String::from("what a call gave"),
            }
        }
        _ => format!("a {}", object.kind()),
    };
    Kind::NotPlain(what.into())
}
