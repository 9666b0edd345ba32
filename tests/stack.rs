//! What operations do to the stack: the machine, the annotations of a disassembly and the
//! columns of the table say the same.
#![cfg(feature = "pickle")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use depickle::pickle::{Annotated, AnnotatedLine, Form, Kind, Opcode, Outcome, Policy, run};
use depickle::{Budget, FileOffset};
use proptest::prelude::*;

fn machine(stream: &[u8]) -> Outcome {
    run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut Budget::default())
}

/// Objects and marks that `ops` leave on the machine's stack; none if they cannot be run.
///
/// The machine shows no stack, but POP takes one entry, object or mark, and fails over nothing.
fn height(ops: &[u8]) -> Option<usize> {
    let popped = |count: usize| machine(&[ops, &b"0".repeat(count), b"N."].concat()).end.is_ok();
    if !popped(0) {
        return None;
    }
    (0..=ops.len() + 1).find(|&count| !popped(count)).map(|count| count - 1)
}

fn annotated(ops: &[u8]) -> Vec<AnnotatedLine<'_>> {
    let mut budget = Budget::default();
    Annotated::new(ops, FileOffset(0), &mut budget).map(Result::unwrap).collect()
}

/// An operand that any opcode of this form takes.
fn operand(opcode: Opcode) -> Vec<u8> {
    match (opcode.name(), opcode.form()) {
        ("PROTO", _) => vec![2],
        ("EXT1", _) => vec![1],
        ("EXT2", _) => vec![1, 0],
        ("EXT4", _) => vec![1, 0, 0, 0],
        ("STRING", _) => b"''\n".to_vec(),
        (_, Form::none) => vec![],
        (_, Form::uint1 | Form::len1) => vec![0],
        (_, Form::uint2) => vec![0; 2],
        (_, Form::uint4 | Form::int4 | Form::len4 | Form::len4s) => vec![0; 4],
        (_, Form::uint8 | Form::float8 | Form::len8) => vec![0; 8],
        (_, Form::line) => b"0\n".to_vec(),
        (_, Form::line2) => b"m\nC\n".to_vec(),
    }
}

fn op(opcode: Opcode) -> Vec<u8> {
    [vec![opcode.byte()], operand(opcode)].concat()
}

/// Operations that leave what an opcode takes, entry by entry.
fn context(opcode: Opcode) -> Vec<&'static [u8]> {
    const TUPLE: &[u8] = b")";
    const CLASS: &[u8] = b"cm\nC\n";
    match opcode.name() {
        "REDUCE" | "NEWOBJ" => return vec![CLASS, TUPLE],
        "NEWOBJ_EX" => return vec![CLASS, TUPLE, b"}"],
        "BUILD" => return vec![b"cm\nC\n)R", b"}"],
        "OBJ" => return vec![b"(", CLASS, b"N"],
        _ => {}
    }
    let pops = opcode.pops().iter().flat_map(|&word| -> Vec<&[u8]> {
        match word {
            "mark" => vec![b"("],
            "slice" => vec![b"K\x01", b"K\x02"],
            "list" => vec![b"]"],
            "dict" => vec![b"}"],
            "set" => vec![b"\x8f"],
            "str" => vec![b"Vm\n"],
            "buffer" => vec![b"\x97"],
            "any" => vec![b"K\x01"],
            other => panic!("{opcode} takes {other}"),
        }
    });
    pops.collect()
}

/// Something in memo slot 0, and nothing on the stack.
const MEMO: &[u8] = b"Nq\x000";

#[test]
fn every_opcode_changes_the_stack_as_its_columns_say() {
    for opcode in Opcode::all().filter(|opcode| opcode.name() != "STOP") {
        let context = context(opcode);
        let needs = if opcode.pushes().is_empty() && opcode.name().ends_with("PUT") {
            vec![&b"N"[..]]
        } else {
            context.clone()
        };
        let before = [MEMO, b"NN", &needs.concat()].concat();
        let after = [before.clone(), op(opcode)].concat();
        let (was, is) = (height(&before).unwrap(), height(&after).unwrap());
        assert_eq!(was, 2 + needs.len(), "{opcode}");
        assert_eq!(is + context.len(), was + opcode.pushes().len(), "{opcode}");

        let lines = annotated(&after);
        let note = &lines.last().unwrap().note;
        assert_eq!(note.depth + note.marks, is, "{opcode}");
        assert_eq!(note.problem, None, "{opcode}");
    }
}

#[test]
fn every_opcode_leaves_what_its_column_names() {
    for opcode in Opcode::all() {
        let stream = [MEMO, &context(opcode).concat(), &op(opcode), b"."].concat();
        let Some(&pushed) = opcode.pushes().last() else { continue };
        if pushed == "mark" {
            continue;
        }
        let outcome = machine(&stream);
        let kind = outcome.graph.root().unwrap().kind();
        let fits = match pushed {
            "any" => true,
            "int_or_bool" => kind == "int" || kind == "bool",
            "bytes_or_str" => kind == "str",
            "none" => kind == "None",
            word => kind == word,
        };
        assert!(fits, "{opcode} leaves {pushed}, says the table; {kind}, says the machine");
    }
}

#[test]
fn every_opcode_fails_with_one_object_less() {
    for opcode in Opcode::all() {
        let context = context(opcode);
        for missing in 0..context.len() {
            // Under a mark nothing of the slice is needed.
            let mark = context.iter().position(|&entry| entry == b"(");
            let optional = mark.is_some_and(|mark| missing > mark) && opcode.name() != "OBJ";
            if optional || missing + 1 == context.len() && opcode.name() == "OBJ" {
                continue;
            }
            let left: Vec<&[u8]> = context
                .iter()
                .enumerate()
                .filter(|&(index, _)| index != missing)
                .map(|(_, &entry)| entry)
                .collect();
            let stream = [&left.concat(), &op(opcode)[..], b"N."].concat();
            let end = machine(&stream).end;
            assert!(end.is_err(), "{opcode} without its {missing}: {end:?}");
        }
    }
}

fn ops() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<Vec<u8>> = Opcode::all().filter(|o| o.name() != "STOP").map(op).collect();
    let small = ["N", "(", "]", "}", ")", "K\x01", "Va\n", "2", "0", "q\0", "h\0", "cm\nC\n"];
    let small: Vec<Vec<u8>> = small.iter().map(|text| text.as_bytes().to_vec()).collect();
    let one = prop_oneof![prop::sample::select(all), prop::sample::select(small)];
    prop::collection::vec(one, 0..40).prop_map(|ops| ops.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn annotations_follow_the_machine(ops in ops()) {
        let why = machine(&ops).end.unwrap_err();
        let good = usize::try_from(why.offset().0).unwrap();
        let good = if *why.kind() == Kind::NoStop { ops.len() } else { good };
        let lines = annotated(&ops[..good]);
        for line in &lines {
            prop_assert_eq!(line.note.problem, None, "{}", line);
        }
        let note = lines.last().map(|line| &line.note);
        let total = note.map_or(0, |note| note.depth + note.marks);
        prop_assert_eq!(Some(total), height(&ops[..good]));
        // What the machine lacks, the annotation of that line says too.
        if matches!(why.kind(), Kind::Underflow | Kind::NoMark | Kind::NotInMemo(_)) {
            let all = annotated(&ops);
            let line = all.iter().find(|line| line.line.offset == why.offset()).unwrap();
            prop_assert!(line.note.problem.is_some(), "{}: {}", why, line);
        }
    }
}
