//! Python's `repr` and `str` of recorded values, as text.
//!
//! What Python would have taken from code (another class's `__repr__`, addresses) is shown
//! as `<module.Class object>`, which no plain value's `repr` looks like.
//!
//! Source: `Objects/*.c` of CPython 3.11, function `*_repr` of each type.

use std::borrow::Cow;
use std::collections::HashSet;

use super::views::spell::{Parts, Spelling, spell};
use super::views::{View, is_class};
use super::{literal, mapping, meaning};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Global, Items, NodeId, Object, Recipe, Text, Value};

/// Gives the text of objects that a layer above knows, tensors say.
pub type Explain<'call, 'graph> = &'call dyn Fn(Object<'graph>) -> Option<String>;

/// Appends `repr(object)` to `out`, paying for steps and text from `budget`.
///
/// `explain` is asked first about every object made by a call or named by a persistent id. Sets
/// are shown in the order of the stream, which Python does not keep. Takes no stack in proportion
/// to the input.
///
/// # Errors
/// [`Exceeded`] if the budget does not cover it; `out` then holds a beginning.
pub fn repr<'graph>(
    object: Object<'graph>,
    explain: Explain<'_, 'graph>,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    Printer { explain, out, budget, frames: Vec::new(), open: HashSet::new() }.run(object)
}

/// Appends `str(object)` to `out`: a text without its quotes, a device or an enum member by
/// its short name, anything else as [`repr`] shows it.
///
/// # Errors
/// As [`repr`].
pub fn str<'graph>(
    object: Object<'graph>,
    explain: Explain<'_, 'graph>,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), Exceeded> {
    match object.value() {
        Value::Text(text) => pay(&text.to_string_lossy(), out, budget),
        Value::Recipe(recipe) if known(recipe) == Some("torch.device") => {
            let args = recipe.args();
            let parts = args.items().into_iter().flat_map(Items::iter).map(plain);
            pay(&parts.collect::<Vec<_>>().join(":"), out, budget)
        }
        Value::Recipe(recipe) if known(recipe) == Some("enum") => match member(recipe) {
            Some((member, _)) => pay(&member, out, budget),
            None => repr(object, explain, out, budget),
        },
        _ => repr(object, explain, out, budget),
    }
}

/// `Class.MEMBER` and `'value'` of enums that name their members after their values.
fn member(recipe: Recipe) -> Option<(String, String)> {
    let value = recipe.args().items()?.get(0)?.as_str()?;
    let class = class_name(recipe);
    let class = class.rsplit('.').next().unwrap_or_default();
    Some((format!("{class}.{}", value.to_uppercase()), literal::text(value.as_bytes())))
}

/// The text of a text or small integer, as they stand in the arguments of a device.
fn plain(object: Object) -> String {
    match object.value() {
        Value::Text(text) => text.to_string_lossy().into_owned(),
        Value::Int(value) => value.to_string(),
        _ => String::from("?"),
    }
}

/// Appends text that is paid for: its memory and, every eight bytes, a step.
fn pay(text: &str, out: &mut String, budget: &mut Budget) -> Result<(), Exceeded> {
    let len = text.len() as u64;
    budget.visits(len / 8)?;
    budget.memory(len)?;
    out.push_str(text);
    Ok(())
}

/// An opened bracket: what is left to show in it and how it closes.
struct Frame<'graph> {
    object: NodeId,
    rest: Rest<'graph>,
    first: bool,
    close: Cow<'static, str>,
}

