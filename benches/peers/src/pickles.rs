//! Readers and writers of plain pickles.

use std::path::Path;

use depickle::pickle::{Encoder, Policy, run};
use depickle::{Budget, FileOffset};

use crate::{Answer, Reader, Work, second};

fn depickle(path: &Path, work: Work) -> Answer {
    let stream = bytes::Bytes::from(std::fs::read(path)?);
    let load = || {
        let mut budget = Budget::default();
        let outcome = run(stream.clone(), FileOffset(0), &Policy::inspect(), &mut budget);
        outcome.end?;
        Ok(outcome.graph)
    };
    if work == Work::Load {
        return second(load);
    }
    let graph = load()?;
    second(|| Ok(Encoder::new(4).to_vec(graph.root().ok_or("no root")?, &mut Budget::default())?))
}

fn serde_pickle(path: &Path, work: Work) -> Answer {
    let stream = std::fs::read(path)?;
    let load = || Ok(serde_pickle::value_from_slice(&stream, serde_pickle::DeOptions::new())?);
    if work == Work::Load {
        return second(load);
    }
    let value = load()?;
    second(|| Ok(serde_pickle::value_to_vec(&value, serde_pickle::SerOptions::new())?))
}

fn candle(path: &Path, work: Work) -> Answer {
    if work == Work::Dump {
        return Err("writes no pickles".into());
    }
    let stream = std::fs::read(path)?;
    second(|| {
        let mut stack = candle_core::pickle::Stack::empty();
        stack.read_loop(&mut &stream[..])?;
        Ok(stack.finalize()?)
    })
}

pub(crate) const READERS: &[Reader] = &[
    Reader { name: "depickle", run: Some(depickle) },
    Reader { name: "serde-pickle", run: Some(serde_pickle) },
    Reader { name: "candle-core", run: Some(candle) },
    Reader { name: "pickle", run: None },
    Reader { name: "pickle, gc off", run: None },
];
