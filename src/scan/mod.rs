//! A verdict on a file: what loading it would have done, wherever a pickle hides in it.
//!
//! The machine that loads reads here too, and the same whitelist judges. **Clean** means: read to
//! the end, every global whitelisted in the position it stands in, the container sound. What was
//! not read is never clean. Nothing of a file runs, nothing is written, and no input panics or
//! takes memory out of proportion to its size (see [limits](crate::Limits)).
//!
//! ```
//! use depickle::scan::{Scanner, Verdict};
//!
//! let report = Scanner::new().scan_bytes(&b"cos\nsystem\n(S'id'\ntR."[..]);
//! assert_eq!(report.verdict, Verdict::Dangerous);
//! let finding = &report.findings[0];
//! assert_eq!(finding.rule.id, "forbidden-call");
//! assert_eq!(finding.global.as_deref(), Some("os.system"));
//! assert_eq!(finding.line.as_deref(), Some("os.system(\"id\")"));
//! ```

mod archive;
mod content;
mod dtype;
mod finding;
mod formats;
pub(crate) mod inflate;
mod judge;
mod legacy;
mod line;
mod numpy;
mod part;
pub mod rules;
mod source_text;

use std::fs::File;
use std::path::Path;

use bytes::Bytes;

pub use finding::{Counts, Finding, Place, Position, Report, Standing, Used, Verdict};
pub use rules::{RULES, Rule, Severity};

use crate::base::{FileSource, Limits, Source};
use crate::pickle::{
    Global, Outcome, Pattern, Policy, Position as Stands, Positions, Rule as PolicyRule,
};
use crate::python::policy;

/// Scans files. Cheap to clone; shared between threads.
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    /// What is forbidden.
    forbidden: Policy,
    /// What is whitelisted.
    listed: Policy,
    /// How the machine runs: refusing nothing.
    inspect: Policy,
    checksums: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

/// A pickle that a scan came across.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Visited<'scan> {
    /// What running it gave.
    pub outcome: &'scan Outcome,
    /// Where it lies: an archive member, or something in that.
    pub member: Option<&'scan str>,
    /// Whether offsets count from the beginning of what had to be unpacked for it.
    pub unpacked: bool,
    /// Whether it stands in the file itself or in a member of it, not in bytes or archives in
    /// these.
    pub surface: bool,
}

/// Memory for one file (bytes), unless said otherwise.
const MEMORY: u64 = 1 << 30;

/// Files up to here (bytes) are read at once: what is judged is then one state of them, and one
/// call of the system costs less than one for each member.
const SMALL: u64 = 1 << 18;

impl Scanner {
    /// A scanner with the tables as they are, and 1 GiB of memory for one file.
    #[must_use]
    pub fn new() -> Self {
        Self {
            limits: Limits::default().with_memory(MEMORY),
            forbidden: policy::models().clone(),
            listed: policy::listed().clone(),
            inspect: Policy::inspect(),
            checksums: false,
        }
    }

    /// Other limits for each file.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whitelists globals whose `module.name` matches, in any position: an organisation's own.
    #[must_use]
    pub fn allow(mut self, glob: &str) -> Self {
        let rule =
            PolicyRule { pattern: Pattern::glob(glob.to_owned()), positions: Positions::ALL };
        self.forbidden = self.forbidden.with(rule.clone());
        self.listed = self.listed.with(rule);
        self
    }

    /// Forbids globals whose `module.name` matches, in any position.
    #[must_use]
    pub fn forbid(mut self, glob: &str) -> Self {
        let rule =
            PolicyRule { pattern: Pattern::glob(glob.to_owned()), positions: Positions::NONE };
        self.forbidden = self.forbidden.with(rule.clone());
        self.listed = self.listed.with(rule);
        self
    }

    /// Says what an extension code stands for, as `copyreg.add_extension` does in Python.
    #[must_use]
    pub fn extension(mut self, code: u32, module: &str, name: &str) -> Self {
        self.inspect = self.inspect.with_extension(code, module, name);
        self
    }

