//! Streams on standard input, each behind its length (u32, little-endian); on standard output a
//! line for each: `= BYTES-READ JSON`, or `! what is wrong`. For `tests/python/differ.py`, which
//! compares this with CPython.

use std::io::{self, BufWriter, Read, Write};

use depickle::pickle::{Policy, run};
use depickle::python::json;
use depickle::{Budget, FileOffset};

fn main() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = BufWriter::new(io::stdout().lock());
    let mut len = [0; 4];
    while input.read_exact(&mut len).is_ok() {
        let mut stream = Vec::new();
        input.by_ref().take(u32::from_le_bytes(len).into()).read_to_end(&mut stream)?;
        writeln!(output, "{}", line(stream))?;
    }
    output.flush()
}

fn line(stream: Vec<u8>) -> String {
    let mut budget = Budget::default();
    let outcome = run(stream.into(), FileOffset(0), &Policy::inspect(), &mut budget);
    let (root, read) = match (outcome.graph.root(), outcome.end) {
        (Some(root), Ok(read)) => (root, read),
        (_, Err(why)) => return format!("! {why}"),
        (None, Ok(_)) => return "! no root".to_owned(),
    };
    let mut out = Vec::new();
    match json::write(root, &json::Nothing, &mut budget, &mut out) {
        Ok(()) => format!("= {read} {}", String::from_utf8_lossy(&out)),
        Err(why) => format!("! {why}"),
    }
}
