//! Any graph as JSON in the tagged form: whatever JSON has no word for is an object with one
//! key that begins with `$`.
//!
//! Written as it is walked, on a stack of its own; sharing is kept by `$id` and `$ref`, so the
//! text is in proportion to the graph, whatever paths lead through it.

use std::fmt;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::literal;
use super::mapping::{self, Pair};
use super::meaning::{self, Instance};
use super::views::{self, Kind, View};
use crate::base::{Budget, Exceeded};
use crate::pickle::{BigInt, Dict, EffectKind, Items, Keys, Object, Recipe, Text, Value};

/// A layer above that knows some objects better, tensors say.
pub trait Known<'graph> {
    /// The JSON of an object, if it is one of those.
    fn json(&self, object: Object<'graph>) -> Option<String>;
}

/// Knows no objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl<'graph> Known<'graph> for Nothing {
    fn json(&self, _: Object<'graph>) -> Option<String> {
        None
    }
}

/// Why JSON could not be written.
#[derive(Debug)]
pub enum Error {
    /// A limit was met.
    Over(Exceeded),
    /// Where it was written to failed.
    Io(io::Error),
}

impl From<Exceeded> for Error {
    fn from(why: Exceeded) -> Self {
        Self::Over(why)
    }
}

impl From<io::Error> for Error {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over(why) => write!(f, "{why}"),
            Self::Io(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for Error {}

/// Writes `object` as one JSON value.
///
/// ```
/// use depickle::python::json;
/// use depickle::{Budget, FileOffset};
/// use depickle::pickle::{Policy, run};
///
/// let stream = b"\x80\x02]q\x00(K\x01G\x7f\xf0\0\0\0\0\0\0h\x00e."; // [1, inf, itself]
/// let mut budget = Budget::default();
/// let graph = run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
/// let mut out = Vec::new();
/// json::write(graph.root().unwrap(), &json::Nothing, &mut budget, &mut out)?;
/// assert_eq!(out, br#"{"$id":1,"value":[1,{"$float":"inf"},{"$ref":1}]}"#);
/// # Ok::<(), json::Error>(())
/// ```
///
/// # Errors
/// [`Error::Over`] if the budget does not cover a step for each value and the pairs of each
/// dict; [`Error::Io`] from `out`.
pub fn write<'graph>(
    object: Object<'graph>,
    known: &dyn Known<'graph>,
    budget: &mut Budget,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let marks = Marks::new(object, budget)?;
    let keys = Keys::new();
    let mut count = Writer { known, budget, keys, marks, ids: 0, todo: Vec::new(), out: None };
    count.run(object)?;
    let Writer { keys, marks, .. } = count;
    Writer { known, budget, keys, marks, ids: 0, todo: Vec::new(), out: Some(out) }.run(object)
}

/// For each object of the arena: how often it was met, then the number it was given.
struct Marks(Vec<u32>);

impl Marks {
    /// Met once.
    const ONCE: u32 = u32::MAX;
    /// Met again.
    const AGAIN: u32 = u32::MAX - 1;

    fn new(object: Object, budget: &mut Budget) -> Result<Self, Exceeded> {
        let len = object.graph().len();
        budget.memory((len as u64).saturating_mul(4))?;
        Ok(Self(vec![0; len]))
    }

