//! Built-in types by call.
//!
//! Source: CPython 3.11 `Lib/pickle.py` (`save_bytes`, `save_bytearray`, `save_set`,
//! `save_type`), `Lib/copyreg.py` (`pickle_complex`), `Objects/*.c` (`__reduce__` of range,
//! slice, bytearray, exceptions).

use std::fmt;

use super::View;
use super::call::{Attributes, Call, Read, never_iterable, pay};
use crate::base::Budget;
use crate::pickle::{BigInt, Dict, EffectKind, Global, Items, Object, Text, Value};
use crate::python::{literal, names};

/// Bytes, as they lie in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw<'graph> {
    /// As bytes.
    Bytes(&'graph [u8]),
    /// As text without characters above U+00FF, each of them one byte.
    Latin1(&'graph str),
}

impl Raw<'_> {
    /// A copy of the bytes. As many as the text has characters.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Latin1(text) => text.chars().filter_map(|char| u8::try_from(char).ok()).collect(),
        }
    }
}

/// The bytes of a `bytes` object, spelled either way.
pub(super) fn raw<'graph>(
    object: Object<'graph>,
    budget: &mut Budget,
) -> Result<Option<Raw<'graph>>, super::Error> {
    if let Value::Bytes(bytes) = object.value() {
        return Ok(Some(Raw::Bytes(bytes)));
    }
    // Only a call by which bytes are spelled is looked into, so this goes no deeper.
    let global = object.as_recipe().and_then(|recipe| recipe.callable().as_global());
    let spelled = global.is_some_and(|global| {
        global.is("_codecs", "encode")
            || names::is_builtins(global.module) && global.name == b"bytes"
    });
    match spelled.then(|| View::of(object, budget)).transpose()? {
        Some(Some(View::Bytes(raw))) => Ok(Some(raw)),
        _ => Ok(None),
    }
}

/// An integer of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int<'graph> {
    /// Of up to 64 bits.
    Small(i64),
    /// Of more.
    Big(BigInt<'graph>),
}

impl<'graph> Int<'graph> {
    /// An `int` or, as everywhere in Python, a `bool`.
    pub(super) fn of(object: Object<'graph>) -> Option<Self> {
        match object.value() {
            Value::Int(value) => Some(Self::Small(value)),
            Value::Bool(value) => Some(Self::Small(value.into())),
            Value::BigInt(value) => Some(Self::Big(value)),
            _ => None,
        }
    }

    /// The value, if 128 bits hold it.
    #[must_use]
    pub fn to_i128(self) -> Option<i128> {
        let value = match self {
            Self::Small(value) => return Some(value.into()),
            Self::Big(value) => value,
        };
        let bytes = value.as_le_bytes();
        let mut wide = [if value.is_negative() { 0xff } else { 0 }; 16];
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(i128::from_le_bytes(wide))
    }
}

/// As Python writes it; hexadecimal above 4,300 digits.
impl fmt::Display for Int<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small(value) => write!(f, "{value}"),
            Self::Big(value) => f.write_str(&literal::big_int(*value)),
        }
    }
}

/// A number or text that a call of its own type gives back.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'graph> {
    /// `int(…)`.
    Int(Int<'graph>),
    /// `float(…)`.
    Float(f64),
    /// `bool(…)`.
    Bool(bool),
    /// `str(…)`; none for the empty text of `str()`.
    Text(Option<Text<'graph>>),
}

/// `range(start, stop, step)`; `step` is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in Python")]
pub struct Range<'graph> {
    pub start: Int<'graph>,
    pub stop: Int<'graph>,
    pub step: Int<'graph>,
}

/// An object of which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in Python")]
pub enum Singleton {
    None,
    Ellipsis,
    NotImplemented,
}

impl Singleton {
    pub(super) fn named(global: Global) -> Option<Self> {
        match global.name {
            _ if !names::is_builtins(global.module) => None,
            b"Ellipsis" => Some(Self::Ellipsis),
            b"NotImplemented" => Some(Self::NotImplemented),
            _ => None,
        }
    }
}

