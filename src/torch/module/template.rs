//! The little language in which rules say what a class prints.
//!
//! - `{x}` is `str(self.x)`, `{x!r}` its `repr`; `{x?}` is `True` if `self.x is not None`.
//! - `{x=text}` prints `text` where files of older versions lack the attribute.
//! - `[condition|text]` prints `text`, itself a template, if the condition holds: `x`
//!   (truthy), `x?` (`is not None`), `x!=value`, `x==value`; `!` before it negates. An
//!   attribute that is missing has its default: it differs from no value.
//! - `value` is a number, `None`, `True`, `False`, a bare text, or `0*`: a tuple of nothing
//!   but 0.
//! - `x.y` goes on to an attribute, `x.0` to an item, `x.shape` to a tensor's sizes,
//!   `x.tuple` shows them as a tuple, `x.qscheme` to its scheme, `x.name` to the name of a
//!   class or function, `x.typename` to the name of an object's type, `x.len` to the number of
//!   items or children.
//! - `{class}` is the name of the module's class. `\` takes the next character as it is.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::tensor_text::{Values, meta_repr, tensor_format, tensor_repr};
use super::{Class, Module, TensorSummary, Tensors, print};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Object, Value};
use crate::python::repr::{repr, str};

/// What templates are evaluated against.
pub(super) struct Scope<'call, 'graph> {
    pub(super) module: Module<'graph>,
    pub(super) name: &'call str,
    pub(super) tensors: &'call dyn Tensors<'graph>,
    /// How many modules this one is an attribute of an attribute of.
    nested: u8,
    /// Steps that finding an attribute costs, once one was looked for.
    cost: OnceCell<u64>,
}

/// What a path leads to.
enum Found<'graph> {
    Object(Object<'graph>),
    Text(String),
    Missing,
}

impl Found<'_> {
    /// Whether it is there and not `None`.
    fn is_some(&self) -> bool {
        match self {
            Self::Object(object) => !object.is_none(),
            Self::Text(_) => true,
            Self::Missing => false,
        }
    }
}

impl<'call, 'graph> Scope<'call, 'graph> {
    pub(super) const fn new(
        module: Module<'graph>,
        name: &'call str,
        tensors: &'call dyn Tensors<'graph>,
        nested: u8,
    ) -> Self {
        Self { module, name, tensors, nested, cost: OnceCell::new() }
    }

