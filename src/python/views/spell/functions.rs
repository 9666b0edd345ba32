//! What would call something, and what is taken of something.

use super::super::{Attribute, Caller, CallerKind, Partial};
use super::{Parts, Spelling, attributes_of, paid, short, text};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Object, Value};
use crate::python::names;

/// A type as it is written among the parameters of another.
pub(crate) fn type_name(object: Object) -> String {
    match object.value() {
        Value::Global(global) if names::is_builtins(global.module) => match global.name {
            b"long" => String::from("int"),
            b"unicode" => String::from("str"),
            _ => short(global),
        },
        Value::Global(global) => global.to_string().escape_debug().to_string(),
        _ => String::from("?"),
    }
}

/// Methods that belong to a built-in class rather than to its instances.
const OF_CLASSES: &[&str] =
    &["fromkeys", "maketrans", "from_bytes", "fromhex", "__new__", "__init_subclass__"];

pub(super) fn attribute_of(
    Attribute { owner, name }: Attribute,
) -> Result<Option<Spelling>, Exceeded> {
    let name = name.escape_debug().to_string();
    match owner.value() {
        Value::Global(global) if names::is_builtins(global.module) => {
            if OF_CLASSES.contains(&name.as_str()) {
                return text(format!("<built-in method {name} of type object>"));
            }
            text(format!("<method '{name}' of '{}' objects>", short(global)))
        }
        Value::Global(global) => {
            let class = global.to_string().escape_debug().to_string();
            let capitals = name.chars().filter(|char| char.is_alphabetic());
            let constant = name.len() > 1 && capitals.clone().all(char::is_uppercase);
            match name.trim_start_matches('_').chars().next() {
                // What PEP 8 spells as a constant is a member of an enumeration.
                Some(_) if constant => text(format!("<{}.{name}>", short(global))),
                Some(first) if first.is_uppercase() => text(format!("<class '{class}.{name}'>")),
                _ => text(format!("<function {}.{name}>", short(global))),
            }
        }
        Value::Recipe(recipe) => {
            let class = recipe.callable().as_global().map_or(String::from("?"), short);
            let before = format!("<bound method {class}.{name} of ");
            Parts::new(before, ">").unlabelled([owner]).wrapper().spelled()
        }
        _ => text(format!("<built-in method {name} of {} object>", owner.kind())),
    }
}

pub(super) fn partial_of<'graph>(
    partial: Partial<'graph>,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let args = paid(partial.args, budget)?;
    let named = attributes_of(partial.kwargs, budget)?;
    let parts = Parts::new("functools.partial(", ")");
    let mut parts = parts.unlabelled([partial.func]).unlabelled(args).named(named);
    parts.attributes = attributes_of(partial.attributes, budget)?;
    parts.spelled()
}

pub(super) fn caller_of<'graph>(
    caller: Caller<'graph>,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let before = match caller.kind {
        CallerKind::ItemGetter => "operator.itemgetter(",
        CallerKind::AttrGetter => "operator.attrgetter(",
        CallerKind::MethodCaller => "operator.methodcaller(",
    };
    let args = paid(caller.args, budget)?;
    let named = attributes_of(caller.kwargs, budget)?;
    Parts::new(before, ")").unlabelled(caller.name).unlabelled(args).named(named).spelled()
}