/// An exception.
#[derive(Clone, Copy, Debug)]
pub struct Exception<'graph> {
    /// Its class, as the stream spells it.
    pub class: Global<'graph>,
    /// What it was made with.
    pub args: Items<'graph>,
    /// What else was set on it.
    pub attributes: Option<Dict<'graph>>,
}

pub(super) fn complex<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let float = |object: Object| match object.value() {
        Value::Float(value) => Some(value),
        _ => None,
    };
    match call.args.array().map(|parts: [_; 2]| parts.map(float)) {
        Some([Some(re), Some(im)]) => Ok(Some(View::Complex(re, im))),
        // `complex('1+2j')` and mixed numbers, which no pickler writes.
        _ if call.args.len() <= 2 => Ok(None),
        _ => Err(call.refuse_args("real and imaginary part")),
    }
}

pub(super) fn bytes<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    match call.args.get(0) {
        None => Ok(Some(View::Bytes(Raw::Bytes(&[])))),
        Some(given) if call.args.len() == 1 => match given.value() {
            Value::Bytes(bytes) => Ok(Some(View::Bytes(Raw::Bytes(bytes)))),
            _ => Ok(None),
        },
        _ if call.args.len() > 3 => Err(call.refuse_args("one argument")),
        _ => latin1(call, budget).map(|raw| raw.map(View::Bytes)),
    }
}

/// `_codecs.encode(text, 'latin1')`.
pub(super) fn encoded<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    if call.new {
        return Ok(None);
    }
    call.plain()?;
    match call.args.len() {
        2 => latin1(call, budget).map(|raw| raw.map(View::Bytes)),
        1 | 3 => Ok(None),
        _ => Err(call.refuse_args("a text and the name of an encoding")),
    }
}

/// Two arguments, a text and `'latin1'`, as bytes.
fn latin1<'graph>(
    call: &Call<'graph>,
    budget: &mut Budget,
) -> Result<Option<Raw<'graph>>, super::Error> {
    let Some([text, encoding]) = call.args.array() else { return Ok(None) };
    let (Some(text), Some(encoding)) = (text.as_str(), encoding.as_str()) else {
        return Ok(None);
    };
    if !matches!(encoding, "latin1" | "latin-1") {
        return Ok(None);
    }
    pay(text.len(), budget)?;
    match text.chars().find(|&char| u32::from(char) > 0xff) {
        None => Ok(Some(Raw::Latin1(text))),
        Some(char) => Err(call.refuse(format!("{char:?} is no character of latin1"))),
    }
}

pub(super) fn bytearray<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    // What is appended to one is a number a byte; no pickler does it.
    if !call.fills() || call.object.effects().any(|effect| effect.kind != EffectKind::State) {
        return Ok(None);
    }
    let raw = match call.args.len() {
        0 => Some(Raw::Bytes(&[])),
        1 => raw(call.arg(0), budget)?,
        2 => latin1(call, budget)?,
        3 => None,
        _ => return Err(call.refuse_args("bytes")),
    };
    match call.attributes()? {
        Attributes::Sure(None) => Ok(raw.map(View::ByteArray)),
        _ => Err(call.refuse("it has no state to set")),
    }
}

/// The items of a list or tuple that a call copies.
fn copied<'graph>(call: &Call<'graph>) -> Result<Option<Items<'graph>>, super::Error> {
    if !call.fills() {
        return Ok(None);
    }
    let Some(given) = call.args.get(0) else { return Ok(Some(call.args)) };
    if call.args.len() > 1 || never_iterable(given) {
        return Err(call.refuse_args("one list"));
    }
    Ok(match given.value() {
        Value::List(items) | Value::Tuple(items) if call.unchanged(given) => Some(items),
        _ => None,
    })
}

pub(super) fn set<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    Ok(copied(call)?.filter(|_| !call.touched()).map(View::Set))
}

pub(super) fn frozenset<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    Ok(copied(call)?.map(View::FrozenSet))
}

