//! Dtypes out of calls and states, without recursion.

use std::collections::HashMap;

use super::code::{Code, class_code, names_code, parse_code};
use super::datetime::{Unit, UnitBase};
use super::dtype::{ByteOrder, DEEPEST, DType, Field, Head, Kind, MOST_FIELDS};
use super::error::{Error, Fault};
use super::given::{self, Call, State};
use super::views::Views;
use crate::base::{Budget, FileOffset};
use crate::pickle::{Global, Items, Object, Text, Value};

/// What is known of the dtype of an object.
pub(super) enum Known<'graph> {
    /// It is being made: whoever asks for it is a part of it.
    Open,
    Done(DType<'graph>),
    Failed(Error),
}

/// A dtype being made, its parts first.
struct Frame<'graph> {
    object: Object<'graph>,
    head: Head<'graph>,
    parts: Parts<'graph>,
    done: Vec<DType<'graph>>,
    /// Where its state was set, which is when it took its parts.
    at: Option<FileOffset>,
}

/// How a dtype is made of others.
enum Parts<'graph> {
    Whole(Kind<'graph>),
    SubArray(Object<'graph>, Box<[u64]>),
    Struct(Vec<Part<'graph>>),
}

struct Part<'graph> {
    name: Text<'graph>,
    offset: u64,
    title: Option<Object<'graph>>,
    dtype: Object<'graph>,
}

impl<'graph> Frame<'graph> {
    /// The next dtype it is made of.
    fn next_part(&self) -> Option<Object<'graph>> {
        match &self.parts {
            Parts::Whole(_) => None,
            Parts::SubArray(base, _) => self.done.is_empty().then_some(*base),
            Parts::Struct(parts) => parts.get(self.done.len()).map(|part| part.dtype),
        }
    }

    fn join(self) -> Result<DType<'graph>, Error> {
        let mut done = self.done.into_iter();
        let kind = match self.parts {
            Parts::Whole(kind) => kind,
            Parts::SubArray(_, shape) => match done.next() {
                Some(base) => Kind::SubArray { base, shape },
                None => Kind::Void,
            },
            Parts::Struct(parts) => {
                let field = |(part, dtype): (Part<'graph>, DType<'graph>)| Field {
                    name: part.name,
                    offset: part.offset,
                    title: part.title,
                    dtype,
                };
                Kind::Struct(parts.into_iter().zip(done).map(field).collect())
            }
        };
        DType::new(self.head, kind)
    }
}

impl<'graph> Views<'graph> {
    /// As [`DType::view`].
    ///
    /// # Errors
    /// As there, and if the budget does not cover its fields.
    pub fn dtype(&mut self, object: Object<'graph>) -> Result<DType<'graph>, Error> {
        let mut stack = Vec::new();
        let result = self.make(object, &mut stack);
        if let Err(why) = &result {
            // Too deep is only what it was reached from: on its own it may be fine.
            let deep = matches!(why.fault(), Fault::TooDeep(_));
            for frame in stack {
                let id = frame.object.id();
                if deep {
                    self.dtypes.remove(&id);
                } else {
                    self.dtypes.insert(id, Known::Failed(why.clone()));
                }
            }
        }
        result
    }

    fn make(
        &mut self,
        root: Object<'graph>,
        stack: &mut Vec<Frame<'graph>>,
    ) -> Result<DType<'graph>, Error> {
        if let Some(known) = self.known(root)? {
            return Ok(known);
        }
        self.open(root, stack)?;
        loop {
            let Some(frame) = stack.last_mut() else {
                return Err(Error::new(Fault::NoState, root.offset()));
            };
            if let Some(part) = frame.next_part() {
                given::unchanged_since(part, frame.at)?;
                match self.known(part)? {
                    Some(dtype) => frame.done.push(dtype),
                    None if stack.len() > DEEPEST => {
                        return Err(Error::new(Fault::TooDeep(DEEPEST), part.offset()));
                    }
                    None => self.open(part, stack)?,
                }
                continue;
            }
            let Some(frame) = stack.pop() else { continue };
            let object = frame.object;
            let made = frame.join();
            let known = made.clone().map_or_else(Known::Failed, Known::Done);
            self.dtypes.insert(object.id(), known);
            let dtype = made?;
            match stack.last_mut() {
                Some(above) => above.done.push(dtype),
                None => return Ok(dtype),
            }
        }
    }

