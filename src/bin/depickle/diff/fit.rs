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
        rows.of(name).facts.push(Fact::Missing);
    }
    for name in fit.kept() {
        rows.of(name).facts.push(Fact::Kept);
    }
    for name in fit.unexpected() {
        rows.of(name).facts.push(Fact::Unexpected);
    }
    for conflict in fit.conflicts() {
        let row = rows.of(conflict.name());
        row.facts.push(match conflict {
            Conflict::Shape { .. } => Fact::Shape,
            Conflict::Layout { .. } => Fact::Layout,
            Conflict::NotATensor { found, .. } => Fact::Other(format!("no tensor, but {found}")),
            // The list of tensors has said why.
            Conflict::Unreadable { .. } => Fact::Other("unreadable".to_owned()),
            other => Fact::Other(other.to_string()),
        });
    }
    // Old names that the model's classes know are read under their new ones.
    for matched in fit.matched() {
        let row = rows.of(matched.name());
        if row.right.is_none() {
            let tensor = matched.tensor();
            row.right = Some(Held::new(tensor.name(), None, Some(tensor.tensor().clone())));
        }
        if matched.slot().dtype().is_some_and(|dtype| dtype != matched.tensor().dtype()) {
            row.facts.push(Fact::DType);
        }
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

    fn of(&mut self, name: &str) -> &mut Row {
        let last = self.rows.len();
        let at = *self.places.entry(name.to_owned()).or_insert(last);
        if at == last {
            self.rows.push(Row { name: name.to_owned(), ..Row::default() });
        }
        // There is one now.
        let at = at.min(self.rows.len().saturating_sub(1));
        &mut self.rows[at]
    }
}
