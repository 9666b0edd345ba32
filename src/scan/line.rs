//! What Python would have done, as a line of Python: bounded in depth, items and length.

use crate::pickle::{Make, Object, Recipe, Value};

/// Characters of a line.
const LONGEST: usize = 240;
/// Levels shown. The recursion below is bounded by it, whatever the file's shape.
const DEEPEST: usize = 6;
/// Items of one level shown.
const WIDEST: usize = 6;
/// Characters of one text shown.
const TEXT: usize = 120;

/// The line of Python for a call.
pub(super) fn of_call(recipe: Recipe<'_>) -> String {
    let mut line = Line::default();
    line.call(recipe, 0);
    line.text
}

/// The line of Python for an object.
pub(super) fn of(object: Object<'_>) -> String {
    let mut line = Line::default();
    line.object(object, 0);
    line.text
}

/// The line of Python for putting something into what is there already.
pub(super) fn of_effect(target: Object<'_>, method: &str, with: Option<Object<'_>>) -> String {
    let mut line = Line::default();
    line.object(target, 0);
    line.push(method);
    line.push("(");
    if let Some(with) = with {
        line.object(with, 1);
    }
    line.push(")");
    line.text
}

#[derive(Default)]
struct Line {
    text: String,
    full: bool,
}

impl Line {
    fn push(&mut self, text: &str) {
        if self.full {
            return;
        }
        let room = LONGEST.saturating_sub(self.text.chars().count());
        let shown: String = text.chars().take(room).collect();
        self.full = shown.len() < text.len();
        self.text.push_str(&shown);
        if self.full {
            self.text.push('…');
        }
    }

    fn call(&mut self, recipe: Recipe<'_>, depth: usize) {
        let deeper = depth.saturating_add(1);
        self.object(recipe.callable(), deeper);
        let new = matches!(recipe.make(), Make::NewObj | Make::NewObjEx);
        self.push(if new { ".__new__(" } else { "(" });
        let mut first = true;
        if new {
            self.object(recipe.callable(), deeper);
            first = false;
        }
        match recipe.args().as_tuple() {
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    if !std::mem::take(&mut first) {
                        self.push(", ");
                    }
                    if index >= WIDEST {
                        self.push("…");
                        break;
                    }
                    self.object(item, deeper);
                }
            }
            None => {
                self.push(if first { "*" } else { ", *" });
                self.object(recipe.args(), deeper);
            }
        }
        if let Some(kwargs) = recipe.kwargs() {
            self.push(", **");
            self.object(kwargs, deeper);
        }
        self.push(")");
    }

    fn object(&mut self, object: Object<'_>, depth: usize) {
        if self.full {
            return;
        }
        if depth > DEEPEST {
            return self.push("…");
        }
        let deeper = depth.saturating_add(1);
        match object.value() {
            Value::None => self.push("None"),
            Value::Bool(value) => self.push(if value { "True" } else { "False" }),
            Value::Int(value) => self.push(&value.to_string()),
            Value::BigInt(_) => self.push("<int>"),
            Value::Float(value) => self.push(&format!("{value:?}")),
            Value::Text(text) => self.quoted(text.as_bytes(), ""),
            Value::Bytes(bytes) => self.quoted(bytes, "b"),
            Value::ByteArray(bytes) => {
                self.push("bytearray(");
                self.quoted(bytes, "b");
                self.push(")");
            }
            Value::Tuple(items) => {
                self.row("(", items.iter(), if items.len() == 1 { ",)" } else { ")" }, deeper);
            }
            Value::List(items) => self.row("[", items.iter(), "]", deeper),
            Value::Set(items) | Value::FrozenSet(items) => self.row("{", items.iter(), "}", deeper),
            Value::Dict(dict) => {
                self.push("{");
                for (index, (key, value)) in dict.iter().enumerate() {
                    if index > 0 {
                        self.push(", ");
                    }
                    if index >= WIDEST {
                        self.push("…");
                        break;
                    }
                    self.object(key, deeper);
                    self.push(": ");
                    self.object(value, deeper);
                }
                self.push("}");
            }
            Value::Global(global) => self.push(&printable(&global.to_string())),
            Value::Recipe(recipe) => self.call(recipe, depth),
            Value::Persistent(id) => {
                self.push("persistent_load(");
                self.object(id, deeper);
                self.push(")");
            }
            Value::Extension(code) => self.push(&format!("extension_{code}")),
            _ => self.push("<buffer>"),
        }
    }

    fn row<'graph>(
        &mut self,
        open: &str,
        items: impl Iterator<Item = Object<'graph>>,
        close: &str,
        depth: usize,
    ) {
        self.push(open);
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.push(", ");
            }
            if index >= WIDEST {
                self.push("…");
                break;
            }
            self.object(item, depth);
        }
        self.push(close);
    }

    /// A text or bytes in double quotes.
    fn quoted(&mut self, bytes: &[u8], prefix: &str) {
        self.push(prefix);
        self.push("\"");
        let head = bytes.get(..bytes.len().min(TEXT)).unwrap_or_default();
        let text = if prefix.is_empty() {
            printable(&String::from_utf8_lossy(head)).replace('"', "\\\"")
        } else {
            head.escape_ascii().to_string()
        };
        self.push(&text);
        if bytes.len() > TEXT {
            self.push("…");
        }
        self.push("\"");
    }
}

/// Text from a file with its control characters escaped.
pub(super) fn printable(text: &str) -> String {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() || is_reordering(char) {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

/// Characters that make a line read otherwise than it is.
const fn is_reordering(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
