//! Several pickles in a row, as `pickle.load` finds them when it is called again and again.

use bytes::Bytes;

use super::decode::Ops;
use super::error::Error;
use super::machine::{Outcome, run};
use super::policy::Policy;
use crate::base::{Budget, FileOffset};

/// How many bytes the first pickle in `stream` has, up to and with STOP; `base` is where the stream
/// begins in its file. Decodes it, and no more: only where joblib may have put arrays between
/// operations must it be run to know.
///
/// ```
/// use depickle::pickle::extent;
/// use depickle::{Budget, FileOffset};
///
/// let stream = b"K\x01.K\x02."[..].into();
/// assert_eq!(extent(&stream, FileOffset(0), &mut Budget::default()), Ok(3));
/// ```
///
/// # Errors
/// What is wrong with the stream.
pub fn extent(stream: &Bytes, base: FileOffset, budget: &mut Budget) -> Result<u64, Error> {
    // Whoever hides the name gets an error: its data are read as operations here.
    if memchr::memmem::find(stream, b"NumpyArrayWrapper").is_some() {
        return run(stream.clone(), base, &Policy::inspect(), budget).end;
    }
    let mut ops = Ops::at(stream, base);
    ops.by_ref().try_for_each(|op| op.map(drop))?;
    Ok(ops.consumed())
}

/// The pickles that stand one behind the other in some bytes, run one by one.
///
/// Ends with the bytes, or after the first pickle that breaks: only STOP says where the next
/// one begins. Bytes that are no pickle are not passed over: they come last, as a part that
/// [is none](Part::is_rest).
///
/// ```
/// use depickle::pickle::{Policy, Streams};
/// use depickle::{Budget, FileOffset};
///
/// let (policy, mut budget) = (Policy::inspect(), Budget::default());
/// let mut parts = Streams::new(b"K\x01.K\x02.\0\0"[..].into(), FileOffset(0), &policy, &mut budget);
/// let first = parts.next().unwrap();
/// let second = parts.next().unwrap();
/// assert_eq!((second.index, second.at), (1, FileOffset(3)));
/// assert_eq!(second.outcome.graph.root().unwrap().as_int(), Some(2));
/// let rest = parts.next().unwrap();
/// assert!(rest.is_rest());
/// assert_eq!((rest.at, rest.len), (FileOffset(6), 2));
/// assert!(parts.next().is_none());
/// ```
#[derive(Debug)]
pub struct Streams<'run> {
    rest: Bytes,
    at: FileOffset,
    index: usize,
    policy: &'run Policy,
    budget: &'run mut Budget,
}

/// One pickle of a row, or what follows the last.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part {
    /// How many came before.
    pub index: usize,
    /// Where it begins.
    pub at: FileOffset,
    /// Its bytes: up to and with STOP, or all that is left if it broke.
    pub len: u64,
    /// What running it gave.
    pub outcome: Outcome,
}

impl<'run> Streams<'run> {
    /// Goes through `stream`, which begins at `base` in its file. All pickles together take
    /// from one budget.
    #[must_use]
    pub const fn new(
        stream: Bytes,
        base: FileOffset,
        policy: &'run Policy,
        budget: &'run mut Budget,
    ) -> Self {
        Self { rest: stream, at: base, index: 0, policy, budget }
    }
}

impl Iterator for Streams<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        // No bytes at all are a broken pickle; none behind one are the end.
        if self.rest.is_empty() && self.index > 0 {
            return None;
        }
        let (index, at) = (self.index, self.at);
        self.index = index.saturating_add(1);
        let outcome = run(self.rest.clone(), at, self.policy, self.budget);
        let left = self.rest.len() as u64;
        let len = outcome.end.as_ref().map_or(left, |&read| read.min(left));
        self.rest = self.rest.split_off(usize::try_from(len).unwrap_or(self.rest.len()));
        self.at = at.plus(len);
        Some(Part { index, at, len, outcome })
    }
}

impl Part {
    /// Whether these are bytes behind a pickle that do not begin another: none of their
    /// operations can be carried out. Python does not look at them unless it is asked to load
    /// once more, and fails then.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        let why = self.outcome.end.as_ref().err();
        self.index > 0 && why.is_some_and(|why| why.offset() == self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::Kind;

    fn parts(stream: &'static [u8]) -> Vec<(u64, u64, Result<u64, Kind>, bool)> {
        let (policy, mut budget) = (Policy::inspect(), Budget::default());
        let parts = Streams::new(Bytes::from_static(stream), FileOffset(10), &policy, &mut budget);
        parts
            .map(|part| {
                let rest = part.is_rest();
                let end = part.outcome.end.map_err(|why| why.kind().clone());
                (part.at.0, part.len, end, rest)
            })
            .collect()
    }

    #[test]
    fn pickles_are_found_where_the_one_before_ends() {
        assert_eq!(parts(b"N."), [(10, 2, Ok(2), false)]);
        assert_eq!(parts(b"N.\x80\x04K\x01."), [(10, 2, Ok(2), false), (12, 5, Ok(5), false)]);
    }

    #[test]
    fn the_first_that_breaks_is_the_last() {
        let [whole, broken] = &parts(b"N.NR.N.")[..] else { panic!() };
        assert_eq!(whole.2, Ok(2));
        assert_eq!(*broken, (12, 5, Err(Kind::Underflow), false));
        assert_eq!(parts(b""), [(10, 0, Err(Kind::NoStop), false)]);
    }

    #[test]
    fn what_begins_no_pickle_is_the_rest() {
        for rest in [&b"N.\0\0\0"[..], b"N.\n", b"N.R", b"N.h\x05."] {
            let [_, (at, len, end, is_rest)] = &parts(rest)[..] else { panic!() };
            assert_eq!((*at, *len), (12, rest.len() as u64 - 2));
            assert!(end.is_err() && *is_rest, "{rest:?}");
        }
        assert!(!parts(b"\xff")[0].3, "the first is never the rest");
    }
}
