//! Arrays of the `array` module.
//!
//! Source: CPython 3.11 `Modules/arraymodule.c` (`array_array___reduce_ex___impl`,
//! `array__array_reconstructor_impl`, `enum machine_format_code`).

use super::builtins::{Int, Raw, raw};
use super::call::{Call, Read, pay};
use super::{Error, View};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Items, Object, Value};

/// An array of numbers or characters, all of one type.
#[derive(Clone, Copy, Debug)]
pub struct Array<'graph> {
    /// The letter by which `array` calls the type.
    pub typecode: char,
    /// What it holds.
    pub elements: Elements<'graph>,
}

/// Elements as the stream holds them.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'graph> {
    /// Objects of the right type, in range.
    Listed(Items<'graph>),
    /// Bytes, a whole number of elements.
    Packed(Machine, Raw<'graph>),
}

/// One element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// Of the integer types.
    Int(i128),
    /// Of the float types.
    Float(f64),
    /// Of the character types: a code point or, of UTF-16, a code unit.
    Char(u32),
}

/// How packed elements lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of one element.
    pub size: u8,
    /// Whether the highest byte comes first.
    pub big_endian: bool,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Unsigned,
    Signed,
    Float,
    Char,
}

impl Machine {
    /// The format that a code of `_array_reconstructor` stands for.
    fn of(code: i64) -> Option<Self> {
        use Family::{Char, Float, Signed, Unsigned};
        #[rustfmt::skip]
        const FORMATS: [(u8, Family); 11] = [
            (1, Unsigned), (2, Unsigned), (2, Signed), (4, Unsigned), (4, Signed), (8, Unsigned),
            (8, Signed), (4, Float), (8, Float), (2, Char), (4, Char),
        ];
        // Single bytes have no order: 0 is unsigned, 1 signed; then each format twice.
        if code == 1 {
            return Some(Self { size: 1, big_endian: false, family: Signed });
        }
        let code = usize::try_from(code).ok()?;
        let &(size, family) = FORMATS.get(code / 2)?;
        Some(Self { size, big_endian: code % 2 == 1, family })
    }

    fn element(self, bytes: &[u8]) -> Option<Element> {
        let mut wide = [0; 8];
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        if self.big_endian {
            wide.get_mut(..bytes.len())?.reverse();
        }
        let word = u64::from_le_bytes(wide);
        let [b0, b1, b2, b3, ..] = wide;
        let low = u32::from_le_bytes([b0, b1, b2, b3]);
        let unused = 64_u32.checked_sub(u32::from(self.size).checked_mul(8)?)?;
        Some(match self.family {
            Family::Unsigned => Element::Int(word.into()),
            Family::Signed => {
                let sign_extended = word.checked_shl(unused)?.cast_signed().checked_shr(unused)?;
                Element::Int(sign_extended.into())
            }
            Family::Float if self.size == 4 => Element::Float(f32::from_bits(low).into()),
            Family::Float => Element::Float(f64::from_bits(word)),
            Family::Char => Element::Char(low),
        })
    }
}

impl Array<'_> {
    /// How many elements there are. Takes time in proportion to text, for bytes that protocol 2
    /// spelled as text.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.elements {
            Elements::Listed(items) => items.len(),
            Elements::Packed(format, raw) => {
                let bytes = match raw {
                    Raw::Bytes(bytes) => bytes.len(),
                    Raw::Latin1(text) => text.chars().count(),
                };
                bytes.checked_div(format.size.into()).unwrap_or(0)
            }
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self.elements {
            Elements::Listed(items) => items.is_empty(),
            Elements::Packed(_, Raw::Bytes(bytes)) => bytes.is_empty(),
            Elements::Packed(_, Raw::Latin1(text)) => text.is_empty(),
        }
    }

    /// The elements.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget does not cover a step and 48 bytes for each.
    pub fn to_vec(&self, budget: &mut Budget) -> Result<Vec<Element>, Exceeded> {
        let len = self.len() as u64;
        budget.visits(len)?;
        budget.memory(len.saturating_mul(48))?;
        Ok(match self.elements {
            Elements::Listed(items) => {
                items.iter().filter_map(|item| listed_element(self.typecode, item)).collect()
            }
            Elements::Packed(format, raw) => {
                let bytes = raw.to_vec();
                let chunks = bytes.chunks_exact(usize::from(format.size).max(1));
                chunks.filter_map(|chunk| format.element(chunk)).collect()
            }
        })
    }
}

