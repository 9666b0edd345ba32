//! Objects as serde's deserialisers see them.

use serde::de::{self, Unexpected, Visitor};

use super::access::{Entries, Seq, Variant};
use super::context::{Context, Pairs};
use super::error::Error;
use super::form::Form;
use super::options::{DeOptions, Python2};
use crate::base::Budget;
use crate::pickle::{BigInt, Items, Object, Text};
use crate::python::views::Raw;

/// Reads one object of a graph, and everything in it, into a Rust value; what
/// [`from_object_with`](super::from_object_with) uses. For
/// [`DeserializeSeed`](serde::de::DeserializeSeed)s and adapters of other crates.
///
/// ```
/// use depickle::pickle::{Policy, run};
/// use depickle::python::serde::{DeOptions, Deserializer};
/// use depickle::{Budget, FileOffset};
///
/// let mut budget = Budget::default();
/// let graph = run(b"](K\x01\x88e."[..].into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
/// let options = DeOptions::default();
/// let mut read = Deserializer::new(graph.root().unwrap(), &options, &mut budget);
/// let value: (u8, bool) = serde::Deserialize::deserialize(&mut read)?;
/// assert_eq!(value, (1, true));
/// # Ok::<(), depickle::python::serde::Error>(())
/// ```
pub struct Deserializer<'graph, 'run> {
    context: Context<'graph, 'run>,
    object: Object<'graph>,
}

impl<'graph, 'run> Deserializer<'graph, 'run> {
    /// Reads `object`. What is read twice is paid for by `budget`.
    #[must_use]
    pub fn new(object: Object<'graph>, options: &DeOptions, budget: &'run mut Budget) -> Self {
        let graph = object.graph();
        let paid = graph.stream_len().max(graph.len() as u64);
        Self::paid(object, options, budget, paid)
    }

    /// As [`new`](Self::new), where the graph was made of `paid` bytes.
    pub(super) fn paid(
        object: Object<'graph>,
        options: &DeOptions,
        budget: &'run mut Budget,
        paid: u64,
    ) -> Self {
        Self { context: Context::new(options, budget, paid), object }
    }

    fn part(&mut self) -> Part<'_, 'graph, 'run> {
        Part::new(&mut self.context, self.object)
    }
}

/// One object to read.
pub(super) struct Part<'all, 'graph, 'run> {
    pub(super) context: &'all mut Context<'graph, 'run>,
    pub(super) object: Object<'graph>,
    /// Options and newtypes around it.
    wraps: u32,
}

impl<'all, 'graph, 'run> Part<'all, 'graph, 'run> {
    pub(super) fn new(context: &'all mut Context<'graph, 'run>, object: Object<'graph>) -> Self {
        Self { context, object, wraps: 0 }
    }