    fn known(&self, object: Object<'graph>) -> Result<Option<DType<'graph>>, Error> {
        match self.dtypes.get(&object.id()) {
            None => Ok(None),
            Some(Known::Done(dtype)) => Ok(Some(dtype.clone())),
            Some(Known::Failed(why)) => Err(why.clone()),
            Some(Known::Open) => Err(Error::new(Fault::HoldsItself, object.offset())),
        }
    }

    fn open(
        &mut self,
        object: Object<'graph>,
        stack: &mut Vec<Frame<'graph>>,
    ) -> Result<(), Error> {
        self.pay(1, 128, object.offset())?;
        let frame = match self.frame(object) {
            Ok(frame) => frame,
            Err(why) => {
                let why = why.or_at(object.offset());
                self.dtypes.insert(object.id(), Known::Failed(why.clone()));
                return Err(why);
            }
        };
        self.dtypes.insert(object.id(), Known::Open);
        stack.push(frame);
        Ok(())
    }

    /// What `object` says by itself, its parts apart.
    fn frame(&mut self, object: Object<'graph>) -> Result<Frame<'graph>, Error> {
        let whole = |head, kind| Frame {
            object,
            head,
            parts: Parts::Whole(kind),
            done: Vec::new(),
            at: None,
        };
        if let Value::Global(global) = object.value() {
            let code = class_code(global).and_then(parse_code);
            let code = code.ok_or_else(|| given::not_a("a numpy.dtype", object))?;
            return Ok(whole(code.head(None, object.offset()), code.kind));
        }
        let call = given::call(object).ok_or_else(|| given::not_a("a numpy.dtype", object))?;
        if given::is_core(call.global, "._internal", "_convert_to_stringdtype_kwargs") {
            return string_dtype(&call).map(|(head, kind)| whole(head, kind));
        }
        if !is_dtype(call.global) {
            return Err(given::not_a("a numpy.dtype", object));
        }
        let code = called(&call)?;
        match given::state(object)? {
            Some(state) => self.with_state(object, code, state),
            None => Ok(whole(code.head(class(&call), object.offset()), code.kind)),
        }
    }

    fn with_state(
        &mut self,
        object: Object<'graph>,
        code: Code<'graph>,
        state: State<'graph>,
    ) -> Result<Frame<'graph>, Error> {
        let class = given::call(object).as_ref().and_then(class);
        let mut head = code.head(class, object.offset());
        let state_of = parse_state(state)?;
        head.order = byte_order(state_of.order)?;
        if code.sized_by_state {
            head.itemsize = given::size(state_of.itemsize)?;
            head.alignment = Some(given::size(state_of.alignment)?);
        }
        let flags = state_of.flags.map_or(Ok(0), given::integer)?;
        head.aligned = flags & 0x80 != 0;
        head.metadata = state_of.metadata.filter(|metadata| !metadata.is_none());
        let parts = self.parts(code.kind, &mut head, &state_of, state.at)?;
        Ok(Frame { object, head, parts, done: Vec::new(), at: state.at })
    }

    fn parts(
        &mut self,
        kind: Kind<'graph>,
        head: &mut Head<'graph>,
        state: &StateParts<'graph>,
        at: Option<FileOffset>,
    ) -> Result<Parts<'graph>, Error> {
        let form = |what| Error::new(Fault::Form(what), at);
        let is_void = matches!(kind, Kind::Void | Kind::User(_));
        match (state.sub_array.is_none(), state.names.is_none(), state.fields.is_none()) {
            (true, true, true) => Ok(Parts::Whole(match kind {
                Kind::DateTime(_) => Kind::DateTime(unit(head, at, &mut self.budget)?),
                Kind::TimeDelta(_) => Kind::TimeDelta(unit(head, at, &mut self.budget)?),
                kind => kind,
            })),
            _ if !is_void => Err(form("fields or a sub-array in a dtype that is not `V`")),
            (false, true, true) => {
                let given = state.sub_array.as_tuple().and_then(Items::array);
                let [base, shape] = given.ok_or_else(|| form("no pair of base and shape"))?;
                let shape = match shape.value() {
                    Value::Int(_) => [given::size(shape)?].into(),
                    _ => given::shape(shape)?,
                };
                Ok(Parts::SubArray(base, shape))
            }
            (true, false, false) => self.fields(state.names, state.fields, at).map(Parts::Struct),
            _ => Err(form("names without fields, fields without names, or both and a sub-array")),
        }
    }

