//! Types of elements.

use std::fmt;

use super::error::Error;
use super::given;
use crate::base::Budget;
use crate::pickle::{Items, Object, Value};

/// Dtypes in each other that are followed; honest ones have a handful.
const DEEPEST: usize = 32;
/// Parts of one dtype, those of its parts included. Sharing spells any number in a few bytes.
const MOST: usize = 1 << 16;

/// How far into a dtype one is.
struct Within<'run> {
    depth: usize,
    /// Parts that may yet come.
    left: &'run mut usize,
    budget: &'run mut Budget,
}

impl Within<'_> {
    const fn deeper(&mut self) -> Within<'_> {
        Within { depth: self.depth.saturating_add(1), left: self.left, budget: self.budget }
    }
}

/// A type of elements. One that exists is sound: fields lie inside their element, sub-arrays
/// fill it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DType {
    kind: Kind,
    width: u64,
    order: ByteOrder,
}

/// In which order the bytes of one number stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant first.
    Little,
    /// Most significant first.
    Big,
    /// There are no numbers of several bytes, or parts say it themselves.
    None,
}

/// A kind of elements.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `bool`: one byte, 0 is false.
    Bool,
    /// Signed integers of 1 to 8 bytes.
    Int,
    /// Unsigned integers of 1 to 8 bytes.
    UInt,
    /// Floating-point numbers of 2, 4 or 8 bytes, or C's `long double` of 12 or 16.
    Float,
    /// Complex numbers: two floating-point numbers.
    Complex,
    /// Byte strings, filled up with zeros.
    Bytes,
    /// Texts: code points of 4 bytes each, filled up with zeros.
    Text,
    /// Raw bytes without meaning.
    Void,
    /// Points in time, counted from 1970 in units.
    DateTime(Unit),
    /// Spans of time, counted in units.
    TimeDelta(Unit),
    /// Python objects.
    Object,
    /// Structures of named fields, which may overlap.
    Struct(Box<[Field]>),
    /// Arrays of one shape.
    SubArray(Box<DType>, Box<[u64]>),
}

/// What times are counted in: `count` times a unit by numpy's name for it (`ns`, `D`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `Y M W D h m s ms us ns ps fs as`, or `generic`.
    pub name: Box<str>,
    /// How many of it.
    pub count: u64,
}

/// A named part of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Box<str>,
    /// Bytes before it in the element.
    pub offset: u64,
    /// Its type.
    pub dtype: DType,
}

impl DType {
    /// The dtype that `object` is; none if it is none.
    ///
    /// # Errors
    /// What is wrong with it. Nested dtypes cost a step of `budget` each.
    pub fn view(object: Object<'_>, budget: &mut Budget) -> Result<Option<Self>, Error> {
        if is_dtype(object) { Self::read(object, budget).map(Some) } else { Ok(None) }
    }

    /// The dtype that `object` must be.
    pub(super) fn read(object: Object, budget: &mut Budget) -> Result<Self, Error> {
        Self::part(object, Within { depth: 0, left: &mut MOST.clone(), budget })
    }

    /// The dtype that a part of another must be. Goes at most [`DEEPEST`] levels down.
    fn part(object: Object, within: Within) -> Result<Self, Error> {
        within.budget.visits(1)?;
        if within.depth > DEEPEST {
            return Err(Error::malformed(format!("dtypes over {DEEPEST} levels deep"), object));
        }
        *within.left = within
            .left
            .checked_sub(1)
            .ok_or_else(|| Error::malformed(format!("a dtype of over {MOST} parts"), object))?;
        let args = given::call(object).filter(|_| is_dtype(object)).map(|(_, args)| args);
        let spelled =
            args.and_then(|args| args.get(0)).ok_or_else(|| Error::not_a("a dtype", object))?;
        let spelled = match spelled.value() {
            Value::Text(text) => text.as_str().ok_or_else(|| Error::not_a("a name", spelled))?,
            // The elements of record arrays are structures.
            Value::Global(class) if class.name == b"record" => "V0",
            _ => return Err(Error::unsupported("a dtype that is no name", spelled)),
        };
        let basic = basic(spelled)
            .ok_or_else(|| Error::unsupported(format!("the dtype {spelled:?}"), object))?;
        match given::state(object)? {
            Some(state) => basic.with_state(state, object, within),
            None => Ok(basic),
        }
    }

