//! Operands: of the right form always, and mostly such that the operation can be done.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use depickle::pickle::{Form, Opcode, Policy, run};
use depickle::{Budget, FileOffset};

use super::tables::GLOBALS;

/// An operand for an opcode; if `sound`, one that can be read.
pub fn operand(choose: &mut Unstructured, opcode: Opcode, sound: bool) -> Result<Vec<u8>> {
    let operand = any(choose, opcode)?;
    if !sound || opcode.form() == Form::none || can_be_read(opcode, &operand) {
        return Ok(operand);
    }
    let known = SOUND.get(&opcode.byte()).map_or(&[][..], Vec::as_slice);
    if known.is_empty() { Ok(operand) } else { choose.choose(known).cloned() }
}

/// For each opcode, operands of the lists below with which it can be done.
static SOUND: LazyLock<BTreeMap<u8, Vec<Vec<u8>>>> = LazyLock::new(|| {
    let sound = |opcode: Opcode| {
        let all = listed(opcode.form()).into_iter();
        (opcode.byte(), all.filter(|operand| can_be_read(opcode, operand)).collect())
    };
    Opcode::all().map(sound).collect()
});

fn listed(form: Form) -> Vec<Vec<u8>> {
    let numbers = |width: usize| (0..5_u64).map(|n| n.to_le_bytes()[..width].to_vec()).collect();
    let texts = || TEXTS.iter().filter_map(|text| with_length(form, text)).collect();
    let line = |line: &[u8]| [line, b"\n"].concat();
    match form {
        Form::none => vec![Vec::new()],
        Form::uint1 => numbers(1),
        Form::uint2 => numbers(2),
        Form::uint4 | Form::int4 => numbers(4),
        Form::uint8 | Form::float8 => numbers(8),
        Form::len1 | Form::len4 | Form::len4s | Form::len8 => texts(),
        Form::line => LINES.iter().map(|text| line(text)).collect(),
        Form::line2 => GLOBALS.iter().map(|(module, name)| two_lines(module, name)).collect(),
    }
}

/// Whether the operation is done with this operand, where all that it takes is there.
fn can_be_read(opcode: Opcode, operand: &[u8]) -> bool {
    let before: &[u8] = if opcode.pops().contains(&"mark") { b"(" } else { b"" };
    let after: &[u8] = if opcode.pushes().is_empty() { b"N." } else { b"." };
    let stream = [before, &[opcode.byte()], operand, after].concat();
    run(stream.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default()).end.is_ok()
}

/// The two lines that spell a global.
pub fn two_lines(module: &str, name: &str) -> Vec<u8> {
    format!("{module}\n{name}\n").into_bytes()
}

/// Texts with something about them.
const TEXTS: &[&[u8]] = &[
    b"",
    b"a",
    b"0",
    b"1",
    b"-1",
    b"name",
    b"storage",
    b"cpu",
    b"cuda:0",
    b"weight",
    b"\xc3\xa9",
    b"\xff",
    b"\xed\xa0\x80",
    b"\0",
    b"$id",
    b"latin1",
    b"little",
    b"<f4",
    b"2001-02-03",
];

const LINES: &[&[u8]] = &[
    b"0",
    b"1",
    b"00",
    b"01",
    b"-7",
    b"12345678901234567890",
    b"99L",
    b"0x1f",
    b"1.5",
    b"-0.0",
    b"nan",
    b"inf",
    b"1e400",
    b"'a'",
    b"\"b\\x41\"",
    b"'\\\\n\\'\\xff\\0'",
    b"\\u20ac",
    b"\\ud800",
    b"a b",
    b"",
    b"1_0",
    b"m",
];

fn any(choose: &mut Unstructured, opcode: Opcode) -> Result<Vec<u8>> {
    let text = if choose.ratio(3, 4)? {
        choose.choose(TEXTS)?.to_vec()
    } else {
        let len = choose.int_in_range(0..=20)?;
        let bytes = choose.bytes(len.min(choose.len()))?;
        // Half of them are texts.
        if len % 2 == 0 {
            bytes.to_vec()
        } else {
            String::from_utf8_lossy(bytes).into_owned().into()
        }
    };
    let small: u32 =
        if choose.ratio(3, 4)? { choose.int_in_range(0..=4)? } else { u32::arbitrary(choose)? };
    let line = |choose: &mut Unstructured| -> Result<Vec<u8>> {
        let line = if choose.ratio(15, 16)? {
            choose.choose(LINES)?.to_vec()
        } else {
            text.iter().copied().filter(|&byte| byte != b'\n').collect()
        };
        Ok([&line[..], b"\n"].concat())
    };
    Ok(match opcode.form() {
        Form::none => Vec::new(),
        Form::uint1 => vec![small.to_le_bytes()[0]],
        Form::uint2 => small.to_le_bytes()[..2].to_vec(),
        Form::uint4 | Form::int4 => small.to_le_bytes().to_vec(),
        Form::uint8 => u64::from(small).to_le_bytes().to_vec(),
        Form::float8 => f64::arbitrary(choose)?.to_be_bytes().to_vec(),
        Form::line => line(choose)?,
        Form::line2 if choose.ratio(7, 8)? => {
            let (module, name) = choose.choose(&GLOBALS)?;
            two_lines(module, name)
        }
        Form::line2 => [line(choose)?, line(choose)?].concat(),
        form => with_length(form, &text).unwrap_or_default(),
    })
}

/// A text behind its length.
fn with_length(form: Form, text: &[u8]) -> Option<Vec<u8>> {
    let len = text.len() as u64;
    let width = match form {
        Form::len1 => 1,
        Form::len4 | Form::len4s => 4,
        Form::len8 => 8,
        _ => return None,
    };
    Some([&len.to_le_bytes()[..width], text].concat())
}
