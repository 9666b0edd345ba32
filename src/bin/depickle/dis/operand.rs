//! Operands as JSON, values in the tagged form of `show`.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use depickle::pickle::{Form, Line, Op, Policy, run};
use depickle::python::json::{self, Nothing, quoted};
use depickle::{Budget, FileOffset};

pub(super) fn write(line: &Line, op: Op, out: &mut dyn Write) -> io::Result<()> {
    match op {
        _ if op.opcode().form() == Form::none => out.write_all(b"null"),
        Op::Global((module, name)) | Op::Inst((module, name)) => {
            write!(out, "[{},{}]", text(module), text(name))
        }
        Op::Get(line) | Op::Put(line) | Op::PersId(line) => write!(out, "{}", text(line)),
        Op::Proto(number) | Op::BinGet(number) | Op::BinPut(number) | Op::Ext1(number) => {
            write!(out, "{number}")
        }
        Op::Ext2(code) => write!(out, "{code}"),
        Op::Ext4(code) => write!(out, "{code}"),
        Op::LongBinGet(index) | Op::LongBinPut(index) => write!(out, "{index}"),
        Op::BinInt1(value) => write!(out, "{value}"),
        Op::BinInt2(value) => write!(out, "{value}"),
        Op::BinInt(value) => write!(out, "{value}"),
        Op::BinUnicode(bytes) | Op::ShortBinUnicode(bytes) | Op::BinUnicode8(bytes)
            if std::str::from_utf8(bytes).is_ok() =>
        {
            out.write_all(text(bytes).as_bytes())
        }
        // Any integer that a number of JSON does not hold is tagged.
        Op::Frame(len) if len > 1 << 53 => write!(out, "{{\"$int\":\"{len}\"}}"),
        Op::Frame(len) => write!(out, "{len}"),
        _ => match value(line.bytes) {
            Some(json) => out.write_all(&json),
            None => write!(out, "{}", raw(line.bytes.get(1..).unwrap_or_default())),
        },
    }
}

/// What the operation alone would give; none if it cannot be carried out.
fn value(op: &[u8]) -> Option<Vec<u8>> {
    let mut budget = Budget::default();
    let stream = Bytes::from([op, b"."].concat());
    let outcome = run(stream, FileOffset(0), &Policy::inspect(), &mut budget);
    outcome.end.ok()?;
    let mut out = Vec::new();
    json::write(outcome.graph.root()?, &Nothing, &mut budget, &mut out).ok()?;
    Some(out)
}

fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| raw(bytes), quoted)
}

fn raw(bytes: &[u8]) -> String {
    format!("{{\"$bytes\":\"{}\"}}", BASE64.encode(bytes))
}
