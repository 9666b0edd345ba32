//! Whether the right loads into the left.

use std::borrow::Cow;
use std::collections::HashMap;

use depickle::torch::{Conflict, Expected, Weights};

use super::side::{Held, Side};
use super::{Diff, Fact, Found, Row, pairs};
use crate::output::Failure;

pub(super) fn compare(args: &Diff, left: &Side, right: &Side) -> Result<Found, Failure> {
    let kept = |name: &str| args.names.wants(name).then(|| name.to_owned());
    let renamed = |name: &str| args.names.name(name).map(Cow::into_owned);
    let mut found = pairs::join(left, right, kept, renamed)?;
    found.fits = true;

    let expected = Expected::of(left.checkpoint, left.object)?.only(|name| args.names.wants(name));
    let weights = Weights::of(right.checkpoint, right.object)?.renamed(renamed);
    let fit = expected.fit(&weights);
    found.notes = expected.notes().to_vec();
    found.message = fit.check(true).err().map(|why| why.to_string());
    found.keys[0] = expected.slots().count();
    found.keys[1] = weights.entries().len();
    let absent = fit.missing().len().saturating_add(fit.kept().len());
    found.keys[2] = found.keys[0].saturating_sub(absent);

    let mut rows = Rows::new(std::mem::take(&mut found.rows));
    for name in fit.missing() {
        rows.say(name, Some(Fact::Missing), || None);
    }
    for name in fit.kept() {
        rows.say(name, Some(Fact::Kept), || None);
    }
    for name in fit.unexpected() {
        rows.say(name, Some(Fact::Unexpected), || None);
    }
    for conflict in fit.conflicts() {
        let fact = match conflict {
            Conflict::Shape { .. } => Fact::Shape,
            Conflict::Layout { .. } => Fact::Layout,
            Conflict::NotATensor { found, .. } => Fact::Other(format!("no tensor, but {found}")),
            // The list of tensors has said why.
            Conflict::Unreadable { .. } => Fact::Other("unreadable".to_owned()),
            other => Fact::Other(other.to_string()),
        };
        rows.say(conflict.name(), Some(fact), || None);
    }
    for matched in fit.matched() {
        let cast = matched.slot().dtype().is_some_and(|dtype| dtype != matched.tensor().dtype());
        // Old names that the model's classes know are read under their new ones.
        rows.say(matched.name(), cast.then_some(Fact::DType), || {
            let tensor = matched.tensor();
            Some(Held::new(tensor.name(), None, Some(tensor.tensor().clone())))
        });
    }
    found.rows = rows.rows;
    Ok(found)
}

/// Rows by name.
struct Rows {
    rows: Vec<Row>,
    places: HashMap<String, usize>,
}

impl Rows {
    fn new(rows: Vec<Row>) -> Self {
        let places = rows.iter().enumerate().map(|(at, row)| (row.name.clone(), at)).collect();
        Self { rows, places }
    }

    /// Says something of a key, or of what is there on the right where nothing is yet.
    fn say(&mut self, name: &str, fact: Option<Fact>, right: impl FnOnce() -> Option<Held>) {
        let last = self.rows.len();
        let at = *self.places.entry(name.to_owned()).or_insert(last);
        if at == last {
            self.rows.push(Row { name: name.to_owned(), ..Row::default() });
        }
        let Some(row) = self.rows.get_mut(at) else { return };
        row.facts.extend(fact);
        if row.right.is_none() {
            row.right = right();
        }
    }
}