    /// What it stands for, paid for.
    #[inline]
    fn form(&mut self) -> Result<Form<'graph>, Error> {
        self.context.step(1)?;
        Ok(Form::of(self.object, self.context.budget())?)
    }

    /// Shows the visitor what there is.
    fn visit<V: Visitor<'graph>>(self, form: Form<'graph>, visitor: V) -> Result<V::Value, Error> {
        match form {
            Form::None => visitor.visit_unit(),
            Form::Bool(value) => visitor.visit_bool(value),
            Form::Int(value) => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(value),
            },
            Form::Float(value) => visitor.visit_f64(value),
            Form::BigInt(value) => big_int(value, visitor),
            Form::Text(text) => self.text(text, visitor),
            Form::Bytes(bytes) => {
                self.context.copied(bytes.len())?;
                visitor.visit_borrowed_bytes(bytes)
            }
            Form::Latin1(text) => {
                self.context.copied(text.len())?;
                visitor.visit_byte_buf(Raw::Latin1(text).to_vec())
            }
            Form::Complex(re, im) => values([re, im].into_iter(), visitor),
            _ => self.visit_compound(form, visitor),
        }
    }

    fn visit_compound<V: Visitor<'graph>>(
        self,
        form: Form<'graph>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match form {
            Form::Items(items) => self.items(items, visitor),
            Form::Members(items) => match self.context.members(items)? {
                None => self.items(items, visitor),
                Some(members) => self.seq(members.into_iter(), visitor),
            },
            Form::Appended(recipe) => {
                let items = self.context.appended(recipe)?;
                self.seq(items.into_iter(), visitor)
            }
            _ => {
                let attributes = matches!(form, Form::Attributes(_));
                match self.context.pairs(form)? {
                    Pairs::Dict(dict) => self.map(dict.iter(), dict.len(), attributes, visitor),
                    Pairs::Merged(pairs) => {
                        let len = pairs.len();
                        self.map(pairs.into_iter(), len, attributes, visitor)
                    }
                }
            }
        }
    }

    fn items<V: Visitor<'graph>>(
        self,
        items: Items<'graph>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.seq(items.iter(), visitor)
    }

    fn seq<V: Visitor<'graph>>(
        self,
        items: impl ExactSizeIterator<Item = Object<'graph>>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.context.enter(self.object)?;
        let mut seq = Seq { context: &mut *self.context, items, at: 0 };
        let value = visitor.visit_seq(&mut seq);
        let (read, left) = (seq.at, seq.items.len());
        self.context.leave();
        let value = value?;
        if left > 0 {
            return Err(too_many(read, left, "items"));
        }
        Ok(value)
    }

    fn map<V: Visitor<'graph>>(
        self,
        pairs: impl Iterator<Item = (Object<'graph>, Object<'graph>)>,
        len: usize,
        attributes: bool,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.context.enter(self.object)?;
        let mut map =
            Entries { context: &mut *self.context, pairs, len, at: 0, pair: None, attributes };
        let value = visitor.visit_map(&mut map);
        let (read, left) = (map.at, map.len.saturating_sub(map.at));
        self.context.leave();
        let value = value?;
        if left > 0 {
            return Err(too_many(read, left, "pairs"));
        }
        Ok(value)
    }

    fn text<V: Visitor<'graph>>(self, text: Text<'graph>, visitor: V) -> Result<V::Value, Error> {
        let bytes = text.as_bytes();
        self.context.copied(bytes.len())?;
        if text.is_python2() && self.context.python2 == Python2::Latin1 {
            return visitor.visit_string(bytes.iter().copied().map(char::from).collect());
        }
        match text.as_str() {
            _ if text.is_python2() && self.context.python2 == Python2::Bytes => {
                visitor.visit_borrowed_bytes(bytes)
            }
            Some(text) => visitor.visit_borrowed_str(text),
            None if text.is_python2() => visitor.visit_borrowed_bytes(bytes),
            None => Err(de::Error::invalid_value(
                Unexpected::Other("a str with lone surrogates, which are no UTF-8"),
                &visitor,
            )),
        }
    }

    /// Shows the visitor what there is, and says where it was if that is wrong.
    #[inline]
    fn any<V: Visitor<'graph>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let object = self.object;
        let form = self.form().map_err(|why| why.at(object))?;
        self.visit(form, visitor).map_err(|why| why.at(object))
    }

    /// As [`any`](Self::any), for what `special` does not take.
    fn or_any<V: Visitor<'graph>>(
        mut self,
        visitor: V,
        special: impl FnOnce(&mut Self, Form<'graph>, V) -> Result<Result<V::Value, V>, Error>,
    ) -> Result<V::Value, Error> {
        let object = self.object;
        let read = || match self.form() {
            Ok(form) => match special(&mut self, form, visitor)? {
                Ok(value) => Ok(value),
                Err(visitor) => self.visit(form, visitor),
            },
            Err(why) => Err(why),
        };
        read().map_err(|why: Error| why.at(object))
    }
}

/// Values that are no objects.
fn values<'de, T: de::IntoDeserializer<'de, Error>, V: Visitor<'de>>(
    values: impl Iterator<Item = T>,
    visitor: V,
) -> Result<V::Value, Error> {
    let mut seq = de::value::SeqDeserializer::new(values);
    let value = visitor.visit_seq(&mut seq)?;
    seq.end()?;
    Ok(value)
}