    /// The fields in the order of their names.
    fn fields(
        &mut self,
        names: Object<'graph>,
        fields: Object<'graph>,
        at: Option<FileOffset>,
    ) -> Result<Vec<Part<'graph>>, Error> {
        given::unchanged_since(names, at)?;
        given::unchanged_since(fields, at)?;
        let names = names.items().ok_or_else(|| given::not_a("a tuple of names", names))?;
        let dict = fields.as_dict().ok_or_else(|| given::not_a("a dict of fields", fields))?;
        let count = (names.len() as u64).max(dict.len() as u64 / 2);
        if count > MOST_FIELDS {
            return Err(Error::new(Fault::TooManyFields(MOST_FIELDS), at));
        }
        self.pay(count, count.saturating_mul(192), at)?;
        // A later value of an equal key replaces the earlier one, as in Python.
        let by_name: HashMap<&[u8], Object> = dict
            .iter()
            .filter_map(|(key, value)| Some((given::text(key).ok()?.as_bytes(), value)))
            .collect();
        let part = |name: Object<'graph>| {
            let name = given::text(name)?;
            let field = by_name
                .get(name.as_bytes())
                .copied()
                .ok_or_else(|| Error::new(Fault::NoField(given::clip(name.as_bytes())), at))?;
            let items = field.as_tuple().ok_or_else(|| given::not_a("a field", field))?;
            let (dtype, offset, title) = match items.len() {
                2 | 3 => (items.get(0), items.get(1), items.get(2)),
                _ => (None, None, None),
            };
            let (Some(dtype), Some(offset)) = (dtype, offset) else {
                let form = "a field that is no tuple of dtype, offset and perhaps title";
                return Err(Error::new(Fault::Form(form), field.offset()));
            };
            Ok(Part { name, offset: given::size(offset)?, title, dtype })
        };
        names.iter().map(part).collect()
    }
}

/// The state of a dtype, whatever its version.
struct StateParts<'graph> {
    order: Object<'graph>,
    sub_array: Object<'graph>,
    names: Object<'graph>,
    fields: Object<'graph>,
    itemsize: Object<'graph>,
    alignment: Object<'graph>,
    flags: Option<Object<'graph>>,
    metadata: Option<Object<'graph>>,
}

