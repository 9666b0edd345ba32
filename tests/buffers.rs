//! Out-of-band buffers as CPython 3.11 and numpy 2.4 wrote them:
//!
//! ```python
//! array, buffers = np.arange(3, dtype="<u2"), []
//! pickle.dumps([array, PickleBuffer(b"abc"), PickleBuffer(bytearray(b"xyz")), array], 5,
//!              buffer_callback=buffers.append)
//! ```
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use depickle::pickle::{
    Encoder, Graph, Kind, Object, Outcome, Policy, Value, difference, run, run_with_buffers,
};
use depickle::python::json;
use depickle::{Budget, FileOffset};

const STREAM: &[u8] = b"\x80\x05\x95t\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x13numpy._core.numeric\
    \x94\x8c\x0b_frombuffer\x94\x93\x94(\x97\x8c\x05numpy\x94\x8c\x05dtype\x94\x93\x94\x8c\x02u2\
    \x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bK\
    \x03\x85\x94\x8c\x01C\x94t\x94R\x94\x97\x98\x97h\x0fe.";
const BUFFERS: [&[u8]; 3] = [b"\0\0\x01\0\x02\0", b"abc", b"xyz"];

fn read(stream: &[u8], buffers: &[&'static [u8]]) -> Outcome {
    let buffers = buffers.iter().map(|bytes| Bytes::from_static(bytes)).collect();
    let (policy, mut budget) = (Policy::inspect(), Budget::default());
    let stream = Bytes::copy_from_slice(stream);
    run_with_buffers(stream, FileOffset(0), &policy, &mut budget, buffers)
}

fn text(object: Object) -> String {
    let mut out = Vec::new();
    json::write(object, &json::Nothing, &mut Budget::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The buffers in a graph, in the order they were asked for.
fn given(graph: &Graph) -> Vec<(Option<&[u8]>, bool)> {
    let values = graph.objects().filter_map(|object| match object.value() {
        Value::Buffer { bytes, readonly, .. } => Some((bytes, readonly)),
        _ => None,
    });
    values.collect()
}

#[test]
fn buffers_stand_where_they_are_asked_for() {
    let outcome = read(STREAM, &BUFFERS);
    assert_eq!(outcome.end, Ok(STREAM.len() as u64));
    let root = outcome.graph.root().unwrap();
    let items = root.items().unwrap();
    let Value::Recipe(array) = items.get(0).unwrap().value() else { panic!() };
    let Value::Buffer { index, readonly, bytes } =
        array.args().items().unwrap().get(0).unwrap().value()
    else {
        panic!()
    };
    assert_eq!((index, readonly, bytes), (0, false, Some(BUFFERS[0])));
    assert_eq!(items.get(0), items.get(3), "one array");
    let json = text(root);
    assert!(json.contains(r#"{"$buffer":1,"readonly":true,"bytes":"YWJj"}"#), "{json}");
    assert!(json.contains(r#"{"$buffer":2,"readonly":false,"bytes":"eHl6"}"#), "{json}");
}

#[test]
fn without_buffers_they_are_recorded_as_before() {
    let (policy, mut budget) = (Policy::inspect(), Budget::default());
    let outcome = run(STREAM.into(), FileOffset(0), &policy, &mut budget);
    assert!(outcome.end.is_ok());
    assert!(text(outcome.graph.root().unwrap()).contains(r#"{"$buffer":1,"readonly":true}"#));
    assert_eq!(outcome.graph.missing_buffer().unwrap().0, 0);
    let graph = outcome.graph.with_buffers(vec![Bytes::from_static(b"a"); 2]);
    assert_eq!(graph.missing_buffer().unwrap().0, 2);
}

#[test]
fn one_too_few_is_an_error_where_it_is_asked_for() {
    for few in 0..3 {
        let outcome = read(STREAM, &BUFFERS[..few]);
        let why = outcome.end.unwrap_err();
        assert_eq!(*why.kind(), Kind::NoBuffer(u32::try_from(few).unwrap()));
        let at = usize::try_from(why.offset().0).unwrap();
        assert_eq!(STREAM[at], 0x97, "{why}");
    }
}

#[test]
fn what_is_written_asks_for_the_buffers_by_their_numbers() {
    let outcome = read(STREAM, &BUFFERS);
    let root = outcome.graph.root().unwrap();
    // The whole, and a part that needs others than the first.
    for object in [root, root.items().unwrap().get(2).unwrap()] {
        let (mut out, mut budget) = (Vec::new(), Budget::default());
        let written = Encoder::new(5).write(object, &mut budget, &mut out).unwrap();
        let numbers = written.buffers.iter();
        let buffers: Vec<Bytes> =
            numbers.map(|&number| outcome.graph.buffer(number).unwrap().clone()).collect();
        let (policy, stream) = (Policy::inspect(), Bytes::from(out));
        let again = run_with_buffers(stream, FileOffset(0), &policy, &mut budget, buffers);
        assert!(again.end.is_ok());
        let read = again.graph.root().unwrap();
        assert!(difference(object, read, &mut budget).unwrap().is_none());
        let mut wanted = given(&outcome.graph);
        if object != root {
            wanted = vec![(Some(b"xyz"), false)];
        }
        assert_eq!(given(&again.graph), wanted);
    }
}

#[test]
fn other_bytes_are_another_value() {
    let (one, two) = (read(STREAM, &BUFFERS), read(STREAM, &[BUFFERS[0], b"abd", b"xyz"]));
    let roots = (one.graph.root().unwrap(), two.graph.root().unwrap());
    assert!(difference(roots.0, roots.1, &mut Budget::default()).unwrap().is_some());
}