    fn of(&mut self, object: Object) -> Option<&mut u32> {
        self.0.get_mut(object.index()?)
    }
}

/// What is left to write, the next on top.
enum Step<'graph> {
    Raw(&'static str),
    Text(String),
    Value(Object<'graph>),
    /// Values apart by commas.
    Items(Items<'graph>, usize),
    /// Members of a set, apart by commas.
    Set(std::vec::IntoIter<Object<'graph>>, bool),
    /// `[key,value]` pairs apart by commas.
    Pairs(std::vec::IntoIter<Pair<'graph>>, bool),
    /// `"key":value` members apart by commas.
    Members(std::vec::IntoIter<Pair<'graph>>, bool),
}

struct Writer<'run, 'graph> {
    known: &'run dyn Known<'graph>,
    budget: &'run mut Budget,
    keys: Keys<'graph>,
    marks: Marks,
    ids: u32,
    todo: Vec<Step<'graph>>,
    /// None while sharing is counted.
    out: Option<&'run mut dyn Write>,
}

impl<'graph> Writer<'_, 'graph> {
    fn run(&mut self, object: Object<'graph>) -> Result<(), Error> {
        self.todo.push(Step::Value(object));
        while let Some(step) = self.todo.pop() {
            match step {
                Step::Raw(text) => self.put(text)?,
                Step::Text(text) => self.put(&text)?,
                Step::Value(object) => self.value(object)?,
                Step::Items(items, at) => {
                    let Some(item) = items.get(at) else { continue };
                    self.comma(at > 0)?;
                    self.todo.push(Step::Items(items, at.saturating_add(1)));
                    self.todo.push(Step::Value(item));
                }
                Step::Set(mut members, first) => {
                    let Some(member) = members.next() else { continue };
                    self.comma(!first)?;
                    self.todo.push(Step::Set(members, false));
                    self.todo.push(Step::Value(member));
                }
                Step::Pairs(mut pairs, first) => {
                    let Some((key, value)) = pairs.next() else { continue };
                    self.comma(!first)?;
                    self.todo.push(Step::Pairs(pairs, false));
                    let (key, value) = (Step::Value(key), Step::Value(value));
                    self.next([Step::Raw("["), key, Step::Raw(","), value, Step::Raw("]")]);
                }
                Step::Members(mut pairs, first) => {
                    let Some((key, value)) = pairs.next() else { continue };
                    self.comma(!first)?;
                    self.put(&quoted(key.as_str().unwrap_or_default()))?;
                    self.put(":")?;
                    self.todo.push(Step::Members(pairs, false));
                    self.todo.push(Step::Value(value));
                }
            }
        }
        Ok(())
    }

    /// Puts steps on the stack so that the first comes next.
    fn next(
        &mut self,
        steps: impl IntoIterator<Item = Step<'graph>, IntoIter: DoubleEndedIterator>,
    ) {
        self.todo.extend(steps.into_iter().rev());
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), |out| out.write_all(text.as_bytes()))
    }

    fn comma(&mut self, wanted: bool) -> io::Result<()> {
        if wanted { self.put(",") } else { Ok(()) }
    }

    fn value(&mut self, object: Object<'graph>) -> Result<(), Error> {
        // All other steps are few for each value.
        self.budget.visits(1)?;
        match object.value() {
            Value::None => self.put("null")?,
            Value::Bool(value) => self.put(if value { "true" } else { "false" })?,
            Value::Int(value) => self.put(&int(value))?,
            Value::BigInt(value) => self.put(&big_int(value))?,
            Value::Float(value) => self.put(&float(value))?,
            Value::Text(text) => self.put(&string(text))?,
            Value::Bytes(bytes) => self.put(&tagged("$bytes", bytes))?,
            Value::Global(global) => {
                let name = quoted(&global.to_string());
                self.put(&format!("{{\"$global\":{name}}}"))?;
            }
            Value::Extension(code) => self.put(&format!("{{\"$extension\":{code}}}"))?,
            Value::Buffer { index, readonly, bytes } => {
                let bytes = bytes.map(|bytes| format!(",\"bytes\":\"{}\"", BASE64.encode(bytes)));
                let bytes = bytes.unwrap_or_default();
                let text = format!("{{\"$buffer\":{index},\"readonly\":{readonly}{bytes}}}");
                self.put(&text)?;
            }
            Value::Tuple(items) if items.is_empty() => self.put("{\"$tuple\":[]}")?,
            Value::Recipe(_) => match atom(object, self.budget)? {
                Some(text) => self.put(&text)?,
                None => self.shared(object)?,
            },
            _ => self.shared(object)?,
        }
        Ok(())
    }

    /// What is mutable or compound: in full the first time, by number after that.
    fn shared(&mut self, object: Object<'graph>) -> Result<(), Error> {
        let (counting, next) = (self.out.is_none(), self.ids.saturating_add(1));
        let Some(mark) = self.marks.of(object) else { return Ok(()) };
        match (counting, *mark) {
            (true, 0) => *mark = Marks::ONCE,
            (true, _) => {
                *mark = Marks::AGAIN;
                return Ok(());
            }
            (false, Marks::ONCE) => {}
            (false, Marks::AGAIN) => {
                (*mark, self.ids) = (next, next);
                self.put(&format!("{{\"$id\":{next},\"value\":"))?;
                self.todo.push(Step::Raw("}"));
            }
            (false, id) => return Ok(self.put(&format!("{{\"$ref\":{id}}}"))?),
        }
        self.open(object)
    }

    fn open(&mut self, object: Object<'graph>) -> Result<(), Error> {
        if let Some(json) = self.known.json(object) {
            self.put(&json)?;
            return Ok(());
        }
        let list = |open, items, close| [Step::Raw(open), Step::Items(items, 0), Step::Raw(close)];
        match object.value() {
            Value::ByteArray(bytes) => self.put(&tagged("$bytearray", bytes))?,
            Value::Tuple(items) => self.next(list("{\"$tuple\":[", items, "]}")),
            Value::List(items) => self.next(list("[", items, "]")),
            Value::Set(items) => self.set("{\"$set\":[", items)?,
            Value::FrozenSet(items) => self.set("{\"$frozenset\":[", items)?,
            Value::Persistent(id) => {
                self.next([Step::Raw("{\"$persistent\":"), Step::Value(id), Step::Raw("}")]);
            }
            Value::Dict(_) => {
                let pairs =
                    mapping::pairs_by(object, &mut self.keys, self.budget)?.unwrap_or_default();
                self.dict(pairs);
            }
            Value::Recipe(recipe) => self.recipe(recipe)?,
            _ => {}
        }
        Ok(())
    }

    fn set(&mut self, open: &'static str, items: Items<'graph>) -> Result<(), Error> {
        let members = self.keys.members(items, self.budget)?.into_iter();
        self.next([Step::Raw(open), Step::Set(members, true), Step::Raw("]}")]);
        Ok(())
    }

    fn dict(&mut self, pairs: Vec<Pair<'graph>>) {
        let plain = |(key, _): &Pair| match key.value() {
            Value::Text(text) => text
                .as_str()
                .is_some_and(|key| !key.starts_with('$') && (!text.is_python2() || key.is_ascii())),
            _ => false,
        };
        if pairs.iter().all(plain) {
            let members = Step::Members(pairs.into_iter(), true);
            self.next([Step::Raw("{"), members, Step::Raw("}")]);
        } else {
            let pairs = Step::Pairs(pairs.into_iter(), true);
            self.next([Step::Raw("{\"$dict\":["), pairs, Step::Raw("]}")]);
        }
    }

    fn recipe(&mut self, recipe: Recipe<'graph>) -> Result<(), Error> {
        let object = recipe.object();
        let plain =
            matches!(views::kind_of(object), Some(Kind::Set | Kind::FrozenSet | Kind::ByteArray));
        let view = if plain { meaning::view(object, self.budget)? } else { None };
        match view {
            Some(View::Set(items)) => self.set("{\"$set\":[", items)?,
            Some(View::FrozenSet(items)) => self.set("{\"$frozenset\":[", items)?,
            Some(View::ByteArray(raw)) => self.put(&tagged("$bytearray", &raw.to_vec()))?,
            _ => self.object(recipe)?,
        }
        Ok(())
    }

    /// Any other object: what it is of, then the parts that there are.
    fn object(&mut self, recipe: Recipe<'graph>) -> Result<(), Error> {
        let (tag, class, args) = match meaning::instance_of(recipe) {
            Some(Instance { class, args }) => ("{\"$object\":", class, args),
            None => ("{\"$call\":", recipe.callable(), Some(recipe.args())),
        };
        let mut steps = vec![Step::Raw(tag), class_step(class)];
        if let Some(args) = args {
            match args.as_tuple() {
                Some(items) if items.is_empty() => {}
                Some(items) => {
                    steps.extend([Step::Raw(",\"args\":["), Step::Items(items, 0), Step::Raw("]")]);
                }
                None => steps.extend([Step::Raw(",\"args\":"), Step::Value(args)]),
            }
        }
        let is_empty = |dict: &Object| dict.as_dict().is_some_and(Dict::is_empty);
        if let Some(kwargs) = recipe.kwargs().filter(|kwargs| !is_empty(kwargs)) {
            steps.extend([Step::Raw(",\"kwargs\":"), Step::Value(kwargs)]);
        }
        self.effects(recipe, &mut steps)?;
        steps.push(Step::Raw("}"));
        self.next(steps);
        Ok(())
    }

    fn effects(
        &mut self,
        recipe: Recipe<'graph>,
        steps: &mut Vec<Step<'graph>>,
    ) -> Result<(), Error> {
        let effects = || recipe.object().effects();
        let states: Vec<_> = effects().filter(|effect| effect.kind == EffectKind::State).collect();
        for (index, state) in states.iter().filter_map(|effect| effect.items.get(0)).enumerate() {
            let name = if index == 0 { ",\"state\":" } else { ",\"then_state\":" };
            steps.extend([Step::Raw(name), Step::Value(state)]);
        }
        for (kind, open) in
            [(EffectKind::Append, ",\"list\":["), (EffectKind::AddItems, ",\"added\":[")]
        {
            let mut first = true;
            for effect in effects().filter(|effect| effect.kind == kind) {
                steps.push(Step::Raw(if first { open } else { "," }));
                steps.push(Step::Items(effect.items, 0));
                first = false;
            }
            if !first {
                steps.push(Step::Raw("]"));
            }
        }
        if effects().any(|effect| effect.kind == EffectKind::SetItems) {
            let pairs = self.keys.unique(recipe.set_items(), self.budget)?;
            steps.push(Step::Raw(",\"items\":["));
            steps.push(Step::Pairs(pairs.into_iter(), true));
            steps.push(Step::Raw("]"));
        }
        Ok(())
    }
}

/// What a call gives that is neither mutable nor compound: its sharing means nothing.
fn atom(object: Object, budget: &mut Budget) -> Result<Option<String>, Exceeded> {
    if !matches!(views::kind_of(object), Some(Kind::Complex | Kind::Bytes | Kind::Encoded)) {
        return Ok(None);
    }
    Ok(match meaning::view(object, budget)? {
        Some(View::Complex(re, im)) => {
            Some(format!("{{\"$complex\":[{},{}]}}", float(re), float(im)))
        }
        Some(View::Bytes(raw)) => Some(tagged("$bytes", &raw.to_vec())),
        _ => None,
    })
}

/// A class by name as a string; one that is no plain global in the tagged form.
fn class_step(class: Object<'_>) -> Step<'_> {
    match class.value() {
        Value::Global(global) => Step::Text(quoted(&global.to_string())),
        _ => Step::Value(class),
    }
}

/// A JSON string.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => out.extend(format!("\\u{:04x}", u32::from(char)).chars()),
            _ => out.push(char),
        }
    }
    out.push('"');
    out
}

/// A number of at most 2⁵³, beyond which JSON's readers lose digits.
fn int(value: i64) -> String {
    if value.unsigned_abs() <= 1 << 53 {
        return value.to_string();
    }
    format!("{{\"$int\":\"{value}\"}}")
}

fn big_int(value: BigInt) -> String {
    let text = literal::big_int(value);
    let tag = if text.contains("0x") { "$int_hex" } else { "$int" };
    format!("{{\"{tag}\":\"{text}\"}}")
}

/// The shortest number that reads back the same, always with `.` or `e`.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "{\"$float\":\"nan\"}".to_owned();
    }
    if value.is_infinite() {
        return format!("{{\"$float\":\"{}\"}}", if value > 0.0 { "inf" } else { "-inf" });
    }
    format!("{value:?}")
}