enum Rest<'graph> {
    /// Items by position.
    Items(Items<'graph>, usize),
    /// Keys and values, last first.
    Pairs(Vec<(Object<'graph>, Object<'graph>)>),
    /// A value whose key was just shown, then as before.
    Value(Object<'graph>, Vec<(Object<'graph>, Object<'graph>)>),
    /// What goes before an object, and the object; last first.
    Pieces(Vec<(Cow<'static, str>, Object<'graph>)>),
}

struct Printer<'call, 'graph> {
    explain: Explain<'call, 'graph>,
    out: &'call mut String,
    budget: &'call mut Budget,
    frames: Vec<Frame<'graph>>,
    /// Objects whose brackets are open.
    open: HashSet<NodeId>,
}

impl<'graph> Printer<'_, 'graph> {
    fn run(&mut self, object: Object<'graph>) -> Result<(), Exceeded> {
        self.show(object)?;
        while let Some(mut frame) = self.frames.pop() {
            let Some((before, next)) = frame.advance() else {
                self.open.remove(&frame.object);
                self.push(&frame.close)?;
                continue;
            };
            self.push(&before)?;
            self.budget.push(&mut self.frames, frame)?;
            self.show(next)?;
        }
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), Exceeded> {
        pay(text, self.out, self.budget)
    }

    fn show(&mut self, object: Object<'graph>) -> Result<(), Exceeded> {
        self.budget.visits(1)?;
        match object.value() {
            Value::None => self.push("None"),
            Value::Bool(true) => self.push("True"),
            Value::Bool(false) => self.push("False"),
            Value::Int(value) => self.push(&value.to_string()),
            Value::BigInt(value) => self.push(&literal::big_int(value)),
            Value::Float(value) => self.push(&literal::float(value)),
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => self.push(&literal::bytes(bytes)),
            Value::ByteArray(bytes) => {
                let text = literal::bytes(bytes);
                self.push(&format!("bytearray({text})"))
            }
            Value::Tuple(items) if items.len() == 1 => self.open(object, "(", items, ",)"),
            Value::Tuple(items) => self.open(object, "(", items, ")"),
            Value::List(items) => self.open(object, "[", items, "]"),
            Value::Set(items) if items.is_empty() => self.push("set()"),
            Value::Set(items) => self.open(object, "{", items, "}"),
            Value::FrozenSet(items) if items.is_empty() => self.push("frozenset()"),
            Value::FrozenSet(items) => self.open(object, "frozenset({", items, "})"),
            Value::Dict(dict) => {
                let pairs = mapping::distinct(dict.iter(), self.budget)?;
                self.enter(object, "{", reversed(pairs), "}", "{...}")
            }
            Value::Global(global) => self.push(&global_repr(global)),
            Value::Recipe(recipe) => self.recipe(recipe),
            Value::Persistent(id) => match ((self.explain)(object), class_behind(id)) {
                (Some(text), _) => self.push(&text),
                (None, Some(class)) => self.push(&format!("<class '{class}'>")),
                (None, None) => self.push("<persistent object>"),
            },
            Value::Extension(code) => self.push(&format!("<extension {code}>")),
            Value::Buffer { index, .. } => self.push(&format!("<buffer {index}>")),
        }
    }

    fn text(&mut self, text: Text) -> Result<(), Exceeded> {
        let shown = match text.as_str() {
            None if text.is_python2() => literal::bytes(text.as_bytes()),
            _ => literal::text(text.as_bytes()),
        };
        self.push(&shown)
    }

    /// Opens a bracket over items, unless it is open already.
    fn open(
        &mut self,
        object: Object<'graph>,
        open: &'static str,
        items: Items<'graph>,
        close: &'static str,
    ) -> Result<(), Exceeded> {
        let cycle = match open {
            "[" => "[...]",
            "(" => "(...)",
            _ => "{...}",
        };
        self.enter(object, open, Rest::Items(items, 0), close, cycle)
    }

    fn enter(
        &mut self,
        object: Object<'graph>,
        open: &str,
        rest: Rest<'graph>,
        close: impl Into<Cow<'static, str>>,
        cycle: &str,
    ) -> Result<(), Exceeded> {
        // The empty tuple and other constants are one object, and may stand in themselves.
        let bracket = !matches!(rest, Rest::Items(items, _) if items.is_empty());
        if bracket && !self.open.insert(object.id()) {
            return self.push(cycle);
        }
        self.push(open)?;
        let frame = Frame { object: object.id(), rest, first: true, close: close.into() };
        self.budget.push(&mut self.frames, frame)
    }

    fn recipe(&mut self, recipe: Recipe<'graph>) -> Result<(), Exceeded> {
        let object = recipe.object();
        if let Some(text) = (self.explain)(object) {
            return self.push(&text);
        }
        let args = recipe.args();
        let arg = |index| args.items().and_then(|items| items.get(index));
        match known(recipe) {
            Some("torch.Size") => match arg(0).and_then(Object::items) {
                Some(items) => self.open(object, "torch.Size([", items, "])"),
                None => self.push("torch.Size([])"),
            },
            Some("torch.device") => self.device(recipe),
            Some("layout") => match arg(0).and_then(Object::as_str) {
                Some(name) => self.push(name),
                None => self.push("<torch.layout object>"),
            },
            Some("enum") => match member(recipe) {
                Some((member, value)) => self.push(&format!("<{member}: {value}>")),
                None => self.push(&format!("<{} object>", class_name(recipe))),
            },
            _ => self.viewed(recipe),
        }
    }

    /// What the standard library knows, as it writes it; the class of anything else.
    fn viewed(&mut self, recipe: Recipe<'graph>) -> Result<(), Exceeded> {
        let view = meaning::view(recipe.object(), self.budget)?;
        let spelling = match &view {
            Some(view) => spell(view, self.budget)?,
            None => None,
        };
        match (spelling, view) {
            (Some(Spelling::Text(text) | Spelling::Opaque(text)), _) => self.push(&text),
            (Some(Spelling::Parts(parts)), _) => self.parts(recipe.object(), parts),
            (None, Some(View::Instance(instance))) => {
                let class = named(instance.class);
                self.push(&format!("<{class} object>"))
            }
            (None, _) => self.push(&format!("<{} object>", class_name(recipe))),
        }
    }

    fn parts(&mut self, object: Object<'graph>, parts: Parts<'graph>) -> Result<(), Exceeded> {
        let cycle = parts.cycle;
        let (mut pieces, close) = parts.pieces();
        pieces.reverse();
        if pieces.is_empty() {
            return self.push(&close);
        }
        self.enter(object, "", Rest::Pieces(pieces), close, cycle)
    }

    fn device(&mut self, recipe: Recipe<'graph>) -> Result<(), Exceeded> {
        let args = recipe.args().items();
        let arg = |index| args.and_then(|items| items.get(index));
        let kind = arg(0).and_then(Object::as_str).unwrap_or("?");
        let (kind, index) = match kind.split_once(':') {
            Some((kind, index)) => (kind, Some(index.to_owned())),
            None => (kind, arg(1).and_then(Object::as_int).map(|index| index.to_string())),
        };
        match index {
            Some(index) => self.push(&format!("device(type='{kind}', index={index})")),
            None => self.push(&format!("device(type='{kind}')")),
        }
    }
}

