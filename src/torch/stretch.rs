//! Where the pickles of a file stand, whatever its container: for looking at all of them.

use std::collections::HashMap;

use bytes::Bytes;

use super::error::{Error, Kind};
use super::legacy;
use super::sniff;
use super::tarball;
use crate::base::{Budget, FileOffset, Limits, Source};
use crate::container::{self, Member, Method, Tar, TarMember, Zip};
use crate::pickle::{self, Ops, Policy, Value};

/// A run of bytes that holds pickles: the file itself, or a member of its archive.
pub struct Stretch<'file> {
    member: Option<Box<str>>,
    place: Place<'file>,
    at: FileOffset,
    end: u64,
    pickles: Option<usize>,
    /// Bytes between pickles that are none, by where they begin: where they end.
    gaps: HashMap<FileOffset, FileOffset>,
    /// What was read last, and where it begins.
    window: (FileOffset, Bytes),
}

enum Place<'file> {
    File(&'file dyn Source),
    Inflated(Bytes),
}

impl Stretch<'_> {
    /// The archive member; none for the file itself.
    #[must_use]
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// Where it begins: in the file, or 0 if it is a member that had to be inflated.
    #[must_use]
    pub const fn start(&self) -> FileOffset {
        self.at
    }

    /// Where it ends.
    #[must_use]
    pub const fn end(&self) -> FileOffset {
        FileOffset(self.end)
    }

    /// Whether offsets count from the member's own beginning, since it had to be inflated.
    #[must_use]
    pub const fn is_inflated(&self) -> bool {
        matches!(self.place, Place::Inflated(_))
    }

    /// How many pickles there are, where the layout says so: storages follow then.
    #[must_use]
    pub const fn pickles(&self) -> Option<usize> {
        self.pickles
    }

    /// Where the next pickle is, after one that ends at `end`: in tar archives of before PyTorch
    /// 0.1.10 storages and the sizes of tensors lie between.
    #[must_use]
    pub fn after(&self, end: FileOffset) -> FileOffset {
        self.gaps.get(&end).copied().unwrap_or(end)
    }

    /// All of a plain file.
    pub(crate) fn whole(source: &dyn Source) -> Stretch<'_> {
        Stretch {
            member: None,
            place: Place::File(source),
            at: FileOffset(0),
            end: source.len(),
            pickles: None,
            gaps: HashMap::new(),
            window: (FileOffset(0), Bytes::new()),
        }
    }

    /// Where the pickle of this number begins, and its bytes; those before it are not run.
    pub(crate) fn nth(
        mut self,
        wanted: usize,
        budget: &mut Budget,
    ) -> Result<(FileOffset, Bytes), Error> {
        let mut at = self.at;
        for index in 0..wanted {
            let bytes = self.pickle_at(at, &mut budget.clone())?;
            at = at.plus(pickle::extent(&bytes, at, &mut budget.clone())?);
            if at.0 >= self.end {
                let has = index.saturating_add(1);
                return Err(Error::new(Kind::NoSuchStream { asked: wanted, has }));
            }
        }
        Ok((at, self.pickle_at(at, budget)?))
    }

    /// The bytes from `at` on: all of the pickle that begins there, and perhaps more. Reads
    /// at most four times the pickle's bytes and 64 KiB.
    ///
    /// # Errors
    /// What the source says; a pickle over [`Limits::memory`].
    pub fn pickle_at(&mut self, at: FileOffset, budget: &mut Budget) -> Result<Bytes, Error> {
        let read = |budget: &mut Budget| match &self.place {
            Place::File(source) => {
                legacy::pickle_within(*source, at, self.end, legacy::WINDOW, budget)
            }
            Place::Inflated(bytes) => {
                legacy::pickle_within(bytes, at, self.end, legacy::WINDOW, budget)
            }
        };
        let (start, window) = &self.window;
        let skip = at.0.checked_sub(start.0).and_then(|skip| usize::try_from(skip).ok());
        // Small pickles come from one reading.
        if let Some(skip) = skip.filter(|&skip| skip < window.len()) {
            let rest = window.slice(skip..);
            let whole = start.0.saturating_add(window.len() as u64) >= self.end;
            if whole || !legacy::is_cut(&rest, at, budget) {
                return Ok(rest);
            }
        }
        let bytes = read(budget).map_err(|why| match &self.member {
            Some(member) => why.in_member(member),
            None => why,
        })?;
        self.window = (at, bytes.clone());
        Ok(bytes)
    }
}