/// Source: numpy `multiarray/descriptor.c` (`arraydescr_setstate`). What numpy before 1.0
/// wrote, six items or five, is refused unless it has no fields.
fn parse_state(state: State<'_>) -> Result<StateParts<'_>, Error> {
    let items = state.value.as_tuple().ok_or_else(|| given::not_a("a tuple", state.value))?;
    let form = || Error::new(Fault::Form("a state of a dtype of another length"), state.at);
    let has_version = items.len() != 5;
    if has_version {
        let version = given::integer(items.get(0).ok_or_else(form)?)?;
        if !(0..=4).contains(&version) {
            return Err(Error::new(Fault::Version(version), state.at));
        }
    }
    let shift = usize::from(has_version);
    let item = |index: usize| items.get(index.saturating_add(shift)).ok_or_else(form);
    match items.len() {
        7..=9 => Ok(StateParts {
            order: item(0)?,
            sub_array: item(1)?,
            names: item(2)?,
            fields: item(3)?,
            itemsize: item(4)?,
            alignment: item(5)?,
            flags: item(6).ok(),
            metadata: item(7).ok(),
        }),
        5 | 6 => {
            let fields = item(2)?;
            if !fields.is_none() {
                let what = "a structured dtype as numpy before 1.0 wrote it";
                return Err(Error::new(Fault::Unsupported(what.into()), state.at));
            }
            Ok(StateParts {
                order: item(0)?,
                sub_array: item(1)?,
                names: fields,
                fields,
                itemsize: item(3)?,
                alignment: item(4)?,
                flags: None,
                metadata: None,
            })
        }
        _ => Err(form()),
    }
}

fn byte_order(object: Object) -> Result<ByteOrder, Error> {
    let code = match object.value() {
        Value::Bytes(code) => code,
        Value::Text(code) => code.as_bytes(),
        _ => return Err(given::not_a("a byte order", object)),
    };
    match code {
        b"<" => Ok(ByteOrder::Little),
        b">" => Ok(ByteOrder::Big),
        b"|" | b"=" => Ok(ByteOrder::Unstated),
        _ => Err(Error::new(Fault::Form("a byte order that is none of < > | ="), object.offset())),
    }
}

/// The unit in the metadata of a datetime: `(metadata, (unit, count, divisor, event))`.
///
/// Source: `convert_datetime_metadata_tuple_to_datetime_metadata`.
fn unit(head: &mut Head, at: Option<FileOffset>, budget: &mut Budget) -> Result<Unit, Error> {
    let form = || Error::new(Fault::Form("a datetime dtype without its unit"), at);
    let pair = head.metadata.and_then(Object::as_tuple).and_then(Items::array);
    let [metadata, unit] = pair.ok_or_else(form)?;
    head.metadata = Some(metadata).filter(|metadata| {
        !metadata.is_none() && metadata.as_dict().is_none_or(|dict| !dict.is_empty())
    });
    let items = unit.as_tuple().ok_or_else(form)?;
    let (Some(name), Some(count), 2 | 4) = (items.get(0), items.get(1), items.len()) else {
        return Err(form());
    };
    let bytes = given::bytes(name, budget)?.ok_or_else(|| given::not_a("a unit of time", name))?;
    let base = UnitBase::parse(&bytes)
        .ok_or_else(|| Error::new(Fault::UnknownUnit(given::clip(&bytes)), at))?;
    let count = given::size(count)?;
    let count =
        u32::try_from(count).ok().filter(|&count| i32::try_from(count).is_ok_and(|n| n > 0));
    let count = count.ok_or_else(|| Error::new(Fault::Form("a count of units below 1"), at))?;
    for (index, what) in [(2, "a divided unit of time"), (3, "a datetime with events")] {
        if items.get(index).is_some_and(|item| item.as_int() != Some(1)) {
            return Err(Error::new(Fault::Unsupported(what.into()), at));
        }
    }
    Ok(Unit { base, count })
}

fn is_dtype(global: Global) -> bool {
    global.is("numpy", "dtype") || given::is_multiarray(global, "dtype")
}

/// What a dtype is called with: the code of a kind and width, or a class.
fn called<'graph>(call: &Call<'graph>) -> Result<Code<'graph>, Error> {
    let at = call.object.offset();
    let form = || Error::new(Fault::Form("numpy.dtype with other arguments than it pickles"), at);
    let given = match call.args.len() {
        1..=3 => call.args.get(0).ok_or_else(form)?,
        _ => return Err(form()),
    };
    for flag in call.args.iter().skip(1) {
        given::flag(flag)?;
    }
    let known = match given.value() {
        Value::Text(text) => parse_code(text.as_bytes())
            .or_else(|| names_code(text.as_bytes()).and_then(parse_code))
            .ok_or_else(|| given::clip(text.as_bytes())),
        Value::Global(global) => class_code(global)
            .and_then(parse_code)
            .or_else(|| {
                // Not numpy's: a library's own type, which its state must give a width.
                let own = global.module != b"numpy" && !global.module.starts_with(b"numpy.");
                own.then(|| Code::new(Kind::User(global), 0, true))
            })
            .ok_or_else(|| given::clip(global.name)),
        _ => return Err(given::not_a("the code of a type", given)),
    };
    known.map_err(|name| Error::new(Fault::UnknownType(name), at))
}

/// The class a dtype is called with, if its elements have one that is not numpy's usual.
fn class<'graph>(call: &Call<'graph>) -> Option<Global<'graph>> {
    let class = call.args.get(0)?.as_global()?;
    (class_code(class).is_none() || class.name == b"record").then_some(class)
}

fn string_dtype<'graph>(call: &Call<'graph>) -> Result<(Head<'graph>, Kind<'graph>), Error> {
    let at = call.object.offset();
    let (Some(coerce), 1 | 2) = (call.args.get(0), call.args.len()) else {
        return Err(Error::new(Fault::Form("a StringDType with other arguments"), at));
    };
    if given::state(call.object)?.is_some() {
        return Err(Error::new(Fault::Form("a StringDType with a state"), at));
    }
    let kind = Kind::String { coerce: given::flag(coerce)?, na_object: call.args.get(1) };
    let code = Code::new(Kind::Object, 16, false);
    Ok((code.head(None, at), kind))
}
