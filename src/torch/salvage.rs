//! What is whole in a file that is not.

use bytes::Bytes;

use super::checkpoint::Checkpoint;
use super::error::Error;
use super::legacy;
use super::origin::{Layout, Names};
use super::sniff::Container;
use super::storage::{StorageId, Storages};
use super::tensor::Tensor;
use crate::base::{Budget, FileOffset};
use crate::container::{self, Member, Recovery};
use crate::pickle::{Ops, Policy};

/// How long a file would be, were it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WholeLen {
    /// This many bytes.
    Exactly(u64),
    /// This many bytes or more: of what follows the last tensor, or stands between tensors,
    /// nothing is known.
    AtLeast(u64),
}

impl Checkpoint {
    /// How long the file would be, were it whole, by the sizes that its object claims. None of
    /// layouts that do not tell, or of an archive whose directory could be read.
    ///
    /// # Errors
    /// As opening it.
    pub fn whole_len(&self) -> Result<Option<WholeLen>, Error> {
        let Some(part) = self.origins().first() else { return Ok(None) };
        let mut budget = Budget::new(self.limits().clone());
        match (&part.layout, self.container()) {
            (Layout::Runs(_), Container::Legacy) => {
                let policy = Policy::inspect();
                let len = legacy::whole_len(&*part.source, &policy, &mut budget)?;
                Ok(len.map(WholeLen::Exactly))
            }
            (Layout::Runs(runs), Container::Safetensors) => {
                let start = runs.places.values().map(|place| place.at.0).min();
                let claimed = Storages::claimed(self.graph());
                let data = claimed.iter().fold(0_u64, |sum, (_, len)| sum.saturating_add(*len));
                Ok(start.map(|start| WholeLen::Exactly(start.saturating_add(data))))
            }
            (Layout::Zip { archive, names }, _) => {
                let Some(recovery) = archive.zip.recovery() else { return Ok(None) };
                let claimed = Storages::claimed(self.graph());
                let missing: Vec<_> = (claimed.into_iter())
                    .filter(|(key, _)| !matches!(archive.storage(*names, key), Ok(Some(_))))
                    .collect();
                let names = (archive.name(""), *names);
                let alignment = self.alignment(&mut budget)?;
                let members: Vec<Member<'_>> = archive.zip.members().collect();
                let exact = exactly(&members, recovery, &names, &missing, alignment);
                Ok(Some(exact.unwrap_or_else(|| {
                    let begun: u64 = recovery.lost.iter().map(|lost| lost.data.len).sum();
                    let lacks: u64 = missing.iter().map(|(_, len)| len).sum();
                    let lacks = lacks.saturating_sub(begun);
                    WholeLen::AtLeast(part.source.len().saturating_add(lacks))
                })))
            }
            _ => Ok(None),
        }
    }

    /// What the archive says that data are aligned to (bytes).
    fn alignment(&self, budget: &mut Budget) -> Result<u64, Error> {
        let Some(part) = self.origins().first() else { return Ok(container::ALIGNMENT) };
        let Some(archive) = part.archive() else { return Ok(container::ALIGNMENT) };
        let Some(member) = archive.member(".storage_alignment")? else {
            return Ok(container::ALIGNMENT);
        };
        if member.size() > 8 {
            return Ok(container::ALIGNMENT);
        }
        let text = archive.zip.read(&*part.source, member, budget)?;
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        Ok(number.filter(|&number| number > 0).unwrap_or(container::ALIGNMENT))
    }

    /// Reads a storage through and compares it with the checksum that its archive has of it.
    /// False if there is none: other layouts have none, and archives that were saved with
    /// checksums switched off have 0 in their place.
    ///
    /// # Errors
    /// [`Crc`](container::Kind::Crc) and all that keeps it from being read.
    pub fn compare_storage(&self, storage: StorageId) -> Result<bool, Error> {
        let (id, _) = self.storages().whole(storage, 0);
        let storage = self.storages().get(id);
        let Some(part) = self.origins().get(storage.part() as usize) else { return Ok(false) };
        let Layout::Zip { archive, names } = &part.layout else { return Ok(false) };
        let Some(member) = archive.storage(*names, storage.key())? else { return Ok(false) };
        if member.crc32() == 0 && member.size() > 0 {
            return Ok(false);
        }
        let checked = archive.zip.check_crc(&*part.source, member, self.limits());
        checked.map_err(|why| self.name(part.locate(why.into())))?;
        Ok(true)
    }

