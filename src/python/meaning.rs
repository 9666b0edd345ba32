//! What the tagged form tells apart of the objects that calls make: instances of classes, and
//! the rest.
//!
//! Source: CPython 3.11 `Lib/copyreg.py`.

use super::views::{Error, View, is_class};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Make, Object, Recipe};

/// The view of an object, where there is one; a call that Python would refuse has none.
///
/// # Errors
/// [`Exceeded`] if the budget does not cover the texts that it must read.
pub fn view<'graph>(
    object: Object<'graph>,
    budget: &mut Budget,
) -> Result<Option<View<'graph>>, Exceeded> {
    View::of(object, budget).or_else(|why: Error| match why.exceeded() {
        Some(why) => Err(why.clone()),
        None => Ok(None),
    })
}

/// The class that a recipe makes an instance of, as far as its form tells: the class given to
/// NEWOBJ, INST or OBJ, or to `copyreg._reconstructor`, or called if it is known as a class.
/// None for calls of functions.
#[must_use]
pub fn instance_of(recipe: Recipe<'_>) -> Option<Instance<'_>> {
    let (callable, args) = (recipe.callable(), recipe.args());
    if recipe.make() != Make::Reduce {
        return Some(Instance { class: callable, args: Some(args) });
    }
    let global = callable.as_global()?;
    if matches!(global.module, b"copyreg" | b"copy_reg") {
        let items = args.as_tuple()?;
        let class = items.get(0)?;
        return match (global.name, items.len()) {
            (b"_reconstructor", 3) if items.get(2)?.is_none() => {
                Some(Instance { class, args: None })
            }
            _ => None,
        };
    }
    is_class(global).then_some(Instance { class: callable, args: Some(args) })
}

/// An instance as a recipe describes it.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'graph> {
    /// Its class.
    pub class: Object<'graph>,
    /// What the class was called with; none if it was not called.
    pub args: Option<Object<'graph>>,
}
