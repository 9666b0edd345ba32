//! What some bytes are, by content, and what must be looked into for that.

use bytes::Bytes;

use super::finding::{Building, Finding, Place, Report, Verdict};
use super::formats::{self, Format};
use super::inflate::{self, Packing};
use super::part::Part;
use super::rules::{self, Rule};
use super::{Scanner, Visited, judge, line};
use crate::base::{Budget, End, FileOffset, Source, Watched};
use crate::container;
use crate::pickle::{self, Kind, Ops, Outcome, Policy, Reading};
use crate::torch::legacy::WINDOW;
use crate::torch::{self, sniff};

/// Archives, compressed files and pickles in each other. Honest files need three.
const DEEPEST: u8 = 8;
/// Bytes looked at first.
pub(super) const HEAD: u64 = 512;
/// Bytes looked at to tell pickles from other data.
const LONG_HEAD: u64 = 64 << 10;
/// Bytes looked at where one operand reaches past those.
const LONGEST_HEAD: u64 = 64 << 20;
/// Bytes read at once of what begins as a pickle; most are shorter.
const FIRST_WINDOW: u64 = 1 << 20;
/// Pickles in a row that are judged.
const MOST_STREAMS: u64 = 1 << 20;

/// What is expected of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A file, whatever it is.
    File,
    /// A member that is named as a pickle, or bytes that loading loads.
    Pickle,
    /// A member of an archive, or bytes in a pickle: anything.
    Member,
    /// Raw data of a tensor, as a rule.
    Storage,
}

/// Where some bytes stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Spot {
    pub member: Option<String>,
    /// What is added to their offsets.
    pub base: u64,
    pub depth: u8,
    /// Whether offsets count from a member's own beginning, since it had to be unpacked.
    pub apart: bool,
    /// Whether these are bytes of a pickle, or were compressed: more than a member.
    pub within: bool,
}

impl Spot {
    pub(super) fn place(&self, at: u64) -> Place {
        let offset = Some(FileOffset(self.base.saturating_add(at)));
        Place { member: self.member.as_deref().map(Into::into), offset }
    }

    /// A part of these bytes: a member that lies at `base` in the file, or has offsets of its own.
    pub(super) fn inner(&self, name: &str, base: Option<u64>) -> Self {
        let name = line::printable(name);
        let member = match &self.member {
            Some(outer) => format!("{outer}!{name}"),
            None => name,
        };
        let apart = self.apart || base.is_none();
        let base = base.map_or(0, |at| self.base.saturating_add(at));
        let depth = self.depth.saturating_add(1);
        Self { member: Some(member), base, depth, apart, within: self.within }
    }

    /// What is not a file or member itself.
    fn unpacked(&self, name: &str) -> Self {
        Self { within: true, ..self.inner(name, None) }
    }

    fn following(&self) -> Self {
        Self { depth: self.depth.saturating_add(1), ..self.clone() }
    }
}

/// Scans a file.
pub(super) fn scan(
    scanner: &Scanner,
    source: &dyn Source,
    visit: &mut dyn FnMut(&Visited<'_>),
) -> Report {
    let budget = Budget::new(scanner.limits.clone());
    let mut run = Run { scanner, budget, report: Building::default(), visit };
    let (watched, file) = (Watched::new(source), Spot::default());
    run.content(&watched, &file, Role::File);
    if let Some((at, why)) = watched.failure().filter(|(_, why)| !run.report.says(why)) {
        run.unreadable(&file, *at, why);
    }
    run.report.finish()
}

/// One file being scanned.
pub(super) struct Run<'scan> {
    pub scanner: &'scan Scanner,
    /// For what is held through all of it.
    pub budget: Budget,
    pub report: Building,
    /// Who wants to see each pickle.
    pub visit: &'scan mut dyn FnMut(&Visited<'_>),
}

/// What the first bytes tell about a pickle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// It runs to STOP, calls, names what is forbidden, or is cut where nothing is wrong yet.
    Pickle,
    /// It runs to a STOP, with nothing named and something behind.
    Perhaps,
    /// It breaks, nothing having happened.
    Other,
}

