//! What is different: keys, sizes, dtypes, layouts.

use std::borrow::Cow;
use std::collections::HashMap;

use depickle::torch::Role;

use super::side::{Held, Side};
use super::{Diff, Fact, Found, Row};
use crate::output::Failure;

pub(super) fn compare(args: &Diff, left: &Side, right: &Side) -> Result<Found, Failure> {
    let name = |name: &str| args.names.name(name).map(Cow::into_owned);
    let mut found = join(left, right, name, name)?;
    for row in &mut found.rows {
        match (&row.left, &row.right) {
            (Some(_), None) => row.facts.push(Fact::Missing),
            (None, Some(_)) => row.facts.push(Fact::Unexpected),
            (Some(one), Some(other)) => {
                row.facts.extend(facts(one, other));
                if args.long {
                    row.facts.extend(more(one, left, other, right));
                }
            }
            (None, None) => {}
        }
    }
    Ok(found)
}

/// A row for every key of either side.
pub(super) fn join(
    left: &Side,
    right: &Side,
    left_name: impl Fn(&str) -> Option<String>,
    right_name: impl Fn(&str) -> Option<String>,
) -> Result<Found, Failure> {
    let (one, mut errors) = left.tensors(left_name)?;
    let (other, more) = right.tensors(right_name)?;
    errors.extend(more);
    let keys = [one.len(), other.len()];
    let mut found = Found { errors, ..Found::default() };
    // Where a name stands several times, the first meets the first.
    let mut places: HashMap<(String, usize), usize> = HashMap::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (name, held) in one {
        let nth = next(&mut counts, &name);
        places.insert((name.clone(), nth), found.rows.len());
        found.rows.push(Row { name, left: Some(held), ..Row::default() });
    }
    counts.clear();
    let mut both = 0_usize;
    for (name, held) in other {
        let nth = next(&mut counts, &name);
        let place = places.get(&(name.clone(), nth));
        match place.and_then(|place| found.rows.get_mut(*place)) {
            Some(row) => {
                row.right = Some(held);
                both = both.saturating_add(1);
            }
            None => found.rows.push(Row { name, right: Some(held), ..Row::default() }),
        }
    }
    found.keys = [keys[0], keys[1], both];
    Ok(found)
}

fn next(counts: &mut HashMap<String, usize>, name: &str) -> usize {
    let count = counts.entry(name.to_owned()).or_default();
    let nth = *count;
    *count = count.saturating_add(1);
    nth
}

/// How the views of a key differ.
pub(super) fn facts(left: &Held, right: &Held) -> Vec<Fact> {
    if left.lazy != right.lazy {
        return vec![Fact::Other("one side has no sizes yet, being of a lazy module".to_owned())];
    }
    let (Some(one), Some(other)) = (&left.tensor, &right.tensor) else { return Vec::new() };
    let mut facts = Vec::new();
    if one.shape() != other.shape() || one.nested_sizes() != other.nested_sizes() {
        facts.push(Fact::Shape);
    }
    if one.layout() != other.layout() {
        facts.push(Fact::Layout);
    }
    if one.dtype() != other.dtype() {
        facts.push(Fact::DType);
    }
    let per_tensor = |held: &depickle::torch::Tensor| {
        held.quantizer().map(|quantizer| match quantizer {
            depickle::torch::Quantizer::PerTensor { scale, zero_point } => {
                format!("scale {scale:?}, zero point {zero_point}")
            }
            quantizer => quantizer.scheme().to_owned(),
        })
    };
    if per_tensor(one) != per_tensor(other) {
        facts.push(Fact::Quantizer);
    }
    facts
}

/// What only `--long` looks at.
fn more(left: &Held, one: &Side, right: &Held, other: &Side) -> Vec<Fact> {
    let (Some(a), Some(b)) = (left.on(one), right.on(other)) else { return Vec::new() };
    let mut facts = Vec::new();
    // State dicts do not tell roles.
    if let (Some(left), Some(right)) = (left.role.map(Role::name), right.role.map(Role::name))
        && left != right
    {
        facts.push(Fact::Role(left.to_owned(), right.to_owned()));
    }
    if a.requires_grad() != b.requires_grad() {
        facts.push(Fact::Grad(a.requires_grad(), b.requires_grad()));
    }
    if a.device() != b.device() {
        facts.push(Fact::Device(a.device().to_owned(), b.device().to_owned()));
    }
    facts
}
