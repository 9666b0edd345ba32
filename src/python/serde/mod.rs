//! Rust values from and to plain pickles, by [serde](https://serde.rs).
//!
//! ```
//! use depickle::python::serde as pickle;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Run {
//!     epoch: u32,
//!     losses: Vec<f64>,
//!     note: Option<String>,
//! }
//!
//! // pickle.dumps({"epoch": 3, "losses": [0.5, 0.25], "note": None}, 2), without the memo
//! let bytes = b"\x80\x02}(X\x05\0\0\0epochK\x03X\x06\0\0\0losses](G?\xe0\0\0\0\0\0\0\
//!     G?\xd0\0\0\0\0\0\0eX\x04\0\0\0noteNu.";
//! let run: Run = pickle::from_slice(bytes)?;
//! assert_eq!(run, Run { epoch: 3, losses: vec![0.5, 0.25], note: None });
//! assert_eq!(pickle::from_slice::<Run>(&pickle::to_vec(&run)?)?, run);
//! # Ok::<(), pickle::Error>(())
//! ```
//!
//! | Python | Rust reads | Rust writes |
//! |---|---|---|
//! | `None` | `()`, `None`, a unit struct | these |
//! | `bool`, `int`, `float` | the same; integers of up to 128 bits; an `int` as `f64` too | these |
//! | `complex` | `(f64, f64)` | |
//! | `str` | `String`, `char`, a unit variant, a field's name | these |
//! | `bytes`, `bytearray` | bytes (`serde_bytes`), `Vec<u8>`, `[u8; N]` | bytes as `bytes` |
//! | `list`, `tuple`, `set`, `frozenset`, `deque` | sequences and tuples | sequences as `list`, tuples as `tuple` |
//! | `dict`, `OrderedDict`, `defaultdict`, `Counter` | maps and structs | as `dict` |
//! | an object with attributes: `Namespace`, a dataclass | structs and maps | |
//! | a `namedtuple` | tuples, and structs by position | |
//! | `{'Variant': value}`, `('Variant', value)` | variants with data | the first, or [the second](SerOptions::tuple_variants) |
//! | a member of an `Enum` | a unit variant, by name (Python 3.11) or text value | |
//!
//! Equal keys and members count once, as Python has it: the first key with the last value. An
//! object whose class has a `__setstate__` is its state, whatever that is. What was set on or
//! appended to an object of a class of its own goes before its attributes.
//!
//! serde knows trees only. What a pickle shares is read once for each use: what is read again
//! spends [`Limits::visits`](crate::Limits::visits) and, for texts and bytes,
//! [`Limits::memory`](crate::Limits::memory), so that no small pickle becomes a large value. A
//! cycle is an error, unless the type skips it
//! ([`IgnoredAny`](serde::de::IgnoredAny), unknown fields).
//!
//! As in other formats, `Some(None)` and `Some(())` are written as `None` and read back as such.

mod access;
mod context;
mod de;
mod error;
mod form;
mod options;
mod ser;
mod sink;

use std::io::{Read, Write};
use std::marker::PhantomData;

use ::serde::de::{Deserialize, DeserializeOwned};
use ::serde::ser::Serialize;
use bytes::{Buf, Bytes};

pub use de::Deserializer;
pub use error::{Error, Kind};
pub use options::{DeOptions, Python2, SerOptions};

use crate::base::{Budget, FileOffset, Limit};
use crate::pickle::{Encoder, Graph, GraphBuilder, NodeId, Object, Plain, run};

/// Reads the one pickle that `bytes` are.
///
/// ```
/// use depickle::python::serde as pickle;
///
/// let names: Vec<String> = pickle::from_slice(b"(lp0\nVada\nap1\nVgrace\na.")?;
/// assert_eq!(names, ["ada", "grace"]);
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// A damaged pickle, bytes behind it, a value that `T` does not take, a cycle, or a limit. The
/// error says at which place in the data, and at which byte.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    from_slice_with(bytes, &DeOptions::default())
}

