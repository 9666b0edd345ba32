//! Every ceiling in one file: its unit, its default and the reason for it.

use std::{fmt, io};

/// Ceilings for one file, all its streams together.
///
/// ```
/// let limits = depickle::Limits::default().with_memory(64 << 20);
/// assert_eq!(limits.memory, 64 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Graphs, directories and inflated streams held at once (bytes).
    /// Default 2 GiB; the graph of 5,000 tensors needs about 3 MiB.
    pub memory: u64,
    /// Steps of one unfolding: a walk over paths rather than objects (count).
    /// Default 2²⁴; the largest honest checkpoints take some 10⁶.
    pub visits: u64,
    /// One integer (bytes). Default 1 MiB: beyond any honest file; only its conversion to
    /// decimal digits costs more than its bytes, and CPython refuses that at 4,300 digits.
    pub int_bytes: u64,
    /// A module or qualified name (bytes). Default 1,024; the longest seen has 120.
    pub name_bytes: u64,
    /// Archive entries (count). Default 2²²; 50,000 tensors make 50,006.
    pub members: u64,
    /// One inflated archive member (bytes). Default 8 GiB: larger tensors are stored, not
    /// deflated, by every writer known.
    pub inflated: u64,
    /// One tensor written out (bytes) whose view repeats elements, so that it is larger than
    /// its storage. Default 4 GiB. Stride 0 spells any size over four bytes, so this is the
    /// only bound on it.
    pub materialised: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            visits: 1 << 24,
            int_bytes: 1 << 20,
            name_bytes: 1 << 10,
            members: 1 << 22,
            inflated: 8 << 30,
            materialised: 4 << 30,
        }
    }
}

impl Limits {
    /// Sets [`memory`](Self::memory), in bytes.
    #[must_use]
    pub const fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets [`visits`](Self::visits).
    #[must_use]
    pub const fn with_visits(mut self, count: u64) -> Self {
        self.visits = count;
        self
    }

    /// Sets [`materialised`](Self::materialised), in bytes.
    #[must_use]
    pub const fn with_materialised(mut self, bytes: u64) -> Self {
        self.materialised = bytes;
        self
    }

    /// The ceiling that `limit` names.
    #[must_use]
    pub const fn of(&self, limit: Limit) -> u64 {
        match limit {
            Limit::Memory => self.memory,
            Limit::Visits => self.visits,
            Limit::IntBytes => self.int_bytes,
            Limit::NameBytes => self.name_bytes,
            Limit::Members => self.members,
            Limit::Inflated => self.inflated,
            Limit::Materialised => self.materialised,
            Limit::System => u64::MAX,
        }
    }

    /// Checks one quantity against its ceiling, spending nothing.
    ///
    /// # Errors
    /// [`Exceeded`] if `asked` is above it.
    pub const fn admit(&self, limit: Limit, asked: u64) -> Result<(), Exceeded> {
        let ceiling = self.of(limit);
        if asked > ceiling {
            return Err(Exceeded { limit, asked, ceiling });
        }
        Ok(())
    }
}

/// The name of a ceiling in [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::memory`]
    Memory,
    /// [`Limits::visits`]
    Visits,
    /// [`Limits::int_bytes`]
    IntBytes,
    /// [`Limits::name_bytes`]
    NameBytes,
    /// [`Limits::members`]
    Members,
    /// [`Limits::inflated`]
    Inflated,
    /// [`Limits::materialised`]
    Materialised,
    /// What the system gives (bytes): no field of [`Limits`], so raising one does not help.
    System,
}

impl Limit {
    /// The field of [`Limits`] that this is.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Visits => "visits",
            Self::IntBytes => "int_bytes",
            Self::NameBytes => "name_bytes",
            Self::Members => "members",
            Self::Inflated => "inflated",
            Self::Materialised => "materialised",
            Self::System => "system",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Visits => "steps",
            Self::Members => "members",
            _ => "bytes",
        }
    }
}

/// A ceiling was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which one.
    pub limit: Limit,
    /// What would have been needed, in the limit's unit.
    pub asked: u64,
    /// What was granted.
    pub ceiling: u64,
}

impl Exceeded {
    /// The system has no memory for so many bytes.
    #[cold]
    pub(crate) const fn refused(bytes: u64) -> Self {
        Self { limit: Limit::System, asked: bytes, ceiling: 0 }
    }