/// Every [`Stretch`] of a file that holds pickles, judged by content: the file itself, unless
/// it is an archive, zip or tar; of an archive's members those that are pickles or are named as such, in
/// the directory's order.
///
/// ```
/// use depickle::base::FileSource;
/// use depickle::torch::stretches;
/// use depickle::Limits;
///
/// let source = FileSource::new(std::fs::File::open("tests/fixtures/tensor.pth")?)?;
/// let limits = Limits::default();
/// let names: Vec<_> = stretches(&source, &limits)?
///     .map(|stretch| Ok(stretch?.member().map(str::to_owned)))
///     .collect::<Result<_, depickle::torch::Error>>()?;
/// assert_eq!(names, [Some("tensor/data.pkl".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// What the source says; a damaged archive; [`Kind::NotACheckpoint`] says what a file is that
/// is neither archive nor pickle. Of members, each has errors of its own.
pub fn stretches<'file>(
    source: &'file dyn Source,
    limits: &'file Limits,
) -> Result<impl Iterator<Item = Result<Stretch<'file>, Error>> + 'file, Error> {
    let begins = container::starts_as_zip(source)?;
    let zip = match Zip::open(source, &mut Budget::new(limits.clone())) {
        Ok(zip) => Some(zip),
        Err(why) if begins => return Err(why.into()),
        Err(_) => None,
    };
    // One that is damaged may be a pickle that begins like one.
    let tar = || Tar::open(source, &mut Budget::new(limits.clone())).ok();
    let tar = container::starts_as_tar(source)?.then(tar).flatten();
    let is_archive = zip.is_some() || tar.is_some();
    let plain = if begins { None } else { plain(source, is_archive)? };
    let members = zip.map(|zip| {
        let mut ids = zip.members().map(|member| member.id()).collect::<Vec<_>>().into_iter();
        std::iter::from_fn(move || {
            ids.find_map(|id| of_member(source, limits, &zip, zip.member(id)?).transpose())
        })
    });
    let in_tar = tar.into_iter().flat_map(|tar| tar.members().to_vec());
    let in_tar =
        in_tar.filter_map(move |member| of_tar_member(source, limits, &member).transpose());
    Ok(plain.into_iter().map(Ok).chain(members.into_iter().flatten()).chain(in_tar))
}

/// A member of a tar archive as a stretch, if it holds a pickle.
fn of_tar_member<'file>(
    source: &'file dyn Source,
    limits: &Limits,
    member: &TarMember,
) -> Result<Option<Stretch<'file>>, Error> {
    let name = String::from_utf8_lossy(&member.name);
    let Some(data) = member.data.filter(|data| data.len > 0) else { return Ok(None) };
    let end = data.end().0;
    let holds = is_named_so(&name) || holds_pickle(source, data.at, end, limits)?;
    Ok(holds.then(|| Stretch {
        member: Some((*name).into()),
        place: Place::File(source),
        at: data.at,
        end,
        pickles: None,
        gaps: tarball::gaps(source, &name, data, limits),
        window: (data.at, Bytes::new()),
    }))
}

/// The file as pickles; none if it is only an archive behind other bytes.
fn plain(source: &dyn Source, is_archive: bool) -> Result<Option<Stretch<'_>>, Error> {
    let what = sniff::name_other(source)?;
    if is_archive && !holds_pickle(source, FileOffset(0), source.len(), &Limits::default())? {
        return Ok(None);
    }
    if let Some(what) = what
        && !(what == sniff::TEXT && sniff::is_text_pickle(source)?)
    {
        return Err(Error::new(Kind::NotACheckpoint(what)));
    }
    let pickles = sniff::is_legacy(source)?.then_some(legacy::PICKLES);
    Ok(Some(Stretch { pickles, ..Stretch::whole(source) }))
}

/// A member as a stretch, if it holds a pickle.
fn of_member<'file>(
    source: &'file dyn Source,
    limits: &Limits,
    zip: &Zip,
    member: Member<'_>,
) -> Result<Option<Stretch<'file>>, Error> {
    let name = member.name();
    let named = is_named_so(&name);
    if !named && (member.size() == 0 || name.ends_with('/')) {
        return Ok(None);
    }
    match open_member(source, limits, zip, member, named) {
        Ok(found) => Ok(found.map(|(place, at, end)| Stretch {
            member: Some(name.into()),
            place,
            at,
            end,
            pickles: None,
            gaps: HashMap::new(),
            window: (at, Bytes::new()),
        })),
        Err(why) => Err(why.in_member(&name)),
    }
}

