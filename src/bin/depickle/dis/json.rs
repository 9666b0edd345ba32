//! The listing for programs: a record an operation.

use std::io::{self, Write};

use depickle::pickle::{AnnotatedLine, Content, Op};
use serde_json::{Value, json};

use super::verdict::{self, Named};
use super::{Other, Pickle, Teller, What, operand};
use crate::output::Form;

pub(super) struct Records<'run> {
    out: &'run mut dyn Write,
    form: Form,
    path: String,
    count: u64,
}

impl<'run> Records<'run> {
    pub(super) fn new(out: &'run mut dyn Write, form: Form, path: &str) -> Self {
        Self { out, form, path: path.to_owned(), count: 0 }
    }

    /// What stands between two records.
    fn next(&mut self) -> io::Result<()> {
        let first = self.count == 0;
        self.count = self.count.saturating_add(1);
        match (self.form, first) {
            (Form::Json, true) => {
                let path = Value::from(&*self.path);
                writeln!(self.out, "{{\"path\":{path},\"records\":[")
            }
            (Form::Json, false) => self.out.write_all(b",\n"),
            (_, true) => Ok(()),
            (_, false) => self.out.write_all(b"\n"),
        }
    }
}

impl Teller for Records<'_> {
    fn begin(&mut self, _: &Pickle) -> io::Result<()> {
        Ok(())
    }

    fn line(&mut self, pickle: &Pickle, line: &AnnotatedLine) -> io::Result<()> {
        let Content::Op(op) = line.line.content else { return Ok(()) };
        self.next()?;
        let (member, note) = (Value::from(pickle.member), &line.note);
        write!(
            self.out,
            "{{\"member\":{member},\"stream\":{},\"offset\":{},\"opcode\":\"{}\",\"operand\":",
            pickle.index,
            line.line.offset.0,
            op.opcode(),
        )?;
        operand::write(&line.line, op, self.out)?;
        let (before, after, marks) = (note.before, note.depth, note.marks);
        write!(self.out, ",\"stack\":[{before},{after}],\"marks\":{marks}")?;
        write!(self.out, ",\"memo\":{}", memo(line, op))?;
        let global = Named::of(line).map(|named| {
            json!({
                "name": named.full_name(),
                "position": verdict::position(named.position),
                "verdict": named.verdict.name(),
            })
        });
        let global = Value::from(global);
        write!(self.out, ",\"global\":{global}")?;
        let breaks = pickle.broken.as_ref().filter(|why| why.offset() == line.line.offset);
        let error = breaks.map(|why| why.kind().to_string());
        let error = error.or_else(|| note.problem.map(str::to_owned));
        write!(self.out, ",\"error\":{}}}", Value::from(error))
    }

    fn other(&mut self, pickle: &Pickle, other: &Other) -> io::Result<()> {
        self.next()?;
        let what = match other.what {
            What::Rest => "no pickle",
            What::Storages => "storages",
            What::Array => "array",
            What::Undecodable => "undecodable",
        };
        let error = pickle.broken.as_ref().map(|why| why.kind().to_string());
        let record = json!({
            "member": pickle.member,
            "stream": pickle.index,
            "offset": other.at.0,
            "bytes": other.len,
            "what": what,
            "error": error,
        });
        write!(self.out, "{record}")
    }

    fn end(&mut self) -> io::Result<()> {
        match (self.form, self.count) {
            (Form::Json, 0) => {
                let path = Value::from(&*self.path);
                writeln!(self.out, "{{\"path\":{path},\"records\":[]}}")?;
            }
            (Form::Json, _) => self.out.write_all(b"\n]}\n")?,
            (_, 0) => {}
            _ => self.out.write_all(b"\n")?,
        }
        self.out.flush()
    }
}

/// The slot that an operation writes or reads, and what is in it.
fn memo(line: &AnnotatedLine, op: Op) -> Value {
    let note = &line.note;
    if let Some((index, thing)) = &note.memo {
        return json!({ "put": index, "value": thing.to_string() });
    }
    let got = match op {
        Op::BinGet(index) => Some(u64::from(index)),
        Op::LongBinGet(index) => Some(index.into()),
        Op::Get(text) => std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    };
    let value = note.result.as_ref().filter(|_| note.problem.is_none()).map(ToString::to_string);
    got.map_or(Value::Null, |index| json!({ "get": index, "value": value }))
}