    /// `(version, order, subdtype, names, fields, itemsize, alignment, flags[, metadata])`
    fn with_state(
        mut self,
        state: Items,
        object: Object,
        mut within: Within,
    ) -> Result<Self, Error> {
        let (Some(version), Some(order), Some(sub), Some(names), Some(fields), Some(itemsize)) =
            (state.get(0), state.get(1), state.get(2), state.get(3), state.get(4), state.get(5))
        else {
            return Err(Error::malformed("a dtype's state of fewer than 6 parts", object));
        };
        if !matches!(version.as_int(), Some(3 | 4)) {
            return Err(Error::unsupported(
                "a dtype's state of another version than 3 and 4",
                object,
            ));
        }
        if itemsize.as_int() != Some(-1) {
            let itemsize = given::size(itemsize)?;
            let sized = matches!(self.kind, Kind::Bytes | Kind::Text | Kind::Void);
            if !sized && itemsize != self.width {
                return Err(Error::malformed("an itemsize that is not the dtype's", object));
            }
            self.width = itemsize;
        }
        self.order = match order.as_str() {
            Some("<" | "=") => ByteOrder::Little,
            Some(">") => ByteOrder::Big,
            Some("|") => ByteOrder::None,
            _ => return Err(Error::not_a("a byte order", order)),
        };
        if let Kind::DateTime(unit) | Kind::TimeDelta(unit) = &mut self.kind
            && let Some(metadata) = state.get(8)
        {
            *unit = Unit::read(metadata, within.budget)?;
        }
        if self.kind == Kind::Text && !self.width.is_multiple_of(4) {
            return Err(Error::malformed("a text of no whole characters", object));
        }
        if let Some([base, shape]) = sub.as_tuple().and_then(Items::array) {
            let base = Self::part(base, within.deeper())?;
            let shape = given::shape(shape)?;
            if given::product(&shape, base.width, object)? != self.width {
                return Err(Error::malformed("a sub-array that does not fill its element", object));
            }
            self.kind = Kind::SubArray(Box::new(base), shape);
        } else if let Some(names) = names.items() {
            self.kind = Kind::Struct(self.fields(names, fields, within)?);
        }
        Ok(self)
    }

    /// Names in order, and a dict of `(dtype, offset[, title])`.
    fn fields(
        &self,
        names: Items,
        fields: Object,
        mut within: Within,
    ) -> Result<Box<[Field]>, Error> {
        let dict = fields.as_dict().ok_or_else(|| Error::not_a("a dict of fields", fields))?;
        // By name, so that many names cost no more than their number.
        within.budget.visits(dict.len() as u64)?;
        let by_name: std::collections::HashMap<&str, Object> =
            dict.iter().filter_map(|(name, field)| Some((name.as_str()?, field))).collect();
        let mut found = Vec::new();
        for name in names.iter() {
            let text = name.as_str().ok_or_else(|| Error::not_a("a name", name))?;
            let field = by_name.get(text).and_then(|field| field.as_tuple());
            let (Some(dtype), Some(offset)) =
                (field.and_then(|f| f.get(0)), field.and_then(|f| f.get(1)))
            else {
                return Err(Error::malformed(format!("the field {text:?} has no dtype"), fields));
            };
            let dtype = Self::part(dtype, within.deeper())?;
            let offset = given::size(offset)?;
            if offset.checked_add(dtype.width).is_none_or(|end| end > self.width) {
                let what = format!("the field {text:?} reaches past its element");
                return Err(Error::malformed(what, fields));
            }
            within.budget.memory((text.len() as u64).saturating_add(128))?;
            found.push(Field { name: text.into(), offset, dtype });
        }
        Ok(found.into())
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Bytes of one element.
    #[must_use]
    pub const fn width(&self) -> u64 {
        self.width
    }

    /// The order of bytes in its numbers.
    #[must_use]
    pub const fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// The field of this name, of structures.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        match &self.kind {
            Kind::Struct(fields) => fields.iter().find(|field| &*field.name == name),
            _ => None,
        }
    }

    /// Whether elements, or parts of them, are Python objects.
    #[must_use]
    pub fn has_objects(&self) -> bool {
        match &self.kind {
            Kind::Object => true,
            Kind::Struct(fields) => fields.iter().any(|field| field.dtype.has_objects()),
            Kind::SubArray(base, _) => base.has_objects(),
            _ => false,
        }
    }

    /// Puts the bytes of one element's numbers into little-endian order.
    pub(super) fn to_little(&self, element: &mut [u8]) {
        let part = match &self.kind {
            Kind::Struct(fields) => {
                for field in fields {
                    let end = field.offset.saturating_add(field.dtype.width);
                    if let (Ok(start), Ok(end)) =
                        (usize::try_from(field.offset), usize::try_from(end))
                        && let Some(bytes) = element.get_mut(start..end)
                    {
                        field.dtype.to_little(bytes);
                    }
                }
                return;
            }
            Kind::SubArray(base, _) => {
                let len = usize::try_from(base.width).unwrap_or(0).max(1);
                return element.chunks_exact_mut(len).for_each(|part| base.to_little(part));
            }
            _ if self.order != ByteOrder::Big => return,
            Kind::Text => 4,
            Kind::Complex => self.width / 2,
            Kind::Bool | Kind::Bytes | Kind::Void | Kind::Object => return,
            _ => self.width,
        };
        let part = usize::try_from(part).unwrap_or(0).max(1);
        element.chunks_exact_mut(part).for_each(<[u8]>::reverse);
    }
}

