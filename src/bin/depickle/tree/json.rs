//! A module tree as JSON, written as it is walked: the file's depth costs no stack.

use std::collections::HashMap;

use depickle::Budget;
use depickle::pickle::{NodeId, Object};
use depickle::python::json::{self, quoted};
use depickle::torch::module::{Module, Named};
use depickle::torch::{Checkpoint, Error};

use super::Chosen;
use super::names::Names;
use super::text::{Tallies, tally_json};
use crate::args::Tree;
use crate::input::label;
use crate::show::Tensors;

/// A module whose children are being written.
struct Frame<'file> {
    module: Module<'file>,
    children: std::vec::IntoIter<Named<'file>>,
    first: bool,
    /// Length of the path to it.
    path: usize,
}

struct Writer<'file> {
    checkpoint: &'file Checkpoint,
    budget: Budget,
    /// Levels of children to write.
    depth: usize,
    /// Of every module, if they were asked for.
    tallies: Tallies,
    out: Vec<u8>,
    frames: Vec<Frame<'file>>,
    /// Path of the first place of each module.
    places: HashMap<NodeId, String>,
    path: String,
}

/// The document of `tree --json`.
pub(super) fn write(
    checkpoint: &Checkpoint,
    chosen: &Chosen,
    args: &Tree,
) -> Result<Vec<u8>, Error> {
    let mut writer = Writer {
        checkpoint,
        budget: Budget::new(checkpoint.limits().clone()),
        depth: args.depth.unwrap_or(usize::MAX),
        tallies: HashMap::new(),
        out: format!("{{\"path\":{},\"root\":", quoted(&label(&args.file))).into_bytes(),
        frames: Vec::new(),
        places: HashMap::new(),
        path: String::new(),
    };
    match chosen {
        Chosen::Names(list) => {
            writer.put(&Names::new(list, args.depth).json(checkpoint, args.params));
        }
        Chosen::Modules(models) => {
            let several = models.len() > 1;
            // A file with several models has no one root.
            writer.put(if several { "null,\"models\":[" } else { "" });
            for (index, (path, model)) in models.iter().enumerate() {
                if args.params {
                    writer.tallies.extend(model.tallies()?);
                }
                writer.put(if index > 0 { "," } else { "" });
                writer.run(**model, if several { path } else { "" })?;
            }
            writer.put(if several { "]" } else { "" });
        }
    }
    writer.put("}\n");
    Ok(writer.out)
}

impl<'file> Writer<'file> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn run(&mut self, root: Module<'file>, name: &str) -> Result<(), Error> {
        name.clone_into(&mut self.path);
        self.open(root, name)?;
        while let Some(frame) = self.frames.last_mut() {
            self.path.truncate(frame.path);
            let Some((name, child)) = frame.children.next() else {
                let module = frame.module;
                self.frames.pop();
                self.close(module)?;
                continue;
            };
            let comma = if std::mem::take(&mut frame.first) { "" } else { "," };
            self.put(comma);
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&name);
            self.child(&name, child)?;
        }
        Ok(())
    }

    fn child(&mut self, name: &str, child: Object<'file>) -> Result<(), Error> {
        self.budget.visits(1)?;
        let name_json = quoted(name);
        if let Some(first) = self.places.get(&child.id()) {
            let text = format!("{{\"name\":{name_json},\"same_as\":{}}}", quoted(first));
            self.put(&text);
            return Ok(());
        }
        if let Some(module) = Module::view(child) {
            self.open(module, name)
        } else {
            self.put(&format!("{{\"name\":{name_json},\"object\":"));
            self.value(child)?;
            self.put("}");
            Ok(())
        }
    }

    fn open(&mut self, module: Module<'file>, name: &str) -> Result<(), Error> {
        self.budget.memory((self.path.len() as u64).saturating_add(64))?;
        self.places.insert(module.id(), self.path.clone());
        let class = quoted(&module.class().to_string());
        let training = module.training().map_or("null".to_owned(), |training| training.to_string());
        let name = quoted(name);
        self.put(&format!("{{\"name\":{name},\"class\":{class},\"training\":{training},"));
        if let Some(tally) = self.tallies.get(&module.id()) {
            let text = format!("\"totals\":{},", tally_json(tally));
            self.put(&text);
        }
        let mut children = module.children(&mut self.budget)?;
        if self.frames.len() >= self.depth && !children.is_empty() {
            // How many are left out.
            let text = format!("\"cut\":{},", children.len());
            self.put(&text);
            children.clear();
        }
        self.put("\"children\":[");
        let children = children.into_iter();
        let path = self.path.len();
        Ok(self.budget.push(&mut self.frames, Frame { module, children, first: true, path })?)
    }

    fn close(&mut self, module: Module<'file>) -> Result<(), Error> {
        self.put("],\"parameters\":[");
        let parameters = module.parameters(&mut self.budget)?;
        self.members(parameters, |_| String::new())?;
        self.put("],\"buffers\":[");
        let buffers = module.buffers(&mut self.budget)?;
        let hidden = module.non_persistent(&mut self.budget)?;
        self.members(buffers, |name| format!("\"persistent\":{},", !hidden.contains(name)))?;
        self.put("],\"attributes\":{");
        for (index, (name, value)) in module.attributes(&mut self.budget)?.into_iter().enumerate() {
            self.put(if index > 0 { "," } else { "" });
            self.put(&format!("{}:", quoted(&name)));
            self.value(value)?;
        }
        self.put("}}");
        Ok(())
    }

    fn members(
        &mut self,
        members: Vec<Named<'file>>,
        more: impl Fn(&str) -> String,
    ) -> Result<(), Error> {
        for (index, (name, object)) in members.into_iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let text = format!("{comma}{{\"name\":{},{}\"tensor\":", quoted(&name), more(&name));
            self.put(&text);
            self.tensor(object)?;
            self.put("}");
        }
        Ok(())
    }

    /// A tensor's fields, without the tag that marks them elsewhere.
    fn tensor(&mut self, object: Object<'file>) -> Result<(), Error> {
        match self.checkpoint.view(object) {
            Some(Ok(tensor)) => {
                let text = crate::tensor::value(self.checkpoint, &tensor).to_string();
                self.put(&text);
                Ok(())
            }
            _ => self.value(object),
        }
    }

    /// Any value in the tagged form.
    fn value(&mut self, object: Object<'file>) -> Result<(), Error> {
        let known = Tensors(self.checkpoint);
        json::write(object, &known, &mut self.budget, &mut self.out).map_err(|why| match why {
            json::Error::Over(why) => why.into(),
            json::Error::Io(why) => why.into(),
        })
    }
}
