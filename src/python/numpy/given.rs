//! Parts of calls and states, each checked for its kind before it is used.

use std::borrow::Cow;

use super::error::Error;
use crate::base::Budget;
use crate::pickle::{EffectKind, Global, Items, Make, Object, Value};
use crate::python::meaning;
use crate::python::views::{Raw, View};

/// A call by REDUCE: the global and its arguments; none if it is none.
pub(super) fn call(object: Object<'_>) -> Option<(Global<'_>, Items<'_>)> {
    let recipe = object.as_recipe().filter(|recipe| recipe.make() == Make::Reduce)?;
    Some((recipe.callable().as_global()?, recipe.args().as_tuple()?))
}

/// Whether a global is `name` of this module of numpy's core, by either spelling.
pub(super) fn is_core(global: Global, modules: &[&[u8]], name: &[u8]) -> bool {
    let module = global.module;
    let rest = module.strip_prefix(b"numpy._core.").or(module.strip_prefix(b"numpy.core."));
    global.name == name && rest.is_some_and(|rest| modules.contains(&rest))
}

/// The one state of an object that nothing else was done to; none if nothing was done.
pub(super) fn state(object: Object<'_>) -> Result<Option<Items<'_>>, Error> {
    let mut effects = object.effects();
    let Some(effect) = effects.next() else { return Ok(None) };
    let state = effect.items.get(0).filter(|_| effect.kind == EffectKind::State);
    match state {
        Some(state) if effects.next().is_none() => {
            // Python would have used it as it was then.
            if state.changed() > Some(effect.offset) {
                return Err(Error::malformed("a state that was changed after it was set", object));
            }
            state.as_tuple().map(Some).ok_or_else(|| Error::not_a("a tuple as state", state))
        }
        _ => Err(Error::malformed("more was done to it than setting one state", object)),
    }
}

/// A size, offset or count.
pub(super) fn size(object: Object) -> Result<u64, Error> {
    let value = object.as_int().ok_or_else(|| Error::not_a("an int", object))?;
    u64::try_from(value).map_err(|_| Error::malformed(format!("the size {value}"), object))
}

/// A flag; Python 2 wrote some as integers.
pub(super) fn flag(object: Object) -> Result<bool, Error> {
    match object.value() {
        Value::Bool(value) => Ok(value),
        Value::Int(0) => Ok(false),
        Value::Int(1) => Ok(true),
        _ => Err(Error::not_a("a bool", object)),
    }
}

/// The sizes of a shape: a tuple, or one size.
pub(super) fn shape(object: Object) -> Result<Box<[u64]>, Error> {
    /// numpy's own, since 2.0.
    const MOST: usize = 64;
    if object.as_int().is_some() {
        return Ok([size(object)?].into());
    }
    let items = object.as_tuple().ok_or_else(|| Error::not_a("a tuple of sizes", object))?;
    if items.len() > MOST {
        return Err(Error::malformed(format!("{} dimensions", items.len()), object));
    }
    items.iter().map(size).collect()
}

/// The product of sizes and `width`; sizes of 0 do not hide that the others overflow.
pub(super) fn product(shape: &[u64], width: u64, object: Object) -> Result<u64, Error> {
    let sizes = shape.iter().filter(|&&size| size != 0);
    let most = sizes.copied().try_fold(width.max(1), u64::checked_mul);
    let most = most.filter(|&most| i64::try_from(most).is_ok());
    let most = most.ok_or_else(|| Error::malformed("a shape of over 2^63 bytes", object))?;
    Ok(if width == 0 || shape.contains(&0) { 0 } else { most })
}

/// Bytes: as such, as a bytearray, as a buffer that was given, or as text that stands for them.
pub(super) fn bytes<'graph>(
    object: Object<'graph>,
    budget: &mut Budget,
) -> Result<Option<Cow<'graph, [u8]>>, Error> {
    Ok(match object.value() {
        Value::Bytes(bytes) | Value::ByteArray(bytes) => Some(Cow::Borrowed(bytes)),
        Value::Buffer { bytes, .. } => {
            let missing = || Error::unsupported("an out-of-band buffer that was not given", object);
            Some(Cow::Borrowed(bytes.ok_or_else(missing)?))
        }
        Value::Text(text) if text.is_python2() => Some(Cow::Borrowed(text.as_bytes())),
        // Read with encoding="latin1", what Python 2 wrote is text of one character a byte.
        Value::Text(text) => match text.as_str().map(Raw::Latin1) {
            Some(raw) if text.as_str().is_some_and(is_latin1) => {
                budget.memory(text.as_bytes().len() as u64)?;
                Some(Cow::Owned(raw.to_vec()))
            }
            _ => None,
        },
        _ => match meaning::view(object, budget)? {
            Some(View::Bytes(raw) | View::ByteArray(raw)) => Some(match raw {
                Raw::Bytes(bytes) => Cow::Borrowed(bytes),
                Raw::Latin1(text) => {
                    budget.memory(text.len() as u64)?;
                    Cow::Owned(raw.to_vec())
                }
            }),
            _ => None,
        },
    })
}

fn is_latin1(text: &str) -> bool {
    text.chars().all(|char| u32::from(char) < 256)
}