/// As [`from_slice`], under other options.
///
/// ```
/// use depickle::python::serde::{self as pickle, DeOptions};
///
/// let nested = b"]]]K\x01aaa."; // [[[1]]]
/// let why = pickle::from_slice_with::<Vec<Vec<Vec<u8>>>>(nested, &DeOptions::default().depth(2));
/// assert!(why.unwrap_err().to_string().starts_with("over 2 values in each other at [0][0], "));
/// ```
///
/// # Errors
/// As [`from_slice`].
pub fn from_slice_with<T: DeserializeOwned>(bytes: &[u8], options: &DeOptions) -> Result<T, Error> {
    from_bytes(Bytes::copy_from_slice(bytes), options)
}

/// As [`from_slice_with`], without the copy of the stream that a slice costs.
///
/// ```
/// use depickle::python::serde::{self as pickle, DeOptions};
///
/// let stream = b"\x80\x04\x88.".to_vec();
/// assert!(pickle::from_bytes::<bool>(stream, &DeOptions::default())?);
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// As [`from_slice`].
pub fn from_bytes<T: DeserializeOwned>(
    bytes: impl Into<Bytes>,
    options: &DeOptions,
) -> Result<T, Error> {
    let bytes = bytes.into();
    let len = bytes.len() as u64;
    let mut budget = Budget::new(options.limits.clone());
    let (graph, end) = graph(bytes, FileOffset(0), options, &mut budget)?;
    let value = root(&graph, end, options, &mut budget)?;
    let left = len.saturating_sub(end);
    if left > 0 && !options.trailing {
        return Err(Kind::Trailing(left).into());
    }
    Ok(value)
}

/// The graph of the first pickle, and where that ends.
fn graph(
    bytes: Bytes,
    base: FileOffset,
    options: &DeOptions,
    budget: &mut Budget,
) -> Result<(Graph, u64), Error> {
    let outcome = run(bytes, base, options.policy_in_force(), budget);
    let end = outcome.end?;
    Ok((outcome.graph, end))
}

/// Reads the root of a graph that was made of so many bytes.
fn root<T: DeserializeOwned>(
    graph: &Graph,
    bytes: u64,
    options: &DeOptions,
    budget: &mut Budget,
) -> Result<T, Error> {
    // There is a root where a pickle ended.
    let root = graph.root().unwrap_or(graph.object(NodeId::NONE));
    T::deserialize(&mut Deserializer::paid(root, options, budget, bytes))
}

/// Reads all of `reader`, which is one pickle.
///
/// ```
/// use depickle::python::serde as pickle;
///
/// let stream: &[u8] = b"K\x2a.";
/// assert_eq!(pickle::from_reader::<u8>(stream)?, 42);
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// As [`from_slice`]; [`Kind::Io`] from `reader`; [`Kind::Over`] if it gives more bytes than
/// [`Limits::memory`](crate::Limits::memory).
pub fn from_reader<T: DeserializeOwned>(reader: impl Read) -> Result<T, Error> {
    from_reader_with(reader, &DeOptions::default())
}

/// As [`from_reader`], under other options.
///
/// ```
/// use depickle::Limits;
/// use depickle::python::serde::{self as pickle, DeOptions};
///
/// let options = DeOptions::default().limits(Limits::default().with_memory(1 << 20));
/// let endless = std::io::repeat(b'N');
/// let why = pickle::from_reader_with::<()>(endless, &options).unwrap_err();
/// assert_eq!(why.category(), depickle::Category::OverLimit);
/// ```
///
/// # Errors
/// As [`from_reader`].
pub fn from_reader_with<T: DeserializeOwned>(
    reader: impl Read,
    options: &DeOptions,
) -> Result<T, Error> {
    let most = options.limits.memory;
    let mut bytes = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Kind::Io)?;
    options.limits.admit(Limit::Memory, bytes.len() as u64)?;
    from_bytes(bytes, options)
}

