//! Decoding, running, disassembling and writing pickles.

use bytes::Bytes;
use depickle::pickle::{
    Annotated, Encoder, Kind, Object, Op, Ops, Outcome, Policy, Reading, Streams, assemble,
    difference, disassemble, run,
};
use depickle::python::policy;
use depickle::{Budget, FileOffset, Limits};

use crate::{hash, plain, plain_graph_of};

/// Memory that a stream may take (bytes): for each of its own, and whatever its size. The budget
/// counts entries of maps generously; what is held is at most 100 (`docs/limits.md`).
const BYTES_PER_BYTE: u64 = 150;
const BYTES_ANYWAY: u64 = 4 << 10;

/// Decoding moves forward, ends, and says the same from the middle on.
pub fn decode(bytes: &[u8]) {
    let mut ops = Ops::new(bytes);
    let mut last = None;
    while let Some(op) = ops.next() {
        let Ok((at, op)) = op else { break };
        assert!(last < Some(at), "offsets rise");
        last = Some(at);
        let start = usize::try_from(at.0).expect("an offset into the bytes");
        let again = Ops::at(&bytes[start..], at).next().expect("an operation").expect("the same");
        // Not by `==`: NaN operands differ from themselves.
        assert_eq!(format!("{again:?}"), format!("{:?}", (at, op)));
        if op == Op::Stop {
            assert!(ops.next().is_none(), "nothing follows STOP");
        }
    }
    assert!(ops.consumed() <= bytes.len() as u64);
}

fn takes_no_more_as_joblib_reads(bytes: &Bytes) {
    for reading in [Reading::Joblib, Reading::JoblibUnaligned] {
        let mut budget = Budget::default();
        let policy = Policy::inspect().with_reading(reading);
        let outcome = run(bytes.clone(), FileOffset(0), &policy, &mut budget);
        let len = bytes.len() as u64;
        assert!(budget.memory_taken() <= len * BYTES_PER_BYTE + BYTES_ANYWAY, "{reading:?}");
        assert!(outcome.end.unwrap_or_else(|why| why.offset().0) <= len);
    }
}

/// Running takes memory in proportion to the stream; all that was built can be visited; and a
/// stream means the same whole and in parts, at another place, under any budget that suffices
/// and any policy that refuses nothing.
pub fn machine(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    takes_no_more_as_joblib_reads(&bytes);
    let mut budget = Budget::default();
    let outcome = run(bytes.clone(), FileOffset(0), &plain(), &mut budget);
    let (len, taken) = (bytes.len() as u64, budget.memory_taken());
    assert!(taken <= len * BYTES_PER_BYTE + BYTES_ANYWAY, "memory per byte");
    match &outcome.end {
        Ok(end) => {
            assert!((1..=len).contains(end));
            assert!(outcome.graph.root().is_some());
        }
        Err(why) => {
            assert!(why.offset().0 <= len);
            assert!(outcome.graph.root().is_none());
        }
    }
    assert!(outcome.graph.reach().count() <= outcome.graph.len());
    for object in outcome.graph.objects() {
        object.each_child(|child| assert!(child.offset().is_none_or(|at| at.0 < len)));
    }
    is_what_its_operations_say(&bytes, &outcome);
    is_the_same_elsewhere(&bytes, &outcome);
    is_the_same_in_part(&bytes, &outcome);
    is_the_same_in_a_row(&bytes, &outcome);
    is_the_same_or_refused(&bytes, &outcome, taken);
}

/// The machine stops where decoding does, or before.
fn is_what_its_operations_say(bytes: &Bytes, outcome: &Outcome) {
    let mut ops = Ops::new(bytes);
    let broken = ops.by_ref().find_map(Result::err);
    match (&outcome.end, broken) {
        (Ok(end), broken) => {
            assert!(broken.is_none(), "{broken:?}");
            assert_eq!(*end, ops.consumed());
        }
        (Err(why), Some(broken)) => assert!(why.offset() <= broken.offset()),
        (Err(why), None) => assert!(why.offset().0 < ops.consumed()),
    }
}

/// Offsets count from where the stream begins, and nothing else changes with that.
fn is_the_same_elsewhere(bytes: &Bytes, outcome: &Outcome) {
    let base = FileOffset(1 << 20);
    let moved = run(bytes.clone(), base, &plain(), &mut Budget::default());
    assert_eq!(moved.graph.len(), outcome.graph.len());
    match (&moved.end, &outcome.end) {
        (Ok(moved), Ok(end)) => assert_eq!(moved, end),
        (Err(moved), Err(end)) => {
            assert_eq!(moved.offset(), base.plus(end.offset().0));
            assert_eq!(moved.kind(), end.kind());
        }
        (moved, end) => panic!("{moved:?}, {end:?}"),
    }
}

/// A stream that ends too soon says so, or breaks as the whole does; what stands behind STOP
/// changes nothing.
fn is_the_same_in_part(bytes: &Bytes, outcome: &Outcome) {
    let end = outcome.end.as_ref().map_or(bytes.len(), |&end| usize::try_from(end).expect("few"));
    let cut = (hash(bytes) % (bytes.len() as u64 + 1)) as usize;
    for cut in [cut, end] {
        let part = plain_graph_of(&bytes[..cut]);
        match (&part.end, &outcome.end) {
            (Ok(part_end), whole) => {
                assert_eq!(Ok(part_end), whole.as_ref());
                same(&part, outcome);
            }
            (Err(why), whole) if is_cut(why.kind()) => {
                let same = whole.as_ref().err().is_some_and(|whole| whole.kind() == why.kind());
                // A frame may be said to reach behind STOP, where bytes are or are not.
                let framed = why.opcode().is_some_and(|opcode| opcode.name() == "FRAME");
                assert!(same || framed || cut < end, "{why:?}, {whole:?}");
                assert!(part.graph.len() <= outcome.graph.len());
            }
            (Err(why), whole) => assert_eq!(Some(why), whole.as_ref().err()),
        }
    }
}