fn reversed<'graph>(pairs: Vec<(Object<'graph>, Object<'graph>)>) -> Rest<'graph> {
    Rest::Pairs(pairs.into_iter().rev().collect())
}

impl<'graph> Frame<'graph> {
    /// What to show next, and what goes before it.
    fn advance(&mut self) -> Option<(Cow<'static, str>, Object<'graph>)> {
        let comma = if std::mem::take(&mut self.first) { "" } else { ", " };
        match &mut self.rest {
            Rest::Items(items, next) => {
                let item = items.get(*next)?;
                *next = next.saturating_add(1);
                Some((comma.into(), item))
            }
            Rest::Pairs(pairs) => {
                let (key, value) = pairs.pop()?;
                self.rest = Rest::Value(value, std::mem::take(pairs));
                Some((comma.into(), key))
            }
            Rest::Value(value, pairs) => {
                let value = *value;
                self.rest = Rest::Pairs(std::mem::take(pairs));
                Some((": ".into(), value))
            }
            Rest::Pieces(pieces) => pieces.pop(),
        }
    }
}

/// The short name under which this file knows what a recipe's callable makes.
fn known(recipe: Recipe) -> Option<&'static str> {
    const KNOWN: &[(&str, &str, &str)] = &[
        ("torch", "Size", "torch.Size"),
        ("torch", "device", "torch.device"),
        ("torch.serialization", "_get_layout", "layout"),
        ("torchvision.transforms.functional", "InterpolationMode", "enum"),
        ("torchvision.transforms.autoaugment", "AutoAugmentPolicy", "enum"),
    ];
    let global = recipe.callable().as_global()?;
    KNOWN.iter().find(|(module, name, _)| global.is(module, name)).map(|(_, _, known)| *known)
}

/// The dotted name of what a recipe calls or instantiates, `?` if that is itself computed.
fn class_name(recipe: Recipe) -> String {
    let callable = recipe.callable();
    match callable.as_global() {
        Some(global) if global.name == b"_reconstructor" => first_arg(recipe),
        _ => named(callable),
    }
}

/// The dotted name of a class or function, `?` if it is itself computed.
fn named(class: Object) -> String {
    match class.value() {
        Value::Global(global) => global.to_string(),
        Value::Persistent(id) => class_behind(id).map_or(String::from("?"), |it| it.to_string()),
        _ => String::from("?"),
    }
}

