//! `tree`: the modules of a whole model, or what the names of a state dict imply.

mod data;
mod html;
mod json;
mod names;
mod text;

use depickle::Budget;
use depickle::pickle::{Dict, Object};
use depickle::torch::module::find_modules;
use depickle::torch::{Checkpoint, Error, List, Model, ObjectKind, Scope};

use self::names::Names;
use crate::args::Tree;
use crate::input::label;
use crate::output::{self, Answer, Failure, note, printable};

pub(crate) fn run(args: &Tree) -> Result<Answer, Failure> {
    let checkpoint = args.reading.open(&args.file)?;
    let object = args.key.object(&checkpoint)?;
    let chosen = Chosen::of(object, &checkpoint)?;
    chosen.tell();
    if let Some(path) = &args.html {
        return html::write(&checkpoint, object, &chosen, &label(&args.file), path, args.force);
    }
    match &chosen {
        _ if args.json => {
            let text = json::write(&checkpoint, &chosen, args)?;
            output::stdout(|out| out.write_all(&text))
        }
        Chosen::Modules(models) => output::stdout(|out| {
            for (name, model) in models {
                let text = text::print(&checkpoint, *model, args).map_err(std::io::Error::other)?;
                if models.len() > 1 {
                    write!(out, "({}): ", printable(name))?;
                }
                writeln!(out, "{}", output::lines(&text))?;
            }
            Ok(())
        }),
        Chosen::Names(list) => {
            let text = Names::new(list, args.depth).text(&checkpoint, args.params);
            output::stdout(|out| out.write_all(text.as_bytes()))
        }
    }
}

/// What there is to show of an object.
enum Chosen<'file> {
    /// It is a module, or holds some: with the paths that lead to them.
    Modules(Vec<(String, Model<'file>)>),
    /// It holds tensors by name.
    Names(List),
}

/// Whether one of the dicts in an object holds more weights by name than all of its modules.
fn are_settings(
    object: Object,
    models: &[(String, Model)],
    checkpoint: &Checkpoint,
) -> Result<bool, Failure> {
    let nbytes = |object| -> Result<u64, Error> {
        let list = checkpoint.tensors_in(object, Scope::StateDict)?;
        let tensors = list.iter().filter_map(|entry| Some(entry.tensor().ok()?.nbytes()));
        Ok(tensors.fold(0, u64::saturating_add))
    };
    let mut held = 0_u64;
    for (_, model) in models {
        held = held.saturating_add(nbytes(model.object())?);
    }
    for (_, value) in object.as_dict().into_iter().flat_map(Dict::iter) {
        let named = checkpoint.kind_of(value)? == ObjectKind::StateDict;
        if named && nbytes(value)? > held {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<'file> Chosen<'file> {
    fn of(object: Object<'file>, checkpoint: &'file Checkpoint) -> Result<Self, Failure> {
        let not_a_module = match checkpoint.module_in(object) {
            Ok(model) => return Ok(Self::Modules(vec![(String::new(), model)])),
            Err(why) => why,
        };
        let mut budget = Budget::new(checkpoint.limits().clone());
        let found = find_modules(object, &mut budget).map_err(Error::from)?;
        let model = |(path, module): (String, depickle::torch::module::Module<'file>)| {
            Some((path, checkpoint.module_in(module.object()).ok()?))
        };
        let models: Vec<_> = found.into_iter().filter_map(model).collect();
        let list = checkpoint.tensors_in(object, Scope::StateDict)?;
        // Loss functions among hyper-parameters are not what a file of weights is about.
        let mut hold_any = list.is_empty();
        for (_, model) in &models {
            hold_any = hold_any || !model.state_dict()?.entries.is_empty();
        }
        let few = !list.is_empty() && are_settings(object, &models, checkpoint)?;
        match (models.is_empty() || !hold_any || few, list.is_empty()) {
            (false, _) => Ok(Self::Modules(models)),
            (true, false) => Ok(Self::Names(list)),
            (true, true) => Err(not_a_module.into()),
        }
    }

    /// Says what was chosen for the user.
    fn tell(&self) {
        let Self::Modules(models) = self else { return };
        match &models[..] {
            [(path, _)] if path.is_empty() => {}
            [(path, _)] => {
                let path = printable(path);
                note(&format!("the model at key {path:?} is shown; --key chooses another object"));
            }
            _ => {
                let count = models.len();
                note(&format!("{count} models are shown; --key chooses one by the name before it"));
            }
        }
    }
}
