//! JSON that is written is JSON.

use std::collections::HashSet;

use depickle::python::json::{self as tagged, Nothing, quoted};
use serde_json::Value;

use crate::{graph_of, small};

/// Any graph is written as one JSON value, in which what is referred to came before.
pub fn json(bytes: &[u8]) {
    let outcome = graph_of(bytes);
    let object = outcome.graph.root().or_else(|| outcome.graph.objects().last());
    if let Some(object) = object {
        let mut out = Vec::new();
        if tagged::write(object, &Nothing, &mut small(), &mut out).is_ok() {
            one_value(&out);
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let read: Result<String, _> = serde_json::from_str(&quoted(&text));
    assert_eq!(read.expect("a JSON string"), text);
}

/// Panics unless this is exactly one JSON value, whatever its depth, whose references lead back.
pub fn one_value(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("JSON is UTF-8");
    let depth = Syntax::check(text.trim_end_matches('\n'));
    if depth < 100 {
        let value = serde_json::from_str::<Value>(text).expect("serde_json reads it");
        references(&value);
    }
}

/// Panics unless this is exactly one JSON value. It may hold several tagged ones, whose references
/// are each one's own.
pub fn some_values(bytes: &[u8]) {
    Syntax::check(std::str::from_utf8(bytes).expect("JSON is UTF-8").trim_end_matches('\n'));
}

/// Each `$ref` names an `$id` that stands before it.
fn references(value: &Value) {
    let mut known = HashSet::new();
    let mut todo = vec![value];
    let mut refs = Vec::new();
    while let Some(value) = todo.pop() {
        match value {
            Value::Array(items) => todo.extend(items.iter().rev()),
            Value::Object(fields) => {
                if let (Some(id), Some(_), 2) =
                    (fields.get("$id"), fields.get("value"), fields.len())
                {
                    assert!(known.insert(id.as_u64().expect("a number")), "{id} twice");
                }
                if let (Some(id), 1) = (fields.get("$ref"), fields.len()) {
                    refs.push(id.as_u64().expect("a number"));
                }
                todo.extend(fields.values());
            }
            _ => {}
        }
    }
    for id in refs {
        assert!(known.contains(&id), "{id} is referred to and nowhere");
    }
}

/// The grammar of RFC 8259, with an explicit stack: documents may be a million levels deep.
struct Syntax<'text> {
    rest: &'text [u8],
}

impl Syntax<'_> {
    /// The depth of one value that is all of the text.
    fn check(text: &str) -> usize {
        let mut syntax = Syntax { rest: text.as_bytes() };
        let (mut open, mut deepest) = (Vec::new(), 0);
        loop {
            match syntax.byte() {
                Some(bracket @ (b'[' | b'{')) => {
                    let end = if bracket == b'[' { b']' } else { b'}' };
                    if syntax.next_is(end) {
                        syntax.byte();
                    } else {
                        open.push(end);
                        deepest = deepest.max(open.len());
                        syntax.key(&open);
                        continue;
                    }
                }
                Some(first) => syntax.atom(first),
                None => panic!("a value is missing"),
            }
            loop {
                let Some(&end) = open.last() else {
                    syntax.space();
                    assert!(syntax.rest.is_empty(), "something follows the value");
                    return deepest;
                };
                match syntax.byte() {
                    Some(b',') => break syntax.key(&open),
                    Some(byte) if byte == end => drop(open.pop()),
                    other => panic!("{other:?} between values"),
                }
            }
        }
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.space();
        self.rest.first() == Some(&byte)
    }

    fn byte(&mut self) -> Option<u8> {
        self.space();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn key(&mut self, open: &[u8]) {
        if open.last() == Some(&b'}') {
            assert_eq!(self.byte(), Some(b'"'), "a key is a string");
            self.string();
            assert_eq!(self.byte(), Some(b':'));
        }
    }

    fn string(&mut self) {
        loop {
            let (&first, rest) = self.rest.split_first().expect("a string ends");
            self.rest = rest;
            match first {
                b'"' => return,
                b'\\' => {
                    let (escape, rest) = self.rest.split_first().expect("an escape");
                    assert!(b"\"\\/bfnrtu".contains(escape), "an escape there is");
                    self.rest = rest;
                    if *escape == b'u' {
                        let (digits, rest) = self.rest.split_at(4);
                        assert!(digits.iter().all(u8::is_ascii_hexdigit));
                        self.rest = rest;
                    }
                }
                0..=0x1f => panic!("a control character in a string"),
                _ => {}
            }
        }
    }

    fn atom(&mut self, first: u8) {
        if first == b'"' {
            return self.string();
        }
        let end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\t' | b'\r');
        let len = self.rest.iter().position(end).unwrap_or(self.rest.len());
        let (atom, rest) = self.rest.split_at(len);
        self.rest = rest;
        let text = [&[first], atom].concat();
        let known = matches!(&text[..], b"null" | b"true" | b"false");
        assert!(known || is_number(&text), "{}", String::from_utf8_lossy(&text));
    }
}

fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_json_s() {
        for good in ["1", "-0.5e+3", "[]", "{\"a\":[1,{}],\"b\":\"\\u00e9\\n\"}", " [ 1 , null ] "]
        {
            Syntax::check(good);
            one_value(good.as_bytes());
        }
        for bad in ["", "01", "1.", "[1,]", "{1:2}", "{\"a\"}", "\"\n\"", "nul", "[1]2", "\"\\x\""]
        {
            assert!(std::panic::catch_unwind(|| Syntax::check(bad)).is_err(), "{bad}");
            assert!(serde_json::from_str::<Value>(bad).is_err(), "{bad}");
        }
        Syntax::check(&["[".repeat(1 << 20), "]".repeat(1 << 20)].concat());
    }
}