    /// Every storage that a tensor needs: of layouts of several parts, those of all parts.
    ///
    /// # Errors
    /// Why a part cannot be read.
    pub fn storages_of(&self, tensor: &Tensor) -> Result<Vec<StorageId>, Error> {
        let mut found: Vec<StorageId> = tensor.storage().into_iter().collect();
        let mut parts = self.parts(tensor);
        // Parts of parts: a wrapper's attributes may be of any layout.
        let mut left = MOST_PARTS;
        while let Some(part) = parts.pop() {
            let tensor = part.tensor?;
            found.extend(tensor.storage());
            if left == 0 {
                break;
            }
            left = left.saturating_sub(1);
            parts.extend(self.parts(&tensor));
        }
        Ok(found)
    }

    /// The pickles that `torch.load` reads of it, one after the other.
    #[cfg_attr(not(feature = "doctor"), expect(dead_code, reason = "only doctor asks"))]
    pub(crate) fn pickles(&self) -> Result<Vec<Bytes>, Error> {
        let Some(part) = self.origins().first() else { return Ok(Vec::new()) };
        if self.container() != Container::Legacy {
            return Ok(vec![part.stream.clone()]);
        }
        let mut found = Vec::with_capacity(legacy::PICKLES);
        let mut at = FileOffset(0);
        for _ in 0..legacy::PICKLES {
            let mut budget = Budget::new(self.limits().clone());
            let bytes = legacy::first_pickle(&*part.source, at, legacy::WINDOW, &mut budget)?;
            let mut ops = Ops::at(&bytes, at);
            ops.by_ref().try_for_each(|op| op.map(drop))?;
            at = at.plus(ops.consumed());
            found.push(bytes);
        }
        Ok(found)
    }
}

/// More parts than any tensor has.
const MOST_PARTS: usize = 1 << 10;

/// The length of the archive that `torch.save` was writing, if what there is of it lies exactly
/// as it writes: since the version that notes the alignment, members and their order are known.
///
/// Source: PyTorch 2.15 `torch/serialization.py` (`_save`), `caffe2/serialize/inline_container.cc`.
fn exactly(
    members: &[Member<'_>],
    recovery: &Recovery,
    (root, names): &(String, Names),
    missing: &[(Box<str>, u64)],
    alignment: u64,
) -> Option<WholeLen> {
    let known = [".format_version", ".storage_alignment", "byteorder"];
    let has = |name: &str| {
        let full = format!("{root}{name}");
        members.iter().any(|member| member.name_bytes() == full.as_bytes())
    };
    if !known.iter().all(|name| has(name)) || !recovery.gaps.is_empty() {
        return None;
    }
    let whole: Vec<(u64, u64)> =
        members.iter().map(|it| (it.name_bytes().len() as u64, it.size())).collect();
    // Positions are known only where no zip64 field stands in a directory.
    let directory =
        whole.iter().fold(98_u64, |sum, (name, _)| sum.saturating_add(46).saturating_add(*name));
    let position = container::zip_len(whole.iter().copied(), alignment).checked_sub(directory)?;
    let one_begun = match recovery.lost.as_slice() {
        [] => true,
        [lost] => lost.header == recovery.end,
        _ => false,
    };
    if position != recovery.end.0 || recovery.end.0 >= u64::from(u32::MAX) || !one_begun {
        return None;
    }
    let name_len = |name: &str| (root.len().saturating_add(name.len())) as u64;
    let storages = missing
        .iter()
        .map(|(key, len)| (name_len(&format!("{}{key}{}", names.before, names.after)), *len));
    let last = [("version", 2), (".data/serialization_id", 40)];
    let last = last.iter().filter(|(name, _)| !has(name));
    let last = last.map(|&(name, len)| (name_len(name), len));
    let all = whole.iter().copied().chain(storages).chain(last);
    Some(WholeLen::Exactly(container::zip_len(all, alignment)))
}
