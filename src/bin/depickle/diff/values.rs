//! Elements, one by one.

use depickle::torch::{Error, Layout, Tensor, TensorRef};

use super::side::Side;
use super::{Diff, Fact, Found};
use crate::progress::Progress;

/// Parts of parts that are looked into: a wrapper of a wrapper of a sparse tensor.
const DEEPEST: usize = 4;

pub(super) fn compare(args: &Diff, left: &Side, right: &Side, found: &mut Found) {
    let tensors = found.rows.iter().filter(|row| row.left.is_some() && row.right.is_some());
    let sides = tensors.flat_map(|row| [&row.left, &row.right]);
    let bytes = sides.flatten().filter_map(|held| held.tensor.as_ref()).map(Tensor::nbytes);
    let total = bytes.fold(0, u64::saturating_add);
    let progress = Progress::new("comparing", total, !args.no_progress);
    let mut errors = Vec::new();
    for row in &mut found.rows {
        let (Some(one), Some(other)) = (&row.left, &row.right) else { continue };
        let (Some(one), Some(other)) = (one.on(left), other.on(right)) else { continue };
        if one.shape() != other.shape() || one.layout() != other.layout() {
            continue;
        }
        let mut facts = Vec::new();
        let compared = elements(args, one, other, "", &progress, DEEPEST, &mut facts);
        if let Err(why) = compared {
            errors.push(why.to_string());
        }
        row.facts.extend(facts);
    }
    found.errors.extend(errors);
}

fn elements(
    args: &Diff,
    left: TensorRef,
    right: TensorRef,
    part: &str,
    progress: &Progress,
    deeper: usize,
    facts: &mut Vec<Fact>,
) -> Result<(), Error> {
    match left.layout() {
        Layout::Meta => return Ok(()),
        Layout::Strided | Layout::Quantized => {
            let found =
                left.compare(right, args.tolerance(), |bytes| progress.advance(bytes as u64))?;
            if found != unchanged(found.elements) {
                facts.push(Fact::Values(part.to_owned(), found));
            }
        }
        _ => {}
    }
    let (one, other) = (left.checkpoint().parts(&left), right.checkpoint().parts(&right));
    for part_of_one in &one {
        let name = &part_of_one.name;
        let path = if part.is_empty() { name.to_string() } else { format!("{part}.{name}") };
        let Some(found) = other.iter().find(|found| found.name == *name) else {
            facts.push(Fact::Other(format!("no part {path} on the right")));
            continue;
        };
        let (Ok(one), Ok(other)) = (&part_of_one.tensor, &found.tensor) else {
            facts.push(Fact::Other(format!("part {path} cannot be read")));
            continue;
        };
        if one.shape() != other.shape() || one.dtype() != other.dtype() {
            facts.push(Fact::Other(format!("another {path}")));
        } else if deeper > 0 {
            let deeper = deeper.saturating_sub(1);
            let (one, other) = (left.part(one), right.part(other));
            elements(args, one, other, &path, progress, deeper, facts)?;
        }
    }
    if other.len() > one.len() {
        facts.push(Fact::Other("more parts on the right".to_owned()));
    }
    Ok(())
}

fn unchanged(elements: u64) -> depickle::torch::Comparison {
    let mut same = depickle::torch::Comparison::default();
    same.elements = elements;
    same
}