/// Reads every pickle of a stream, one after the other, as `pickle.dump` called several times
/// writes them. Ends after the first that is damaged.
///
/// ```
/// use depickle::python::serde::{self as pickle, DeOptions};
///
/// let values = pickle::iter(&b"K\x01.\x80\x04K\x02."[..], &DeOptions::default());
/// let values: Result<Vec<u8>, _> = values.collect();
/// assert_eq!(values?, [1, 2]);
/// # Ok::<(), pickle::Error>(())
/// ```
pub fn iter<T: DeserializeOwned>(bytes: impl Into<Bytes>, options: &DeOptions) -> Iter<T> {
    let budget = Budget::new(options.limits.clone());
    let (rest, at, options) = (bytes.into(), FileOffset(0), options.clone());
    Iter { rest, at, options, budget, of: PhantomData }
}

/// The values of several pickles in one stream; made by [`iter`]. What they unfold to is paid
/// for by one budget.
#[derive(Clone, Debug)]
pub struct Iter<T> {
    rest: Bytes,
    at: FileOffset,
    options: DeOptions,
    budget: Budget,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Iterator for Iter<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        // The graph is dropped before the next is made.
        let mut one = self.budget.clone();
        let (graph, end) = match graph(self.rest.clone(), self.at, &self.options, &mut one) {
            Ok(made) => made,
            Err(why) => {
                self.rest.clear();
                return Some(Err(why));
            }
        };
        self.rest.advance(usize::try_from(end).unwrap_or(usize::MAX).min(self.rest.len()));
        self.at = self.at.plus(end);
        Some(root(&graph, end, &self.options, &mut self.budget))
    }
}

/// Reads an object of a graph, such as the arguments in a checkpoint. Texts and bytes can be
/// borrowed from the graph.
///
/// ```
/// use depickle::pickle::{Policy, run};
/// use depickle::python::serde as pickle;
/// use depickle::{Budget, FileOffset};
///
/// #[derive(serde::Deserialize)]
/// struct Args<'graph> {
///     lr: f64,
///     data: &'graph str,
/// }
///
/// // {"epoch": 9, "args": argparse.Namespace(lr=1, data="coco")}
/// let stream = b"}(X\x05\0\0\0epochK\x09X\x04\0\0\0argscargparse\nNamespace\n)\x81}\
///     (X\x02\0\0\0lrK\x01X\x04\0\0\0dataX\x04\0\0\0cocoubu.";
/// let graph = run(stream[..].into(), FileOffset(0), &Policy::inspect(), &mut Budget::default()).graph;
/// let args = graph.root().unwrap().as_dict().unwrap().get("args").unwrap();
/// let args: Args = pickle::from_object(args)?;
/// assert_eq!((args.lr, args.data), (1.0, "coco"));
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// As [`from_slice`], but for those of the stream.
pub fn from_object<'graph, T: Deserialize<'graph>>(object: Object<'graph>) -> Result<T, Error> {
    let options = DeOptions::default();
    from_object_with(object, &options, &mut Budget::new(options.limits.clone()))
}

/// As [`from_object`], under other options, and paid for by `budget`: the policy and the limits
/// in `options` do not count here.
///
/// ```
/// use depickle::pickle::GraphBuilder;
/// use depickle::python::serde::{self as pickle, DeOptions};
/// use depickle::{Budget, Limits};
///
/// let mut budget = Budget::new(Limits::default().with_visits(100));
/// let mut build = GraphBuilder::new(&mut budget);
/// let mut root = build.none();
/// for _ in 0..50 {
///     root = build.tuple(&[root, root]).unwrap();
/// }
/// let bomb = build.finish(root); // 2⁵⁰ ways lead to None
/// let read = pickle::from_object_with::<serde_json::Value>(
///     bomb.root().unwrap(),
///     &DeOptions::default(),
///     &mut budget,
/// );
/// assert_eq!(read.unwrap_err().category(), depickle::Category::OverLimit);
/// ```
///
/// # Errors
/// As [`from_object`].
pub fn from_object_with<'graph, T: Deserialize<'graph>>(
    object: Object<'graph>,
    options: &DeOptions,
    budget: &mut Budget,
) -> Result<T, Error> {
    T::deserialize(&mut Deserializer::new(object, options, budget))
}

