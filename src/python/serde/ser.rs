//! Rust values on their way into a pickle or a graph.

use serde::ser::{self, Serialize};

use super::error::{Error, Kind, Step};
use super::options::SerOptions;
use super::sink::{Names, Sink};
use crate::pickle::Container;

/// Gives `value` to `sink`.
pub(super) fn serialize<T: Serialize + ?Sized, S: Sink>(
    value: &T,
    sink: &mut S,
    options: &SerOptions,
) -> Result<(), Error> {
    let mut context = Context {
        sink,
        names: Names::new(),
        depth: options.depth,
        around: 0,
        keys: 0,
        tuple_variants: options.tuple_variants,
        failed: false,
    };
    value.serialize(Value { context: &mut context, wraps: 0 })?;
    if context.failed {
        let what = "a part failed, and the value went on as if it had not";
        return Err(ser::Error::custom(what));
    }
    Ok(())
}

/// What all parts of one writing share.
pub(super) struct Context<'sink, S: Sink> {
    sink: &'sink mut S,
    names: Names<S::Name>,
    depth: u32,
    /// Values around the current one.
    around: u32,
    /// Keys around the current value.
    keys: u32,
    tuple_variants: bool,
    failed: bool,
}

impl<S: Sink> Context<'_, S> {
    fn too_deep(&self) -> Error {
        Kind::TooDeep { limit: self.depth, writing: true }.into()
    }

    fn begin(&mut self, container: Container, len: Option<usize>) -> Result<Open<S>, Error> {
        if self.around >= self.depth {
            return Err(self.too_deep());
        }
        if self.keys > 0 && container == Container::Dict {
            return Err(Kind::Unhashable("dict").into());
        }
        self.around = self.around.saturating_add(1);
        Ok(Open { container, announced: len, given: 0, sink: self.sink.begin(container, len)? })
    }

    /// A list, but a tuple within keys, where Python needs what can be hashed.
    fn begin_list(&mut self, len: Option<usize>) -> Result<Open<S>, Error> {
        match self.keys {
            0 => self.begin(Container::List, len),
            _ => self.begin(Container::Tuple, None),
        }
    }

    fn end(&mut self, open: &Open<S>) -> Result<(), Error> {
        if let (Container::Tuple, Some(announced)) = (open.container, open.announced)
            && announced != open.given
        {
            self.failed = true;
            return Err(Kind::Count { announced, given: open.given }.into());
        }
        self.around = self.around.saturating_sub(1);
        self.sink.end(open.container, &open.sink)
    }

    fn name(&mut self, name: &'static str) -> Result<(), Error> {
        self.names.give(name, self.sink)
    }

    /// Begins a variant with a value: `{'Variant': value}` or `('Variant', value)`.
    fn begin_variant(&mut self, variant: &'static str) -> Result<Open<S>, Error> {
        let (container, len) =
            if self.tuple_variants { (Container::Tuple, 2) } else { (Container::Dict, 1) };
        let open = self.begin(container, Some(len))?;
        self.sink.item(&open.sink);
        self.name(variant)?;
        Ok(open)
    }

    fn end_variant(&mut self, mut open: Open<S>) -> Result<(), Error> {
        self.sink.done(&mut open.sink);
        open.given = open.announced.unwrap_or_default();
        self.end(&open)
    }

    /// Writes a part, and remembers if that failed.
    #[inline]
    fn part<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        step: impl FnOnce() -> Step,
    ) -> Result<(), Error> {
        value.serialize(Value { context: self, wraps: 0 }).map_err(|why| {
            self.failed = true;
            why.within(step())
        })
    }
}

/// A container that was begun.
pub(super) struct Open<S: Sink> {
    container: Container,
    announced: Option<usize>,
    given: usize,
    sink: S::Open,
}

/// Where one value goes.
pub(super) struct Value<'all, 'sink, S: Sink> {
    context: &'all mut Context<'sink, S>,
    /// Options and newtypes around it.
    wraps: u32,
}

impl<'all, 'sink, S: Sink> Value<'all, 'sink, S> {
    fn wrapped(self) -> Result<Self, Error> {
        if self.wraps >= self.context.depth {
            return Err(self.context.too_deep());
        }
        Ok(Self { wraps: self.wraps.saturating_add(1), ..self })
    }

    fn compound(self, open: Open<S>) -> Compound<'all, 'sink, S> {
        Compound { context: self.context, open, around: None }
    }

    fn big_int(self, bytes: &[u8]) -> Result<(), Error> {
        self.context.sink.big_int(bytes)
    }
}

