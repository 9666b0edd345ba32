//! `tree`: the modules of a whole model, or what the names of a state dict imply.

use depickle::Budget;
use depickle::pickle::Object;
use depickle::python::mapping;
use depickle::torch::module::Style;
use depickle::torch::{Checkpoint, Error, List, Scope};

use crate::args::Tree;
use crate::input::label;
use crate::output::{self, Answer, Failure, note, printable};

pub(crate) fn run(args: &Tree) -> Result<Answer, Failure> {
    let checkpoint = args.reading.open(&args.file)?;
    let object = chosen(args, &checkpoint)?;
    match checkpoint.module_in(object) {
        Ok(model) if args.json => {
            let text = crate::tree_json::write(&checkpoint, model, &label(&args.file))?;
            output::stdout(|out| out.write_all(&text))
        }
        Ok(model) => {
            let text = model.print(Style::default().with_depth(args.depth))?;
            output::stdout(|out| writeln!(out, "{}", output::lines(&text)))
        }
        Err(not_a_module) => {
            let list = checkpoint.tensors_in(object, Scope::StateDict)?;
            if list.is_empty() {
                return Err(not_a_module.into());
            }
            let text = names(&list, &checkpoint, args.depth);
            output::stdout(|out| out.write_all(text.as_bytes()))
        }
    }
}

/// The object asked for; else the one module that a checkpoint holds, which is said.
fn chosen<'file>(args: &Tree, checkpoint: &'file Checkpoint) -> Result<Object<'file>, Failure> {
    let object = args.key.object(checkpoint)?;
    if args.key.key.is_some() || checkpoint.module_in(object).is_ok() {
        return Ok(object);
    }
    let mut budget = Budget::new(checkpoint.limits().clone());
    let pairs = mapping::pairs(object, &mut budget).map_err(Error::from)?.unwrap_or_default();
    let is_module = |pair: &&mapping::Pair<'file>| checkpoint.module_in(pair.1).is_ok();
    let modules: Vec<_> = pairs.iter().filter(is_module).collect();
    match modules[..] {
        [(key, module)] => {
            let key = printable(key.as_str().unwrap_or("?"));
            note(&format!("the model at key {key:?} is shown; --key chooses another object"));
            Ok(*module)
        }
        _ => Ok(object),
    }
}

/// Levels shown of dotted names; what is below stays one name.
const LEVELS: usize = 64;

/// The tree that dotted names imply, a level of dots a level of indentation.
fn names(list: &List, checkpoint: &Checkpoint, depth: Option<usize>) -> String {
    let levels = depth.map_or(LEVELS, |depth| depth.saturating_add(1).min(LEVELS));
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    for entry in list {
        let parts: Vec<&str> = entry.name().splitn(levels, '.').collect();
        let (leaf, folders) =
            parts.split_last().map_or(("", &[][..]), |(leaf, rest)| (*leaf, rest));
        let same = open.iter().zip(folders).take_while(|(a, b)| a == b).count();
        open.truncate(same);
        for folder in folders.iter().skip(same) {
            indent(&mut out, open.len(), &printable(folder));
            open.push(folder);
        }
        let what = match entry.on(checkpoint) {
            Ok(tensor) => format!("{} {}", tensor.dtype(), crate::tensor::list(tensor.shape())),
            Err(why) => format!("unreadable: {why}"),
        };
        indent(&mut out, open.len(), &format!("{}  {}", printable(leaf), printable(&what)));
    }
    out
}

fn indent(out: &mut String, level: usize, text: &str) {
    out.extend(std::iter::repeat_n("  ", level));
    out.push_str(text);
    out.push('\n');
}
