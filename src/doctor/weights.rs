//! Whether `torch.load(weights_only=True)` can load a file, and what it must be told first.
//!
//! Source: PyTorch 2.15 `torch/_weights_only_unpickler.py` (`Unpickler.load`).

use super::globals::{self, Python};
use super::words::short;
use crate::pickle::{EffectKind, Object, Op, Ops, Recipe, Value};
use crate::torch::{Checkpoint, Container, Error};

/// What it takes.
#[derive(Debug)]
pub(super) enum WeightsOnly {
    /// Nothing.
    Loads,
    /// These lines before it.
    With(Python),
    /// It cannot; the text says why.
    Never(String),
}

pub(super) fn of(checkpoint: &Checkpoint) -> Result<WeightsOnly, Error> {
    if let Some(why) = obstacle(checkpoint)? {
        return Ok(WeightsOnly::Never(why));
    }
    let python = globals::python(checkpoint);
    Ok(match python.refused.first() {
        Some((name, why)) => WeightsOnly::Never(format!("{}: {why}", short(name))),
        None if python.lines.is_empty() => WeightsOnly::Loads,
        None => WeightsOnly::With(python),
    })
}

/// What keeps `torch.load(weights_only=True)` from loading a checkpoint, whatever it is told; none if
/// nothing does.
///
/// # Errors
/// What the source says.
pub fn obstacle(checkpoint: &Checkpoint) -> Result<Option<String>, Error> {
    match checkpoint.container() {
        Container::Zip | Container::Legacy => {}
        other => return Ok(Some(format!("it does not read the layout `{other}`"))),
    }
    for pickle in checkpoint.pickles()? {
        let unknown = Ops::new(&pickle).flatten().find(|(_, op)| !is_read(op));
        if let Some((_, op)) = unknown {
            let name = op.opcode().name();
            return Ok(Some(format!(
                "it does not know the operation {name}, which protocol {} writes",
                checkpoint.graph().protocol()
            )));
        }
    }
    Ok(checkpoint.graph().objects().find_map(object))
}

/// Operations that it carries out.
const fn is_read(op: &Op<'_>) -> bool {
    matches!(
        op,
        Op::Global { .. }
            | Op::NewObj
            | Op::Reduce
            | Op::Build
            | Op::Append
            | Op::Appends
            | Op::SetItem
            | Op::SetItems
            | Op::Mark
            | Op::Tuple
            | Op::Tuple1
            | Op::Tuple2
            | Op::Tuple3
            | Op::None
            | Op::NewFalse
            | Op::NewTrue
            | Op::EmptyTuple
            | Op::EmptyList
            | Op::EmptyDict
            | Op::EmptySet
            | Op::BinInt(_)
            | Op::BinInt1(_)
            | Op::BinInt2(_)
            | Op::BinFloat(_)
            | Op::BinUnicode(_)
            | Op::ShortBinString(_)
            | Op::BinPersId
            | Op::BinGet(_)
            | Op::LongBinGet(_)
            | Op::BinPut(_)
            | Op::LongBinPut(_)
            | Op::Long1(_)
            | Op::Proto(_)
            | Op::Stop
    )
}

fn object(object: Object<'_>) -> Option<String> {
    match object.value() {
        Value::Persistent(id) => {
            let first = id.as_tuple().and_then(|items| items.get(0)?.as_str());
            (first != Some("storage"))
                .then(|| "it names other things than storages by persistent id".to_owned())
        }
        Value::Recipe(recipe) => of_recipe(recipe),
        _ => None,
    }
}

fn of_recipe(recipe: Recipe<'_>) -> Option<String> {
    let callable = recipe.callable();
    let Some(global) = callable.as_global() else {
        return (!globals::is_nested(callable))
            .then(|| "it calls what another call returns".to_owned());
    };
    if global.is("torch.storage", "_load_from_bytes") {
        return Some(
            "files that are embedded in it would be loaded with weights_only=False".to_owned(),
        );
    }
    let mut effects = recipe.object().effects();
    // What fills itself is exactly a list, a dict or one of these.
    let fills = |kind: EffectKind| matches!(kind, EffectKind::Append | EffectKind::AddItems);
    let dicts = ["OrderedDict", "Counter"];
    let dict =
        global.module == b"collections" && dicts.iter().any(|name| name.as_bytes() == global.name);
    effects.find_map(|effect| match effect.kind {
        kind if fills(kind) => {
            Some(format!("it does not append to {}", short(&global.to_string())))
        }
        EffectKind::SetItems if !dict => {
            Some(format!("it does not set items of {}", short(&global.to_string())))
        }
        _ => None,
    })
}
