//! Streams on standard input, each behind its length (u32, little-endian); on standard output
//! each written again in the protocol that the argument names, behind its length; nothing where
//! that cannot be done. `--rename` spells names as that protocol's readers do. For `tests/python/encode.py`, which has CPython read both.

use std::io::{self, BufWriter, Read, Write};

use depickle::pickle::{Encoder, Policy, run};
use depickle::python::names;
use depickle::{Budget, FileOffset};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let protocol = arguments.first().and_then(|protocol| protocol.parse().ok()).unwrap_or(5);
    let all = arguments.iter().any(|argument| argument == "--memoize-all");
    let rename = arguments.iter().any(|argument| argument == "--rename");
    let encoder = if rename { names::encoder(protocol) } else { Encoder::new(protocol) };
    let encoder = encoder.memoize_all(all);
    let mut input = io::stdin().lock();
    let mut output = BufWriter::new(io::stdout().lock());
    let mut len = [0; 4];
    while input.read_exact(&mut len).is_ok() {
        let mut stream = Vec::new();
        input.by_ref().take(u32::from_le_bytes(len).into()).read_to_end(&mut stream)?;
        let written = rewrite(encoder, stream).unwrap_or_default();
        let len = u32::try_from(written.len()).map_err(io::Error::other)?;
        output.write_all(&len.to_le_bytes())?;
        output.write_all(&written)?;
    }
    output.flush()
}

fn rewrite(encoder: Encoder, stream: Vec<u8>) -> Option<Vec<u8>> {
    let mut budget = Budget::default();
    let graph = run(stream.into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
    encoder.to_vec(graph.root()?, &mut budget).ok()
}
