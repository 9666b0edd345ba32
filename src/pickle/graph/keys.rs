//! Which objects are equal as keys of a dict or members of a set.
//!
//! Source: CPython 3.11 `Objects/dictobject.c` (`insertdict`: the first key stays, the last
//! value counts), `PyObject_RichCompare` (an object equals itself, even NaN), and `__eq__` and
//! `__hash__` of the types.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::{Dict, Items, NodeId, Object, Value};
use crate::base::{Budget, Exceeded};

/// A key and its value.
pub type Pair<'graph> = (Object<'graph>, Object<'graph>);

/// What makes two keys equal in Python: numbers by value (`1 == 1.0 == True`), texts and bytes
/// by what they hold, tuples and frozensets by their members. NaN, and what a class of its own
/// decides (objects, globals, persistent ids), are equal only to themselves.
///
/// Given by [`Keys::key`]; keys of different [`Keys`] cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<'graph>(Form<'graph>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form<'graph> {
    Text(&'graph [u8]),
    /// A Python 2 `str` that is not ASCII: no `str` is equal to it under every encoding.
    Str8(&'graph [u8]),
    Bytes(&'graph [u8]),
    Int(i64),
    /// Over 64 bits, and no `float` has this value.
    BigInt(&'graph [u8]),
    /// No integer of 64 bits has this value.
    Float(u64),
    /// The number of a tuple or frozenset.
    Compound(u32),
    Other(NodeId),
}

/// Finds equal keys. Work on a tuple is done once, however many dicts it is a key of.
#[derive(Clone, Debug, Default)]
pub struct Keys<'graph> {
    numbers: HashMap<Shape<'graph>, u32>,
    seen: HashMap<NodeId, u32>,
}

/// A tuple or frozenset by its members; those of a frozenset are in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Shape<'graph> {
    Tuple(Box<[Form<'graph>]>),
    FrozenSet(Box<[u32]>),
    /// A member of a frozenset.
    Member(Form<'graph>),
}

impl<'graph> Keys<'graph> {
    /// What an entry of a map takes (bytes), growth included.
    const ENTRY: u64 = 128;

    /// No key seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `object` is equal to as a key. Lists and other unhashable objects are equal to
    /// themselves only.
    ///
    /// Takes time and memory in proportion to the tuples and frozensets in it that were not
    /// met before; paths do not count, nor does depth.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget does not cover a step for each member of those.
    pub fn key(
        &mut self,
        object: Object<'graph>,
        budget: &mut Budget,
    ) -> Result<Key<'graph>, Exceeded> {
        if let Some(form) = self.known(object) {
            return Ok(Key(form));
        }
        let mut todo = vec![object];
        while let Some(&top) = todo.last() {
            let items = top.items().filter(|_| self.known(top).is_none());
            let Some(items) = items else {
                todo.pop();
                continue;
            };
            budget.visits(items.len() as u64)?;
            let before = todo.len();
            for item in items.iter().filter(|&item| self.known(item).is_none()) {
                budget.push(&mut todo, item)?;
            }
            if todo.len() == before {
                self.compound(top, items, budget)?;
            }
        }
        Ok(Key(self.form(object)))
    }

    /// Each key once, as Python keeps them: the last value in the first place.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget does not cover a step and 128 bytes for each pair, and what
    /// [`key`](Self::key) takes.
    pub fn unique(
        &mut self,
        pairs: impl IntoIterator<Item = Pair<'graph>>,
        budget: &mut Budget,
    ) -> Result<Vec<Pair<'graph>>, Exceeded> {
        let mut out: Vec<Pair<'graph>> = Vec::new();
        // Places in `out`, by its keys: what these are is cheaper to ask again than to hold twice.
        let mut places: HashTable<usize> = HashTable::new();
        let state = DefaultHashBuilder::default();
        let pairs = pairs.into_iter();
        let (least, _) = pairs.size_hint();
        // Growing would ask for every key again. What does not fit is for the loop to say.
        let bytes = Self::ENTRY.saturating_mul(least as u64);
        if budget.clone().memory(bytes).is_ok() {
            places.try_reserve(least, |_| 0).map_err(|_| Exceeded::refused(bytes))?;
        }
        for (key, value) in pairs {
            budget.visits(1)?;
            let new = out.len();
            let wanted = self.key(key, budget)?.0;
            let form = |place: &usize| out.get(*place).map_or(wanted, |pair| self.form(pair.0));
            let same = |place: &usize| form(place) == wanted;
            match places.entry(state.hash_one(wanted), same, |place| state.hash_one(form(place))) {
                Entry::Occupied(place) => {
                    if let Some(pair) = out.get_mut(*place.get()) {
                        pair.1 = value;
                    }
                }
                Entry::Vacant(place) => {
                    budget.memory(Self::ENTRY)?;
                    place.insert(new);
                    out.push((key, value));
                }
            }
        }
        Ok(out)
    }

    /// Each member once, as a set keeps them: the first of equal ones.
    ///
    /// # Errors
    /// As [`unique`](Self::unique).
    pub fn members(
        &mut self,
        items: Items<'graph>,
        budget: &mut Budget,
    ) -> Result<Vec<Object<'graph>>, Exceeded> {
        let pairs = self.unique(items.iter().map(|item| (item, item)), budget)?;
        Ok(pairs.into_iter().map(|(first, _)| first).collect())
    }

    /// The form of a key that was looked at.
    fn form(&self, object: Object<'graph>) -> Form<'graph> {
        self.known(object).unwrap_or(Form::Other(object.id()))
    }

    /// The form of a key that needs no look at its members, or has had it.
    fn known(&self, object: Object<'graph>) -> Option<Form<'graph>> {
        Some(match object.value() {
            Value::Text(text) if text.is_python2() && !text.as_bytes().is_ascii() => {
                Form::Str8(text.as_bytes())
            }
            Value::Text(text) => Form::Text(text.as_bytes()),
            Value::Bytes(bytes) => Form::Bytes(bytes),
            Value::Bool(value) => Form::Int(value.into()),
            Value::Int(value) => Form::Int(value),
            Value::BigInt(value) => match exact_float(value.as_le_bytes()) {
                Some(float) => Form::Float(float.to_bits()),
                None => Form::BigInt(value.as_le_bytes()),
            },
            Value::Float(value) => float_form(value).unwrap_or(Form::Other(object.id())),
            Value::Tuple(items) if items.is_empty() => Form::Other(object.id()),
            Value::Tuple(_) | Value::FrozenSet(_) => Form::Compound(*self.seen.get(&object.id())?),
            _ => Form::Other(object.id()),
        })
    }

    /// Numbers a tuple or frozenset whose members are all known.
    fn compound(
        &mut self,
        object: Object<'graph>,
        items: Items<'graph>,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        let entries = (items.len() as u64).saturating_add(2);
        budget.memory(entries.saturating_mul(Self::ENTRY))?;
        let forms: Vec<Form> = items.iter().filter_map(|item| self.known(item)).collect();
        let shape = match object.value() {
            Value::FrozenSet(_) => {
                let members = forms.into_iter().map(|form| self.number(Shape::Member(form)));
                let mut members: Vec<u32> = members.collect();
                members.sort_unstable();
                members.dedup();
                Shape::FrozenSet(members.into())
            }
            _ => Shape::Tuple(forms.into()),
        };
        let number = self.number(shape);
        self.seen.insert(object.id(), number);
        Ok(())
    }

    fn number(&mut self, shape: Shape<'graph>) -> u32 {
        let new = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(shape).or_insert(new)
    }
}

impl<'graph> Dict<'graph> {
    /// Its pairs as Python would hold them: equal keys once, the last value in the first place.
    ///
    /// # Errors
    /// As [`Keys::unique`].
    pub fn unique(
        self,
        keys: &mut Keys<'graph>,
        budget: &mut Budget,
    ) -> Result<Vec<Pair<'graph>>, Exceeded> {
        keys.unique(self.iter(), budget)
    }
}

/// None for NaN.
#[expect(clippy::cast_possible_truncation, reason = "range and fraction are checked")]
fn float_form(value: f64) -> Option<Form<'static>> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if value.is_nan() {
        return None;
    }
    let whole = value.fract() == 0.0 && (-BEYOND..BEYOND).contains(&value);
    Some(if whole { Form::Int(value as i64) } else { Form::Float(value.to_bits()) })
}

