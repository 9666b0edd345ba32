//! Archives: every member by its content, and what is odd about the container.

use std::collections::HashSet;

use super::content::{HEAD, Role, Run, Spot};
use super::finding::{Finding, Place};
use super::part::Part;
use super::rules::{self, Rule};
use super::source_text;
use crate::base::{Budget, Limits, Source};
use crate::container::{self, ENCRYPTED, Kind, LocalHeader, Member, Method, Oddity, Tar, Zip};

/// Members whose checksum is compared because they were judged (bytes); larger ones only if asked.
const CHECKED: u64 = 64 << 20;

/// What the names of an archive's members say it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// `torch.jit.save`.
    Script,
    /// `torch.package`.
    Package,
    Other,
}

impl Run<'_> {
    pub(super) fn zip(&mut self, source: &dyn Source, spot: &Spot) {
        self.report.judged = true;
        let mut budget = Budget::new(self.scanner.limits.clone());
        match Zip::open(source, &mut budget) {
            Ok(zip) if zip.findings().is_empty() => self.members(source, &zip, spot),
            opened => match (several(source, &self.scanner.limits), opened) {
                (Some(archives), _) => self.in_a_row(source, &archives, spot),
                (None, Ok(zip)) => self.members(source, &zip, spot),
                (None, Err(why)) => self.no_zip(source, &why, spot),
            },
        }
    }

    /// Archives one behind the other, each whole: the chunks of a distributed checkpoint. Each
    /// is judged.
    fn in_a_row(&mut self, source: &dyn Source, archives: &[(u64, u64)], spot: &Spot) {
        let message = format!(
            "{} archives in a row, each whole: readers find the first or the last",
            archives.len()
        );
        self.find(rules::ODD, spot.place(0), message);
        for &(at, len) in archives {
            let part = Part::new(source, at, len);
            let inner = Spot { base: spot.base.saturating_add(at), ..spot.clone() };
            let mut budget = Budget::new(self.scanner.limits.clone());
            match Zip::open(&part, &mut budget) {
                Ok(zip) => self.members(&part, &zip, &inner),
                Err(why) => self.no_zip(&part, &why, &inner),
            }
        }
    }

    /// An archive behind other bytes, which some readers find. False if there is none.
    pub(super) fn zip_behind(&mut self, source: &dyn Source, spot: &Spot) -> bool {
        let open = |at: u64| {
            let part = Part::new(source, at, source.len().saturating_sub(at));
            let opened = Zip::open(&part, &mut Budget::new(self.scanner.limits.clone()));
            (part, opened)
        };
        let (mut at, (mut part, mut opened)) = (0, open(0));
        // Its places may count from where it begins.
        if let Err(why) = &opened
            && let Kind::DirectoryElsewhere(before) = *why.kind()
        {
            at = before;
            (part, opened) = open(before);
        }
        let Some(zip) = opened.ok().filter(|zip| zip.members().len() > 0) else { return false };
        self.report.judged = true;
        let message = "a zip archive stands behind other bytes: PyTorch reads these, Python's zipfile the archive";
        self.find(rules::POLYGLOT, spot.place(0), message);
        let inner = Spot { base: spot.base.saturating_add(at), ..spot.clone() };
        self.members(&part, &zip, &inner);
        true
    }

    /// An archive whose directory cannot be read.
    fn no_zip(&mut self, source: &dyn Source, why: &container::Error, spot: &Spot) {
        let rule = match why.kind() {
            Kind::DirectoryElsewhere(_)
            | Kind::EndRecordsDisagree { .. }
            | Kind::Count { .. }
            | Kind::DirectoryOutside(_) => rules::AMBIGUOUS,
            _ => rules::UNREAD,
        };
        let place = spot.place(why.offset().0);
        self.find(rule, place.clone(), why.to_string());
        if rule == rules::AMBIGUOUS {
            self.find(rules::UNREAD, place, "its members were not looked into");
        }
        self.first_members(source, spot);
    }

    /// Members that stand one behind the other from the beginning, as far as their headers say
    /// where they end: readers of streams find these without a directory.
    fn first_members(&mut self, source: &dyn Source, spot: &Spot) {
        let mut at = 0;
        for _ in 0..64 {
            let Ok(header) = source.fetch(at, 30) else { return };
            let number = |from: usize, len: usize| {
                let bytes = header.get(from..from.saturating_add(len)).unwrap_or_default();
                bytes.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte))
            };
            if number(0, 4) != 0x0403_4b50 {
                return;
            }
            let (method, size) = (number(8, 2), number(18, 4));
            let name_at = at.saturating_add(30);
            let data = name_at.saturating_add(number(26, 2)).saturating_add(number(28, 2));
            let name = source.fetch(name_at, number(26, 2)).unwrap_or_default();
            let name = String::from_utf8_lossy(&name).into_owned();
            let left = source.len().saturating_sub(data);
            // Torch leaves sizes to a descriptor behind the data: the pickle's STOP tells its end.
            let unknown = number(6, 2) & 8 != 0 && size == 0;
            let len = if unknown { left } else { size.min(left) };
            if method == 0 && len > 0 {
                let part = Part::new(source, data, len);
                let inner = spot.inner(&name, Some(data));
                if unknown {
                    // What follows the pickle is the rest of the archive.
                    self.one(&part, &inner, 0, Role::Storage, 0);
                    return;
                }
                self.content(&part, &inner, Role::Member);
            }
            at = data.saturating_add(len);
        }
    }

    fn members(&mut self, source: &dyn Source, zip: &Zip, spot: &Spot) {
        let mut encrypted = HashSet::new();
        for finding in zip.findings() {
            // Whether what the directory says is encrypted is so shows when it is read.
            match finding.oddity {
                Oddity::Flags(flags) if flags & ENCRYPTED != 0 => {
                    encrypted.insert(finding.at.0);
                    continue;
                }
                Oddity::StoredSizes { compressed, size }
                    if compressed > size && encrypted.contains(&finding.at.0) =>
                {
                    continue;
                }
                _ => {}
            }
            let (rule, message) = odd(&finding.oddity);
            let member = finding.member.as_deref().map(String::from_utf8_lossy);
            let place = match &member {
                Some(name) => spot.inner(name, Some(0)).place(finding.at.0),
                None => spot.place(finding.at.0),
            };
            let message = format!("{}: {message}", finding.oddity);
            self.find(rule, place, message);
            match finding.oddity {
                Oddity::Prefix(len) => self.around(source, spot, 0, len),
                Oddity::Trailing(len) | Oddity::Gap(len) => {
                    self.around(source, spot, finding.at.0, len);
                }
                _ => {}
            }
        }
        let sort = sort(zip);
        let (mut code, mut package) = (None, None);
        for member in zip.members() {
            let name = member.name();
            if source_text::is_python(&name) {
                let first = match sort {
                    Sort::Package => package.get_or_insert((name.clone().into_owned(), 0_u64)),
                    _ => code.get_or_insert((name.clone().into_owned(), 0)),
                };
                first.1 = first.1.saturating_add(1);
            }
            self.member(source, zip, member, spot);
        }
        for (found, rule, what) in [
            (code, rules::CODE, "source text, named and not judged"),
            (package, rules::PACKAGE, "Python source that loading the package runs"),
        ] {
            if let Some((name, count)) = found {
                let place = Place { offset: None, ..spot.inner(&name, None).place(0) };
                let message = format!("{what}: {count} files");
                self.report.find(Finding { count, ..Finding::new(rule, place, message) });
            }
        }
    }

    /// Bytes around an archive, which other readers may take for something else.
    fn around(&mut self, source: &dyn Source, spot: &Spot, at: u64, len: u64) {
        let part = Part::new(source, at, len);
        let before = self.report.pickles;
        let outer = Spot {
            base: spot.base.saturating_add(at),
            depth: spot.depth.saturating_add(1),
            ..spot.clone()
        };
        self.content(&part, &outer, Role::Storage);
        if self.report.pickles > before {
            self.find(
                rules::POLYGLOT,
                spot.place(at),
                "a pickle stands beside the archive's members",
            );
        }
    }

    fn member(&mut self, source: &dyn Source, zip: &Zip, member: Member<'_>, spot: &Spot) {
        let name = member.name();
        if name.ends_with('/') && member.size() == 0 {
            return;
        }
        // Only for findings: most members have none.
        let entry = || spot.inner(&name, Some(0)).place(member.entry_offset().0);
        let LocalHeader { data, disagreements, .. } = match zip.local_header(source, member) {
            Ok(header) => header,
            Err(why) => {
                let message = format!("a member that could not be read: {why}");
                return self.find(rules::UNREAD, entry(), message);
            }
        };
        for disagreement in &disagreements {
            let message = format!(
                "the member's own header says otherwise than the directory: {disagreement}"
            );
            self.find(rules::AMBIGUOUS, entry(), message);
        }
        let stored = member.method() == Method::Stored;
        let inner = spot.inner(&name, stored.then_some(data.at.0));
        let role = role(&name);
        let before = self.report.pickles;
        match member.method() {
            Method::Stored => {
                // Both sizes, if they differ: readers take one or the other.
                let len = member.size().max(data.len);
                let part = Part::new(source, data.at.0, len);
                if encrypted(member) {
                    let plain = looks_plain(&part);
                    self.said_encrypted(plain, &entry);
                    if !plain {
                        return;
                    }
                }
                self.content(&part, &inner, role);
            }
            Method::Deflated => self.deflated(source, zip, member, data, &inner, role, &entry),
            Method::Other(method) => {
                let what = if encrypted(member) { "encrypted and " } else { "" };
                let message = format!(
                    "{what}compressed by method {method}, which is not read: not looked into"
                );
                return self.find(rules::UNREAD, entry(), message);
            }
        }
        let judged = self.report.pickles > before && member.size() <= CHECKED;
        if judged || self.scanner.checksums {
            self.checksum(source, zip, member, &entry);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call")]
    fn deflated(
        &mut self,
        source: &dyn Source,
        zip: &Zip,
        member: Member<'_>,
        data: container::Extent,
        inner: &Spot,
        role: Role,
        entry: &dyn Fn() -> Place,
    ) {
        // Tensors packed by hand are told from pickles by their first bytes.
        if role == Role::Storage
            && !encrypted(member)
            && let Ok(head) = zip.head(source, member, HEAD)
            && !super::judge::begins(&head)
        {
            return;
        }
        let before = self.budget.clone();
        match zip.read_at(source, member, data, &mut self.budget) {
            Ok(bytes) => {
                if encrypted(member) {
                    self.said_encrypted(true, entry);
                }
                self.content(&bytes, inner, role);
            }
            Err(_) if encrypted(member) => self.said_encrypted(false, entry),
            Err(why) => {
                let message = format!("a member that could not be unpacked: {why}");
                self.find(rules::UNREAD, entry(), message);
            }
        }
        self.budget = before;
    }

    /// What it means that the directory says a member is encrypted, which it is not if it could
    /// be read.
    fn said_encrypted(&mut self, plain: bool, entry: &dyn Fn() -> Place) {
        let (rule, message) = if plain {
            (
                rules::AMBIGUOUS,
                "said to be encrypted, which it is not: some readers refuse it, others read on",
            )
        } else {
            (rules::UNREAD, "an encrypted member: not looked into")
        };
        self.find(rule, entry(), message);
    }

    fn checksum(
        &mut self,
        source: &dyn Source,
        zip: &Zip,
        member: Member<'_>,
        entry: &dyn Fn() -> Place,
    ) {
        let Err(why) = zip.check_crc(source, member, &self.scanner.limits) else { return };
        if matches!(why.kind(), Kind::Crc(_)) {
            self.find(rules::CHECKSUM, entry(), why.to_string());
        } else if self.scanner.checksums {
            self.find(rules::UNREAD, entry(), format!("its checksum could not be compared: {why}"));
        }
    }

    pub(super) fn tar(&mut self, source: &dyn Source, spot: &Spot) {
        self.report.judged = true;
        let mut budget = Budget::new(self.scanner.limits.clone());
        let tar = match Tar::open(source, &mut budget) {
            Ok(tar) => tar,
            Err(why) => {
                let place = spot.place(why.offset().0);
                return self.find(
                    rules::UNREAD,
                    place,
                    format!("the tar archive could not be read: {why}"),
                );
            }
        };
        let has = |name: &[u8]| tar.members().iter().any(|member| plain(&member.name) == name);
        let torch = has(b"pickle") && has(b"storages") && has(b"tensors");
        let mut end = 0;
        for member in tar.members() {
            let name = String::from_utf8_lossy(&member.name).into_owned();
            let Some(data) = member.data else {
                end = end.max(member.at.0.saturating_add(512));
                if !name.ends_with('/') {
                    let place = spot.inner(&name, Some(0)).place(member.at.0);
                    self.find(
                        rules::ODD,
                        place,
                        "a link, device, folder or sparse member: nothing was looked into",
                    );
                }
                continue;
            };
            end = end.max(data.end().0);
            let part = Part::new(source, data.at.0, data.len);
            let inner = spot.inner(&name, Some(data.at.0));
            match plain(&member.name) {
                b"storages" if torch => self.tar_storages(&part, &inner),
                b"tensors" if torch => self.tar_tensors(&part, &inner),
                b"pickle" | b"sys_info" if torch => self.content(&part, &inner, Role::Pickle),
                _ => self.content(&part, &inner, role(&name)),
            }
        }
        self.after_tar(source, spot, end);
    }

    /// A tar archive ends with zeros.
    fn after_tar(&mut self, source: &dyn Source, spot: &Spot, end: u64) {
        let end = end.div_ceil(512).saturating_mul(512);
        let left = source.len().saturating_sub(end);
        if left < 512 {
            let message = "the archive has no end: more members may have followed";
            return self.find(rules::BROKEN, spot.place(source.len()), message);
        }
        let mut at = end;
        while at < source.len() {
            let len = (source.len().saturating_sub(at)).min(64 << 10);
            let Ok(bytes) = source.fetch(at, len) else { return };
            if let Some(found) = bytes.iter().position(|&byte| byte != 0) {
                let at = at.saturating_add(found as u64);
                return self.behind(source, spot, at);
            }
            at = at.saturating_add(len);
        }
    }
}

/// Where archives lie that fill a file one behind the other, each whole and sound by itself; none
/// if it is not so, or there is only one.
fn several(source: &dyn Source, limits: &Limits) -> Option<Vec<(u64, u64)>> {
    const END: &[u8] = b"PK\x05\x06";
    const CHUNK: u64 = 1 << 20;
    let (mut found, mut begin, mut at) = (Vec::new(), 0_u64, 0_u64);
    let mut failures = 0_u32;
    while at < source.len() && found.len() < MOST_IN_A_ROW {
        let len = source.len().saturating_sub(at).min(CHUNK);
        let bytes = source.fetch(at, len).ok()?;
        // Ends that may be cut by the chunk's end are seen in the next.
        let step =
            if at.saturating_add(len) >= source.len() { len } else { len.saturating_sub(21) };
        let mut next = at.saturating_add(step.max(1));
        for place in memmem(&bytes, END) {
            let end_at = at.saturating_add(place as u64);
            if end_at < begin.saturating_add(30) {
                continue;
            }
            let comment = bytes.get(place.saturating_add(20)..)?.first_chunk::<2>();
            let comment = comment.map_or(0, |comment| u16::from_le_bytes(*comment));
            let end = end_at.saturating_add(22).saturating_add(comment.into());
            let part = Part::new(source, begin, end.saturating_sub(begin));
            // Data may hold the signature by chance, hardly more often than that.
            failures = failures.saturating_add(1);
            if failures > MOST_FAILURES {
                return None;
            }
            let sound = part.len() == end.saturating_sub(begin)
                && Zip::open(&part, &mut Budget::new(limits.clone()))
                    .is_ok_and(|zip| zip.findings().is_empty());
            if sound {
                found.push((begin, part.len()));
                failures = 0;
                begin = end;
                next = end;
                break;
            }
        }
        at = next;
    }
    (begin == source.len() && found.len() > 1).then_some(found)
}

/// Signatures in vain between two archives.
const MOST_FAILURES: u32 = 64;
/// Archives in a row that are looked into.
const MOST_IN_A_ROW: usize = 1 << 16;

/// Where `needle` stands in `bytes`.
fn memmem<'bytes>(
    bytes: &'bytes [u8],
    needle: &'bytes [u8],
) -> impl Iterator<Item = usize> + 'bytes {
    let windows = bytes.windows(needle.len()).enumerate();
    windows.filter(move |(_, window)| *window == needle).map(|(at, _)| at)
}

