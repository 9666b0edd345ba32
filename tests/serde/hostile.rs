//! Shapes that a file, or a Rust value, may choose: a million deep, holding themselves,
//! unfolding to more than there are atoms.

use depickle::Category;
use depickle::python::serde::{self as pickle, DeOptions, Kind, SerOptions};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deep::DEEP;
use super::{few_visits, on_a_small_stack, stream};

fn nested(open: &str, close: &str) -> Vec<u8> {
    let part = |text: &str| {
        let bytes = stream(&format!("{text} / STOP"));
        bytes[..bytes.len() - 1].repeat(DEEP)
    };
    let (open, close) = (if open.is_empty() { vec![] } else { part(open) }, part(close));
    [&open[..], b"N", &close, b"."].concat()
}

#[test]
fn deep_in_each_other() {
    on_a_small_stack(|| {
        for (open, close) in [
            ("EMPTY_LIST", "APPEND"),
            ("", "TUPLE1"),
            ("MARK", "FROZENSET"),
            ("EMPTY_DICT / UNICODE a", "SETITEM"),
            ("GLOBAL m C / EMPTY_TUPLE / NEWOBJ", "BUILD"),
            ("GLOBAL m C / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / UNICODE a", "SETITEM / BUILD"),
            ("GLOBAL m C / EMPTY_TUPLE / NEWOBJ", "APPEND"),
            ("GLOBAL collections OrderedDict / EMPTY_TUPLE / REDUCE / UNICODE a", "SETITEM"),
            ("GLOBAL builtins set / EMPTY_LIST", "APPEND / TUPLE1 / REDUCE"),
        ] {
            let bytes = nested(open, close);
            let why = pickle::from_slice::<Value>(&bytes).unwrap_err();
            let fine = matches!(why.kind(), Kind::TooDeep { .. } | Kind::NotPlain(_));
            assert!(fine, "{open}: {why}");
            assert!(why.path().chars().count() < 1000 && why.offset().is_some());
            pickle::from_slice::<IgnoredAny>(&bytes).unwrap();
        }
    });
}

/// A variant in a variant: the reader's recursion is the type's own.
#[derive(Debug, Serialize, Deserialize)]
enum Chain {
    Next(Box<Chain>),
    End,
}

#[derive(Debug, Serialize, Deserialize)]
struct Wrapped(Option<Box<Wrapped>>);

#[test]
fn variants_deep_in_each_other() {
    on_a_small_stack(|| {
        let bytes = nested("EMPTY_DICT / UNICODE Next", "SETITEM");
        let why = pickle::from_slice::<Chain>(&bytes).unwrap_err();
        assert!(matches!(why.kind(), Kind::TooDeep { limit: 128, .. }), "{why}");
        // Newtypes and options go round and round on one value.
        let why = pickle::from_slice::<Wrapped>(b"K\x01.").unwrap_err();
        assert!(matches!(why.kind(), Kind::TooDeep { .. }), "{why}");
    });
}

#[test]
fn deep_from_rust() {
    let work = || {
        let mut chain = Chain::End;
        let mut wrapped = Wrapped(None);
        for _ in 0..DEEP {
            chain = Chain::Next(Box::new(chain));
            wrapped = Wrapped(Some(Box::new(wrapped)));
        }
        for protocol in 0..=5 {
            let options = SerOptions::default().protocol(protocol);
            let why = pickle::to_vec_with(&chain, &options).unwrap_err();
            assert!(matches!(why.kind(), Kind::TooDeep { limit: 128, .. }), "{why}");
            let why = pickle::to_vec_with(&wrapped, &options).unwrap_err();
            assert!(matches!(why.kind(), Kind::TooDeep { .. }), "{why}");
        }
        // Rust itself would recurse to drop them.
        std::mem::forget((chain, wrapped));
    };
    on_a_small_stack(work);
}

#[test]
fn as_deep_as_allowed_and_no_deeper() {
    for depth in [0, 1, 5, 128] {
        let value = (0..depth).fold(Value::Null, |value, _| Value::Array(vec![value]));
        let deeper = Value::Array(vec![value.clone()]);
        let (write, read) = (SerOptions::default().depth(depth), DeOptions::default().depth(depth));
        let written = pickle::to_vec_with(&value, &write).unwrap();
        assert_eq!(pickle::from_slice_with::<Value>(&written, &read).unwrap(), value);
        pickle::to_vec_with(&deeper, &write).unwrap_err();
        let written = pickle::to_vec_with(&deeper, &write.depth(depth + 1)).unwrap();
        let why = pickle::from_slice_with::<Value>(&written, &read).unwrap_err();
        let steps = depth as usize;
        let path = "[0]".repeat(steps.min(32));
        assert_eq!(why.path(), if steps > 32 { format!("…{path}") } else { path });
        assert_eq!(why.category(), Category::OverLimit);
    }
}

