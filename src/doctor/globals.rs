//! The globals that a file names, and the Python that tells PyTorch to trust them.

use std::collections::BTreeSet;

use super::python::{is_dotted, quoted, spelled};
use crate::pickle::{Global, Object, Positions, Value};
use crate::python::{names, policy};
use crate::torch::{Checkpoint, Error};

/// Lines that make `torch.load(weights_only=True)` accept a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Python {
    /// Imports, then one call of `add_safe_globals`; empty if nothing is needed.
    pub lines: Vec<String>,
    /// Globals that are not written, each with the reason.
    pub refused: Vec<(String, String)>,
    /// The first release of PyTorch that has what the lines need: major, minor.
    pub torch: (u32, u32),
}

/// One thing to be named safe.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Safe {
    /// What is imported for it, if anything is.
    import: Option<String>,
    /// The class or function in Python.
    object: String,
    /// The name that the file gives it, where Python now calls it otherwise.
    called: Option<String>,
}

/// What must be named safe before `torch.load(weights_only=True)` loads a file: only what is off
/// its own list. Globals that are forbidden, or whose names cannot stand in Python, are refused.
///
/// # Errors
/// What the source says.
pub fn python(checkpoint: &Checkpoint) -> Result<Python, Error> {
    let mut safe = BTreeSet::new();
    let mut refused = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for object in checkpoint.graph().objects() {
        match object.value() {
            Value::Global(global) => {
                if !seen.insert((global.module, global.name)) {
                    continue;
                }
                match named(global) {
                    Ok(Some(found)) => drop(safe.insert(found)),
                    Ok(None) => {}
                    Err(why) => drop(refused.insert((global.to_string(), why.to_owned()))),
                }
            }
            Value::Recipe(recipe) => {
                safe.extend(nested(recipe.callable()));
                safe.extend(dtype(object));
            }
            _ => {}
        }
    }
    let torch = if safe.iter().any(|safe| safe.called.is_some()) { (2, 6) } else { (2, 4) };
    let refused = refused.into_iter().collect();
    Ok(Python { lines: lines(&safe), refused, torch })
}

fn lines(safe: &BTreeSet<Safe>) -> Vec<String> {
    if safe.is_empty() {
        return Vec::new();
    }
    let mut imports: BTreeSet<&str> = safe.iter().filter_map(|safe| safe.import.as_deref()).collect();
    imports.insert("torch");
    let mut lines: Vec<String> = imports.into_iter().map(|module| format!("import {module}")).collect();
    let main: Vec<&str> =
        safe.iter().filter(|safe| safe.import.is_none()).map(|safe| &*safe.object).collect();
    let main: Vec<&str> = main.into_iter().filter(|object| !BUILTIN.contains(object)).collect();
    if !main.is_empty() {
        lines.push(format!("# this program must define {}", main.join(", ")));
    }
    lines.push("torch.serialization.add_safe_globals([".to_owned());
    lines.extend(safe.iter().map(|Safe { object, called, .. }| match called {
        Some(called) => format!("    ({object}, {}),", quoted(called)),
        None => format!("    {object},"),
    }));
    lines.push("])".to_owned());
    lines
}

/// Names that need no import.
const BUILTIN: &[&str] = &[
    "getattr", "frozenset", "list", "tuple", "dict", "bytes", "int", "float", "bool", "str", "range",
    "slice", "type", "object", "iter", "reversed", "enumerate", "print", "len", "abs", "min", "max",
    "sum", "sorted", "all", "any", "round", "Ellipsis", "NotImplemented", "set", "complex",
    "bytearray", "Exception", "ValueError", "TypeError", "KeyError", "RuntimeError",
];

const FORBIDDEN: &str = "it can reach code, files, processes or the network: loading the file would \
    hand it over, so it is not written";
const UNNAMED: &str = "its name is none that can stand in Python, so it is not written";
const BLOCKED: &str = "torch.load refuses this module whatever it is told";

/// What a global needs; none if torch knows it.
fn named(global: Global<'_>) -> Result<Option<Safe>, &'static str> {
    if policy::weights_only().admits(global) != Positions::NONE {
        return Ok(None);
    }
    if matches!(global.module, b"sys" | b"os" | b"posix" | b"nt") {
        return Err(BLOCKED);
    }
    if policy::models().admits(global) == Positions::NONE {
        return Err(FORBIDDEN);
    }
    let (module, name) = spelled(global).ok_or(UNNAMED)?;
    let (today, now) = names::canonical(module, name);
    // What torch compares with: the file's name in Python 3's words.
    let read = names::python3(global);
    let (module, name) = match &read {
        Some((module, name)) => (
            std::str::from_utf8(module).map_err(|_| UNNAMED)?,
            std::str::from_utf8(name).map_err(|_| UNNAMED)?,
        ),
        None => (module, name),
    };
    let moved = *today != *module || now != name || MOVING.contains(&module);
    let called = moved.then(|| format!("{module}.{name}"));
    Ok(Some(safe(&today, now, called)))
}

/// Modules whose classes newer Pythons keep elsewhere.
const MOVING: &[&str] = &["pathlib", "pathlib._local"];

fn safe(module: &str, name: &str, called: Option<String>) -> Safe {
    match module {
        "__main__" => Safe { import: None, object: name.to_owned(), called },
        "builtins" if BUILTIN.contains(&name) => Safe { import: None, object: name.to_owned(), called },
        _ => Safe { import: Some(module.to_owned()), object: format!("{module}.{name}"), called },
    }
}

/// Whether an object is a nested class: `getattr(Outer, "Inner")` is how protocols before 4 name
/// one.
pub(super) fn is_nested(object: Object<'_>) -> bool {
    nested(object).is_some()
}

/// Classes in classes that are followed.
const DEEPEST: usize = 8;

fn nested(object: Object<'_>) -> Option<Safe> {
    let mut names = Vec::new();
    let mut object = object;
    for _ in 0..DEEPEST {
        if let Some(global) = object.as_global() {
            if names.is_empty() || policy::models().admits(global) == Positions::NONE {
                return None;
            }
            let (module, outer) = spelled(global)?;
            let inner: Vec<&str> = names.into_iter().rev().collect();
            return Some(safe(module, &format!("{outer}.{}", inner.join(".")), None));
        }
        let recipe = object.as_recipe()?;
        let getattr = recipe.callable().as_global()?;
        if !getattr.is("builtins", "getattr") && !getattr.is("__builtin__", "getattr") {
            return None;
        }
        let [outer, name] = recipe.args().as_tuple()?.array()?;
        let name = name.as_str().filter(|name| is_dotted(name))?;
        names.push(name);
        object = outer;
    }
    None
}

/// The class of a dtype of numpy: its state is only set if that is named too.
fn dtype(object: Object<'_>) -> Option<Safe> {
    let recipe = object.as_recipe()?;
    recipe.callable().as_global().filter(|global| global.is("numpy", "dtype"))?;
    recipe.state()?;
    let code = recipe.args().as_tuple()?.get(0)?.as_str()?;
    let simple = code.len() < 16 && code.bytes().all(|byte| byte.is_ascii_graphic());
    simple.then(|| Safe {
        import: Some("numpy".to_owned()),
        object: format!("type(numpy.dtype({}))", quoted(code)),
        called: None,
    })
}
