//! What a whole model is, as JSON: for each path on standard input, a line on standard output.
//!
//! `{"str", "modules", "parameters", "buffers", "counts": [parameters, trainable], "bytes",
//! "state_dict": [[name, what]…], "notes"}`, where `what` is `[dtype, shape, device]` of a
//! tensor, a list of these for several, or `null`. tests/python/sweep.py compares it with PyTorch.

use std::io::{BufRead, Write};

use depickle::pickle::{Items, Object, Value as Recorded};
use depickle::torch::module::{Role, Tensors};
use depickle::torch::{Checkpoint, Error};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for path in std::io::stdin().lock().lines() {
        let said = describe(&path?).unwrap_or_else(|why| json!({ "error": why.to_string() }));
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}

fn describe(path: &str) -> Result<Value, Error> {
    let checkpoint = Checkpoint::open(path)?;
    let model = checkpoint.module()?;
    let (tally, dict) =
        (model.tallies()?.get(&model.id()).copied().unwrap_or_default(), model.state_dict()?);
    let entry = |entry: &depickle::torch::module::Entry| {
        json!([entry.name, member(&checkpoint, entry.object, entry.role)])
    };
    let names = |named: Vec<(String, Object)>| -> Vec<String> {
        named.into_iter().map(|(name, _)| name).collect()
    };
    Ok(json!({
        "str": model.to_string(),
        "modules": model.named_modules()?.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "parameters": names(model.named_parameters()?),
        "buffers": names(model.named_buffers()?),
        "counts": [tally.parameters, tally.trainable],
        "bytes": tally.bytes(),
        "state_dict": dict.entries.iter().map(entry).collect::<Vec<_>>(),
        "notes": dict.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

/// What stands under one name of a state dict.
fn member<'file>(checkpoint: &'file Checkpoint, object: Object<'file>, role: Role) -> Value {
    if let Some(tensor) = checkpoint.describe(object) {
        return json!([tensor.dtype, tensor.shape, tensor.device]);
    }
    match (role, object.value()) {
        // PyTorch makes tensors of these numbers.
        (Role::Number, Recorded::Float(_)) => json!(["float32", [], "cpu"]),
        (Role::Number, _) => json!(["int64", [], "cpu"]),
        (_, Recorded::Tuple(items)) => several(checkpoint, items),
        _ => Value::Null,
    }
}

fn several<'file>(checkpoint: &'file Checkpoint, items: Items<'file>) -> Value {
    let known = |object: Object<'file>| match checkpoint.describe(object) {
        Some(tensor) => json!([tensor.dtype, tensor.shape, tensor.device]),
        None => Value::Null,
    };
    items.iter().map(known).collect()
}
