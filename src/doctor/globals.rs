//! The globals that a file names, and the Python that tells PyTorch to trust them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

use super::python::{is_dotted, quoted, spelled};
use crate::base::{FileOffset, FileSource, Limits, Source};
use crate::pickle::{Global, Graph, Make, Object, Outcome, Position, Positions, Recipe, Value};
use crate::python::{names, policy};
use crate::scan::{Scanner, Visited, rules};
use crate::torch::{Checkpoint, Error, stretches};

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

/// What must be named safe before `torch.load(weights_only=True)` loads a checkpoint: only what is
/// off its own list. Globals that are forbidden, or whose names cannot stand in Python, are refused.
pub(super) fn python(checkpoint: &Checkpoint) -> Python {
    let mut needs = Needs::default();
    needs.add(checkpoint.graph());
    needs.python()
}

/// What several pickles need.
#[derive(Default)]
struct Needs {
    safe: BTreeSet<Safe>,
    refused: BTreeSet<(String, &'static str)>,
}

impl Needs {
    fn add(&mut self, graph: &Graph) {
        let mut seen = BTreeSet::new();
        for object in graph.objects() {
            match object.value() {
                Value::Global(global) if seen.insert((global.module, global.name)) => {
                    match named(global) {
                        Ok(found) => self.safe.extend(found),
                        Err(why) => drop(self.refused.insert((global.to_string(), why))),
                    }
                }
                Value::Recipe(recipe) => {
                    self.safe.extend(nested(recipe.callable()));
                    self.safe.extend(dtype(object));
                }
                _ => {}
            }
        }
    }

    fn python(self) -> Python {
        let tuples = self.safe.iter().any(|safe| safe.called.is_some());
        let refused = self.refused.into_iter().map(|(name, why)| (name, why.to_owned()));
        let torch = if tuples { (2, 6) } else { (2, 4) };
        Python { lines: lines(&self.safe), refused: refused.collect(), torch }
    }
}

/// What the tables say of a global where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Known, and harmless in all the positions it stands in.
    Whitelisted,
    /// Not known, or not known to be harmless there.
    Unknown,
    /// It can reach code, files, processes or the network.
    Forbidden,
}

impl Verdict {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whitelisted => "whitelisted",
            Self::Unknown => "unknown",
            Self::Forbidden => "forbidden",
        }
    }
}

/// How a global is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stands {
    /// Called.
    Call,
    /// Made an instance of.
    Instance,
    /// Mentioned.
    Value,
    /// The class of a storage.
    Storage,
    /// Called, and what it returned called in turn.
    Computed,
}

impl Stands {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Instance => "instance",
            Self::Value => "value",
            Self::Storage => "storage",
            Self::Computed => "computed",
        }
    }

    /// What policies call it.
    const fn position(self) -> Position {
        match self {
            Self::Call => Position::Call,
            Self::Instance => Position::Instance,
            Self::Value | Self::Storage => Position::Value,
            Self::Computed => Position::Computed,
        }
    }
}

/// One global of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Used {
    /// Its module, as the file spells it.
    pub module: String,
    /// Its qualified name.
    pub name: String,
    /// Where it stands, and how often in each.
    pub positions: BTreeMap<Stands, u64>,
    /// The first operation that names it: in the file, or in the member if that is compressed.
    pub first: FileOffset,
    /// The archive member of that operation.
    pub member: Option<String>,
    /// Whether that member is compressed.
    pub inflated: bool,
    /// What the tables say of it.
    pub verdict: Verdict,
}

impl Used {
    /// How often it is used in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.positions.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Every global of a file.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Globals {
    /// In the order of the file, each once.
    pub all: Vec<Used>,
    /// Pickles that break, and what cannot be read: what they name before is among
    /// `all`, what they would name behind is not.
    pub broken: Vec<Error>,
    /// How many pickles there are.
    pub pickles: u64,
    /// What `torch.load(weights_only=True)` must be told.
    pub python: Python,
}

