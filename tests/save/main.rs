//! Checkpoints that depickle writes are what `torch.save` writes, whatever they are made from.
#![allow(
    clippy::items_after_statements,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::cast_precision_loss,
    clippy::format_collect,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;

mod bad;
mod built;
mod edited;
mod large;
#[cfg(feature = "doctor")]
mod onward;
mod random;
mod reread;

use depickle::Budget;
use depickle::pickle::NodeId;
use depickle::torch::{Checkpoint, Draft, Error, Form};

/// The file of what `make` puts into a draft.
pub(crate) fn saved<'run>(
    form: Form,
    folder: &str,
    budget: &'run mut Budget,
    make: impl FnOnce(&mut Draft<'run>) -> Result<NodeId, Error>,
) -> Result<Vec<u8>, Error> {
    let mut draft = Draft::new(budget);
    let root = make(&mut draft)?;
    written(draft, root, form, folder)
}

pub(crate) fn written(
    draft: Draft,
    root: NodeId,
    form: Form,
    folder: &str,
) -> Result<Vec<u8>, Error> {
    let plan = draft.finish_as(root, form)?.folder(folder);
    let announced = plan.nbytes();
    let mut file = Vec::new();
    assert_eq!(plan.write(&mut file)?, file.len() as u64);
    assert_eq!(announced, file.len() as u64, "the length is known before");
    Ok(file)
}

/// A checkpoint saved again as it is.
pub(crate) fn resaved(checkpoint: &Checkpoint, form: Form, folder: &str) -> Result<Vec<u8>, Error> {
    let mut budget = Budget::default();
    let draft = Draft::of(checkpoint, &mut budget)?;
    let root = draft.root();
    written(draft, root, form, folder)
}
