//! Readers and writers of plain pickles. What they read has no common form, so `answer` is nothing.

use std::path::Path;

use depickle::pickle::{Encoder, Policy, run};
use depickle::{Budget, FileOffset};

use crate::{Answer, Reader, Work, timed};

fn depickle(path: &Path, work: Work) -> Answer {
    let stream = bytes::Bytes::from(std::fs::read(path)?);
    let load = || {
        let mut budget = Budget::default();
        let outcome = run(stream.clone(), FileOffset(0), &Policy::inspect(), &mut budget);
        outcome.end.map(|_| outcome.graph)
    };
    if work == Work::Load {
        return timed(|_| load().map(|_| 0).map_err(Into::into));
    }
    let graph = load()?;
    let root = graph.root().ok_or("no root")?;
    timed(|_| {
        Encoder::new(4).to_vec(root, &mut Budget::default())?;
        Ok(0)
    })
}

fn serde_pickle(path: &Path, work: Work) -> Answer {
    let stream = std::fs::read(path)?;
    let load = || serde_pickle::value_from_slice(&stream, serde_pickle::DeOptions::new());
    if work == Work::Load {
        return timed(|_| load().map(|_| 0).map_err(Into::into));
    }
    let value = load()?;
    timed(|_| {
        serde_pickle::value_to_vec(&value, serde_pickle::SerOptions::new())?;
        Ok(0)
    })
}

fn candle(path: &Path, work: Work) -> Answer {
    if work != Work::Load {
        return Err("writes no pickles".into());
    }
    let stream = std::fs::read(path)?;
    timed(|_| {
        let mut stack = candle_core::pickle::Stack::empty();
        stack.read_loop(&mut &stream[..])?;
        stack.finalize()?;
        Ok(0)
    })
}

pub(crate) const READERS: &[Reader] = &[
    Reader { name: "depickle", run: depickle },
    Reader { name: "serde-pickle", run: serde_pickle },
    Reader { name: "candle-core", run: candle },
];
