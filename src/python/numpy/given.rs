//! Parts of calls and states, each checked for its kind before it is used.

use std::borrow::Cow;

use super::error::{Error, Fault};
use crate::base::{Budget, FileOffset};
use crate::pickle::{EffectKind, Global, Items, Make, Object, Recipe, Text, Value};
use crate::python::views::{Raw, View};

/// The error that `object` is something else than `wanted`.
#[cold]
pub(super) fn not_a(wanted: &'static str, object: Object) -> Error {
    Error::new(Fault::NotA { wanted, found: object.kind() }, object.offset())
}

/// The beginning of a name, for an error, which many may hold.
pub(super) fn clip(name: &[u8]) -> Box<str> {
    const MOST: usize = 80;
    match name.get(..MOST) {
        Some(start) if name.len() > MOST => format!("{}…", String::from_utf8_lossy(start)).into(),
        _ => String::from_utf8_lossy(name).into(),
    }
}

/// Whether a module is `numpy.core` + `rest` by either spelling.
fn in_core(module: &[u8], rest: &[u8]) -> bool {
    let core = module.strip_prefix(b"numpy._core").or_else(|| module.strip_prefix(b"numpy.core"));
    core == Some(rest)
}

/// Whether a global is `name` of numpy's `multiarray` module.
pub(super) fn is_multiarray(global: Global, name: &str) -> bool {
    global.name == name.as_bytes()
        && (in_core(global.module, b".multiarray") || in_core(global.module, b"._multiarray_umath"))
}

/// Whether a global is `name` of a submodule of numpy's core.
pub(super) fn is_core(global: Global, module: &str, name: &str) -> bool {
    global.name == name.as_bytes() && in_core(global.module, module.as_bytes())
}

/// A call by REDUCE: the global and its arguments.
#[derive(Clone, Copy)]
pub(super) struct Call<'graph> {
    pub object: Object<'graph>,
    pub global: Global<'graph>,
    pub args: Items<'graph>,
}

/// The call that makes `object`, if it is one of a global.
pub(super) fn call(object: Object<'_>) -> Option<Call<'_>> {
    let recipe: Recipe = object.as_recipe()?;
    if recipe.make() != Make::Reduce {
        return None;
    }
    let global = recipe.callable().as_global()?;
    Some(Call { object, global, args: recipe.args().as_tuple()? })
}

/// A state, and the place of the BUILD that set it.
#[derive(Clone, Copy)]
pub(super) struct State<'graph> {
    pub value: Object<'graph>,
    pub at: Option<FileOffset>,
}

/// The one state of an object that nothing else was done to; none if it has no state.
pub(super) fn state(object: Object<'_>) -> Result<Option<State<'_>>, Error> {
    let mut effects = object.effects();
    let Some(effect) = effects.next() else { return Ok(None) };
    let only = effect.kind == EffectKind::State && effects.next().is_none();
    match effect.items.get(0) {
        Some(value) if only => Ok(Some(State { value, at: object.changed() })),
        _ => Err(Error::new(
            Fault::Form("more was done to it than setting one state"),
            object.changed(),
        )),
    }
}

/// Refuses what was changed after the operation at `at` had used it.
pub(super) fn unchanged_since(object: Object, at: Option<FileOffset>) -> Result<(), Error> {
    match (object.changed(), at) {
        (Some(changed), Some(at)) if changed > at => {
            Err(Error::new(Fault::ChangedLater, Some(changed)))
        }
        _ => Ok(()),
    }
}

/// An integer that is no size: a version, flags.
pub(super) fn integer(object: Object) -> Result<i64, Error> {
    object.as_int().ok_or_else(|| not_a("an int", object))
}

/// A size, offset or count.
pub(super) fn size(object: Object) -> Result<u64, Error> {
    let value = integer(object)?;
    u64::try_from(value).map_err(|_| Error::new(Fault::Negative(value), object.offset()))
}

/// A flag; Python 2 wrote some as integers.
pub(super) fn flag(object: Object) -> Result<bool, Error> {
    match object.value() {
        Value::Bool(value) => Ok(value),
        Value::Int(0) => Ok(false),
        Value::Int(1) => Ok(true),
        _ => Err(not_a("a bool", object)),
    }
}

/// A text, of Python 2 or 3.
pub(super) fn text(object: Object<'_>) -> Result<Text<'_>, Error> {
    match object.value() {
        Value::Text(text) => Ok(text),
        _ => Err(not_a("a str", object)),
    }
}

/// The sizes of a shape.
pub(super) fn shape(object: Object) -> Result<Box<[u64]>, Error> {
    const MOST: usize = 64;
    let items = object.as_tuple().ok_or_else(|| not_a("a tuple of sizes", object))?;
    if items.len() > MOST {
        return Err(Error::new(Fault::Dimensions(items.len()), object.offset()));
    }
    items.iter().map(size).collect()
}

/// The product of sizes times `width`, over which none of the counts below can wrap.
///
/// As numpy, which leaves sizes of 0 out of the check (`array_setstate`).
pub(super) fn product(shape: &[u64], width: u64, at: Option<FileOffset>) -> Result<u64, Error> {
    let overflow = || Error::new(Fault::Overflow, at);
    let sizes = shape.iter().filter(|&&size| size != 0);
    let most = sizes.clone().try_fold(width.max(1), |product, &size| product.checked_mul(size));
    let most = most.filter(|&most| i64::try_from(most).is_ok()).ok_or_else(overflow)?;
    Ok(if shape.contains(&0) || width == 0 { 0 } else { most })
}

/// How many elements a shape has. [`product`] must have admitted it.
pub(super) fn count(shape: &[u64]) -> u64 {
    shape.iter().fold(1, |product, &size| product.saturating_mul(size))
}

/// The bytes of `bytes`, a `bytearray`, or a text that stands for bytes: Python 2's, or one
/// character a byte, as numpy reads it. Decoded only where the stream does not hold them.
pub(super) fn bytes<'graph>(
    object: Object<'graph>,
    budget: &mut Budget,
) -> Result<Option<Cow<'graph, [u8]>>, Error> {
    if !matches!(object.value(), Value::Recipe(_)) && object.effects().next().is_some() {
        return Ok(None);
    }
    Ok(match object.value() {
        Value::Bytes(bytes) | Value::ByteArray(bytes) => Some(Cow::Borrowed(bytes)),
        Value::Text(text) if text.is_python2() || text.as_bytes().is_ascii() => {
            Some(Cow::Borrowed(text.as_bytes()))
        }
        Value::Text(text) => text.as_str().and_then(latin1).map(Cow::Owned),
        Value::Recipe(_) => spelled(object, budget)?,
        _ => None,
    })
}

/// Bytes by call, as protocols below 3 (bytes) and 5 (bytearrays) write them.
fn spelled<'graph>(
    object: Object<'graph>,
    budget: &mut Budget,
) -> Result<Option<Cow<'graph, [u8]>>, Error> {
    let raw = match View::of(object, budget) {
        Ok(Some(View::Bytes(raw) | View::ByteArray(raw))) => raw,
        Ok(_) => return Ok(None),
        Err(why) => {
            let refused = Fault::Form("bytes by a call that does not make any");
            let fault = why.exceeded().cloned().map_or(refused, Fault::Over);
            return Err(Error::new(fault, object.offset()));
        }
    };
    Ok(Some(match raw {
        Raw::Bytes(bytes) => Cow::Borrowed(bytes),
        Raw::Latin1(text) if text.is_ascii() => Cow::Borrowed(text.as_bytes()),
        Raw::Latin1(_) => Cow::Owned(raw.to_vec()),
    }))
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect()
}