pub(super) fn list<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    Ok(copied(call)?.filter(|_| !call.touched()).map(View::List))
}

pub(super) fn tuple<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    Ok(copied(call)?.map(View::Tuple))
}

pub(super) fn scalar<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    if call.args.len() > 3 {
        return Err(call.refuse_args("one value"));
    }
    let given = match call.args.array() {
        Some([given]) => Some(given.value()),
        None if call.args.is_empty() => None,
        None => return Ok(None),
    };
    let scalar = match (call.global.name, given) {
        (b"int" | b"long", None) => Some(Scalar::Int(Int::Small(0))),
        (b"int" | b"long", Some(Value::Int(value))) => Some(Scalar::Int(Int::Small(value))),
        (b"int" | b"long", Some(Value::BigInt(value))) => Some(Scalar::Int(Int::Big(value))),
        (b"float", None) => Some(Scalar::Float(0.0)),
        (b"float", Some(Value::Float(value))) => Some(Scalar::Float(value)),
        (b"bool", None) => Some(Scalar::Bool(false)),
        (b"bool", Some(Value::Bool(value))) => Some(Scalar::Bool(value)),
        (b"str" | b"unicode" | b"basestring", None) => Some(Scalar::Text(None)),
        (b"str" | b"unicode" | b"basestring", Some(Value::Text(text))) => {
            Some(Scalar::Text(Some(text)))
        }
        (b"int" | b"float", Some(Value::None | Value::List(_) | Value::Dict(_))) => {
            return Err(call.refuse_args("a number"));
        }
        _ => None,
    };
    Ok(scalar.map(View::Scalar))
}

pub(super) fn range<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let mut ints = [None; 3];
    for (int, arg) in ints.iter_mut().zip(call.args.iter()) {
        // A class of its own may be an integer to Python.
        if matches!(arg.value(), Value::Recipe(_) | Value::Persistent(_)) {
            return Ok(None);
        }
        *int = Int::of(arg);
    }
    let (zero, one) = (Int::Small(0), Int::Small(1));
    let range = match (call.args.len(), ints) {
        (1, [Some(stop), ..]) => Range { start: zero, stop, step: one },
        (2, [Some(start), Some(stop), _]) => Range { start, stop, step: one },
        (3, [Some(start), Some(stop), Some(by)]) => Range { start, stop, step: by },
        _ => return Err(call.refuse_args("one to three integers")),
    };
    if range.step == zero {
        return Err(call.refuse("the step is 0"));
    }
    Ok(Some(View::Range(range)))
}

pub(super) fn slice<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let none = call.none();
    let parts = match call.args.len() {
        1 => [none, call.arg(0), none],
        2 | 3 => [call.arg(0), call.arg(1), call.arg(2)],
        _ => return Err(call.refuse_args("one to three objects")),
    };
    Ok(Some(View::Slice(parts)))
}

pub(super) fn type_of<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    // `type.__new__` and `type(name, bases, dict)` make classes.
    if call.new || call.args.len() == 3 {
        return Ok(None);
    }
    let Some([of]) = call.args.array() else { return Err(call.refuse_args("one object")) };
    let singleton = match of.value() {
        Value::None => Some(Singleton::None),
        Value::Global(global) => Singleton::named(global),
        _ => None,
    };
    Ok(singleton.filter(|_| !call.touched()).map(View::Type))
}

pub(super) fn object<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.plain()?;
    match call.args.len() {
        0 => Ok(Some(View::Object)),
        _ => Err(call.refuse_args("nothing")),
    }
}

pub(super) fn exception<'graph>(call: &Call<'graph>, _: &mut Budget) -> Read<'graph> {
    call.only(&[EffectKind::State])?;
    Ok(match call.attributes()? {
        Attributes::Sure(attributes) => {
            let Call { global: class, args, .. } = *call;
            Some(View::Exception(Exception { class, args, attributes }))
        }
        Attributes::Unsure => None,
    })
}
