//! The parts of sequences, mappings and variants, one after the other.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Unexpected, VariantAccess, Visitor};

use super::context::{Context, Pairs};
use super::de::Part;
use super::error::{Error, Kind, Step};
use super::form::{self, Form};
use crate::pickle::{Object, Pair};

/// Items in a row.
pub(super) struct Seq<'all, 'graph, 'run, I> {
    pub(super) context: &'all mut Context<'graph, 'run>,
    pub(super) items: I,
    /// Items read.
    pub(super) at: usize,
}

impl<'graph, I> de::SeqAccess<'graph> for &mut Seq<'_, 'graph, '_, I>
where
    I: ExactSizeIterator<Item = Object<'graph>>,
{
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'graph>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let at = self.at;
        self.at = at.saturating_add(1);
        let value = seed.deserialize(Part::new(self.context, item));
        value.map(Some).map_err(|why| why.within(Step::Item(at)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// Pairs of a mapping.
pub(super) struct Entries<'all, 'graph, 'run, I> {
    pub(super) context: &'all mut Context<'graph, 'run>,
    pub(super) pairs: I,
    /// Pairs there are.
    pub(super) len: usize,
    /// Pairs whose keys were read.
    pub(super) at: usize,
    /// The pair whose key was read last.
    pub(super) pair: Option<Pair<'graph>>,
    /// Whether these are an object's attributes.
    pub(super) attributes: bool,
}

impl<'graph, I> de::MapAccess<'graph> for &mut Entries<'_, 'graph, '_, I>
where
    I: Iterator<Item = Pair<'graph>>,
{
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'graph>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(pair) = self.pairs.next() else { return Ok(None) };
        let at = self.at;
        self.at = at.saturating_add(1);
        self.pair = Some(pair);
        let key = seed.deserialize(Part::new(self.context, pair.0));
        key.map(Some).map_err(|why| why.within(Step::Key(at)))
    }

    fn next_value_seed<V: DeserializeSeed<'graph>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(pair) = self.pair.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let value = seed.deserialize(Part::new(self.context, pair.1));
        let nth = self.at.saturating_sub(1);
        value.map_err(|why| why.within(Step::to_value(nth, pair, self.attributes)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len.saturating_sub(self.at))
    }
}

/// What an enum's variant holds.
pub(super) struct Variant<'all, 'graph, 'run> {
    context: &'all mut Context<'graph, 'run>,
    name: Object<'graph>,
    value: Option<Object<'graph>>,
}

impl<'graph> Variant<'_, 'graph, '_> {
    /// Reads `'Variant'`, `{'Variant': value}`, `('Variant',)` or `('Variant', value)`; or a
    /// member of a Python enum by its name.
    pub(super) fn read<V: Visitor<'graph>>(
        context: &mut Context<'graph, '_>,
        object: Object<'graph>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        context.step(1)?;
        if let Some(name) = form::member(object) {
            return visitor.visit_enum(Variant { context, name, value: None });
        }
        let (name, value) = match Form::of(object, context.budget())? {
            Form::Text(_) => (object, None),
            Form::Items(items) => match (items.get(0), items.get(1), items.len()) {
                (Some(name), value, 1 | 2) => (name, value),
                (.., len) => return Err(unlike(Unexpected::Other("a sequence"), len)),
            },
            form @ (Form::Dict(_) | Form::Mapping(_) | Form::Attributes(_)) => {
                let pairs = context.pairs(form)?;
                let (first, len) = match &pairs {
                    Pairs::Dict(dict) => (dict.iter().next(), dict.len()),
                    Pairs::Merged(pairs) => (pairs.first().copied(), pairs.len()),
                };
                match first {
                    Some((name, value)) if len == 1 => (name, Some(value)),
                    _ => return Err(unlike(Unexpected::Map, len)),
                }
            }
            _ => return Err(unlike(unexpected(object), 1)),
        };
        if value.is_none() {
            return visitor.visit_enum(Variant { context, name, value });
        }
        context.enter(object)?;
        let read = visitor.visit_enum(Variant { context: &mut *context, name, value });
        context.leave();
        read.map_err(|why| match value {
            Some(value) => why.within(Step::to_value(0, (name, value), false)),
            None => why,
        })
    }
}

impl<'all, 'graph, 'run> Variant<'all, 'graph, 'run> {
    fn holding(self, wanted: &str) -> Result<Part<'all, 'graph, 'run>, Error> {
        match self.value {
            Some(value) => Ok(Part::new(self.context, value)),
            None => Err(de::Error::invalid_type(Unexpected::UnitVariant, &wanted)),
        }
    }
}

fn unexpected(object: Object<'_>) -> Unexpected<'static> {
    Unexpected::Other(object.kind())
}

#[cold]
fn unlike(what: Unexpected<'_>, len: usize) -> Error {
    let wanted = "a variant: 'name', {'name': value} or ('name', value)";
    if len == 1 {
        return de::Error::invalid_type(what, &wanted);
    }
    Kind::Mismatch(format!("invalid type: {what} of {len}, expected {wanted}").into()).into()
}

impl<'graph> de::EnumAccess<'graph> for Variant<'_, 'graph, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'graph>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = match self.name.as_str() {
            Some(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            None => seed.deserialize(Part::new(&mut *self.context, self.name)),
        };
        Ok((name?, self))
    }
}

impl<'graph> VariantAccess<'graph> for Variant<'_, 'graph, '_> {
    type Error = Error;

    /// `{'Variant': None}` too, as others write it.
    fn unit_variant(self) -> Result<(), Error> {
        match self.value {
            Some(value) => de::Deserialize::deserialize(Part::new(self.context, value)),
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'graph>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.holding("newtype variant")?)
    }

    fn tuple_variant<V: Visitor<'graph>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_tuple(self.holding("tuple variant")?, len, visitor)
    }

    fn struct_variant<V: Visitor<'graph>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_struct(self.holding("struct variant")?, "", fields, visitor)
    }
}