    /// Appends what `template` says of the module.
    pub(super) fn expand(
        &self,
        template: &str,
        out: &mut String,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        // Templates are this crate's, so their nesting is what the tables hold: at most 3.
        let mut rest = template;
        while let Some(at) = rest.find(['{', '[', '\\']) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let mut chars = from.chars();
            let first = chars.next();
            rest = chars.as_str();
            match first {
                Some('{') => {
                    let (inner, after) = rest.split_once('}').unwrap_or((rest, ""));
                    self.field(inner, out, budget)?;
                    rest = after;
                }
                Some('[') => {
                    let (inner, after) = bracketed(rest);
                    let (condition, text) = inner.split_once('|').unwrap_or((inner, ""));
                    if self.holds(condition, budget)? {
                        self.expand(text, out, budget)?;
                    }
                    rest = after;
                }
                _ => {
                    let mut chars = rest.chars();
                    out.extend(chars.next());
                    rest = chars.as_str();
                }
            }
        }
        out.push_str(rest);
        Ok(())
    }

    fn field(&self, field: &str, out: &mut String, budget: &mut Budget) -> Result<(), Exceeded> {
        if field == "class" {
            out.push_str(self.name);
            return Ok(());
        }
        let (path, default) = match field.split_once('=') {
            Some((path, default)) => (path, Some(default)),
            None => (field, None),
        };
        if let Some(path) = path.strip_suffix('?') {
            let is = self.find(path, budget)?.is_some();
            out.push_str(if is { "True" } else { "False" });
            return Ok(());
        }
        let (path, quoted) = match path.strip_suffix("!r") {
            Some(path) => (path, true),
            None => (path, false),
        };
        match self.find(path, budget)? {
            Found::Object(object) => self.show(object, quoted, out, budget)?,
            Found::Text(text) => out.push_str(&text),
            Found::Missing => match default {
                Some(default) => out.push_str(default),
                None => out.push_str(&["<no ", path, ">"].concat()),
            },
        }
        Ok(())
    }

    /// `str` or `repr` of an attribute.
    pub(super) fn show(
        &self,
        object: Object<'graph>,
        quoted: bool,
        out: &mut String,
        budget: &mut Budget,
    ) -> Result<(), Exceeded> {
        let explain = |object: Object<'graph>| self.tensor(object, tensor_repr);
        if let Some(text) = (!quoted).then(|| self.tensor(object, tensor_format)).flatten() {
            out.push_str(&text);
            return Ok(());
        }
        if let Some(module) = Module::within(object, budget)? {
            let text = print::nested(module, self.tensors, self.nested, budget)?;
            out.push_str(&text);
            return Ok(());
        }
        let shown = if quoted { repr } else { str };
        shown(object, &explain, out, budget)
    }

    /// The text of a tensor; `tensor(...)` if its values cannot be had.
    fn tensor(
        &self,
        object: Object<'graph>,
        text: fn(&TensorSummary, &Values) -> Option<String>,
    ) -> Option<String> {
        let summary = self.tensors.describe(object)?;
        if summary.device == "meta" {
            return Some(meta_repr(&summary));
        }
        let text = self.tensors.values(object).and_then(|values| text(&summary, &values));
        Some(text.unwrap_or_else(|| String::from("tensor(...)")))
    }

    fn find(&self, path: &str, budget: &mut Budget) -> Result<Found<'graph>, Exceeded> {
        budget.visits(*self.cost.get_or_init(|| self.module.getattr_cost()))?;
        let mut parts = path.split('.');
        let first = parts.next().unwrap_or_default();
        let Some(mut object) = self.module.getattr(first) else { return Ok(Found::Missing) };
        while let Some(part) = parts.next() {
            budget.visits(super::effort(object))?;
            if let Some(text) = self.special(object, part, parts.clone().next()) {
                return Ok(Found::Text(text));
            }
            match step(object, part) {
                Some(next) => object = next,
                None => return Ok(Found::Missing),
            }
        }
        Ok(Found::Object(object))
    }

    /// What is no object in the file: shapes, schemes, names.
    fn special(&self, object: Object<'graph>, part: &str, next: Option<&str>) -> Option<String> {
        match part {
            "shape" => {
                let shape = self.tensors.describe(object)?.shape?;
                let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
                match next {
                    Some("tuple") if sizes.len() == 1 => Some(format!("({},)", sizes.concat())),
                    Some("tuple") => Some(format!("({})", sizes.join(", "))),
                    Some(index) => sizes.get(index.parse::<usize>().ok()?).cloned(),
                    None => Some(format!("torch.Size([{}])", sizes.join(", "))),
                }
            }
            "qscheme" => {
                let scheme = self.tensors.describe(object)?.qscheme?;
                Some(format!("torch.{scheme}"))
            }
            "name" => {
                let global = object.as_global()?;
                let name = String::from_utf8_lossy(global.name).into_owned();
                Some(name.rsplit('.').next().unwrap_or_default().to_owned())
            }
            "len" => match object.value() {
                Value::List(items) | Value::Tuple(items) => Some(items.len().to_string()),
                _ => {
                    let children = Module::view(object)?.attribute("_modules")?;
                    Some(children.as_dict()?.len().to_string())
                }
            },
            "typename" => Some(Class::of(object.as_recipe()?).name().to_owned()),
            _ => None,
        }
    }

    fn holds(&self, condition: &str, budget: &mut Budget) -> Result<bool, Exceeded> {
        if let Some((path, value)) = condition.split_once("!=") {
            return Ok(match self.find(path, budget)? {
                Found::Object(object) => !equals(object, value),
                Found::Text(text) => text != value,
                Found::Missing => false,
            });
        }
        if let Some((path, value)) = condition.split_once("==") {
            return Ok(match self.find(path, budget)? {
                Found::Object(object) => equals(object, value),
                Found::Text(text) => text == value,
                Found::Missing => true,
            });
        }
        let (path, negated) = match condition.strip_prefix('!') {
            Some(path) => (path, true),
            None => (condition, false),
        };
        let holds = match path.strip_suffix('?') {
            Some(path) => self.find(path, budget)?.is_some(),
            None => match self.find(path, budget)? {
                Found::Object(object) => truthy(object),
                Found::Text(text) => !text.is_empty(),
                Found::Missing => false,
            },
        };
        Ok(holds != negated)
    }
}

