//! What is found, and what is said of it.

use super::versions::Requires;
use crate::base::FileOffset;
use crate::torch::Container;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is wrong; good to know.
    Note,
    /// PyTorch loads it, or some releases do, but it is not as it should be.
    Warning,
    /// It cannot be loaded, or not all of it, or should not be.
    Error,
}

impl Severity {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What it is, in a word that does not change: `docs/doctor.md` lists them.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for people.
    pub message: String,
    /// What to do, if something can be done.
    pub advice: Option<String>,
    /// Where in the file, if it is in one place.
    pub offset: Option<FileOffset>,
}

impl Diagnosis {
    fn new(id: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self { id, severity, message: message.into(), advice: None, offset: None }
    }

    pub(super) fn note(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Note, message)
    }

    pub(super) fn warning(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, message)
    }

    pub(super) fn error(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Error, message)
    }

    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn at(mut self, at: impl Into<Option<FileOffset>>) -> Self {
        self.offset = at.into();
        self
    }
}

/// Diagnoses kept of one file; a hostile one can have millions.
const MOST: usize = 200;

/// What is to be said of a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The file.
    pub path: String,
    /// What it is, in a word: `state_dict`, `module`, `checkpoint`, `tensor`, `object`, or the
    /// name of another format.
    pub kind: &'static str,
    /// How its parts lie, if it is a checkpoint.
    pub container: Option<Container>,
    /// Its bytes.
    pub nbytes: u64,
    /// What it is, in a line.
    pub what: String,
    /// What was found, the worst first. Of a file with very much to say, the first of each sort.
    pub diagnosis: Vec<Diagnosis>,
    /// Python that loads it, a line each; empty if nothing does.
    pub load: Vec<String>,
    /// The PyTorch that is needed, if more than any.
    pub requires: Option<Requires>,
}

impl Report {
    pub(super) fn new(path: &str, nbytes: u64) -> Self {
        Self {
            path: path.to_owned(),
            kind: "unknown",
            container: None,
            nbytes,
            what: "an unknown file".to_owned(),
            diagnosis: Vec::new(),
            load: Vec::new(),
            requires: None,
        }
    }

    /// Whether nothing is wrong. Notes are fine.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.diagnosis.iter().all(|found| found.severity == Severity::Note)
    }

    pub(super) fn what(&mut self, kind: &'static str, what: impl Into<String>) {
        self.kind = kind;
        self.what = what.into();
    }

    pub(super) fn add(&mut self, found: Diagnosis) {
        // The worst first; those of one sort in their order.
        let place = self.diagnosis.partition_point(|other| other.severity >= found.severity);
        self.diagnosis.insert(place, found);
        if self.diagnosis.len() > MOST {
            self.diagnosis.truncate(MOST);
        }
    }

    /// Whether a diagnosis of this id is among them.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.diagnosis.iter().any(|found| found.id == id)
    }
}
