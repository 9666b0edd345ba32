//! Everything that can be proved about a checkpoint without knowing what it is for.

use std::fmt;
use std::sync::Arc;

use super::archive::Archive;
use super::checkpoint::Checkpoint;
use super::error::Error;
use super::list::Scope;
use super::origin::{Layout, Origin};
use crate::base::Budget;
use crate::container::Finding;

/// What [`Checkpoint::verify`] has looked at, and what it found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Archive members whose checksums were compared.
    pub members: u64,
    /// Bytes of them.
    pub nbytes: u64,
    /// Tensors that were found to lie within their storages.
    pub tensors: u64,
    /// What is not as it should be.
    pub problems: Vec<Problem>,
}

/// One thing that is not as it should be.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// An archive that readers may see differently.
    Finding(Finding),
    /// A member or tensor that is damaged or cannot be read.
    Error(Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finding(finding) => write!(f, "{finding}"),
            Self::Error(why) => write!(f, "{why}"),
        }
    }
}

impl Verification {
    /// Whether nothing was found wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, problem: Problem, budget: &mut Budget) -> Result<(), Error> {
        budget.memory(512)?;
        Ok(budget.push(&mut self.problems, problem)?)
    }
}

impl Checkpoint {
    /// Reads all of it: compares the checksum of every archive member, follows every local
    /// header, and finds every tensor to lie within its storage. Chunks of distributed
    /// checkpoints are opened and verified in turn.
    ///
    /// No member is read twice, and no more than the file's own bytes: where members share
    /// bytes, which honest archives' do not, that is a problem and some are not read.
    ///
    /// ```
    /// use depickle::torch::Checkpoint;
    ///
    /// let verified = Checkpoint::open("tests/fixtures/mlp_model.pth")?.verify()?;
    /// assert!(verified.is_sound());
    /// # Ok::<(), depickle::torch::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Kind::Over`](super::Kind::Over) if there are more problems than memory for them.
    pub fn verify(&self) -> Result<Verification, Error> {
        self.verify_with(&|_| {})
    }

    /// As [`verify`](Self::verify). `progress` is told how many bytes of the file were compared with
    /// their checksums since it was told last.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_with(&self, progress: &dyn Fn(u64)) -> Result<Verification, Error> {
        let mut budget = Budget::new(self.limits().clone());
        let mut found = Verification::default();
        for finding in self.findings() {
            found.add(Problem::Finding(finding.clone()), &mut budget)?;
        }
        let mut last: Option<&Arc<Archive>> = None;
        for part in self.origins() {
            match part.archive() {
                Some(archive) if last.is_none_or(|last| !Arc::ptr_eq(last, archive)) => {
                    self.members(part, archive, progress, &mut found, &mut budget)?;
                    last = Some(archive);
                }
                _ => {}
            }
            if let Layout::Stitched { tensors, .. } = &part.layout {
                for (name, stitched) in tensors {
                    for problem in stitched.verify(&mut found)? {
                        let problem = match problem {
                            Problem::Error(why) => Problem::Error(self.name(why.in_tensor(name))),
                            finding @ Problem::Finding(_) => finding,
                        };
                        found.add(problem, &mut budget)?;
                    }
                }
            }
        }
        for entry in &self.tensors_in(self.root(), Scope::All)? {
            match entry.on(self) {
                Ok(_) => found.tensors = found.tensors.saturating_add(1),
                Err(why) => found.add(Problem::Error(why), &mut budget)?,
            }
        }
        Ok(found)
    }

    /// Compares the checksums of an archive's members.
    fn members(
        &self,
        part: &Origin,
        archive: &Archive,
        progress: &dyn Fn(u64),
        found: &mut Verification,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        let mut left = part.source.len();
        for member in archive.zip.members() {
            // Overlaps are among the findings.
            let Some(rest) = left.checked_sub(member.compressed_size()) else { continue };
            match archive.zip.check_crc_with(&*part.source, member, self.limits(), progress) {
                Ok(()) => {
                    found.members = found.members.saturating_add(1);
                    found.nbytes = found.nbytes.saturating_add(member.size());
                }
                Err(why) => {
                    let why = Error::from(why).moved(part.start);
                    let why = self.name(match &part.path {
                        Some(path) => why.in_file(path),
                        None => why,
                    });
                    found.add(Problem::Error(why), budget)?;
                }
            }
            left = rest;
        }
        Ok(())
    }
}
