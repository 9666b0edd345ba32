//! Archives of `torch.jit.save`: a module in `data.pkl`, tensors that its code holds in
//! `constants.pkl`.
//!
//! Which of a module's tensors are parameters and which buffers, only the text of its class says
//! (`__parameters__ = ["weight", ]`). The text is searched for those two lines, and for
//! nothing else; what they say is put into the state of each instance.
//!
//! Source: PyTorch 2.15 `torch/csrc/jit/serialization/export_module.cpp`, `import.cpp`,
//! `python_print.cpp` (`printNamedType`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::archive::{self, Archive};
use super::checkpoint::Options;
use super::error::Error;
use super::module::Module;
use super::open::{self, Opened};
use super::origin::Names;
use crate::base::{Budget, Source};
use crate::pickle::{GraphBuilder, Items, NodeId, Object, Value};

const CONSTANTS: Names = Names { before: "constants/", after: "" };

/// Opens such an archive.
pub(crate) fn open(
    source: &Arc<dyn Source>,
    archive: &Arc<Archive>,
    options: &Options,
    budget: &mut Budget,
) -> Result<Opened, Error> {
    let opened = open::member(source, archive, archive::PICKLE, Names::DATA, options, budget)?;
    // Constants that cannot be read do not hide the module.
    let constants = open::member(source, archive, "constants.pkl", CONSTANTS, options, budget);
    let constants = match constants {
        Err(why) if why.category() != crate::Category::Malformed => return Err(why),
        other => other.ok().filter(|constants| !is_empty(constants)),
    };
    let classes = Code { source, archive, files: HashMap::new() }.classes(&opened, budget)?;
    let modules = modules(&opened, &classes);
    let root = opened.root();
    let Opened { container, graph, mut parts, stand_ins, mut others } = opened;
    let mut build = GraphBuilder::edit(graph, budget);
    let mut lists: HashMap<&[String], NodeId> = HashMap::new();
    for (instance, state, class) in modules {
        let state = if build.object(state).as_dict().is_some() {
            state
        } else {
            // What the class's own `__getstate__` returned.
            let own = build.text("__getstate__")?;
            let dict = build.dict(&[(own, state)])?;
            build.set_state(instance, dict)?;
            dict
        };
        let facts = [
            (Module::SCRIPT_PARAMETERS, &class.parameters),
            (Module::SCRIPT_BUFFERS, &class.buffers),
        ];
        for (key, names) in facts {
            let list = match lists.get(names.as_slice()) {
                Some(list) => *list,
                None => build.value(names.as_slice())?,
            };
            lists.insert(names, list);
            let key = build.text(key)?;
            build.insert(state, &[(key, list)])?;
        }
    }
    if let Some(constants) = constants {
        others.push(("constants".into(), constants.copy_into(&mut build, &mut parts)?));
    }
    // The lists count as the module's.
    let graph = build.finish(root);
    Ok(Opened { container, graph, parts, stand_ins, others })
}

fn is_empty(constants: &Opened) -> bool {
    let items = constants.graph.root().and_then(Object::items);
    items.is_some_and(Items::is_empty)
}

/// The instances of known classes, each with its state; no state twice.
fn modules<'code>(
    opened: &Opened,
    classes: &'code HashMap<NodeId, Class>,
) -> Vec<(NodeId, NodeId, &'code Class)> {
    let mut seen = HashSet::new();
    let instances = opened.graph.objects().filter_map(|object| {
        let recipe = object.as_recipe()?;
        let class = classes.get(&recipe.callable().id())?;
        let state = recipe.state()?;
        // Small values are the same object everywhere.
        let shared = state.as_dict().is_some() && !seen.insert(state.id());
        (!shared).then_some((object.id(), state.id(), class))
    });
    instances.collect()
}

/// What the text of a module's class says.
#[derive(Clone, Debug, Default)]
struct Class {
    parameters: Vec<String>,
    buffers: Vec<String>,
}

/// The texts of an archive's classes.
struct Code<'file> {
    source: &'file Arc<dyn Source>,
    archive: &'file Archive,
    /// Classes by name, for each file that was read.
    files: HashMap<String, HashMap<String, Class>>,
}

impl Code<'_> {
    /// The modules' classes that the graph names.
    fn classes(
        mut self,
        opened: &Opened,
        budget: &mut Budget,
    ) -> Result<HashMap<NodeId, Class>, Error> {
        let mut found = HashMap::new();
        for object in opened.graph.objects() {
            let Value::Global(global) = object.value() else { continue };
            let (Ok(module), Ok(name)) =
                (std::str::from_utf8(global.module), std::str::from_utf8(global.name))
            else {
                continue;
            };
            if module != "__torch__" && !module.starts_with("__torch__.") {
                continue;
            }
            let file = format!("code/{}.py", module.replace('.', "/"));
            if !self.files.contains_key(&file) {
                let classes = self.read(&file, budget)?;
                self.files.insert(file.clone(), classes);
            }
            if let Some(class) = self.files.get(&file).and_then(|classes| classes.get(name)) {
                found.insert(object.id(), class.clone());
            }
        }
        Ok(found)
    }

    /// The classes of one file; none if it is missing or damaged.
    fn read(&self, file: &str, budget: &mut Budget) -> Result<HashMap<String, Class>, Error> {
        let Some(member) = self.archive.member(file)? else { return Ok(HashMap::new()) };
        match self.archive.zip.read(&**self.source, member, budget) {
            Ok(text) => Ok(classes(&String::from_utf8_lossy(&text))),
            Err(why) if why.category() == crate::Category::Malformed => Ok(HashMap::new()),
            Err(why) => Err(why.into()),
        }
    }
}

/// Finds `class NAME(Module):` and the two lists in its body.
fn classes(text: &str) -> HashMap<String, Class> {
    let mut found: HashMap<String, Class> = HashMap::new();
    let mut current: Option<&str> = None;
    for line in text.lines() {
        if !line.starts_with(' ') {
            let header =
                line.strip_prefix("class ").and_then(|rest| rest.strip_suffix("(Module):"));
            current = header;
            if let Some(name) = header {
                found.insert(name.to_owned(), Class::default());
            }
            continue;
        }
        let Some(class) = current.and_then(|name| found.get_mut(name)) else { continue };
        if let Some(list) = line.strip_prefix("  __parameters__ = ") {
            class.parameters = strings(list);
        } else if let Some(list) = line.strip_prefix("  __buffers__ = ") {
            class.buffers = strings(list);
        }
    }
    found
}

/// The texts of `["a", "b", ]`.
fn strings(list: &str) -> Vec<String> {
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_lists_of_a_class_are_found() {
        let text = "class A(Module):\n  __parameters__ = [\"w\", \"0\", ]\n  __buffers__ = []\n  \
                    w : Tensor\nclass B(NamedTuple):\n  __buffers__ = [\"x\", ]\n";
        let found = classes(text);
        assert_eq!(found["A"].parameters, ["w", "0"]);
        assert!(found["A"].buffers.is_empty());
        assert!(!found.contains_key("B"), "no module");
    }
}
