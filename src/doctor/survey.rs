//! Which tensors of a file are there to their last byte.

use std::collections::HashMap;

use crate::torch::{Checkpoint, Error, Scope, StorageId};

/// A tensor that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// What became of the tensors of a file.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// Those that are whole, by their place in [`Checkpoint::tensors`].
    pub whole: Vec<usize>,
    /// Those that are not.
    pub lost: Vec<Lost>,
    /// How many of the whole ones were compared with a checksum.
    pub checked: u64,
}

/// Looks at every tensor; `deep` reads their data and compares them with their checksums, each
/// storage once.
pub(super) fn survey(checkpoint: &Checkpoint, deep: bool) -> Result<Survey, Error> {
    let mut found = Survey::default();
    let mut seen: HashMap<StorageId, Result<bool, String>> = HashMap::new();
    let list = checkpoint.tensors_in(checkpoint.root(), Scope::StateDict)?;
    for (place, entry) in list.iter().enumerate() {
        let storages = entry.on(checkpoint).and_then(|tensor| checkpoint.storages_of(&tensor));
        let storages = storages.map_err(|why| why.kind().to_string());
        let judged = storages.and_then(|storages| {
            let mut checked = deep;
            for id in storages {
                if deep {
                    let known = seen.entry(id).or_insert_with(|| {
                        checkpoint.compare_storage(id).map_err(|why| why.kind().to_string())
                    });
                    checked &= known.clone()?;
                }
            }
            Ok(checked)
        });
        match judged {
            Ok(checked) => {
                found.whole.push(place);
                found.checked = found.checked.saturating_add(u64::from(checked));
            }
            Err(why) => found.lost.push(Lost { name: entry.name().to_owned(), why }),
        }
    }
    Ok(found)
}
