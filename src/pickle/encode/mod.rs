//! Graph → bytes, in any protocol. Sharing and cycles are kept; nothing recurses.
//!
//! Source: `Lib/pickle.py` and `Modules/_pickle.c` (`save` and what it calls) of CPython 3.11.

mod atoms;
mod count;
mod error;
mod out;
#[cfg(feature = "serde")]
mod plain;
mod write;

use std::io::Write;

pub use error::{EncodeError, EncodeKind};
#[cfg(feature = "serde")]
pub(crate) use plain::{Container, Open, Plain};

use super::graph::{Global, Graph, Made, Make, Node, NodeId, Object};
use crate::base::Budget;

/// How to write a graph.
///
/// ```
/// use depickle::pickle::{Encoder, Policy, run};
/// use depickle::{Budget, FileOffset};
///
/// let stream = b"(lp0\nI1\nag0\na."; // a list of 1 and itself
/// let mut budget = Budget::default();
/// let graph = run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
/// let mut out = Vec::new();
/// Encoder::new(4).write(graph.root().unwrap(), &mut budget, &mut out)?;
/// assert_eq!(out, b"\x80\x04\x95\x09\0\0\0\0\0\0\0]\x94(K\x01h\0e.");
/// # Ok::<(), depickle::pickle::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    protocol: u8,
    memoize_all: bool,
    rename: Option<Rename>,
}

/// Gives a global another name, module and name apart; none keeps the one it has.
pub type Rename = fn(Global<'_>) -> Option<(Box<[u8]>, Box<[u8]>)>;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoded {
    /// Bytes.
    pub bytes: u64,
    /// The out-of-band buffers that a reader must be given, by their numbers in the graph, in
    /// the order it will ask for them.
    pub buffers: Vec<u32>,
}

impl Encoder {
    /// The newest protocol.
    pub const NEWEST: u8 = 5;

    /// Writes protocol `protocol`; 5, if it is above that. What is met once takes no place in
    /// the memo.
    #[must_use]
    pub const fn new(protocol: u8) -> Self {
        let protocol = if protocol > Self::NEWEST { Self::NEWEST } else { protocol };
        Self { protocol, memoize_all: false, rename: None }
    }

    /// Stores in the memo whatever Python's pickler does, met again or not: what Python wrote
    /// comes out byte for byte, with few exceptions.
    #[must_use]
    pub const fn memoize_all(self, all: bool) -> Self {
        Self { memoize_all: all, ..self }
    }

    /// Names globals anew as they are written.
    #[must_use]
    pub const fn rename(self, rename: Rename) -> Self {
        Self { rename: Some(rename), ..self }
    }

    /// The protocol it writes.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Writes the pickle of `object` to `out`, which need not be buffered.
    ///
    /// What the protocol has no operation for is written as Python writes it: sets as calls of
    /// `set`, `bytes` below protocol 3 as calls of `_codecs.encode`, and so on. Reading back
    /// gives an isomorphic graph ([`same`](super::difference)) where there is an operation, and one
    /// that means the same where there is none.
    ///
    /// A graph forgets when things happened: what was put into an object after a call took it
    /// is written before the call, unless the call's result is part of it.
    ///
    /// Time and memory are in proportion to what is reachable from `object`. Only tuples and
    /// calls that are part of themselves may be written in part more than once; that spends
    /// [`visits`](crate::Limits::visits).
    ///
    /// # Errors
    /// What cannot be written in this protocol; a limit; what `out` says.
    pub fn write(
        &self,
        object: Object<'_>,
        budget: &mut Budget,
        out: &mut dyn Write,
    ) -> Result<Encoded, EncodeError> {
        write::write(self, object, budget, out)
    }

    /// As [`write`](Self::write), into memory.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn to_vec(&self, object: Object<'_>, budget: &mut Budget) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.write(object, budget, &mut out)?;
        Ok(out)
    }
}

/// How an object that a call makes is written.
#[derive(Clone, Copy)]
enum Shape<'graph> {
    /// Callable, arguments, REDUCE.
    Reduce,
    /// Class, arguments, NEWOBJ.
    NewObj,
    /// Class, arguments, keyword arguments, NEWOBJ_EX.
    NewObjEx,
    /// `copyreg.__newobj__(class, *arguments)`, before there was NEWOBJ; none if the arguments
    /// are no tuple.
    CallNewObj(Option<&'graph [NodeId]>),
    /// `copyreg.__newobj_ex__(class, arguments, keyword arguments)`, before NEWOBJ_EX.
    CallNewObjEx,
    /// MARK, arguments, INST with the class.
    Inst(&'graph [NodeId]),
    /// MARK, class, arguments, OBJ.
    Obj(&'graph [NodeId]),
}

impl<'graph> Shape<'graph> {
    fn of(graph: &'graph Graph, made: &Made<'graph>, protocol: u8) -> Self {
        let args = match graph.kind(*made.args) {
            Some(Node::Tuple { run, .. }) => Some(graph.run(run)),
            None if *made.args == NodeId::EMPTY_TUPLE => Some(&[][..]),
            _ => None,
        };
        match (made.make, args) {
            (Make::NewObj, _) if protocol >= 2 => Self::NewObj,
            (Make::NewObj, args) => Self::CallNewObj(args),
            (Make::NewObjEx, _) if protocol >= 4 => Self::NewObjEx,
            (Make::NewObjEx, _) => Self::CallNewObjEx,
            (Make::Inst, Some(args)) if is_lines(graph, *made.callable) => Self::Inst(args),
            (Make::Inst | Make::Obj, Some(args)) => Self::Obj(args),
            _ => Self::Reduce,
        }
    }

    /// The arguments, where they are written one by one and not as a tuple.
    const fn spliced(self) -> Option<&'graph [NodeId]> {
        match self {
            Self::CallNewObj(args) => args,
            Self::Inst(args) | Self::Obj(args) => Some(args),
            _ => None,
        }
    }
}

/// Whether it is a global that INST can name.
fn is_lines(graph: &Graph, id: NodeId) -> bool {
    graph.object(id).as_global().is_some_and(|Global { module, name }| {
        let line = |text: &[u8]| !text.is_empty() && text.is_ascii() && !text.contains(&b'\n');
        line(module) && line(name)
    })
}
