//! What a scan says: verdict, findings, globals.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::rules::{self, Rule, Severity};
use crate::base::FileOffset;

/// The verdict on a file.
///
/// Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing in it is a pickle, nor could hold one: there was nothing to judge.
    Skipped,
    /// Read to the end, every global whitelisted where it stands, the container sound.
    Clean,
    /// Something is off the whitelist, and nothing is known to be dangerous.
    Unknown,
    /// Not read to the end, and nothing dangerous seen before that.
    Error,
    /// It would do harm, or is built so that readers see different things.
    Dangerous,
}

impl Verdict {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Clean => "clean",
            Self::Unknown => "unknown",
            Self::Error => "error",
            Self::Dangerous => "dangerous",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a global is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Position {
    /// Called, or handed to something that calls it.
    Call,
    /// The class of an object.
    Instance,
    /// Mentioned.
    Value,
    /// The class of a storage, in a persistent id.
    Storage,
    /// Given state or items: changed.
    Target,
    /// Called, and what it returned called in turn.
    Computed,
}

impl Position {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Instance => "instance",
            Self::Value => "value",
            Self::Storage => "storage",
            Self::Target => "target",
            Self::Computed => "computed",
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the tables say of a global in its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// The whitelist admits it there.
    Whitelisted,
    /// No table says anything.
    Unknown,
    /// Refused anywhere.
    Forbidden,
}

impl Standing {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whitelisted => "whitelisted",
            Self::Unknown => "unknown",
            Self::Forbidden => "forbidden",
        }
    }
}

/// Where in a file something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The archive member, or what else lies in the file; levels are separated by `!`. None for
    /// the file itself.
    pub member: Option<Box<str>>,
    /// Where: in the file, or in the member if that had to be unpacked.
    pub offset: Option<FileOffset>,
}

/// One thing that a rule found, or several alike in one member.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// `module.name` of the global it is about.
    pub global: Option<String>,
    /// How that is used.
    pub position: Option<Position>,
    /// Where it was found first.
    pub place: Place,
    /// What it is and what Python would have done, in words.
    pub message: String,
    /// What Python would have done, in a line of Python.
    pub line: Option<String>,
    /// How often it was found in this member.
    pub count: u64,
}

impl Finding {
    pub(super) fn new(rule: &'static Rule, place: Place, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { rule, global: None, position: None, place, message, line: None, count: 1 }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.rule.severity
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rule.severity, self.rule.id)?;
        if let Some(member) = &self.place.member {
            write!(f, " in {member}")?;
        }
        if let Some(at) = self.place.offset {
            write!(f, " at {at}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A global of a file in one of its positions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Used {
    /// Its module, as the stream spells it; what is not UTF-8 is replaced.
    pub module: String,
    /// Its qualified name, attributes taken of it included.
    pub name: String,
    /// How it is used.
    pub position: Position,
    /// How often.
    pub count: u64,
    /// Where it was used so first.
    pub place: Place,
    /// What the tables say.
    pub standing: Standing,
}

/// Globals counted by what the tables say; each in each position once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whitelisted where they stand.
    pub whitelisted: u64,
    /// Unknown.
    pub unknown: u64,
    /// Forbidden.
    pub forbidden: u64,
}

/// What a scan of one file found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// Every global in every position.
    pub globals: Vec<Used>,
    /// Whether the file was read to its end.
    pub complete: bool,
    /// What the file is, in words.
    pub kind: String,
    /// Pickles that were judged.
    pub pickles: u64,
}

impl Report {
    /// How many globals there are of each standing.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count =
            |standing| self.globals.iter().filter(|used| used.standing == standing).count() as u64;
        Counts {
            whitelisted: count(Standing::Whitelisted),
            unknown: count(Standing::Unknown),
            forbidden: count(Standing::Forbidden),
        }
    }

    /// A report about what could not be read at all.
    pub(super) fn unread(why: &str) -> Self {
        let mut building = Building::default();
        building.find(Finding::new(rules::UNREAD, Place::default(), why));
        building.finish()
    }
}

/// Findings listed for one file; others are counted.
const MOST: usize = 1_000;
/// Globals listed for one file.
const MOST_GLOBALS: usize = 100_000;

type Same = (&'static str, Option<String>, Option<Position>, Option<Box<str>>);

/// A report while it is made.
#[derive(Debug, Default)]
pub(super) struct Building {
    findings: Vec<Finding>,
    same: HashMap<Same, usize>,
    more: u64,
    worst: Option<Verdict>,
    globals: BTreeMap<(String, String, Position), Used>,
    pub(super) kind: Option<String>,
    pub(super) pickles: u64,
    /// Whether something was found that could hold a pickle, and was read.
    pub(super) judged: bool,
}

impl Building {
    pub(super) fn find(&mut self, finding: Finding) {
        self.worst = self.worst.max(Some(finding.rule.verdict));
        let Finding { rule, global, position, place, .. } = &finding;
        let same = (rule.id, global.clone(), *position, place.member.clone());
        if let Some(found) = self.same.get(&same).and_then(|&at| self.findings.get_mut(at)) {
            found.count = found.count.saturating_add(1);
        } else if self.findings.len() < MOST {
            self.same.insert(same, self.findings.len());
            self.findings.push(finding);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Whether the same was found already.
    pub(super) fn knows(&self, finding: &Finding) -> bool {
        let Finding { rule, global, position, place, .. } = finding;
        self.same.contains_key(&(rule.id, global.clone(), *position, place.member.clone()))
    }

    /// Whether it is told already that something was not read, for that reason.
    pub(super) fn says(&self, why: &str) -> bool {
        let mut unread = self.findings.iter().filter(|it| it.rule.verdict == Verdict::Error);
        unread.any(|finding| finding.message.contains(why))
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    pub(super) fn uses(&mut self, used: Used) {
        let key = (used.module.clone(), used.name.clone(), used.position);
        if let Some(before) = self.globals.get_mut(&key) {
            before.count = before.count.saturating_add(used.count);
        } else if self.globals.len() < MOST_GLOBALS {
            self.globals.insert(key, used);
        }
    }

    pub(super) fn finish(mut self) -> Report {
        if self.more > 0 {
            let message = format!("{} more findings are not listed", self.more);
            self.findings.push(Finding::new(rules::MORE, Place::default(), message));
        }
        // By severity; within one as they were found.
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.rule.severity));
        let least = if self.judged { Verdict::Clean } else { Verdict::Skipped };
        let verdict = match self.worst {
            Some(Verdict::Clean | Verdict::Skipped) | None => least,
            Some(worst) => worst,
        };
        let unread = |finding: &Finding| finding.rule.verdict == Verdict::Error;
        Report {
            verdict,
            complete: verdict != Verdict::Skipped && !self.findings.iter().any(unread),
            findings: self.findings,
            globals: self.globals.into_values().collect(),
            kind: self.kind.unwrap_or_else(|| "no known format".to_owned()),
            pickles: self.pickles,
        }
    }
}