/// What stands before the `]` that closes an opened `[`, and what after it.
fn bracketed(text: &str) -> (&str, &str) {
    let mut depth = 0_u32;
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => depth = depth.saturating_add(1),
            ']' if depth == 0 => {
                let after = text.get(at..).and_then(|rest| rest.strip_prefix(']'));
                return (text.get(..at).unwrap_or_default(), after.unwrap_or_default());
            }
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    (text, "")
}

/// An item or attribute of an object.
fn step<'graph>(object: Object<'graph>, part: &str) -> Option<Object<'graph>> {
    if let Ok(index) = part.parse::<usize>() {
        let size = object.as_recipe().and_then(|recipe| recipe.args().items()?.get(0));
        return size.unwrap_or(object).items()?.get(index);
    }
    if let Some(module) = Module::view(object) {
        return module.getattr(part);
    }
    let recipe = object.as_recipe()?;
    if part == "value" {
        return recipe.args().items()?.get(0);
    }
    match part {
        "state" => recipe.state(),
        _ => super::lookup(recipe.state()?, part),
    }
}

/// Python's `object == value` for the values that conditions name.
#[expect(clippy::cast_precision_loss, reason = "compared with small literals")]
fn equals(object: Object, value: &str) -> bool {
    if let Some(each) = value.strip_suffix('*') {
        const DIMENSIONS: usize = 64;
        let items = object.as_tuple().filter(|items| items.len() <= DIMENSIONS);
        return items.is_some_and(|items| items.iter().all(|item| equals(item, each)));
    }
    let number = match value {
        "True" => Some(1.0),
        "False" => Some(0.0),
        _ => value.parse::<f64>().ok(),
    };
    match object.value() {
        Value::None => value == "None",
        Value::Bool(is) => number == Some(f64::from(u8::from(is))),
        Value::Int(is) => number == Some(is as f64),
        Value::Float(is) => number == Some(is),
        Value::Text(_) => object.is_text(value),
        Value::Tuple(_) | Value::List(_) => shown(object) == value,
        Value::Global(global) => global.to_string() == value,
        _ => false,
    }
}

/// A flat tuple or list of integers as a condition spells it: `0,0`.
fn shown(object: Object) -> Cow<'static, str> {
    let items = object.items().filter(|items| items.len() <= 8);
    let texts = items.into_iter().flat_map(|items| {
        items.iter().map(|item| item.as_int().map_or(String::from("?"), |int| int.to_string()))
    });
    Cow::Owned(texts.collect::<Vec<_>>().join(","))
}

/// Python's `bool(object)`.
fn truthy(object: Object) -> bool {
    match object.value() {
        Value::None => false,
        Value::Bool(value) => value,
        Value::Int(value) => value != 0,
        Value::Float(value) => value != 0.0,
        Value::Text(text) => !text.as_bytes().is_empty(),
        Value::Bytes(bytes) | Value::ByteArray(bytes) => !bytes.is_empty(),
        Value::Tuple(items) | Value::List(items) | Value::Set(items) | Value::FrozenSet(items) => {
            !items.is_empty()
        }
        Value::Dict(dict) => !dict.is_empty(),
        _ => true,
    }
}