    /// Also compares the checksums of members that hold no pickle: reads every byte.
    #[must_use]
    pub const fn checksums(mut self, all: bool) -> Self {
        self.checksums = all;
        self
    }

    /// What the tables say of a global in a position.
    #[must_use]
    pub fn standing(&self, global: Global, position: Position) -> Standing {
        if self.forbidden.admits(global) == Positions::NONE {
            return Standing::Forbidden;
        }
        let stands = match position {
            Position::Call => Stands::Call,
            Position::Instance => Stands::Instance,
            Position::Value | Position::Storage => Stands::Value,
            Position::Target => Stands::Target,
            Position::Computed => Stands::Computed,
        };
        let listed = self.listed.admits(global).has(stands);
        if listed { Standing::Whitelisted } else { Standing::Unknown }
    }

    /// Scans a file. One that cannot be opened is reported as an error.
    #[must_use]
    pub fn scan_path(&self, path: &Path) -> Report {
        match File::open(path).and_then(FileSource::new) {
            Ok(source) if source.len() <= SMALL => match source.fetch(0, source.len()) {
                Ok(bytes) => self.scan(&bytes),
                // What can be read of it is judged, the rest named.
                Err(_) => self.scan(&source),
            },
            Ok(source) => self.scan(&source),
            Err(why) => Report::unread(&format!("cannot be opened: {why}")),
        }
    }

    /// A report about what could not be read at all.
    #[must_use]
    pub fn unreadable(&self, why: &str) -> Report {
        Report::unread(why)
    }

    /// Memory for one file (bytes).
    #[must_use]
    pub const fn memory(&self) -> u64 {
        self.limits.memory
    }

    /// Scans bytes in memory.
    #[must_use]
    pub fn scan_bytes(&self, bytes: impl Into<Bytes>) -> Report {
        self.scan(&bytes.into())
    }

    /// Scans a file of any sort. Reads archives' directories and members that may hold pickles,
    /// and of tensors' data only the first bytes.
    #[must_use]
    pub fn scan(&self, source: &dyn Source) -> Report {
        content::scan(self, source, &mut |_| {})
    }

    /// As [`scan`](Self::scan), showing every pickle that it comes across, in the order of the file.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use depickle::scan::Scanner;
    ///
    /// let mut pickles = 0;
    /// let file = Bytes::from_static(b"K\x01.K\x02.");
    /// let report = Scanner::new().scan_each(&file, &mut |_| pickles += 1);
    /// assert_eq!((pickles, report.pickles), (2, 2));
    /// ```
    #[must_use]
    pub fn scan_each(&self, source: &dyn Source, visit: &mut dyn FnMut(&Visited<'_>)) -> Report {
        content::scan(self, source, visit)
    }

    /// Judges one pickle that was run under [`Policy::inspect`]. What lies in bytes that it holds
    /// is not looked into.
    ///
    /// ```
    /// use depickle::pickle::{Policy, run};
    /// use depickle::scan::{Scanner, Verdict};
    /// use depickle::{Budget, FileOffset};
    ///
    /// let stream = b"ccollections\nOrderedDict\n)R.";
    /// let budget = &mut Budget::default();
    /// let outcome = run(stream[..].into(), FileOffset(0), &Policy::inspect(), budget);
    /// let report = Scanner::new().judge(&outcome);
    /// assert_eq!(report.verdict, Verdict::Clean);
    /// assert_eq!(report.globals[0].position.name(), "call");
    /// ```
    #[must_use]
    pub fn judge(&self, outcome: &Outcome) -> Report {
        let mut report = finding::Building::default();
        report.kind = Some("a pickle".into());
        let mut budget = crate::base::Budget::new(self.limits.clone());
        judge::judge(self, outcome, &Bytes::new(), None, &mut report, &mut budget);
        report.finish()
    }
}