type Opened<'file> = (Place<'file>, FileOffset, u64);

fn open_member<'file>(
    source: &'file dyn Source,
    limits: &Limits,
    zip: &Zip,
    member: Member<'_>,
    named: bool,
) -> Result<Option<Opened<'file>>, Error> {
    if member.method() == Method::Stored {
        let data = zip.locate(source, member)?;
        let end = data.at.plus(data.len).0;
        if !named && !holds_pickle(source, data.at, end, limits)? {
            return Ok(None);
        }
        return Ok(Some((Place::File(source), data.at, end)));
    }
    if !named {
        let head = |most: u64| Ok(zip.head(source, member, most)?);
        if !begins_pickle(head, FileOffset(0), member.size(), limits)? {
            return Ok(None);
        }
    }
    let bytes = zip.read(source, member, &mut Budget::new(limits.clone()))?;
    let end = bytes.len() as u64;
    Ok(Some((Place::Inflated(bytes), FileOffset(0), end)))
}

/// Whether a name promises a pickle.
fn is_named_so(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| {
        ["pkl", "pickle"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Bytes looked at first, and then.
const HEAD: u64 = 512;
const LONG_HEAD: u64 = 64 << 10;

/// Whether an operation stands at `at` that can be the first of a pickle.
pub(crate) fn begins_at(source: &dyn Source, at: FileOffset) -> Result<bool, Error> {
    let head = source.fetch(at.0, source.len().saturating_sub(at.0).min(LONG_HEAD))?;
    let mut budget = Budget::default();
    let outcome = pickle::run(head, at, &Policy::inspect(), &mut budget);
    Ok(outcome.end.map_or_else(|why| why.offset() > at, |_| true))
}

/// Whether the bytes from `at` to `end` begin with a pickle.
fn holds_pickle(
    source: &dyn Source,
    at: FileOffset,
    end: u64,
    limits: &Limits,
) -> Result<bool, Error> {
    let all = end.saturating_sub(at.0);
    begins_pickle(|most| Ok(source.fetch(at.0, all.min(most))?), at, all, limits)
}

/// Whether `all` bytes, of which `head` gives the first, begin with a pickle.
fn begins_pickle(
    head: impl Fn(u64) -> Result<Bytes, Error>,
    at: FileOffset,
    all: u64,
    limits: &Limits,
) -> Result<bool, Error> {
    if let Some(found) = judge(head(HEAD)?, at, all <= HEAD, limits) {
        return Ok(found);
    }
    let head = head(LONG_HEAD)?;
    let announced = is_announced(&head);
    let far = Ops::at(&head, at).find_map(Result::err).is_some_and(|why| {
        // A length may reach past anything: what led on to it counts.
        why.offset().0.saturating_sub(at.0) > LONG_HEAD / 2
    });
    Ok(judge(head, at, all <= LONG_HEAD, limits).unwrap_or(announced || far))
}

/// Whether bytes begin with PROTO and a protocol there is.
fn is_announced(head: &[u8]) -> bool {
    matches!(head, [0x80, 0..=5, ..])
}

/// Whether bytes begin with a pickle: they run to STOP, or something was called before they
/// broke. None if more bytes must be seen.
///
/// Any bytes may read as some operations, so what does not announce its protocol must be
/// exactly one pickle or name a global.
fn judge(head: Bytes, at: FileOffset, whole: bool, limits: &Limits) -> Option<bool> {
    let announced = is_announced(&head);
    let len = head.len() as u64;
    let cut = !whole && legacy::is_cut(&head, at, &Budget::new(limits.clone()));
    let outcome = pickle::run(head, at, &Policy::inspect(), &mut Budget::new(limits.clone()));
    let mut objects = outcome.graph.objects();
    match outcome.end {
        Ok(read) => {
            let exact = whole && read == len;
            Some(announced || exact || objects.any(|object| object.as_global().is_some()))
        }
        Err(_) if objects.any(|object| matches!(object.value(), Value::Recipe(_))) => Some(true),
        Err(_) if cut => None,
        Err(_) => Some(false),
    }
}
