//! `tree`: the modules of a whole model, or what the names of a state dict imply.

use std::collections::HashMap;
use std::io::{self, Write};

use depickle::Budget;
use depickle::pickle::{NodeId, Object};
use depickle::torch::module::{Module, Style};
use depickle::torch::{Checkpoint, Error, List, Model, Scope};
use serde_json::{Value, json};

use crate::args::Tree;
use crate::input::label;
use crate::output::{self, Answer, Failure, count, human, note, printable};

pub fn run(args: &Tree) -> Result<Answer, Failure> {
    let checkpoint = args.reading.open(&args.file)?;
    let object = chosen(args, &checkpoint)?;
    match checkpoint.module_in(object) {
        Ok(model) if args.json => {
            let text = crate::tree_json::write(&checkpoint, model, &label(&args.file))?;
            output::stdout(|out| out.write_all(&text))
        }
        Ok(model) => {
            let text = model.print(Style::default().with_depth(args.depth))?;
            output::stdout(|out| writeln!(out, "{text}"))
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

/// The object asked for; else the only module in a checkpoint, which is said.
fn chosen<'file>(args: &Tree, checkpoint: &'file Checkpoint) -> Result<Object<'file>, Failure> {
    Ok(args.key.object(checkpoint)?)
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
        let (leaf, folders) = parts.split_last().map_or(("", &[][..]), |(leaf, rest)| (*leaf, rest));
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