fn plain(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"./").unwrap_or(name)
}

/// What a member's name promises.
fn role(name: &str) -> Role {
    let file = name.rsplit('/').next().unwrap_or_default();
    let extension = file.rsplit_once('.').map(|(_, extension)| extension);
    let extended = |by: &str| extension.is_some_and(|found| found.eq_ignore_ascii_case(by));
    if extended("pkl") || extended("pickle") {
        return Role::Pickle;
    }
    let mut folders = name.rsplit('/').skip(1);
    let folder = folders.next().unwrap_or_default();
    let is_key = !file.is_empty() && file.bytes().all(|byte| byte.is_ascii_digit());
    // `.data/123.storage` in packages.
    let is_storage =
        matches!(folder, "data" | "constants" | "tensors") && is_key || extended("storage");
    if is_storage { Role::Storage } else { Role::Member }
}

fn sort(zip: &Zip) -> Sort {
    let mut sort = Sort::Other;
    for member in zip.members() {
        let name = member.name_bytes();
        if name.ends_with(b"/.data/extern_modules") || name == b".data/extern_modules" {
            return Sort::Package;
        }
        if name.ends_with(b"constants.pkl") {
            sort = Sort::Script;
        }
    }
    sort
}

/// Whether the directory says that a member is encrypted.
const fn encrypted(member: Member<'_>) -> bool {
    member.flags() & ENCRYPTED != 0
}