fn first_arg(recipe: Recipe) -> String {
    let class = recipe.args().items().and_then(|items| items.get(0));
    class.and_then(Object::as_global).map_or(String::from("?"), |global| global.to_string())
}

/// The class in a persistent id `("module", class, file, source)`.
fn class_behind(id: Object<'_>) -> Option<Global<'_>> {
    let items = id.as_tuple()?;
    let tag = items.get(0)?.as_str()?;
    (tag == "module").then(|| items.get(1)?.as_global())?
}

/// `repr` of a class or function. Whether it is a class shows only in its spelling: names
/// of classes are taken to begin with a capital.
fn global_repr(global: Global) -> String {
    let name = String::from_utf8_lossy(global.name);
    let module = String::from_utf8_lossy(global.module);
    let class = is_class(global);
    match &*module {
        "builtins" | "__builtin__" => match &*name {
            "long" => String::from("<class 'int'>"),
            "unicode" => String::from("<class 'str'>"),
            "xrange" => String::from("<class 'range'>"),
            "Ellipsis" | "NotImplemented" => name.into_owned(),
            name if class => format!("<class '{name}'>"),
            name => format!("<built-in function {name}>"),
        },
        "torch" if !class => format!("torch.{name}"),
        _ if class => format!("<class '{module}.{name}'>"),
        _ => format!("<function {name}>"),
    }
}

#[cfg(test)]
mod tests {
    use crate::base::{Budget, FileOffset, Limits};
    use crate::pickle::{Policy, run};

    fn show(stream: &[u8]) -> String {
        let bytes = stream.to_vec().into();
        let outcome = run(bytes, FileOffset(0), &Policy::inspect(), &mut Budget::default());
        let mut out = String::new();
        let root = outcome.graph.root().unwrap();
        super::repr(root, &|_| None, &mut out, &mut Budget::default()).unwrap();
        out
    }

    #[test]
    fn containers() {
        assert_eq!(show(b"(I1\nI2\nt."), "(1, 2)");
        assert_eq!(show(b"(I1\nt."), "(1,)");
        assert_eq!(show(b"((t(tt."), "((), ())");
        assert_eq!(show(b"(I1\nF0.5\nl."), "[1, 0.5]");
        assert_eq!(show(b"(I1\n(lI1\nNd."), "{1: None}");
        assert_eq!(show(b"(I1\n(lI2\nNd."), "{1: [], 2: None}");
        assert_eq!(show(b"\x80\x04\x8f(K\x01K\x02\x90."), "{1, 2}");
        assert_eq!(show(b"ctorch\nfloat32\n."), "torch.float32");
        assert_eq!(show(b"c__builtin__\nint\n."), "<class 'int'>");
        assert_eq!(show(b"ctorch\nSize\n((I1\nI2\nttR."), "torch.Size([1, 2])");
        assert_eq!(show(b"ctorch\ndevice\n(Vcuda\nI0\ntR."), "device(type='cuda', index=0)");
        assert_eq!(show(b"ccollections\nOrderedDict\n)R."), "OrderedDict()");
        let items = b"ccollections\nOrderedDict\n)R(Va\nI1\nVb\nI2\nu.";
        assert_eq!(show(items), "OrderedDict([('a', 1), ('b', 2)])");
        assert_eq!(show(b"c__main__\nThing\n)\x81."), "<__main__.Thing object>");
    }

    #[test]
    fn cycles_and_aliases() {
        assert_eq!(show(b"]q\x00h\x00a."), "[[...]]");
        assert_eq!(show(b"}q\x00K\x01h\x00s."), "{1: {...}}");
        assert_eq!(show(b"(]q\x00h\x00l."), "[[], []]");
    }

    #[test]
    fn depth_costs_no_stack_and_sharing_no_time() {
        let deep = [b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat();
        let work = move || assert_eq!(show(&deep).len(), 200_000);
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(work);
        thread.unwrap().join().unwrap();
        // Thirty lists, each holding the one before twice.
        let bomb = [b"]".to_vec(), b"2\x86".repeat(40), b".".to_vec()].concat();
        let policy = Policy::inspect();
        let outcome = run(bomb.into(), FileOffset(0), &policy, &mut Budget::default());
        let mut budget = Budget::new(Limits::default().with_visits(1_000_000));
        let root = outcome.graph.root().unwrap();
        let mut out = String::new();
        assert!(super::repr(root, &|_| None, &mut out, &mut budget).is_err());
        assert!(out.len() < 8_000_000);
    }
}