/// Finds every global of a file, wherever a scan comes across a pickle: in all members, whatever
/// they are called, in those that follow each other, in bytes, archives and compressed files in
/// these. Nothing runs, and nothing is refused.
///
/// ```
/// use depickle::base::FileSource;
/// use depickle::doctor::globals::{self, Stands};
///
/// let file = FileSource::new(std::fs::File::open("tests/fixtures/tensor.pth")?)?;
/// let found = globals::of(&file, &depickle::Limits::default())?;
/// let names: Vec<_> = found.all.iter().map(|used| &*used.name).collect();
/// assert_eq!(names, ["_rebuild_tensor_v2", "FloatStorage", "OrderedDict"]);
/// assert!(found.all[1].positions.contains_key(&Stands::Storage));
/// assert!(found.python.lines.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`stretches`]. What breaks later is told in [`Globals::broken`].
pub fn of(source: &dyn Source, limits: &Limits) -> Result<Globals, Error> {
    let mut found = Globals::default();
    let mut needs = Needs::default();
    let mut known: HashMap<(Vec<u8>, Vec<u8>), usize> = HashMap::new();
    // Pickles that break, where they do.
    let mut breaks = HashSet::new();
    let scanner = Scanner::new().limits(limits.clone());
    let report = scanner.scan_each(source, &mut |visited| {
        let Outcome { graph, end } = visited.outcome;
        found.pickles = found.pickles.saturating_add(1);
        // What torch.load reads itself.
        if visited.surface {
            needs.add(graph);
        }
        count(graph, visited, &mut known, &mut found.all);
        if let Err(why) = end {
            breaks.insert((visited.member.map(str::to_owned), why.offset()));
            let why = Error::from(why.clone());
            found.broken.push(match visited.member {
                Some(member) => why.in_member(member),
                None => why,
            });
        }
    });
    if found.pickles == 0 {
        // Says what the file is.
        stretches(source, limits)?.try_for_each(|stretch| stretch.map(drop))?;
    }
    for finding in report.findings.iter().filter(|finding| finding.rule == rules::UNREAD) {
        let place = &finding.place;
        let at = place.offset.unwrap_or_default();
        if breaks.contains(&(place.member.as_deref().map(str::to_owned), at)) {
            continue;
        }
        let why = Error::from(io::Error::other(finding.message.clone()));
        found.broken.push(match &place.member {
            Some(member) => why.in_member(member),
            None => why,
        });
    }
    found.python = needs.python();
    for used in &mut found.all {
        used.verdict = judge(used);
    }
    Ok(found)
}

/// As [`of`], of the file at a path, which errors name.
///
/// # Errors
/// As [`of`], and what the system says.
pub fn of_file(path: impl AsRef<Path>, limits: &Limits) -> Result<Globals, Error> {
    let path = path.as_ref();
    let file = File::open(path).and_then(FileSource::new);
    let found = file.map_err(Error::from).and_then(|file| of(&file, limits));
    let mut found = found.map_err(|why| why.in_file(path))?;
    let broken = std::mem::take(&mut found.broken);
    found.broken = broken.into_iter().map(|why| why.in_file(path)).collect();
    Ok(found)
}

fn judge(used: &Used) -> Verdict {
    let global = Global { module: used.module.as_bytes(), name: used.name.as_bytes() };
    if policy::models().admits(global) == Positions::NONE {
        return Verdict::Forbidden;
    }
    let admitted = policy::strict().admits(global);
    let everywhere = used.positions.keys().all(|stands| admitted.has(stands.position()));
    if everywhere && policy::is_whitelisted(global) {
        Verdict::Whitelisted
    } else {
        Verdict::Unknown
    }
}

