//! Mappings as Python would see them: dicts, and objects that are filled like dicts.

use crate::base::{Budget, Exceeded};
pub use crate::pickle::Pair;
use crate::pickle::{Keys, Object, Recipe, Value};

/// The pairs of a dict, or of an object made by a call and filled like one (`OrderedDict`,
/// `defaultdict`, subclasses): equal keys once, with the last value in the first place.
/// `None` if it is neither.
///
/// # Errors
/// [`Exceeded`] if the budget does not cover the pairs: one step and 128 bytes each.
pub fn pairs<'graph>(
    object: Object<'graph>,
    budget: &mut Budget,
) -> Result<Option<Vec<Pair<'graph>>>, Exceeded> {
    pairs_by(object, &mut Keys::new(), budget)
}

/// As [`pairs`], with what is known of keys already.
pub(crate) fn pairs_by<'graph>(
    object: Object<'graph>,
    keys: &mut Keys<'graph>,
    budget: &mut Budget,
) -> Result<Option<Vec<Pair<'graph>>>, Exceeded> {
    match object.value() {
        Value::Dict(dict) => dict.unique(keys, budget).map(Some),
        Value::Recipe(recipe) => {
            let given = given(recipe, budget)?;
            keys.unique(given.into_iter().chain(recipe.set_items()), budget).map(Some)
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
    Keys::new().unique(pairs, budget)
}
