//! Tensors that share memory, of which safetensors takes one only.
//!
//! As the official converter decides: of tensors that overlap in one storage, the alphabetically
//! first of those that cover all of it is kept; the others are left out and recorded. Beyond that,
//! equal views of a part of a storage are kept once, and one alone is simply copied.
//!
//! Source: safetensors 0.8 `bindings/python/py_src/safetensors/torch.py` (`_find_shared_tensors`,
//! `_filter_shared_not_shared`, `_is_complete`, `_remove_duplicate_names`); transformers 5
//! `modeling_utils.py` (`_find_disjoint`, `_find_identical`).

use std::collections::BTreeMap;

use super::error::{Error, Kind};
use crate::torch::{StorageId, Tensor};

/// What becomes of tensors that share memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shared {
    /// One name is kept, the others are recorded.
    Once,
    /// Each is written, with data of its own.
    Copy,
    /// They are refused.
    Refuse,
}

/// Tensors of which one is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The one that is kept.
    pub kept: String,
    /// The others, in order; each with whether it is the same view, so that nothing of it is lost
    /// but its name.
    pub removed: Vec<(String, bool)>,
}

/// A tensor under the name it will have, with its place in the list.
pub(crate) struct Named<'plan> {
    pub name: &'plan str,
    pub tensor: &'plan Tensor,
    pub index: usize,
    /// Bytes of its storage.
    pub storage: u64,
}

/// Groups of tensors that overlap, each sorted by name.
pub(crate) fn overlapping(all: Vec<Named<'_>>) -> Vec<Vec<Named<'_>>> {
    let mut storages: BTreeMap<StorageId, Vec<Named>> = BTreeMap::new();
    for named in all {
        // Values that differ from what is stored are nobody else's.
        let lazy = named.tensor.is_lazy();
        if let Some(storage) = named.tensor.storage().filter(|_| !lazy && named.storage > 0) {
            storages.entry(storage).or_default().push(named);
        }
    }
    let mut groups = Vec::new();
    for mut names in storages.into_values() {
        names.sort_by(|a, b| (area(a.tensor), a.name).cmp(&(area(b.tensor), b.name)));
        let mut last_stop = None;
        for named in names {
            let (start, stop) = area(named.tensor);
            // As there: what was seen last counts, not what reaches farthest.
            let joins = last_stop.is_some_and(|last| start < last);
            last_stop = Some(stop);
            match groups.last_mut() {
                Some(group) if joins => Vec::push(group, named),
                _ => groups.push(vec![named]),
            }
        }
    }
    groups.retain(|group| group.len() > 1);
    for group in &mut groups {
        group.sort_by_key(|named| named.name);
    }
    groups
}

/// First and last byte in the storage.
fn area(tensor: &Tensor) -> (u64, u64) {
    let (start, len) = tensor.extent();
    (start, start.saturating_add(len))
}

/// Chooses the tensor of each group that is kept. Returns what was chosen, and the places of the
/// others in the list.
///
/// # Errors
/// [`Kind::NoCover`] if in one of them none can stand for all.
pub(crate) fn once(groups: &[Vec<Named>]) -> Result<(Vec<Group>, Vec<usize>), Error> {
    let (mut chosen, mut removed, mut hopeless) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        let Some(first) = group.first() else { continue };
        let complete = |named: &&Named| covers(named);
        let equal = group.iter().all(|named| same_view(named.tensor, first.tensor));
        let kept = group.iter().find(complete).or(Some(first).filter(|_| equal));
        let Some(kept) = kept else {
            hopeless.push(group.iter().map(|named| named.name.into()).collect());
            continue;
        };
        let others = group.iter().filter(|named| named.index != kept.index);
        removed.extend(others.clone().map(|named| named.index));
        let others = others
            .map(|named| (named.name.to_owned(), same_view(named.tensor, kept.tensor)))
            .collect();
        chosen.push(Group { kept: kept.name.to_owned(), removed: others });
    }
    if !hopeless.is_empty() {
        return Err(Error::new(Kind::NoCover(hopeless)));
    }
    Ok((chosen, removed))
}

/// Whether a tensor has each byte of its storage exactly once.
fn covers(named: &Named) -> bool {
    let tensor = named.tensor;
    let mut steps: Vec<(u64, u64)> = (tensor.stride().iter().copied())
        .zip(tensor.shape().iter().copied())
        .filter(|&(_, size)| size != 1)
        .collect();
    steps.sort_unstable();
    let mut expected = 1_u64;
    let dense = steps.into_iter().all(|(step, size)| {
        let fits = step == expected;
        expected = expected.saturating_mul(size);
        fits
    });
    dense && tensor.storage_offset() == 0 && tensor.nbytes() == named.storage
}

fn same_view(one: &Tensor, other: &Tensor) -> bool {
    let key = |tensor: &Tensor| (tensor.dtype(), tensor.storage_offset());
    let steps = |tensor: &Tensor| {
        let dimensions = tensor.shape().iter().zip(tensor.stride());
        let steps = dimensions.map(|(&size, &step)| (size, if size > 1 { step } else { 0 }));
        steps.collect::<Vec<_>>()
    };
    key(one) == key(other) && steps(one) == steps(other)
}
