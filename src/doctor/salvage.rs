//! Writing what can still be read of a damaged file.

use std::collections::HashSet;
use std::path::Path;

use super::survey::{Lost, survey};
use crate::base::{Budget, Existing, Limits};
use crate::convert::{Convert, Error, Format, Shared, check_output};
use crate::pickle::Policy;
use crate::torch::{self, Checkpoint, Draft, Take};

/// What was written, and what was not.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Salvaged {
    /// Names of the tensors that were written. If there are none, nothing was.
    pub written: Vec<String>,
    /// Those that are lost, each with the reason.
    pub lost: Vec<Lost>,
    /// How many of the written ones were compared with a checksum: the layouts before 1.6 have
    /// none.
    pub checked: u64,
    /// Bytes of what was written.
    pub nbytes: u64,
}

/// Writes every tensor of a file that is there to its last byte to `out`: a state dict that
/// `torch.load(weights_only=True)` loads, or safetensors if `out` is named so. Names are those of
/// [`Checkpoint::tensors`]. A tensor of which anything is missing is not written, nor one whose
/// checksum is wrong.
///
/// # Errors
/// The file cannot be read at all; `out` cannot be written, exists and is not to be replaced, or
/// is the file itself; a tensor that is whole but that the format does not hold. Nothing is
/// written then.
pub fn salvage(
    path: impl AsRef<Path>,
    out: impl AsRef<Path>,
    existing: Existing,
    limits: &Limits,
) -> Result<Salvaged, Error> {
    let (path, out) = (path.as_ref(), out.as_ref());
    let options = torch::Options::default().policy(Policy::inspect()).limits(limits.clone());
    let checkpoint = options.salvage(true).open(path)?;
    check_output(&checkpoint, out)?;
    if existing == Existing::Refuse && out.exists() {
        let why = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(Error::io(out, why));
    }
    let found = survey(&checkpoint, true)?;
    let mut saved = Salvaged { lost: found.lost, checked: found.checked, ..Salvaged::default() };
    let list = checkpoint.tensors()?;
    let whole: Vec<_> = found.whole.iter().filter_map(|&place| list.entries().get(place)).collect();
    saved.written = whole.iter().map(|entry| entry.name().to_owned()).collect();
    if whole.is_empty() {
        return Ok(saved);
    }
    let safetensors = out.extension().is_some_and(|it| it.eq_ignore_ascii_case("safetensors"));
    saved.nbytes = if safetensors {
        to_safetensors(&checkpoint, &saved.written, out, existing)?
    } else {
        let mut budget = Budget::new(limits.clone());
        let mut draft = Draft::new(&mut budget);
        let mut entries = Vec::with_capacity(whole.len());
        for entry in whole {
            let how = Take::default().detach().on_cpu();
            entries.push((entry.name(), draft.take_as(entry.on(&checkpoint)?, how)?));
        }
        let root = draft.state_dict(entries)?;
        draft.finish(root)?.save(out, existing)?
    };
    Ok(saved)
}

fn to_safetensors(
    checkpoint: &Checkpoint,
    names: &[String],
    out: &Path,
    existing: Existing,
) -> Result<u64, Error> {
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let convert = Convert::to(Format::Safetensors).key("").shared(Shared::Copy).skip_unreadable();
    let mut plan = convert.plan(checkpoint)?;
    plan.retain(|name| names.contains(name));
    let written = plan.write(out, existing, &|_| {})?;
    let files = written.commit()?;
    Ok(files.iter().map(|file| file.file_nbytes).fold(0, u64::saturating_add))
}