/// Writes a value as a pickle of protocol 4.
///
/// ```
/// use depickle::python::serde as pickle;
///
/// assert_eq!(pickle::to_vec(&Some(7))?, b"\x80\x04K\x07.");
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// What the value's [`Serialize`] says; values too deep in each other; a key that Python could
/// not hash.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    to_vec_with(value, &SerOptions::default())
}

/// As [`to_vec`], under other options.
///
/// ```
/// use depickle::python::serde::{self as pickle, SerOptions};
///
/// let options = SerOptions::default().protocol(0);
/// assert_eq!(pickle::to_vec_with(&[1.5, -2.0], &options)?, b"(F1.5\nF-2.0\nt.");
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// As [`to_vec`]; what the protocol has no word for (texts over 4 GiB below protocol 4).
pub fn to_vec_with<T: Serialize + ?Sized>(
    value: &T,
    options: &SerOptions,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    to_writer_with(&mut out, value, options)?;
    Ok(out)
}

/// As [`to_vec`], to `writer`, which need not be buffered. Returns how many bytes went there.
///
/// ```
/// use depickle::python::serde as pickle;
///
/// let mut file = Vec::new();
/// assert_eq!(pickle::to_writer(&mut file, "a")?, 15);
/// assert_eq!(file, b"\x80\x04\x95\x04\0\0\0\0\0\0\0\x8c\x01a.");
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// As [`to_vec`]; what `writer` says. A part may have been written by then.
pub fn to_writer<T: Serialize + ?Sized>(writer: impl Write, value: &T) -> Result<u64, Error> {
    to_writer_with(writer, value, &SerOptions::default())
}

/// As [`to_writer`], under other options.
///
/// ```
/// use depickle::python::serde::{self as pickle, SerOptions};
///
/// let mut socket = Vec::new();
/// pickle::to_writer_with(&mut socket, &('a', true), &SerOptions::default().protocol(2))?;
/// assert_eq!(socket, b"\x80\x02X\x01\0\0\0a\x88\x86.");
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// As [`to_writer`] and [`to_vec_with`].
pub fn to_writer_with<T: Serialize + ?Sized>(
    mut writer: impl Write,
    value: &T,
    options: &SerOptions,
) -> Result<u64, Error> {
    let mut sink = Plain::new(&Encoder::new(options.protocol), &mut writer)?;
    ser::serialize(value, &mut sink, options)?;
    Ok(sink.finish()?)
}

/// Adds a value to a graph: to put it into a file that was read, or under objects that serde
/// has no word for.
///
/// ```
/// use depickle::Budget;
/// use depickle::pickle::GraphBuilder;
/// use depickle::python::serde::{self as pickle, SerOptions};
///
/// let mut budget = Budget::default();
/// let mut build = GraphBuilder::new(&mut budget);
/// let state = pickle::to_node(&[("lr", 0.5)], &mut build, &SerOptions::default())?;
/// let graph = build.finish(state);
/// let read: Vec<(&str, f64)> = pickle::from_object(graph.root().unwrap())?;
/// assert_eq!(read, [("lr", 0.5)]);
/// # Ok::<(), pickle::Error>(())
/// ```
///
/// # Errors
/// As [`to_vec`]; [`Kind::Build`] if the builder's budget does not cover it.
pub fn to_node<T: Serialize + ?Sized>(
    value: &T,
    build: &mut GraphBuilder<'_>,
    options: &SerOptions,
) -> Result<NodeId, Error> {
    let mut sink = sink::Nodes::new(build);
    ser::serialize(value, &mut sink, options)?;
    Ok(sink.finish())
}