/// Whether an operand that reaches past the bytes seen may end within all of them.
fn operand_ends(why: &pickle::Error, head: &Bytes, len: u64) -> bool {
    match why.kind() {
        Kind::Ended(End { wanted, left }) => {
            let missing = wanted.saturating_sub(*left);
            (head.len() as u64).saturating_add(missing) <= len
        }
        // A text, or a number behind spaces.
        Kind::NoNewline => true,
        _ => false,
    }
}

impl Run<'_> {
    pub(super) fn find(&mut self, rule: &'static Rule, place: Place, message: impl Into<String>) {
        let message = line::printable(&message.into());
        self.report.find(Finding::new(rule, place, message));
    }

    /// What the file is, if nothing was said of it yet.
    fn is(&mut self, spot: &Spot, kind: impl Into<String>) {
        if spot.member.is_none() && self.report.kind.is_none() {
            self.report.kind = Some(kind.into());
        }
    }

    fn unreadable(&mut self, spot: &Spot, at: u64, why: &dyn std::fmt::Display) {
        self.report.judged = true;
        self.find(rules::UNREAD, spot.place(at), format!("could not be read: {why}"));
    }

    /// Looks at some bytes and into what they hold.
    pub(super) fn content(&mut self, source: &dyn Source, spot: &Spot, role: Role) {
        if spot.depth > DEEPEST {
            let message = format!("nested more than {DEEPEST} deep: not looked into");
            return self.find(rules::UNREAD, spot.place(0), message);
        }
        if let Err(why) = self.dispatch(source, spot, role) {
            self.unreadable(spot, 0, &why);
        }
    }

    fn dispatch(&mut self, source: &dyn Source, spot: &Spot, role: Role) -> std::io::Result<()> {
        if source.is_empty() {
            self.is(spot, "an empty file");
            if role == Role::Pickle {
                self.find(rules::BROKEN, spot.place(0), "an empty pickle: nothing to load");
            }
            return Ok(());
        }
        let head = source.fetch(0, source.len().min(HEAD))?;
        // Of tensors' data there may be many, and little of it is more than that.
        if role == Role::Storage
            && !judge::begins(&head)
            && matches!(
                self.judge_head(&head, source.len()),
                Some(Likeness::Other | Likeness::Perhaps)
            )
        {
            return Ok(());
        }
        if container::starts_as_zip(source)? {
            self.is(spot, "a zip archive");
            self.zip(source, spot);
            return Ok(());
        }
        if role != Role::Storage && container::is_zip(source)? && self.zip_behind(source, spot) {
            self.is(spot, "a zip archive behind other bytes");
        }
        if let Some(packing) = Packing::of(&head)
            && (packing.is_sure() || role != Role::Storage)
            && self.packed(packing, source, spot, role)
        {
            return Ok(());
        }
        if container::starts_as_tar(source)? {
            self.is(spot, "a tar archive");
            self.tar(source, spot);
            return Ok(());
        }
        if head.starts_with(b"\x93NUMPY") {
            self.is(spot, "a NumPy array");
            self.npy(source, spot);
            return Ok(());
        }
        if sniff::is_legacy(source)? {
            self.is(spot, "a PyTorch file of the layout before 1.6");
            self.legacy(source, spot);
            return Ok(());
        }
        self.pickle_or_other(source, &head, spot, role)
    }

    fn pickle_or_other(
        &mut self,
        source: &dyn Source,
        head: &Bytes,
        spot: &Spot,
        role: Role,
    ) -> std::io::Result<()> {
        let announced = matches!(head[..], [0x80, 0..=5, ..]);
        let format = formats::of(head, source.len());
        let is_pickle = role == Role::Pickle
            || match (role, self.likeness(source, head)?) {
                (_, Likeness::Pickle) => true,
                (Role::Storage, _) => false,
                (_, Likeness::Perhaps) => format.is_none(),
                (_, Likeness::Other) => announced && format.is_none(),
            };
        if is_pickle {
            if let Some(Format::Plain(what) | Format::Unjudged(what) | Format::Closed(what)) =
                format
            {
                let message = format!("reads as a pickle, and as {what}");
                self.find(rules::POLYGLOT, spot.place(0), message);
            }
            self.is(spot, "a pickle");
            self.streams(source, spot, role);
            return Ok(());
        }
        match format {
            _ if role == Role::Storage => {}
            Some(Format::Plain(what)) => self.is(spot, what),
            Some(Format::Unjudged(what)) => {
                self.is(spot, what);
                self.report.judged = true;
                self.find(
                    rules::FORMAT,
                    spot.place(0),
                    format!("this is {what}, which is not looked into"),
                );
            }
            Some(Format::Closed(what)) => {
                self.is(spot, what);
                self.unreadable(spot, 0, &format!("this is {what}"));
            }
            None if formats::is_text(head) => self.is(spot, "text"),
            None => {}
        }
        Ok(())
    }

    /// How much the first bytes are like a pickle's. Any bytes may read as some operations, and
    /// some formats begin as pickles could: what they do decides.
    fn likeness(&self, source: &dyn Source, head: &Bytes) -> std::io::Result<Likeness> {
        let len = source.len();
        if let Some(likeness) = self.judge_head(head, len) {
            return Ok(likeness);
        }
        for most in [LONG_HEAD, LONGEST_HEAD.min(self.scanner.limits.memory)] {
            let head = source.fetch(0, len.min(most))?;
            if let Some(likeness) = self.judge_head(&head, len) {
                return Ok(likeness);
            }
        }
        // As far as one can see, these are operations.
        Ok(Likeness::Pickle)
    }

    /// None if more bytes must be seen, of `len`.
    fn judge_head(&self, head: &Bytes, len: u64) -> Option<Likeness> {
        let whole = len <= head.len() as u64;
        let mut budget = Budget::new(self.scanner.limits.clone());
        let at = FileOffset(0);
        let outcome = pickle::run(head.clone(), at, &self.scanner.inspect, &mut budget);
        let graph = &outcome.graph;
        if judge::calls(graph) || judge::names_forbidden(self.scanner, graph) {
            return Some(Likeness::Pickle);
        }
        match &outcome.end {
            Ok(read) => {
                let exact = whole && *read == head.len() as u64;
                let announced = head.first() == Some(&0x80);
                let named = graph.objects().any(|object| object.as_global().is_some());
                let sure = exact || announced || named;
                Some(if sure { Likeness::Pickle } else { Likeness::Perhaps })
            }
            // Items put into something imported: Python would have done it.
            Err(why) if matches!(why.kind(), Kind::WrongType { found: "global", .. }) => {
                Some(Likeness::Pickle)
            }
            Err(why) => {
                let cut = why.is_cut();
                if cut && !whole {
                    // A length may reach past anything: what led on to it counts.
                    let far = why.offset().0 > HEAD / 2;
                    let announced = head.first() == Some(&0x80);
                    let goes_on = far || operand_ends(why, head, len);
                    let more = head.len() as u64 <= HEAD || announced || goes_on;
                    return if more { None } else { Some(Likeness::Other) };
                }
                // Python would go on, and nobody knows to what.
                if why.python_goes_on() || matches!(why.kind(), Kind::Over(_)) {
                    return Some(Likeness::Perhaps);
                }
                // The end of the file in the middle of what is right so far.
                let operations = Ops::new(head).take_while(Result::is_ok).count();
                let some = cut && !formats::is_text(head) && operations >= 4;
                Some(if some { Likeness::Pickle } else { Likeness::Other })
            }
        }
    }

    /// Pickles in a row.
    pub(super) fn streams(&mut self, source: &dyn Source, spot: &Spot, role: Role) {
        let (mut at, mut index) = (0_u64, 0_u64);
        let len = source.len();
        while at < len && index < MOST_STREAMS {
            if index > 0 && !self.another(source, at) {
                return self.trailing(source, spot, at, index);
            }
            match self.one(source, spot, at, role, index) {
                Some(next) if next > at => at = next,
                _ => return,
            }
            index = index.saturating_add(1);
        }
        if at < len {
            let message =
                format!("more than {MOST_STREAMS} pickles in a row: the rest was not read");
            self.find(rules::UNREAD, spot.place(at), message);
        }
        self.several(spot, index);
    }

    fn several(&mut self, spot: &Spot, pickles: u64) {
        if pickles > 1 {
            let message = format!("{pickles} pickles in a row");
            self.find(rules::FOLLOWING, spot.place(0), message);
        }
    }

    /// Judges the pickle at `at` and what lies in it; where it ends, if it does.
    pub(super) fn one(
        &mut self,
        source: &dyn Source,
        spot: &Spot,
        at: u64,
        role: Role,
        index: u64,
    ) -> Option<u64> {
        let base = FileOffset(spot.base.saturating_add(at));
        let (stream, outcome, mut budget) =
            match self.run_at(source, at, base, &self.scanner.inspect) {
                Ok(run) => run,
                Err(why) => {
                    self.unreadable(spot, at, &why);
                    return None;
                }
            };
        // Raw data may read as the beginning of a pickle.
        if role == Role::Storage && outcome.end.is_err() && !judge::calls(&outcome.graph) {
            return None;
        }
        let member = spot.member.as_deref();
        let inner =
            judge::judge(self.scanner, &outcome, &stream, member, &mut self.report, &mut budget);
        let end = outcome.end.as_ref().ok().map(|read| at.saturating_add(*read));
        (self.visit)(&Visited {
            outcome: &outcome,
            member,
            unpacked: spot.apart,
            surface: !spot.within && spot.depth <= 1,
        });
        let arrays = outcome.graph.inline_arrays().next().is_some();
        drop(outcome);
        if arrays {
            self.read_otherwise(source, spot, at, base);
        }
        for judge::Inner { bytes, at, loaded } in inner {
            let name = match at {
                Some(at) => format!("bytes at {}", at.0),
                None => format!("bytes in pickle {index}"),
            };
            let role = if loaded { Role::Pickle } else { Role::Member };
            self.held(&bytes, &spot.unpacked(&name), role);
        }
        end
    }

    /// Runs the pickle at `at`, which is `base` in the file, and gives what it was read from. What
    /// follows it may be gigabytes: of those, so much is read as shows its end.
    pub(super) fn run_at(
        &self,
        source: &dyn Source,
        at: u64,
        base: FileOffset,
        policy: &Policy,
    ) -> Result<(Bytes, Outcome, Budget), torch::Error> {
        let left = source.len().saturating_sub(at);
        let lent = source.lend(at, left).is_some();
        let mut window =
            if lent { left } else { left.min(if at == 0 { FIRST_WINDOW } else { WINDOW }) };
        loop {
            let mut budget = Budget::new(self.scanner.limits.clone());
            // Nothing is taken where the source lends its memory.
            if !lent {
                budget.memory(window)?;
            }
            let stream = source.fetch(at, window)?;
            let outcome = pickle::run(stream.clone(), base, policy, &mut budget);
            if window == left || !outcome.end.as_ref().is_err_and(pickle::Error::is_cut) {
                return Ok((stream, outcome, budget));
            }
            window = window.saturating_mul(4).min(left);
        }
    }

    /// What other readers than joblib's newest would have done with a stream that holds arrays
    /// between operations: to them, bytes of these are operations. That they break there is no
    /// finding.
    fn read_otherwise(&mut self, source: &dyn Source, spot: &Spot, at: u64, base: FileOffset) {
        for (reading, reader) in [
            (Reading::Plain, "pickle.load, which takes an array's bytes for operations"),
            (Reading::JoblibUnaligned, "joblib before 1.2, which takes padding for an array's"),
        ] {
            let policy = self.scanner.inspect.clone().with_reading(reading);
            let (stream, outcome, mut budget) = match self.run_at(source, at, base, &policy) {
                Ok(run) => run,
                Err(why) => return self.unreadable(spot, at, &why),
            };
            let mut other = Building::default();
            let member = spot.member.as_deref();
            let inner =
                judge::judge(self.scanner, &outcome, &stream, member, &mut other, &mut budget);
            drop(outcome);
            for finding in other.into_findings() {
                let counts = matches!(finding.rule.verdict, Verdict::Unknown | Verdict::Dangerous);
                if counts && !self.report.knows(&finding) {
                    let message = format!("read by {reader}: {}", finding.message);
                    self.report.find(Finding { message, ..finding });
                }
            }
            for judge::Inner { bytes, .. } in inner.into_iter().filter(|inner| inner.loaded) {
                self.held(&bytes, &spot.unpacked("bytes in an array"), Role::Pickle);
            }
        }
    }

    /// What lies in bytes of a pickle. Unless loading loads it, it counts only if it is what it
    /// seems.
    fn held(&mut self, bytes: &Bytes, spot: &Spot, role: Role) {
        if role == Role::Member && !bytes.starts_with(b"PK\x03\x04") {
            let head =
                bytes.slice(..bytes.len().min(usize::try_from(LONG_HEAD).unwrap_or(usize::MAX)));
            let alike = self.judge_head(&head, bytes.len() as u64) != Some(Likeness::Other);
            if !alike && !inflate::is_compressed(bytes) && !bytes.starts_with(b"\x93NUMPY") {
                return;
            }
        }
        self.content(bytes, spot, role);
    }

    /// Whether another pickle begins at `at`.
    fn another(&self, source: &dyn Source, at: u64) -> bool {
        let left = source.len().saturating_sub(at);
        let Ok(head) = source.fetch(at, left.min(LONG_HEAD)) else { return false };
        if matches!(head[..], [0x80, 0..=5, ..]) {
            return true;
        }
        self.judge_head(&head, left) != Some(Likeness::Other)
    }

    /// Bytes behind the last pickle.
    pub(super) fn trailing(&mut self, source: &dyn Source, spot: &Spot, at: u64, pickles: u64) {
        let left = source.len().saturating_sub(at);
        let message = format!("{left} bytes follow, which are no pickle");
        self.find(rules::TRAILING, spot.place(at), message);
        self.several(spot, pickles);
    }

    /// Bytes behind what a format describes: judged if they are something.
    pub(super) fn behind(&mut self, source: &dyn Source, spot: &Spot, at: u64) {
        let left = source.len().saturating_sub(at);
        if left == 0 {
            return;
        }
        let message = format!("{left} bytes follow what this format describes");
        self.find(rules::TRAILING, spot.place(at), message);
        let part = Part::new(source, at, left);
        let base = spot.base.saturating_add(at);
        if self.another(source, at) {
            self.content(&part, &Spot { base, ..spot.following() }, Role::Storage);
        }
    }

    /// Something compressed. False if it is not, after all.
    fn packed(&mut self, packing: Packing, source: &dyn Source, spot: &Spot, role: Role) -> bool {
        let name = packing.name();
        // What is inside decides whether all of it is needed.
        let head = inflate::inflate(packing, source, LONG_HEAD, &mut Budget::default(), &|_| {});
        if head.bytes.is_empty() {
            let sure = packing.is_sure() && role != Role::Storage;
            if sure {
                self.is(spot, format!("{name}-compressed"));
                let why = head.end.err().unwrap_or_else(|| "nothing is in it".to_owned());
                self.unreadable(spot, 0, &format!("{name}: {why}"));
            }
            return sure;
        }
        self.is(spot, format!("{name}-compressed"));
        if !self.is_worth_all(&head.bytes) {
            return true;
        }
        let before = self.budget.clone();
        let all = inflate::inflate(packing, source, u64::MAX, &mut self.budget, &|_| {});
        self.report.judged = true;
        if let Err(why) = &all.end {
            self.unreadable(spot, 0, &format!("{name}: {why}"));
        }
        let role = if role == Role::Storage { Role::Member } else { role };
        self.content(&all.bytes, &spot.unpacked(name), role);
        self.budget = before;
        true
    }

    /// Whether what compressed bytes begin with may hold a pickle.
    fn is_worth_all(&self, head: &Bytes) -> bool {
        if judge::begins(head) || container::starts_as_tar(head).unwrap_or(true) {
            return true;
        }
        if !matches!(formats::of(head, head.len() as u64), None | Some(Format::Plain(_))) {
            return true;
        }
        let len = head.len() as u64;
        let unpacked = if len < LONG_HEAD { len } else { u64::MAX };
        self.judge_head(head, unpacked) != Some(Likeness::Other)
    }
}