/// Counts how each global of a graph is used, by what refers to it.
fn count(
    graph: &Graph,
    visited: &Visited<'_>,
    known: &mut HashMap<(Vec<u8>, Vec<u8>), usize>,
    all: &mut Vec<Used>,
) {
    let mut add = |object: Object<'_>, stands: Option<Stands>| {
        let Some(global) = object.as_global() else { return };
        let key = (global.module.to_vec(), global.name.to_vec());
        let place = *known.entry(key).or_insert_with(|| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            all.push(Used {
                module: text(global.module),
                name: text(global.name),
                positions: BTreeMap::new(),
                first: object.offset().unwrap_or(graph.base()),
                member: visited.member.map(str::to_owned),
                inflated: visited.unpacked,
                verdict: Verdict::Unknown,
            });
            all.len().saturating_sub(1)
        });
        if let Some((used, stands)) = all.get_mut(place).zip(stands) {
            let count = used.positions.entry(stands).or_insert(0);
            *count = count.saturating_add(1);
        }
    };
    // In the order of the file first, however they are used.
    graph.objects().for_each(|object| add(object, None));
    if let Some(root) = graph.root() {
        add(root, Some(Stands::Value));
    }
    // The ids of storages: their classes are told from others.
    let mut ids = HashSet::new();
    for object in graph.objects() {
        match object.value() {
            Value::Persistent(id) => {
                let class = id
                    .as_tuple()
                    .filter(|it| it.get(0).and_then(Object::as_str) == Some("storage"));
                if let Some(class) = class.and_then(|items| items.get(1)) {
                    add(class, Some(Stands::Storage));
                    ids.insert(id.id());
                }
            }
            Value::Recipe(recipe) => {
                add(recipe.callable(), Some(made_by(recipe.make())));
                if let Some(inner) = recipe.callable().as_recipe() {
                    add(inner.callable(), Some(Stands::Computed));
                }
            }
            _ => {}
        }
    }
    for object in graph.objects() {
        let callable = object.as_recipe().map(Recipe::callable);
        let mut called = callable.is_some();
        let storage = ids.contains(&object.id());
        object.each_child(|child| {
            let counted = std::mem::take(&mut called) || storage;
            if !counted {
                add(child, Some(Stands::Value));
            }
        });
    }
}

const fn made_by(make: Make) -> Stands {
    match make {
        Make::NewObj | Make::NewObjEx | Make::Inst | Make::Obj => Stands::Instance,
        _ => Stands::Call,
    }
}

fn lines(safe: &BTreeSet<Safe>) -> Vec<String> {
    if safe.is_empty() {
        return Vec::new();
    }
    let mut imports: BTreeSet<&str> =
        safe.iter().filter_map(|safe| safe.import.as_deref()).collect();
    imports.insert("torch");
    let mut lines: Vec<String> =
        imports.into_iter().map(|module| format!("import {module}")).collect();
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
    "getattr",
    "frozenset",
    "list",
    "tuple",
    "dict",
    "bytes",
    "int",
    "float",
    "bool",
    "str",
    "range",
    "slice",
    "type",
    "object",
    "iter",
    "reversed",
    "enumerate",
    "print",
    "len",
    "abs",
    "min",
    "max",
    "sum",
    "sorted",
    "all",
    "any",
    "round",
    "Ellipsis",
    "NotImplemented",
    "set",
    "complex",
    "bytearray",
    "Exception",
    "ValueError",
    "TypeError",
    "KeyError",
    "RuntimeError",
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

/// Modules whose names their packages give to functions (torch/nn/utils/__init__.py).
const HIDDEN: &[&str] = &["torch.nn.utils.spectral_norm", "torch.nn.utils.weight_norm"];

fn safe(module: &str, name: &str, called: Option<String>) -> Safe {
    match module {
        "__main__" => Safe { import: None, object: name.to_owned(), called },
        "builtins" if BUILTIN.contains(&name) => {
            Safe { import: None, object: name.to_owned(), called }
        }
        _ if HIDDEN.contains(&module) => Safe {
            import: Some("importlib".to_owned()),
            object: format!("importlib.import_module({}).{name}", quoted(module)),
            called,
        },
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
