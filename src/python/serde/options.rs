//! How to read and how to write.

use crate::base::Limits;
use crate::pickle::Policy;
use crate::python::policy;

/// Values in each other, unless told otherwise.
const DEPTH: u32 = 128;

/// How to read: under which policy and limits, and what to make of what Rust has no word for.
///
/// ```
/// use depickle::python::serde::{self as pickle, DeOptions};
///
/// let options = DeOptions::default().trailing(true).depth(3);
/// let value: u8 = pickle::from_slice_with(b"K\x07.behind it", &options)?;
/// assert_eq!(value, 7);
/// # Ok::<(), pickle::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeOptions {
    pub(super) policy: Option<Policy>,
    pub(super) limits: Limits,
    pub(super) depth: u32,
    pub(super) trailing: bool,
    pub(super) python2: Python2,
}

/// What a Python 2 `str` is read as: its bytes have no encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Python2 {
    /// Text if it is UTF-8, else bytes. Always bytes where the type asks for bytes.
    #[default]
    TextOrBytes,
    /// Text, each byte one character, as `pickle.loads(encoding="latin1")`.
    Latin1,
    /// Bytes, as `pickle.loads(encoding="bytes")`; names of fields and variants are found all
    /// the same.
    Bytes,
}

impl Default for DeOptions {
    fn default() -> Self {
        Self {
            policy: None,
            limits: Limits::default(),
            depth: DEPTH,
            trailing: false,
            python2: Python2::default(),
        }
    }
}

impl DeOptions {
    /// Which globals are admitted; by default [`policy::models`], as everywhere. Nothing runs
    /// under any.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// What reading may cost. [`Limits::visits`] and [`Limits::memory`] also bound how far
    /// sharing is unfolded: what is read a second time spends them.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many lists, dicts and objects may stand in each other; 128 by default, and the same
    /// for options and newtypes around one value.
    ///
    /// serde recurses, so each takes some of the thread's stack: about 1 KiB, depending on the
    /// type, and several times that without optimisation.
    #[must_use]
    pub const fn depth(mut self, most: u32) -> Self {
        self.depth = most;
        self
    }

    /// Whether bytes may follow the pickle; an error by default.
    #[must_use]
    pub const fn trailing(mut self, allowed: bool) -> Self {
        self.trailing = allowed;
        self
    }

    /// What a Python 2 `str` is read as.
    ///
    /// ```
    /// use depickle::python::serde::{self as pickle, DeOptions, Python2};
    ///
    /// let latin1 = DeOptions::default().python2(Python2::Latin1);
    /// let name: String = pickle::from_slice_with(b"U\x04Zo\xeb!.", &latin1)?;
    /// assert_eq!(name, "Zoë!");
    /// # Ok::<(), pickle::Error>(())
    /// ```
    #[must_use]
    pub const fn python2(mut self, python2: Python2) -> Self {
        self.python2 = python2;
        self
    }

    pub(super) fn policy_in_force(&self) -> &Policy {
        self.policy.as_ref().unwrap_or_else(|| policy::models())
    }
}

/// How to write.
///
/// ```
/// use depickle::python::serde::{self as pickle, SerOptions};
///
/// let pickle = pickle::to_vec_with(&(1, "a"), &SerOptions::default().protocol(2))?;
/// assert_eq!(pickle, b"\x80\x02K\x01X\x01\0\0\0a\x86.");
/// # Ok::<(), pickle::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SerOptions {
    pub(super) protocol: u8,
    pub(super) depth: u32,
    pub(super) tuple_variants: bool,
}

impl Default for SerOptions {
    fn default() -> Self {
        Self { protocol: 4, depth: DEPTH, tuple_variants: false }
    }
}

impl SerOptions {
    /// Writes protocol 0 to 5; 5, if it is above that. By default 4: every Python since 3.4
    /// reads it, and it is what Python itself has written since 3.8. Python 2 reads up to 2.
    #[must_use]
    pub const fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    /// How many sequences, maps and structs may stand in each other; 128 by default, and the
    /// same for options and newtypes around one value.
    #[must_use]
    pub const fn depth(mut self, most: u32) -> Self {
        self.depth = most;
        self
    }

    /// Writes variants as tuples, `('Variant',)` and `('Variant', value)`, as `serde-pickle`
    /// does with `compat_enum_repr`, and not as `'Variant'` and `{'Variant': value}`. Both are
    /// read.
    #[must_use]
    pub const fn tuple_variants(mut self, tuples: bool) -> Self {
        self.tuple_variants = tuples;
        self
    }
}