#[test]
fn cycles_are_named() {
    on_a_small_stack(|| {
        for (ops, kind, path) in [
            ("EMPTY_LIST / MEMOIZE / BINGET 0 / APPEND", "list", "[0]"),
            ("EMPTY_DICT / MEMOIZE / UNICODE a / BINGET 0 / SETITEM", "dict", "['a']"),
            (
                "EMPTY_LIST / MEMOIZE / NONE / APPEND / BINGET 0 / TUPLE1 / POP / BINGET 0 / TUPLE1 / APPEND",
                "list",
                "[1][0]",
            ),
            (
                "GLOBAL m C / EMPTY_TUPLE / NEWOBJ / MEMOIZE / EMPTY_DICT / UNICODE me / BINGET 0 / SETITEM / BUILD",
                "object",
                ".me",
            ),
        ] {
            let why = pickle::from_slice::<Value>(&stream(&format!("{ops} / STOP"))).unwrap_err();
            assert!(matches!(why.kind(), Kind::Cycle(of) if *of == kind), "{ops}: {why}");
            assert_eq!(why.path(), path);
            assert_eq!(why.category(), Category::Unsupported);
            let text = format!("{kind} holds itself at {path}, byte ");
            assert!(why.to_string().contains(&text), "{why}");
            assert!(why.to_string().contains("; serde knows trees only"), "{why}");
        }
        // A state that is its own object.
        let own = stream("GLOBAL m C / EMPTY_TUPLE / NEWOBJ / MEMOIZE / BINGET 0 / BUILD / STOP");
        let why = pickle::from_slice::<Value>(&own).unwrap_err();
        assert!(matches!(why.kind(), Kind::NotPlain(_)), "{why}");
    });
}

#[test]
fn a_cycle_can_be_passed_by() {
    #[derive(Debug, Deserialize)]
    struct Node {
        name: String,
        parent: Option<IgnoredAny>,
    }
    let node = "GLOBAL m Node / EMPTY_TUPLE / NEWOBJ / MEMOIZE / EMPTY_DICT / MARK / UNICODE name / UNICODE n / UNICODE parent / BINGET 0 / UNICODE rest / BINGET 0 / SETITEMS / BUILD / STOP";
    let node: Node = pickle::from_slice(&stream(node)).unwrap();
    assert_eq!(node.name, "n");
    assert!(node.parent.is_some());
}

#[test]
fn a_memo_bomb_meets_the_limit() {
    // Each holds the one before twice.
    let tower = vec!["DUP / TUPLE2"; 60].join(" / ");
    let bomb = stream(&format!("BINUNICODE \"bomb\" / {tower} / STOP"));
    let why = pickle::from_slice_with::<Value>(&bomb, &few_visits(10_000)).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit);
    assert!(why.to_string().contains("(visits)"), "{why}");
    // Keys spend it too.
    let text = format!("EMPTY_DICT / EMPTY_TUPLE / {tower} / NONE / SETITEM / STOP");
    let read = pickle::from_slice_with::<std::collections::BTreeMap<Key, ()>>(
        &stream(&text),
        &few_visits(10_000),
    );
    assert_eq!(read.unwrap_err().category(), Category::OverLimit);
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Key(Vec<Key>);

#[test]
fn a_long_text_used_often_meets_the_limit() {
    let limits = depickle::Limits::default().with_memory(64 << 20);
    let options = DeOptions::default().limits(limits);
    for op in ["BINUNICODE", "BINBYTES"] {
        let text = format!(
            "MARK / {op} \"{}\" / MEMOIZE / {} / LIST / STOP",
            "x".repeat(1 << 20),
            vec!["BINGET 0"; 1000].join(" / ")
        );
        let why = pickle::from_slice_with::<Vec<serde_bytes::ByteBuf>>(&stream(&text), &options);
        let why = why.unwrap_err();
        assert!(why.to_string().contains("(memory)"), "{why}");
    }
}

/// No sharing, no cost: what the stream spells out takes no visits, however much it is.
#[test]
fn plain_data_spends_nothing() {
    let value: Vec<(u32, Vec<u32>, String)> =
        (0..10_000).map(|n| (n, (0..n % 7).collect(), n.to_string())).collect();
    for protocol in 0..=5 {
        let options = SerOptions::default().protocol(protocol);
        let written = pickle::to_vec_with(&value, &options).unwrap();
        let read: Result<Vec<(u32, Vec<u32>, String)>, _> =
            pickle::from_slice_with(&written, &few_visits(0));
        assert_eq!(value, read.unwrap(), "protocol {protocol}");
    }
}

#[test]
fn pickles_in_a_row_share_one_budget() {
    let tower = ["DUP / TUPLE2"; 8].join(" / "); // 2⁸ paths
    let one = stream(&format!("UNICODE a / {tower} / STOP"));
    let read = |count: usize| {
        let values = pickle::iter::<Value>(one.repeat(count), &few_visits(2000));
        values.flatten().count()
    };
    assert_eq!(read(2), 2);
    let many = read(100);
    assert!((2..10).contains(&many), "{many}");
}