fn string(text: Text) -> String {
    match text.as_str() {
        Some(str) if !text.is_python2() || str.is_ascii() => quoted(str),
        _ if text.is_python2() => tagged("$str8", text.as_bytes()),
        _ => tagged("$str", text.as_bytes()),
    }
}

fn tagged(tag: &str, bytes: &[u8]) -> String {
    format!("{{\"{tag}\":\"{}\"}}", BASE64.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FileOffset;
    use crate::pickle::{Policy, run};

    fn json(stream: &[u8]) -> String {
        let mut budget = Budget::default();
        let outcome = run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget);
        outcome.end.unwrap();
        let mut out = Vec::new();
        write(outcome.graph.root().unwrap(), &Nothing, &mut budget, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_values() {
        assert_eq!(json(b"N."), "null");
        assert_eq!(json(b"I01\n."), "true");
        assert_eq!(json(b"\x8a\x07\0\0\0\0\0\0\x20."), "9007199254740992");
        assert_eq!(json(b"\x8a\x07\x01\0\0\0\0\0\x20."), r#"{"$int":"9007199254740993"}"#);
        assert_eq!(json(b"G\x3f\xf0\0\0\0\0\0\0."), "1.0");
        assert_eq!(json(b"G\x7f\xf8\0\0\0\0\0\0."), r#"{"$float":"nan"}"#);
        assert_eq!(json(b"X\x03\0\0\0a\"\n."), r#""a\"\n""#);
        assert_eq!(json(b"X\x03\0\0\0\xed\xa0\x80."), r#"{"$str":"7aCA"}"#);
        assert_eq!(json(b"U\x01\xff."), r#"{"$str8":"/w=="}"#);
        assert_eq!(json(b"C\x02hi."), r#"{"$bytes":"aGk="}"#);
        assert_eq!(json(b"ctorch\nfloat32\n."), r#"{"$global":"torch.float32"}"#);
    }

    #[test]
    fn containers() {
        assert_eq!(json(b"(K\x01t."), r#"{"$tuple":[1]}"#);
        assert_eq!(json(b"(X\x01\0\0\0aK\x01d."), r#"{"a":1}"#);
        assert_eq!(json(b"(K\x01K\x02d."), r#"{"$dict":[[1,2]]}"#);
        assert_eq!(json(b"(X\x02\0\0\0$aK\x01d."), r#"{"$dict":[["$a",1]]}"#);
        assert_eq!(
            json(b"(X\x01\0\0\0aK\x01X\x01\0\0\0bK\x02X\x01\0\0\0aK\x03d."),
            r#"{"a":3,"b":2}"#
        );
        assert_eq!(json(b"\x8f(K\x02K\x01\x90."), r#"{"$set":[2,1]}"#);
        assert_eq!(json(b"\x8f(K\x02K\x01\x88K\x02\x90."), r#"{"$set":[2,1]}"#);
    }

    #[test]
    fn objects_and_calls() {
        assert_eq!(
            json(b"ccollections\nOrderedDict\n)R(K\x01K\x02u."),
            r#"{"$object":"collections.OrderedDict","items":[[1,2]]}"#
        );
        assert_eq!(
            json(b"cm\nC\n)\x81}X\x01\0\0\0aK\x01sb."),
            r#"{"$object":"m.C","state":{"a":1}}"#
        );
        assert_eq!(json(b"cm\nf\nK\x01\x85R."), r#"{"$call":"m.f","args":[1]}"#);
        assert_eq!(json(b"c__builtin__\nset\n](K\x01e\x85R."), r#"{"$set":[1]}"#);
        assert_eq!(
            json(b"c_codecs\nencode\nX\x02\0\0\0\xc3\xbfX\x06\0\0\0latin1\x86R."),
            r#"{"$bytes":"/w=="}"#
        );
    }

    #[test]
    fn sharing_is_kept() {
        assert_eq!(json(b"]q\x00h\x00\x86."), r#"{"$tuple":[{"$id":1,"value":[]},{"$ref":1}]}"#);
        assert_eq!(json(b"]q\x00h\x00a."), r#"{"$id":1,"value":[{"$ref":1}]}"#);
        let bytes = b"c_codecs\nencode\n(Vx\nVlatin1\ntR\x85q\x000h\x00h\x00\x86.";
        let tuple = r#"{"$tuple":[{"$bytes":"eA=="}]}"#;
        assert_eq!(
            json(bytes),
            format!(r#"{{"$tuple":[{{"$id":1,"value":{tuple}}},{{"$ref":1}}]}}"#)
        );
        // Equal, but not the same.
        assert_eq!(json(b"]]\x86."), r#"{"$tuple":[[],[]]}"#);
    }

    #[test]
    fn a_million_deep_on_a_small_stack() {
        let work = || {
            let deep = [&b"](".repeat(1_000_000)[..], &b"e".repeat(1_000_000), b"."].concat();
            assert_eq!(json(&deep).len(), 2_000_000);
        };
        std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join().unwrap();
    }
}