impl<'all, 'sink, S: Sink> ser::Serializer for Value<'all, 'sink, S> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'all, 'sink, S>;
    type SerializeTuple = Compound<'all, 'sink, S>;
    type SerializeTupleStruct = Compound<'all, 'sink, S>;
    type SerializeTupleVariant = Compound<'all, 'sink, S>;
    type SerializeMap = Compound<'all, 'sink, S>;
    type SerializeStruct = Compound<'all, 'sink, S>;
    type SerializeStructVariant = Compound<'all, 'sink, S>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.context.sink.bool(value)
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.context.sink.int(value)
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        match i64::try_from(value) {
            Ok(value) => self.serialize_i64(value),
            Err(_) => self.serialize_u128(value.into()),
        }
    }

    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        match i64::try_from(value) {
            Ok(value) => self.serialize_i64(value),
            Err(_) => self.big_int(&value.to_le_bytes()),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        if let Ok(value) = i128::try_from(value) {
            return self.serialize_i128(value);
        }
        let mut bytes = [0; 17];
        bytes.iter_mut().zip(value.to_le_bytes()).for_each(|(to, from)| *to = from);
        self.big_int(&bytes)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.context.sink.float(value)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.context.sink.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.context.sink.bytes(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.context.sink.none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self.wrapped()?)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.context.sink.none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.context.sink.none()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        let Self { context, .. } = self;
        if !context.tuple_variants {
            return context.name(variant);
        }
        let mut open = context.begin(Container::Tuple, Some(1))?;
        context.name(variant)?;
        open.given = 1;
        context.end(&open)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self.wrapped()?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let Self { context, .. } = self;
        let open = context.begin_variant(variant)?;
        context.part(value, || Step::variant(variant))?;
        context.end_variant(open)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        let open = self.context.begin_list(len)?;
        Ok(self.compound(open))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Error> {
        let open = self.context.begin(Container::Tuple, Some(len))?;
        Ok(self.compound(open))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        self.serialize_tuple(len)
    }

    /// Its items are a list, as `serde-pickle` has it.
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        let Self { context, .. } = self;
        let around = Some((context.begin_variant(variant)?, variant));
        let open = context.begin_list(Some(len))?;
        Ok(Compound { context, open, around })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Error> {
        let open = self.context.begin(Container::Dict, len)?;
        Ok(self.compound(open))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Self::SerializeStruct, Error> {
        self.serialize_map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        let Self { context, .. } = self;
        let around = Some((context.begin_variant(variant)?, variant));
        let open = context.begin(Container::Dict, Some(len))?;
        Ok(Compound { context, open, around })
    }
}

/// A sequence, map or struct, or a variant around one.
pub(super) struct Compound<'all, 'sink, S: Sink> {
    context: &'all mut Context<'sink, S>,
    open: Open<S>,
    around: Option<(Open<S>, &'static str)>,
}

impl<S: Sink> Compound<'_, '_, S> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let Self { context, open, .. } = self;
        context.sink.item(&open.sink);
        let at = open.given;
        let written = context.part(value, || Step::Item(at));
        written.map_err(|why| self.outside(why))?;
        self.given();
        Ok(())
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let Self { context, open, .. } = self;
        context.sink.item(&open.sink);
        context.keys = context.keys.saturating_add(1);
        let at = open.given;
        let written = context.part(key, || Step::Key(at));
        context.keys = context.keys.saturating_sub(1);
        written
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let at = self.open.given;
        self.context.part(value, || Step::Value(at))?;
        self.given();
        Ok(())
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        let Self { context, open, .. } = self;
        context.sink.item(&open.sink);
        context.name(name)?;
        let written = context.part(value, || Step::Attribute(name.into()));
        written.map_err(|why| self.outside(why))?;
        self.given();
        Ok(())
    }

    fn given(&mut self) {
        self.context.sink.done(&mut self.open.sink);
        self.open.given = self.open.given.saturating_add(1);
    }

    #[cold]
    fn outside(&self, why: Error) -> Error {
        match self.around {
            Some((_, variant)) => why.within(Step::variant(variant)),
            None => why,
        }
    }

    fn finish(self) -> Result<(), Error> {
        self.context.end(&self.open)?;
        match self.around {
            Some((around, _)) => self.context.end_variant(around),
            None => Ok(()),
        }
    }
}

macro_rules! compound {
    ($($kind:ident: $method:ident($($name:ident: $type:ty)?) = $part:ident)*) => { $(
        impl<S: Sink> ser::$kind for Compound<'_, '_, S> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)?
                value: &T,
            ) -> Result<(), Error> {
                self.$part($($name,)? value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )* };
}
compound! {
    SerializeSeq: serialize_element() = element
    SerializeTuple: serialize_element() = element
    SerializeTupleStruct: serialize_field() = element
    SerializeTupleVariant: serialize_field() = element
    SerializeStruct: serialize_field(name: &'static str) = field
    SerializeStructVariant: serialize_field(name: &'static str) = field
}

impl<S: Sink> ser::SerializeMap for Compound<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}