/// An integer over 64 bits.
#[cold]
fn big_int<'de, V: Visitor<'de>>(value: BigInt<'_>, visitor: V) -> Result<V::Value, Error> {
    let bytes = value.as_le_bytes();
    let mut word = if value.is_negative() { [0xff; 16] } else { [0; 16] };
    // The byte behind 16 others may only hold the sign.
    let fits = bytes.len() <= 16 || bytes.len() == 17 && bytes.last() == Some(&0);
    if !fits {
        let bits = bytes.len().saturating_mul(8);
        let what = format!("an integer of about {bits} bits");
        return Err(de::Error::invalid_value(Unexpected::Other(&what), &visitor));
    }
    word.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
    if value.is_negative() {
        return visitor.visit_i128(i128::from_le_bytes(word));
    }
    let value = u128::from_le_bytes(word);
    match u64::try_from(value) {
        Ok(value) => visitor.visit_u64(value),
        Err(_) => visitor.visit_u128(value),
    }
}

#[cold]
fn too_many(read: usize, left: usize, what: &str) -> Error {
    let expected = format!("{read} {what}");
    de::Error::invalid_length(read.saturating_add(left), &expected.as_str())
}

macro_rules! as_any {
    ($($method:ident)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.any(visitor)
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Part<'_, 'de, '_> {
    type Error = Error;

    as_any! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_map
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.or_any(visitor, |part, form, visitor| match form {
            Form::Text(text) if text.is_python2() => {
                part.context.copied(text.as_bytes().len())?;
                visitor.visit_borrowed_bytes(text.as_bytes()).map(Ok)
            }
            _ => Ok(Err(visitor)),
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self { context, object, wraps } = self;
        if object.is_none() {
            context.step(1)?;
            return visitor.visit_none().map_err(|why: Error| why.at(object));
        }
        let wraps = context.wrap(wraps).map_err(|why| why.at(object))?;
        visitor.visit_some(Part { context, object, wraps })
    }

    /// `None`; an empty tuple too.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.or_any(visitor, |_, form, visitor| match form {
            Form::Items(items) if items.is_empty() => visitor.visit_unit().map(Ok),
            _ => Ok(Err(visitor)),
        })
    }

    /// As a unit; an object without attributes too.
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.or_any(visitor, |_, form, visitor| match form {
            Form::Items(items) if items.is_empty() => visitor.visit_unit().map(Ok),
            Form::Attributes([None, None]) => visitor.visit_unit().map(Ok),
            _ => Ok(Err(visitor)),
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Self { context, object, wraps } = self;
        let wraps = context.wrap(wraps).map_err(|why| why.at(object))?;
        visitor.visit_newtype_struct(Part { context, object, wraps })
    }

    /// `bytes` are a sequence of integers too, as in Python.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.or_any(visitor, |part, form, visitor| match form {
            Form::Bytes(bytes) => {
                part.context.copied(bytes.len())?;
                values(bytes.iter().copied(), visitor).map(Ok)
            }
            Form::Latin1(text) => {
                part.context.copied(text.len())?;
                values(Raw::Latin1(text).to_vec().into_iter(), visitor).map(Ok)
            }
            _ => Ok(Err(visitor)),
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (context, object) = (self.context, self.object);
        Variant::read(context, object, visitor).map_err(|why| why.at(object))
    }

    /// The name of a field or variant: a text. Integers are never taken for the number of one.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.or_any(visitor, |part, form, visitor| match form {
            Form::Int(value) => visitor.visit_i64(value).map(Ok),
            Form::Text(text) if text.is_python2() && part.context.python2 == Python2::Bytes => {
                part.context.copied(text.as_bytes().len())?;
                visitor.visit_borrowed_bytes(text.as_bytes()).map(Ok)
            }
            _ => Ok(Err(visitor)),
        })
    }

    /// Costs nothing, whatever it is.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

macro_rules! of_part {
    ($($method:ident($($name:ident: $type:ty),*))*) => { $(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, Error> {
            self.part().$method($($name,)* visitor)
        }
    )* };
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de, '_> {
    type Error = Error;

    of_part! {
        deserialize_any() deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32()
        deserialize_i64() deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32()
        deserialize_u64() deserialize_u128() deserialize_f32() deserialize_f64() deserialize_char()
        deserialize_str() deserialize_string() deserialize_bytes() deserialize_byte_buf()
        deserialize_option() deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str) deserialize_seq()
        deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_identifier() deserialize_ignored_any()
    }
}