/// Whether a member said to be encrypted is not: it reads as a pickle, archive or text.
fn looks_plain(part: &Part<'_>) -> bool {
    let head = part.fetch(0, part.len().min(HEAD)).unwrap_or_default();
    super::judge::begins(&head) || super::formats::is_text(&head)
}

/// Which rule an oddity falls under, and what it means.
fn odd(oddity: &Oddity) -> (&'static Rule, &'static str) {
    match oddity {
        Oddity::Duplicate => (rules::AMBIGUOUS, "readers take one or the other"),
        Oddity::Overlap(_) => (rules::AMBIGUOUS, "two members share bytes"),
        Oddity::Outside(_) => (rules::AMBIGUOUS, "readers see it end at different places"),
        Oddity::Flags(_) => (rules::AMBIGUOUS, "some readers refuse it, others read on"),
        Oddity::StoredSizes { .. } => (rules::AMBIGUOUS, "readers take one size or the other"),
        Oddity::OtherName(_) => (rules::AMBIGUOUS, "readers take one name or the other"),
        Oddity::SecondEnd => (rules::AMBIGUOUS, "readers see one archive or the other"),
        Oddity::Gap(_) => {
            (rules::AMBIGUOUS, "Python looks for the members further on than PyTorch")
        }
        Oddity::Name(why) if why.contains("zero byte") => {
            (rules::AMBIGUOUS, "readers see different names")
        }
        Oddity::Method(_) => (rules::ODD, "PyTorch writes none such"),
        Oddity::Name(_) => (rules::ODD, "unpacked, it may land outside its folder"),
        Oddity::Prefix(_) => (rules::ODD, "PyTorch does not read such an archive"),
        Oddity::Trailing(_) => (rules::ODD, "no reader looks at them"),
        Oddity::CommentCut(_) => (rules::ODD, "some readers refuse it"),
    }
}
