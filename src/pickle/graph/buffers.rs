//! Out-of-band buffers: what a pickle of protocol 5 leaves to the program that loads it.
//!
//! Source: PEP 574; CPython 3.11 `Modules/_pickle.c` (`load_next_buffer`).

use bytes::Bytes;

use super::{Graph, Node};
use crate::base::{Budget, FileOffset};
use crate::pickle::error::{Error, Kind};
use crate::pickle::opcode::{Opcode, codes};
use crate::pickle::{Outcome, Policy, run};

/// As [`run`], with the out-of-band buffers that the pickle asks for, in the order it does:
/// Python's `pickle.loads(stream, buffers=buffers)`. [`Value::Buffer`](super::Value::Buffer)
/// then gives their bytes. They are shared, not copied, and taken from no budget.
///
/// Where the pickle asks for more than there are, it breaks there with
/// [`Kind::NoBuffer`]; buffers left over are kept and otherwise ignored, both as in CPython.
///
/// ```
/// use bytes::Bytes;
/// use depickle::pickle::{Encoder, Policy, Value, run_with_buffers};
/// use depickle::{Budget, FileOffset};
///
/// let stream = b"\x80\x05\x97\x98."; // NEXT_BUFFER, READONLY_BUFFER
/// let (policy, mut budget) = (Policy::inspect(), Budget::default());
/// let buffers = vec![Bytes::from_static(b"abc")];
/// let outcome = run_with_buffers(stream[..].into(), FileOffset(0), &policy, &mut budget, buffers);
/// let root = outcome.graph.root().unwrap();
/// let Value::Buffer { bytes, readonly, .. } = root.value() else { panic!() };
/// assert_eq!((bytes, readonly), (Some(&b"abc"[..]), true));
///
/// // Written again, the pickle still asks; who writes it gets the buffers by their numbers.
/// let mut out = Vec::new();
/// let written = Encoder::new(5).write(root, &mut budget, &mut out)?;
/// assert_eq!(out, stream);
/// assert_eq!(outcome.graph.buffer(written.buffers[0]).unwrap(), "abc");
/// # Ok::<(), depickle::pickle::EncodeError>(())
/// ```
#[must_use]
pub fn run_with_buffers(
    stream: Bytes,
    base: FileOffset,
    policy: &Policy,
    budget: &mut Budget,
    buffers: Vec<Bytes>,
) -> Outcome {
    let Outcome { graph, end } = run(stream, base, policy, budget);
    let mut graph = graph.with_buffers(buffers);
    let missing = graph.missing_buffer();
    // What broke before that is what Python would have met.
    let earlier = |at: FileOffset| end.as_ref().err().is_some_and(|why| why.offset() < at);
    let Some((index, at)) = missing.filter(|&(_, at)| !earlier(at)) else {
        return Outcome { graph, end };
    };
    graph.root = None;
    let opcode = Opcode::from_byte(codes::NEXT_BUFFER);
    Outcome { graph, end: Err(Error::new(Kind::NoBuffer(index), opcode, at)) }
}

impl Graph {
    /// This graph with the out-of-band buffers that its pickle asks for, in the order it does.
    /// [`missing_buffer`](Self::missing_buffer) tells if there are too few.
    #[must_use]
    pub fn with_buffers(mut self, buffers: Vec<Bytes>) -> Self {
        self.buffers = buffers;
        self
    }

    /// The out-of-band buffer of this number, if it was given.
    #[must_use]
    pub fn buffer(&self, index: u32) -> Option<&Bytes> {
        self.buffers.get(usize::try_from(index).ok()?)
    }

    /// The first out-of-band buffer that is asked for and was not given, and where. Looks at
    /// every object once.
    #[must_use]
    pub fn missing_buffer(&self) -> Option<(u32, FileOffset)> {
        self.objects().find_map(|object| match self.kind(object.id()) {
            Some(Node::Buffer { index, .. }) if self.buffer(index).is_none() => {
                Some((index, object.offset().unwrap_or(self.base)))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::{GraphBuilder, Object, Value, assemble};

    fn outcome(text: &str, buffers: &[&'static [u8]]) -> Outcome {
        let stream = assemble(text).unwrap();
        let buffers = buffers.iter().map(|bytes| Bytes::from_static(bytes)).collect();
        let mut budget = Budget::default();
        run_with_buffers(stream.into(), FileOffset(100), &Policy::inspect(), &mut budget, buffers)
    }

    fn bytes(object: Object<'_>) -> Option<&[u8]> {
        match object.value() {
            Value::Buffer { bytes, .. } => bytes,
            _ => None,
        }
    }

    const TWO: &str = "PROTO 5\nMARK\nNEXT_BUFFER\nNEXT_BUFFER\nREADONLY_BUFFER\nLIST\nSTOP";

    #[test]
    fn buffers_are_given_in_the_order_they_are_asked_for() {
        let outcome = outcome(TWO, &[b"a", b"bc", b"left over"]);
        assert_eq!(outcome.end, Ok(8));
        let items = outcome.graph.root().unwrap().items().unwrap();
        let given: Vec<_> = items.iter().map(bytes).collect();
        assert_eq!(given, [Some(&b"a"[..]), Some(b"bc")]);
        assert_eq!(outcome.graph.missing_buffer(), None);
    }

    #[test]
    fn one_too_few_breaks_where_it_is_asked_for() {
        let outcome = outcome(TWO, &[b"a"]);
        let why = outcome.end.unwrap_err();
        assert_eq!((why.kind(), why.offset()), (&Kind::NoBuffer(1), FileOffset(104)));
        assert!(why.to_string().contains("in NEXT_BUFFER"), "{why}");
        assert!(outcome.graph.root().is_none());
        assert_eq!(outcome.graph.missing_buffer(), Some((1, FileOffset(104))));
    }

    #[test]
    fn what_breaks_first_is_told() {
        let before = outcome("NONE\nREDUCE\nNEXT_BUFFER\nSTOP", &[]);
        assert_eq!(before.end.unwrap_err().kind(), &Kind::Underflow);
        let after = outcome("NEXT_BUFFER\nREDUCE\nSTOP", &[]);
        assert_eq!(after.end.unwrap_err().kind(), &Kind::NoBuffer(0));
    }

    #[test]
    fn copies_into_another_graph_keep_their_bytes() {
        let (one, two) = (outcome(TWO, &[b"a", b"bc"]), outcome(TWO, &[b"d", b"ef"]));
        let mut budget = Budget::default();
        let mut builder = GraphBuilder::new(&mut budget);
        let one = builder.copy(one.graph.root().unwrap()).unwrap();
        let two = builder.copy(two.graph.root().unwrap()).unwrap();
        let both = builder.tuple(&[one, two]).unwrap();
        let graph = builder.finish(both);
        let lists = graph.root().unwrap().items().unwrap();
        let given: Vec<_> =
            lists.iter().flat_map(|list| list.items().unwrap().iter()).map(bytes).collect();
        assert_eq!(given, [Some(&b"a"[..]), Some(b"bc"), Some(b"d"), Some(b"ef")]);
    }
}
