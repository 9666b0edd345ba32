//! The machine that carries a stream out, recording where Python would call.
//!
//! Source: `Modules/_pickle.c` of CPython 3.11, whose reading counts.

mod arrays;
mod call;
mod fill;
mod memo;
mod operations;
mod stack;

use bytes::Bytes;

use super::decode::visit;
use super::error::{Error, Kind};
use super::graph::{Builder, Global, Graph, LONGEST, Node, NodeId, Object, Recipe};
use super::opcode::{Opcode, codes};
use super::policy::{Policy, Position};
use super::uses::{Use, What};
use crate::base::{Budget, Cursor, FileOffset};
use arrays::{Announced, Outer};
use memo::{Globals, Memo};

/// What running a stream gave.
#[derive(Debug)]
pub struct Outcome {
    /// What was built. If the stream broke, what had been built by then: Python would have
    /// run that part already.
    pub graph: Graph,
    /// How many bytes were read up to and with STOP, or why there was no STOP.
    pub end: Result<u64, Error>,
}

/// Runs the first pickle in `stream`, calling nothing.
///
/// `base` is where the stream begins in its file; every offset counts from there. Time is in
/// proportion to the bytes read. Memory is taken from `budget` as it is allocated.
///
/// ```
/// use depickle::{Budget, FileOffset};
/// use depickle::pickle::{Policy, run};
///
/// let bytes = b"\x80\x02]q\x00(K\x01h\x00e.".to_vec(); // a list that holds itself
/// let outcome = run(bytes.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
/// assert_eq!(outcome.end, Ok(12));
/// let list = outcome.graph.root().unwrap();
/// assert_eq!(list.items().unwrap().get(1), Some(list));
/// ```
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "the graph shares the stream")]
pub fn run(stream: Bytes, base: FileOffset, policy: &Policy, budget: &mut Budget) -> Outcome {
    let mut machine = Machine {
        build: Builder::new(stream.clone(), base, budget),
        policy,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Memo::default(),
        globals: Globals::default(),
        buffers: 0,
        end: 0,
        len: stream.len(),
        frame_end: 0,
        wrappers: false,
        announced: None,
        outer: None,
        reconstruct: None,
    };
    let end = machine.run(&stream, base);
    Outcome { graph: machine.build.finish(), end }
}

/// What an operation gives. The reason for a failure is boxed, so that success costs no more
/// than a register.
type Step<T = ()> = Result<T, Box<Kind>>;

struct Machine<'run> {
    build: Builder<'run>,
    policy: &'run Policy,
    stack: Vec<NodeId>,
    /// Heights of the stack where marks stand.
    marks: Vec<usize>,
    memo: Memo,
    globals: Globals,
    /// Out-of-band buffers asked for so far.
    buffers: u32,
    /// Offset in the stream behind the operand of the current operation.
    end: usize,
    /// Bytes of the stream.
    len: usize,
    /// Where the newest frame ends in the stream.
    frame_end: usize,
    /// Whether the stream named what says that an array follows, and is read so.
    wrappers: bool,
    /// The array that follows.
    announced: Option<Announced>,
    /// The pickle in which the one being read stands.
    outer: Option<Box<Outer>>,
    /// The function that arrays are made with, if one was.
    reconstruct: Option<NodeId>,
}

impl Machine<'_> {
    fn run(&mut self, stream: &[u8], base: FileOffset) -> Result<u64, Error> {
        if stream.len() as u64 > LONGEST {
            return Err(Error::new(Kind::Unsupported("a stream over 1 TiB"), None, base));
        }
        self.build.expect(stream.len());
        let mut cursor = Cursor::new(stream);
        loop {
            let at = cursor.position() as u64;
            self.build.begin(at);
            let Ok(byte) = cursor.byte() else {
                return Err(Error::new(Kind::NoStop, None, base.plus(at)));
            };
            let after = match visit(byte, &mut cursor, self) {
                Ok((codes::STOP, ())) => self.leave_inner(&cursor),
                Ok((codes::BUILD, ())) if self.announced.is_some() => {
                    self.array(&mut cursor).map(|()| true)
                }
                Ok((codes::BININT1, ())) => {
                    self.push_row(&mut cursor);
                    continue;
                }
                Ok(_) => continue,
                Err(kind) => Err(kind),
            };
            match after {
                Ok(true) => {}
                Ok(false) => {
                    let kept = self.check_kept();
                    let built = Opcode::from_byte(codes::BUILD);
                    kept.map_err(|(at, kind)| Error::new(*kind, built, FileOffset(at)))?;
                    return Ok(cursor.position() as u64);
                }
                Err(kind) => {
                    return Err(Error::new(*kind, Opcode::from_byte(byte), base.plus(at)));
                }
            }
        }
    }
}

#[cold]
fn wrong(wanted: &'static str, found: &'static str) -> Kind {
    Kind::WrongType { wanted, found }
}

#[cold]
fn forbidden(global: Global, position: Position) -> Kind {
    Kind::Forbidden { global: global.to_string().into(), position }
}

/// Why a use that the policy does not permit is refused.
#[cold]
fn refusal(used: &Use<'_>) -> Kind {
    let inner = used.object.as_recipe().map(Recipe::callable);
    let anonymous = Global { module: b"<call>", name: b"<result>" };
    match &used.what {
        What::Global { module, name } => forbidden(Global { module, name }, used.position),
        What::Attribute { of, name } => {
            let of = of.map_or_else(|| "<object>".to_owned(), |of| of.to_string());
            let global = format!("{of}.{}", String::from_utf8_lossy(name)).into();
            Kind::Forbidden { global, position: used.position }
        }
        _ => {
            let global = inner.and_then(Object::as_global).unwrap_or(anonymous);
            forbidden(global, used.position)
        }
    }
}

/// What a call made, and what a loader or registry supplies, may have any methods.
fn open_to_effects(node: Option<Node>, wanted: &'static str) -> Step {
    let found = match node {
        Some(Node::Recipe(_) | Node::Persistent(_) | Node::Extension(_)) => return Ok(()),
        Some(Node::List(_)) => "list",
        Some(Node::Dict(_)) => "dict",
        Some(Node::Set(_) | Node::FrozenSet(_)) => "set",
        Some(Node::Tuple { .. }) => "tuple",
        Some(Node::Global(_)) => "global",
        Some(Node::ByteArray(_)) => "bytearray",
        _ => "other object",
    };
    Err(wrong(wanted, found).into())
}