/// Family and possible sizes of the types, by letter.
fn type_of(typecode: char) -> Option<(Family, &'static [u8])> {
    Some(match typecode {
        'b' => (Family::Signed, &[1]),
        'B' => (Family::Unsigned, &[1]),
        'h' => (Family::Signed, &[2]),
        'H' => (Family::Unsigned, &[2]),
        'i' => (Family::Signed, &[4]),
        'I' => (Family::Unsigned, &[4]),
        'l' => (Family::Signed, &[4, 8]),
        'L' => (Family::Unsigned, &[4, 8]),
        'q' => (Family::Signed, &[8]),
        'Q' => (Family::Unsigned, &[8]),
        'f' => (Family::Float, &[4]),
        'd' => (Family::Float, &[8]),
        'u' => (Family::Char, &[2, 4]),
        'w' => (Family::Char, &[4]),
        _ => return None,
    })
}

/// An element given as an object, if it is of the type and in its range.
fn listed_element(typecode: char, item: Object) -> Option<Element> {
    let (family, sizes) = type_of(typecode)?;
    let bits = u32::from(*sizes.last()?).checked_mul(8)?;
    match family {
        Family::Signed | Family::Unsigned => {
            let value = Int::of(item)?.to_i128()?;
            let values = match family {
                Family::Signed => {
                    let half = 1_i128.checked_shl(bits.checked_sub(1)?)?;
                    half.checked_neg()?..half
                }
                _ => 0..1_i128.checked_shl(bits)?,
            };
            values.contains(&value).then_some(Element::Int(value))
        }
        Family::Float => {
            let Value::Float(value) = item.value() else { return None };
            #[expect(clippy::cast_possible_truncation, reason = "as Python's cast to float")]
            let single = f64::from(value as f32);
            Some(Element::Float(if bits == 32 { single } else { value }))
        }
        Family::Char => {
            let mut chars = item.as_str()?.chars();
            let char = chars.next()?;
            chars.next().is_none().then_some(Element::Char(char.into()))
        }
    }
}

/// The letter of a type among the arguments.
fn typecode(call: &Call, index: usize) -> Result<char, Error> {
    let text = call.arg(index).as_str().unwrap_or_default();
    let mut chars = text.chars().take(2);
    match (chars.next(), chars.next()) {
        (Some(letter), None) if type_of(letter).is_some() => Ok(letter),
        // Characters of Python 2, which are bytes.
        _ => Err(call.refuse("the letter of a type wanted")),
    }
}

pub(super) fn listed<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    if !matches!(call.args.len(), 1 | 2) {
        return Err(call.refuse_args("a letter and a list"));
    }
    let typecode = typecode(call, 0)?;
    let items = match call.args.get(1).map(|given| (given, given.value())) {
        None => call.args.rest(1),
        Some((given, Value::List(items))) if call.unchanged(given) => items,
        Some((_, Value::Int(_) | Value::Float(_) | Value::Bool(_))) => {
            return Err(call.refuse_args("a letter and a list"));
        }
        // Texts and bytes, of which Python makes elements in its own ways.
        _ => return Ok(None),
    };
    budget.visits(items.len() as u64)?;
    let odd = |item: &Object| listed_element(typecode, *item).is_none();
    if let Some(item) = items.iter().find(odd) {
        let number = Int::of(item).is_some();
        return match (type_of(typecode), item.value()) {
            // Python would convert these.
            (Some((Family::Float, _)), _) if number => Ok(None),
            (_, Value::Recipe(_)) => Ok(None),
            _ => Err(call.refuse(format!("a {} that is no '{typecode}'", item.kind()))),
        };
    }
    Ok(Some(View::Array(Array { typecode, elements: Elements::Listed(items) })))
}

pub(super) fn packed<'graph>(call: &Call<'graph>, budget: &mut Budget) -> Read<'graph> {
    call.plain()?;
    let Some([class, _, code, bytes]) = call.args.array() else {
        return Err(call.refuse_args("a class, a letter, a format and bytes"));
    };
    let typecode = typecode(call, 1)?;
    let code = code.as_int();
    let Some(format) = code.and_then(Machine::of) else {
        return Err(call.refuse("the code of a format, 0 to 21, wanted"));
    };
    let Some(raw) = raw(bytes, budget)? else {
        return match bytes.value() {
            Value::Recipe(_) | Value::Buffer { .. } => Ok(None),
            _ => Err(call.refuse(format!("bytes wanted, {} given", bytes.kind()))),
        };
    };
    let array = Array { typecode, elements: Elements::Packed(format, raw) };
    if let Raw::Latin1(text) = raw {
        pay(text.len(), budget)?;
    }
    let len = match raw {
        Raw::Bytes(bytes) => bytes.len(),
        Raw::Latin1(text) => text.chars().count(),
    };
    let size = usize::from(format.size);
    if len.checked_rem(size) != Some(0) {
        return Err(call.refuse(format!("{len} bytes are no whole number of {size}")));
    }
    let same = type_of(typecode)
        .is_some_and(|(family, sizes)| family == format.family && sizes.contains(&format.size));
    // Other pairs of type and format Python would convert; subclasses may do as they like.
    let is_array = class.as_global().is_some_and(|class| class.is("array", "array"));
    Ok((same && is_array).then_some(View::Array(array)))
}
