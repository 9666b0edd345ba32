//! Mappings as Python would see them: dicts, and objects that are filled like dicts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::base::{Budget, Exceeded};
use crate::pickle::{NodeId, Object, Recipe, Value};

/// A key and its value.
pub type Pair<'graph> = (Object<'graph>, Object<'graph>);

/// The pairs of a dict, or of an object made by a call and filled like one (`OrderedDict`,
/// `defaultdict`, subclasses): equal keys once, with the last value in the first place.
/// `None` if it is neither.
///
/// # Errors
/// [`Exceeded`] if the budget does not cover the pairs: one step and 64 bytes each.
pub fn pairs<'graph>(
    object: Object<'graph>,
    budget: &mut Budget,
) -> Result<Option<Vec<Pair<'graph>>>, Exceeded> {
    match object.value() {
        Value::Dict(dict) => distinct(dict.iter(), budget).map(Some),
        Value::Recipe(recipe) => {
            let given = given(recipe, budget)?;
            distinct(given.into_iter().chain(recipe.set_items()), budget).map(Some)
        }
        _ => Ok(None),
    }
}

/// The pairs a mapping is called with: `OrderedDict([[key, value], …])` is what Python 2
/// wrote, `defaultdict(factory, {…})` and `_reconstructor(class, dict, {…})` hold a dict.
fn given<'graph>(
    recipe: Recipe<'graph>,
    budget: &mut Budget,
) -> Result<Vec<Pair<'graph>>, Exceeded> {
    let Some(args) = recipe.args().items() else { return Ok(Vec::new()) };
    budget.visits(args.len() as u64)?;
    for arg in args.iter() {
        match arg.value() {
            Value::Dict(dict) => {
                budget.visits(dict.len() as u64)?;
                return Ok(dict.iter().collect());
            }
            Value::List(items) | Value::Tuple(items) => {
                budget.visits(items.len() as u64)?;
                return Ok(items.iter().filter_map(pair).collect());
            }
            _ => {}
        }
    }
    Ok(Vec::new())
}

fn pair(item: Object<'_>) -> Option<Pair<'_>> {
    item.items()?.array().map(|[key, value]| (key, value))
}

/// Each key once, as Python keeps them: the last value in the first place.
pub(crate) fn distinct<'graph>(
    pairs: impl Iterator<Item = Pair<'graph>>,
    budget: &mut Budget,
) -> Result<Vec<Pair<'graph>>, Exceeded> {
    let mut out: Vec<Pair<'graph>> = Vec::new();
    let mut index: HashMap<Key<'graph>, usize> = HashMap::new();
    for (key, value) in pairs {
        budget.visits(1)?;
        budget.memory(64)?;
        let new = out.len();
        let place = match index.entry(Key::of(key)) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(slot) => *slot.insert(new),
        };
        match out.get_mut(place) {
            Some(pair) => pair.1 = value,
            None => out.push((key, value)),
        }
    }
    Ok(out)
}

/// What makes keys equal in Python: numbers by value, texts by their characters, other
/// things here by identity.
#[derive(PartialEq, Eq, Hash)]
enum Key<'graph> {
    Text(&'graph [u8]),
    Bytes(&'graph [u8]),
    Int(i64),
    Float(u64),
    Other(NodeId),
}

impl<'graph> Key<'graph> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "the cast is compared with what it came from"
    )]
    fn of(object: Object<'graph>) -> Self {
        match object.value() {
            Value::Text(text) => Self::Text(text.as_bytes()),
            Value::Bytes(bytes) => Self::Bytes(bytes),
            Value::Bool(value) => Self::Int(value.into()),
            Value::Int(value) => Self::Int(value),
            Value::Float(value) if (value as i64) as f64 == value => Self::Int(value as i64),
            Value::Float(value) => Self::Float(value.to_bits()),
            _ => Self::Other(object.id()),
        }
    }
}
