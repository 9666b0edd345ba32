//! Pickle streams: bytes ⇄ operations ⇄ graph.
//!
//! Knows nothing of torch, archives or files, and calls no user code. No input panics. Time
//! is in proportion to the bytes read; memory is at most a constant for each of them.

mod asm;
mod decode;
pub(crate) mod digits;
mod dis;
mod encode;
mod error;
mod graph;
mod machine;
mod opcode;
mod policy;
mod streams;
mod text;
mod trace;
mod uses;

pub use asm::{AssembleError, assemble};
pub use decode::Ops;
pub use dis::{Content, Disassembly, Line, disassemble};
#[cfg(feature = "serde")]
pub(crate) use encode::{Container, Open, Plain};
pub use encode::{EncodeError, EncodeKind, Encoded, Encoder, Rename};
pub use error::{Error, Kind};
pub use graph::{
    BigInt, BuildError, Dict, Difference, Effect, EffectKind, Global, Graph, GraphBuilder,
    InlineArray, Items, Key, Keys, Make, NodeId, Object, Pair, Reach, Recipe, Text, ToNode, Value,
    difference, run_with_buffers,
};
pub use machine::{Outcome, run};
pub use opcode::{Form, Op, Opcode};
pub use policy::{Pattern, Policy, Position, Positions, Reading, Rule, glob_matches};
pub use streams::{Part, Streams, extent};
pub use trace::{Annotated, AnnotatedLine, Name, Note, Thing};
pub use uses::{Handing, Use, What};