    /// What was met, if that is why something could not be read.
    #[cfg(feature = "container")]
    pub(crate) fn behind(why: &io::Error) -> Option<Self> {
        why.get_ref()?.downcast_ref().cloned()
    }
}

/// Passes through what reads and writes.
impl From<Exceeded> for io::Error {
    fn from(why: Exceeded) -> Self {
        let kind = match why.limit {
            Limit::System => io::ErrorKind::OutOfMemory,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, why)
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, asked, ceiling } = self;
        if *limit == Limit::System {
            return write!(
                f,
                "needs {asked} bytes of memory at once, which the system does not give: free some, \
                 or go where there is more"
            );
        }
        let (name, unit) = (limit.name(), limit.unit());
        // What the command line calls it.
        let flag =
            if matches!(limit, Limit::Memory | Limit::Visits) { " (--max-memory)" } else { "" };
        write!(
            f,
            "needs {asked} {unit}, over the limit of {ceiling} ({name}); raise it{flag} if you trust \
             the file"
        )
    }
}

impl std::error::Error for Exceeded {}

/// What is left of some [`Limits`] while one file is read.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    memory: u64,
    visits: u64,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, visits: 0 }
    }

    /// The ceilings this budget was made from.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes `bytes` of [`Limits::memory`].
    ///
    /// # Errors
    /// [`Exceeded`] if less is left; nothing is taken then.
    pub fn memory(&mut self, bytes: u64) -> Result<(), Exceeded> {
        let asked = self.memory.saturating_add(bytes);
        self.limits.admit(Limit::Memory, asked)?;
        self.memory = asked;
        Ok(())
    }

    /// Takes `steps` of [`Limits::visits`].
    ///
    /// # Errors
    /// [`Exceeded`] if fewer are left; nothing is taken then.
    pub fn visits(&mut self, steps: u64) -> Result<(), Exceeded> {
        let asked = self.visits.saturating_add(steps);
        self.limits.admit(Limit::Visits, asked)?;
        self.visits = asked;
        Ok(())
    }

    /// Pushes onto a vector, paying for its memory when it grows.
    ///
    /// # Errors
    /// [`Exceeded`] if the budget does not cover it; the vector is as before then.
    #[inline]
    pub fn push<T>(&mut self, vec: &mut Vec<T>, item: T) -> Result<(), Exceeded> {
        if vec.len() == vec.capacity() {
            self.grow(vec, 1)?;
        }
        vec.push(item);
        Ok(())
    }

    /// Appends a slice to a vector, paying for its memory when it grows.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn extend<T: Copy>(&mut self, vec: &mut Vec<T>, items: &[T]) -> Result<(), Exceeded> {
        self.reserve(vec, items.len())?;
        vec.extend_from_slice(items);
        Ok(())
    }

    /// Makes room for `more` items, if there is not enough.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub(crate) fn reserve<T>(&mut self, vec: &mut Vec<T>, more: usize) -> Result<(), Exceeded> {
        if vec.capacity().saturating_sub(vec.len()) < more {
            self.grow(vec, more)?;
        }
        Ok(())
    }

    /// Makes room for `more` items, at least doubling, so that growth costs O(1) an item.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[cold]
    pub(crate) fn grow<T>(&mut self, vec: &mut Vec<T>, more: usize) -> Result<(), Exceeded> {
        let now = vec.capacity();
        let wanted = now.saturating_mul(2).max(vec.len().saturating_add(more));
        let bytes = (wanted.saturating_sub(now) as u64).saturating_mul(size_of::<T>() as u64);
        self.memory(bytes)?;
        make_room(vec, wanted)
    }

    /// Memory taken so far (bytes).
    #[must_use]
    pub const fn memory_taken(&self) -> u64 {
        self.memory
    }
}

/// Makes room for `all` items, in large pages where it is much.
///
/// # Errors
/// [`Exceeded`] if the system does not give it.
pub(super) fn make_room<T>(vec: &mut Vec<T>, all: usize) -> Result<(), Exceeded> {
    let bytes = (all as u64).saturating_mul(size_of::<T>() as u64);
    let more = all.saturating_sub(vec.len());
    vec.try_reserve_exact(more).map_err(|_| Exceeded::refused(bytes))?;
    #[cfg(all(feature = "mmap", target_os = "linux"))]
    super::map::prefer_large_pages(vec);
    Ok(())
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}