/// The float with exactly the value of these little-endian two's complement bytes.
fn exact_float(bytes: &[u8]) -> Option<f64> {
    // Beyond 2¹⁰²⁴ there is none.
    if bytes.len() > 129 {
        return None;
    }
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let skip = bytes.iter().take_while(|&&byte| byte == 0).count();
    let significant = bytes.get(skip..)?;
    // 53 bits and a sign, shifted by up to seven, span at most eight bytes and one of sign.
    if significant.len() > 9 {
        return None;
    }
    let mut word = [if negative { 0xff } else { 0 }; 16];
    word.iter_mut().zip(significant).for_each(|(to, &from)| *to = from);
    let value = i128::from_le_bytes(word);
    let magnitude = value.unsigned_abs();
    let bits = 128_u32.checked_sub(magnitude.leading_zeros())?;
    if bits.checked_sub(magnitude.trailing_zeros())? > 53 {
        return None;
    }
    let shift = i32::try_from(skip).ok()?.checked_mul(8)?;
    #[expect(clippy::cast_precision_loss, reason = "at most 53 bits are set")]
    let float = value as f64 * 2_f64.powi(shift);
    float.is_finite().then_some(float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FileOffset;
    use crate::pickle::{Graph, Policy, assemble, run};

    fn graph(text: &str) -> Graph {
        let bytes = assemble(text).unwrap();
        let outcome = run(bytes.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
        outcome.end.unwrap();
        outcome.graph
    }

    /// Whether the two objects that the operations leave on the stack are equal keys.
    fn equal(ops: &str) -> bool {
        let graph = graph(&format!("{}\nTUPLE2\nSTOP", ops.replace(" / ", "\n")));
        let [a, b] = graph.root().unwrap().items().unwrap().array().unwrap();
        let (mut keys, mut budget) = (Keys::new(), Budget::default());
        keys.key(a, &mut budget).unwrap() == keys.key(b, &mut budget).unwrap()
    }

    #[test]
    fn equal_keys() {
        for ops in [
            "BININT1 1 / BINFLOAT 1",
            "BININT1 1 / NEWTRUE",
            "BINFLOAT 0.0 / NEWFALSE",
            "BINFLOAT -0.0 / BINFLOAT 0.0",
            "LONG 9223372036854775808 / BINFLOAT 9223372036854775808",
            "LONG -9223372036854775808 / BINFLOAT -9223372036854775808",
            "LONG -18446744073709551616 / BINFLOAT -18446744073709551616",
            "LONG 1267650600228229401496703205376 / BINFLOAT 1267650600228229401496703205376",
            "BINUNICODE \"a\" / SHORT_BINSTRING \"a\"",
            "BINUNICODE \"a\" / UNICODE a",
            "BININT1 1 / TUPLE1 / BINFLOAT 1 / TUPLE1",
            "EMPTY_TUPLE / MARK / TUPLE",
            "MARK / BININT1 1 / BININT1 2 / FROZENSET / MARK / BINFLOAT 2 / BININT1 1 / NEWTRUE / FROZENSET",
            "MARK / BININT1 1 / TUPLE1 / FROZENSET / MARK / NEWTRUE / TUPLE1 / FROZENSET",
            "BINFLOAT nan / DUP",
            "BINFLOAT nan / TUPLE1 / MEMOIZE / BINGET 0",
            "GLOBAL a b / GLOBAL a b",
        ] {
            assert!(equal(ops), "{ops}");
        }
    }

    #[test]
    fn different_keys() {
        for ops in [
            "BINFLOAT nan / BINFLOAT nan",
            "BINFLOAT nan / TUPLE1 / BINFLOAT nan / TUPLE1",
            "BININT1 1 / BINFLOAT 1.5",
            "LONG 9223372036854775807 / BINFLOAT 9223372036854775807",
            "LONG 9223372036854775809 / BINFLOAT 9223372036854775808",
            "LONG 18446744073709551617 / BINFLOAT 18446744073709551616",
            "BINUNICODE \"a\" / SHORT_BINBYTES \"a\"",
            "BINUNICODE \"\\xc3\\xa9\" / SHORT_BINSTRING \"\\xc3\\xa9\"",
            "NONE / NEWFALSE",
            "EMPTY_TUPLE / NONE",
            "BININT1 1 / BININT1 1 / TUPLE1",
            "MARK / BININT1 1 / FROZENSET / BININT1 1 / TUPLE1",
            "MARK / BININT1 1 / TUPLE1 / FROZENSET / MARK / BININT1 1 / FROZENSET",
        ] {
            assert!(!equal(ops), "{ops}");
        }
    }

    #[test]
    fn huge_integers_have_floats_only_below_two_to_the_1024() {
        let mut bytes = vec![0; 129];
        bytes[127] = 0x80;
        assert_eq!(exact_float(&bytes), Some(2_f64.powi(1023)));
        let mut bytes = vec![0; 129];
        bytes[128] = 1;
        assert_eq!(exact_float(&bytes), None);
    }

    #[test]
    fn last_value_first_place() {
        let graph = graph(
            "MARK\nBININT1 1\nUNICODE a\nBININT1 2\nUNICODE b\nBINFLOAT 1\nUNICODE c\nDICT\nSTOP",
        );
        let dict = graph.root().unwrap().as_dict().unwrap();
        let pairs = dict.unique(&mut Keys::new(), &mut Budget::default()).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.as_int(), v.as_str())).collect();
        assert_eq!(pairs, [(Some(1), Some("c")), (Some(2), Some("b"))]);
    }

    /// Tuples of a tuple twice over, a million deep: paths beyond counting, and equal to each
    /// other.
    #[test]
    fn deep_shared_tuples_cost_what_they_hold() {
        let work = || {
            let tower = "NONE\n".to_owned() + &"DUP\nTUPLE2\n".repeat(200_000);
            let graph = graph(&format!("MARK\n{tower}NONE\n{tower}NONE\nDICT\nSTOP"));
            let dict = graph.root().unwrap().as_dict().unwrap();
            let pairs = dict.unique(&mut Keys::new(), &mut Budget::default()).unwrap();
            assert_eq!(pairs.len(), 1);
        };
        std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join().unwrap();
    }
}