impl Unit {
    /// `(dict, (unit, count, 1, event))`
    fn read(metadata: Object, budget: &mut Budget) -> Result<Self, Error> {
        let parts = metadata.as_tuple().and_then(|pair| pair.get(1)?.as_tuple());
        let (Some(name), Some(count)) =
            (parts.and_then(|parts| parts.get(0)), parts.and_then(|parts| parts.get(1)))
        else {
            return Err(Error::not_a("a unit of time", metadata));
        };
        let bytes = match name.value() {
            Value::Text(text) => Some(text.as_bytes().into()),
            _ => given::bytes(name, budget)?,
        };
        let named = bytes.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let named = named.ok_or_else(|| Error::not_a("a unit's name", name))?;
        Ok(Self { name: named.into(), count: given::size(count)? })
    }
}

/// Whether an object is a call of `numpy.dtype`.
pub(super) fn is_dtype(object: Object) -> bool {
    given::call(object).is_some_and(|(global, _)| global.is("numpy", "dtype"))
}

/// The dtype of a name such as `f8`, `S10` or `O`; native order until a state says another.
fn basic(name: &str) -> Option<DType> {
    let letter = name.chars().next()?;
    let digits = name.get(letter.len_utf8()..)?;
    let size: Option<u64> = if digits.is_empty() { None } else { Some(digits.parse().ok()?) };
    let unit = Unit { name: "generic".into(), count: 1 };
    let (kind, width) = match (letter, size) {
        ('b', Some(1)) | ('?', None) => (Kind::Bool, 1),
        ('i', Some(width @ (1 | 2 | 4 | 8))) => (Kind::Int, width),
        ('u', Some(width @ (1 | 2 | 4 | 8))) => (Kind::UInt, width),
        ('f', Some(width @ (2 | 4 | 8 | 12 | 16))) => (Kind::Float, width),
        ('c', Some(width @ (8 | 16 | 24 | 32))) => (Kind::Complex, width),
        ('S' | 'a', width) => (Kind::Bytes, width.unwrap_or(0)),
        ('U', width) => (Kind::Text, width.unwrap_or(0).checked_mul(4)?),
        ('V', width) => (Kind::Void, width.unwrap_or(0)),
        ('M', Some(8)) => (Kind::DateTime(unit), 8),
        ('m', Some(8)) => (Kind::TimeDelta(unit), 8),
        ('O', None | Some(4 | 8)) => (Kind::Object, 8),
        _ => return None,
    };
    let order = if width > 1 { ByteOrder::Little } else { ByteOrder::None };
    Some(DType { kind, width, order })
}

/// As numpy's `dtype.str`; structures and sub-arrays as raw bytes, `|V12`.
impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, width) = match &self.kind {
            Kind::Bool => ('b', self.width),
            Kind::Int => ('i', self.width),
            Kind::UInt => ('u', self.width),
            Kind::Float => ('f', self.width),
            Kind::Complex => ('c', self.width),
            Kind::Bytes => ('S', self.width),
            Kind::Text => ('U', self.width / 4),
            Kind::Void | Kind::Struct(_) | Kind::SubArray(..) => ('V', self.width),
            Kind::DateTime(_) => ('M', self.width),
            Kind::TimeDelta(_) => ('m', self.width),
            Kind::Object => return f.write_str("|O"),
        };
        let plain = matches!(letter, 'b' | 'S' | 'V') || self.width == 1;
        let order = match self.order {
            _ if plain => '|',
            ByteOrder::Big => '>',
            _ => '<',
        };
        write!(f, "{order}{letter}{width}")?;
        match &self.kind {
            Kind::DateTime(unit) | Kind::TimeDelta(unit) if &*unit.name != "generic" => {
                let count = if unit.count == 1 { String::new() } else { unit.count.to_string() };
                write!(f, "[{count}{}]", unit.name)
            }
            _ => Ok(()),
        }
    }
}