fn is_cut(kind: &Kind) -> bool {
    matches!(kind, Kind::Ended(_) | Kind::NoStop | Kind::NoNewline)
}

/// Pickles in a row lie one behind the other without a gap, and each is what it is alone.
fn is_the_same_in_a_row(bytes: &Bytes, outcome: &Outcome) {
    let (policy, mut budget) = (plain(), Budget::default());
    let mut at = 0;
    for (index, part) in
        Streams::new(bytes.clone(), FileOffset(0), &policy, &mut budget).enumerate()
    {
        assert_eq!((part.index, part.at.0), (index, at));
        let start = usize::try_from(at).expect("an offset into the bytes");
        if index == 0 {
            assert_eq!(part.outcome.end, outcome.end);
            same(&part.outcome, outcome);
        } else if index < 8 {
            let alone = run(bytes.slice(start..), part.at, &policy, &mut Budget::default());
            assert_eq!(part.outcome.end, alone.end);
            same(&part.outcome, &alone);
        }
        at += part.len;
    }
    assert_eq!(at, bytes.len() as u64);
}

/// Less memory, or a policy that refuses something, gives the same or a clear refusal.
fn is_the_same_or_refused(bytes: &Bytes, outcome: &Outcome, taken: u64) {
    let some = hash(bytes) >> 20;
    for most in [taken, taken.saturating_sub(1), some % (taken + 1)] {
        let mut budget = Budget::new(Limits::default().with_memory(most));
        let tight = run(bytes.clone(), FileOffset(0), &plain(), &mut budget);
        assert!(budget.memory_taken() <= most, "a budget is never exceeded");
        match &tight.end {
            Err(why) if matches!(why.kind(), Kind::Over(_)) => {
                let same = Some(why) == outcome.end.as_ref().err();
                assert!(same || most < taken, "{why}");
                assert!(tight.graph.len() <= outcome.graph.len());
            }
            end => {
                assert_eq!(*end, outcome.end);
                same(&tight, outcome);
            }
        }
    }
    for policy in [policy::weights_only(), policy::strict(), policy::models()] {
        let policy = policy.clone().with_reading(Reading::Plain);
        let under = run(bytes.clone(), FileOffset(0), &policy, &mut Budget::default());
        match &under.end {
            // Extension codes, which only a policy that allows all lets stand.
            Err(why)
                if matches!(
                    why.kind(),
                    Kind::Forbidden { .. } | Kind::UnregisteredExtension(_)
                ) =>
            {
                let before = outcome.end.as_ref().map_or_else(|end| end.offset().0, |&end| end);
                assert!(why.offset().0 <= before, "{why}");
            }
            end => assert_eq!(*end, outcome.end),
        }
    }
}

/// Both built the same.
fn same(one: &Outcome, other: &Outcome) {
    assert_eq!(one.graph.len(), other.graph.len());
    if let (Some(one), Some(other)) = (one.graph.root(), other.graph.root()) {
        let mut budget = Budget::new(Limits::default().with_visits(1 << 20));
        if let Ok(found) = difference(one, other, &mut budget) {
            assert!(found.is_none(), "{found:?}");
        }
    }
}

/// Disassembly loses nothing, and its annotations take memory in proportion to the stream.
pub fn assembly(bytes: &[u8]) {
    let text = disassemble(bytes);
    assert_eq!(assemble(&text).as_deref(), Ok(bytes), "{text}");
    let mut budget = Budget::new(Limits::default());
    let lines = Annotated::new(bytes, FileOffset(0), &mut budget);
    let lines = lines.map(|line| line.expect("little memory").to_string());
    assert_eq!(lines.count(), text.lines().count());
    let len = bytes.len() as u64;
    assert!(budget.memory_taken() <= len * 64 + BYTES_ANYWAY, "memory per byte");
    // Any text is read as well.
    let _ = assemble(&String::from_utf8_lossy(bytes));
}

/// Whatever a stream built is written, and reads as the same again.
pub fn encode(bytes: &[u8]) {
    let outcome = plain_graph_of(bytes);
    let Some(object) = outcome.graph.objects().last().filter(|_| outcome.end.is_err()) else {
        return outcome.graph.root().map(written).unwrap_or_default();
    };
    written(object);
}

fn written(object: Object) {
    for protocol in 0..=5 {
        let mut budget = Budget::new(Limits::default().with_visits(1 << 20));
        let Ok(bytes) = Encoder::new(protocol).to_vec(object, &mut budget) else { continue };
        let outcome = run(bytes.into(), FileOffset(0), &plain(), &mut budget);
        assert!(outcome.end.is_ok(), "protocol {protocol}: {:?}", outcome.end);
        let root = outcome.graph.root().expect("a root");
        // In older protocols, calls stand for what has no operation.
        if protocol == 5 {
            let found = difference(object, root, &mut Budget::default()).expect("enough steps");
            assert!(found.is_none(), "{found:?}");
        }
    }
}
