//! Views as Python's `repr` writes them, in pieces: what holds objects is taken apart, and the
//! printers go through the parts on stacks of their own.
//!
//! Source: `__repr__` of each class in CPython 3.11.

use std::borrow::Cow;

use super::super::{literal, mapping};
use super::*;
use crate::base::Exceeded;
use crate::pickle::{Global, Pair};

/// How a view is written.
pub(crate) enum Spelling<'graph> {
    /// All of it.
    Text(String),
    /// As Python writes it, which says less than there is.
    Opaque(String),
    /// With objects in it.
    Parts(Parts<'graph>),
}

/// `before`, a bracket around parts apart by commas, `after`.
pub(crate) struct Parts<'graph> {
    pub before: String,
    /// One object more, before the bracket.
    pub lead: Option<Object<'graph>>,
    /// Python's own way with a partial that leads: it thinks that it is being shown already.
    pub lead_elided: bool,
    pub bracket: Bracket,
    pub parts: Vec<(Label<'graph>, Object<'graph>)>,
    pub after: String,
    /// What else was set on it, of which `repr` says nothing.
    pub attributes: Vec<Pair<'graph>>,
    /// What stands for it inside itself.
    pub cycle: &'static str,
    /// Whether it is a container, of which each part gets a line of its own.
    pub lines: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bracket {
    None,
    List,
    Dict,
    /// `[(key, value), …]`; as a dict where each part has its line.
    Pairs,
    /// `type[…]`, its parameters as types are written in them.
    Types,
}

/// What stands before a part.
pub(crate) enum Label<'graph> {
    None,
    /// `key: `
    Key(Object<'graph>),
    /// `name=`
    Name(String),
}

/// Pieces in order: a text, then an object; and what comes after the last.
pub(crate) type Pieces<'graph> = (Vec<(Cow<'static, str>, Object<'graph>)>, String);

impl<'graph> Parts<'graph> {
    fn new(before: impl Into<String>, after: impl Into<String>) -> Self {
        Self {
            before: before.into(),
            lead: None,
            lead_elided: false,
            attributes: Vec::new(),
            bracket: Bracket::None,
            parts: Vec::new(),
            after: after.into(),
            cycle: "...",
            lines: false,
        }
    }

    fn unlabelled(mut self, parts: impl IntoIterator<Item = Object<'graph>>) -> Self {
        self.parts.extend(parts.into_iter().map(|part| (Label::None, part)));
        self
    }

    fn named(mut self, names: Vec<Pair<'graph>>) -> Self {
        let label = |name: Object| match name.value() {
            Value::Text(text) => Label::Name(text.to_string_lossy().into_owned()),
            _ => Label::Name(String::from("?")),
        };
        self.parts.extend(names.into_iter().map(|(name, value)| (label(name), value)));
        self
    }

    fn keyed(mut self, bracket: Bracket, pairs: Vec<Pair<'graph>>) -> Self {
        self.bracket = bracket;
        self.parts.extend(pairs.into_iter().map(|(key, value)| (Label::Key(key), value)));
        self.container()
    }

    const fn container(mut self) -> Self {
        self.lines = true;
        self
    }

    fn spelled(self) -> Result<Option<Spelling<'graph>>, Exceeded> {
        Ok(Some(Spelling::Parts(self)))
    }

    /// What opens and closes the bracket when each part has its line.
    pub(crate) const fn brackets(&self) -> (&'static str, &'static str) {
        match self.bracket {
            Bracket::None => ("", ""),
            Bracket::List | Bracket::Types => ("[", "]"),
            Bracket::Dict | Bracket::Pairs => ("{", "}"),
        }
    }

    /// All of it on one line.
    pub(crate) fn pieces(self) -> Pieces<'graph> {
        let mut pieces: Vec<(Cow<str>, Object)> = Vec::new();
        let pairs = self.bracket == Bracket::Pairs;
        let (open, close) = if pairs { ("[", "]") } else { self.brackets() };
        let mut text = self.before;
        if self.lead_elided {
            text.push_str("..., ");
        } else if let Some(lead) = self.lead {
            pieces.push((std::mem::take(&mut text).into(), lead));
            text.push_str(", ");
        }
        text.push_str(open);
        let written = !self.parts.is_empty();
        for (label, part) in self.parts {
            match label {
                Label::None => {}
                Label::Name(name) => text.extend([&name, "="]),
                Label::Key(key) => {
                    text.push_str(if pairs { "(" } else { "" });
                    pieces.push((std::mem::take(&mut text).into(), key));
                    text.push_str(if pairs { ", " } else { ": " });
                }
            }
            match part.value() {
                Value::Global(_) if self.bracket == Bracket::Types => {
                    text.push_str(&type_name(part));
                }
                _ => pieces.push((std::mem::take(&mut text).into(), part)),
            }
            text.push_str(if pairs { "), " } else { ", " });
        }
        if written {
            // What separates parts came after the last one too.
            text.truncate(text.len().saturating_sub(2));
        }
        text.push_str(close);
        text.push_str(&self.after);
        (pieces, text)
    }
}

fn text<'graph>(text: impl Into<String>) -> Result<Option<Spelling<'graph>>, Exceeded> {
    Ok(Some(Spelling::Text(text.into())))
}

/// How Python writes what a view stands for; none for instances of classes with a `repr` of
/// their own.
pub(crate) fn spell<'graph>(
    view: &View<'graph>,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    match view {
        View::Complex(re, im) => text(literal::complex(*re, *im)),
        View::Bytes(raw) => text(literal::bytes(&copy(*raw, budget)?)),
        View::ByteArray(raw) => {
            text(format!("bytearray({})", literal::bytes(&copy(*raw, budget)?)))
        }
        View::Set(items) | View::FrozenSet(items) | View::List(items) | View::Tuple(items) => {
            items_of(view, *items, budget)
        }
        View::Scalar(scalar) => text(match scalar {
            Scalar::Int(value) => value.to_string(),
            Scalar::Float(value) => literal::float(*value),
            Scalar::Bool(value) => String::from(if *value { "True" } else { "False" }),
            Scalar::Text(given) => {
                let bytes = given.map_or(&b""[..], |text| text.as_bytes());
                budget.memory(bytes.len() as u64)?;
                literal::text(bytes)
            }
        }),
        View::Range(Range { start, stop, step }) => text(match step {
            Int::Small(1) => format!("range({start}, {stop})"),
            _ => format!("range({start}, {stop}, {step})"),
        }),
        View::Slice(parts) => Parts::new("slice(", ")").unlabelled(*parts).spelled(),
        View::Singleton(singleton) => text(match singleton {
            Singleton::None => "None",
            Singleton::Ellipsis => "Ellipsis",
            Singleton::NotImplemented => "NotImplemented",
        }),
        View::Type(of) => text(match of {
            Singleton::None => "<class 'NoneType'>",
            Singleton::Ellipsis => "<class 'ellipsis'>",
            Singleton::NotImplemented => "<class 'NotImplementedType'>",
        }),
        View::Object => text("<object object>"),
        View::Exception(Exception { class, args, attributes }) => {
            let before = format!("{}(", short(*class));
            let mut parts = Parts::new(before, ")").unlabelled(paid(*args, budget)?);
            parts.attributes = attributes_of(*attributes, budget)?;
            parts.spelled()
        }
        View::Attribute(attribute) => attribute_of(*attribute),
        View::Partial(partial) => partial_of(*partial, budget),
        View::Caller(caller) => caller_of(*caller, budget),
        View::Iteration(iteration) => iteration_of(*iteration),
        View::Mapping(mapping) => mapping_of(*mapping, budget),
        View::Deque(deque) => {
            let after = match deque.maxlen {
                Some(maxlen) => format!(", maxlen={maxlen})"),
                None => String::from(")"),
            };
            let mut items = Vec::new();
            for item in deque.items() {
                budget.visits(1)?;
                budget.push(&mut items, item)?;
            }
            let mut parts = Parts::new("deque(", after).unlabelled(items).container();
            (parts.bracket, parts.cycle) = (Bracket::List, "[...]");
            parts.spelled()
        }
        View::ChainMap(maps) => {
            let maps = paid(*maps, budget)?;
            Parts::new("ChainMap(", ")").unlabelled(maps).container().spelled()
        }
        View::User(data) => Parts::new("", "").unlabelled([*data]).spelled(),
        View::Generic(Generic { origin, parameters }) => {
            let mut parts = Parts::new("", "").unlabelled(match parameters.as_tuple() {
                Some(all) => paid(all, budget)?,
                None => vec![*parameters],
            });
            (parts.before, parts.bracket) = (type_name(*origin), Bracket::Types);
            parts.spelled()
        }
        View::SimpleNamespace(attributes) | View::Namespace(attributes) => {
            let name = match view {
                View::Namespace(_) => "Namespace(",
                _ => "namespace(",
            };
            let pairs = attributes_of(*attributes, budget)?;
            Parts::new(name, ")").named(pairs).container().spelled()
        }
        View::Member(class, value) => member_of(*class, *value),
        View::Random(_) => {
            Ok(Some(Spelling::Opaque(String::from("<random.Random object>"))))
        }
        View::Fraction(Fraction { numerator, denominator }) => {
            text(format!("Fraction({numerator}, {denominator})"))
        }
        View::Decimal(decimal) => text(format!("Decimal('{decimal}')")),
        View::Date(Date { year, month, day }) => {
            text(format!("datetime.date({year}, {month}, {day})"))
        }
        View::DateTime(DateTime { date: Date { year, month, day }, time, tzinfo }) => {
            let clock = clock(*time);
            moment(format!("datetime.datetime({year}, {month}, {day}, {clock}"), *tzinfo)
        }
        View::Time(time, tzinfo) => moment(format!("datetime.time({}", clock(*time)), *tzinfo),
        View::TimeDelta(span) => text(timedelta(*span)),
        View::TimeZone(zone) => text(timezone(*zone)),
        View::Zone(key) => text(format!("zoneinfo.ZoneInfo(key={})", literal::text(key.as_bytes()))),
        View::Uuid(uuid) => text(format!("UUID('{uuid}')")),
        View::Path(path) => {
            let joined = path.as_posix(budget)?;
            text(format!("{}({})", short(path.class), literal::text(joined.as_bytes())))
        }
        View::Pattern(pattern) => pattern_of(*pattern, budget),
        View::Logger(name) => match name {
            Some(name) => text(format!("<Logger {}>", name.escape_debug())),
            None => text("<RootLogger root>"),
        },
        View::Ip(ip) => text(format!("{}('{ip}')", short(ip.class))),
        View::Array(array) => array_of(*array, budget),
        View::Instance(_) => Ok(None),
    }
}

fn copy(raw: Raw, budget: &mut Budget) -> Result<Vec<u8>, Exceeded> {
    let len = match raw {
        Raw::Bytes(bytes) => bytes.len(),
        Raw::Latin1(text) => text.len(),
    };
    budget.visits(len as u64 / 64)?;
    // The copy, and four characters for a byte.
    budget.memory((len as u64).saturating_mul(5))?;
    Ok(raw.to_vec())
}

/// Items in a vector that is paid for.
fn paid<'graph>(items: Items<'graph>, budget: &mut Budget) -> Result<Vec<Object<'graph>>, Exceeded> {
    let len = items.len() as u64;
    budget.visits(len)?;
    budget.memory(len.saturating_mul(96))?;
    Ok(items.iter().collect())
}

fn items_of<'graph>(
    view: &View<'graph>,
    items: Items<'graph>,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let (before, after, empty, cycle) = match view {
        View::Set(_) => ("{", "}", "set()", "set(...)"),
        View::FrozenSet(_) => ("frozenset({", "})", "frozenset()", "frozenset(...)"),
        View::Tuple(_) if items.len() == 1 => ("(", ",)", "()", "(...)"),
        View::Tuple(_) => ("(", ")", "()", "(...)"),
        _ => ("[", "]", "[]", "[...]"),
    };
    if items.is_empty() {
        return text(empty);
    }
    let mut parts = Parts::new(before, after).unlabelled(paid(items, budget)?).container();
    parts.cycle = cycle;
    parts.spelled()
}

/// The last part of a dotted name.
fn short(global: Global) -> String {
    let name = String::from_utf8_lossy(global.name);
    name.rsplit('.').next().unwrap_or_default().escape_debug().to_string()
}

/// A type as it is written among the parameters of another.
pub(crate) fn type_name(object: Object) -> String {
    match object.value() {
        Value::Global(global) if crate::python::names::is_builtins(global.module) => {
            match global.name {
                b"long" => String::from("int"),
                b"unicode" => String::from("str"),
                _ => short(global),
            }
        }
        Value::Global(global) => global.to_string().escape_debug().to_string(),
        _ => String::from("?"),
    }
}

/// Methods that belong to a built-in class rather than to its instances.
const OF_CLASSES: &[&str] =
    &["fromkeys", "maketrans", "from_bytes", "fromhex", "__new__", "__init_subclass__"];

fn attribute_of<'graph>(
    Attribute { owner, name }: Attribute<'graph>,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let name = name.escape_debug().to_string();
    match owner.value() {
        Value::Global(global) if crate::python::names::is_builtins(global.module) => {
            if OF_CLASSES.contains(&name.as_str()) {
                return text(format!("<built-in method {name} of type object>"));
            }
            text(format!("<method '{name}' of '{}' objects>", short(global)))
        }
        Value::Global(global) => {
            let class = global.to_string().escape_debug().to_string();
            let capitals = name.chars().filter(|char| char.is_alphabetic());
            let constant = name.len() > 1 && capitals.clone().all(char::is_uppercase);
            match name.trim_start_matches('_').chars().next() {
                // What PEP 8 spells as a constant is a member of an enumeration.
                Some(_) if constant => text(format!("<{}.{name}>", short(global))),
                Some(first) if first.is_uppercase() => text(format!("<class '{class}.{name}'>")),
                _ => text(format!("<function {}.{name}>", short(global))),
            }
        }
        Value::Recipe(recipe) => {
            let class = recipe.callable().as_global().map_or(String::from("?"), short);
            let before = format!("<bound method {class}.{name} of ");
            Parts::new(before, ">").unlabelled([owner]).spelled()
        }
        _ => text(format!("<built-in method {name} of {} object>", owner.kind())),
    }
}

fn attributes_of<'graph>(
    attributes: Option<Dict<'graph>>,
    budget: &mut Budget,
) -> Result<Vec<Pair<'graph>>, Exceeded> {
    attributes.map_or(Ok(Vec::new()), |dict| mapping::distinct(dict.iter(), budget))
}

fn partial_of<'graph>(
    partial: Partial<'graph>,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let args = paid(partial.args, budget)?;
    let named = attributes_of(partial.kwargs, budget)?;
    let parts = Parts::new("functools.partial(", ")");
    let mut parts = parts.unlabelled([partial.func]).unlabelled(args).named(named);
    parts.attributes = attributes_of(partial.attributes, budget)?;
    parts.spelled()
}

fn caller_of<'graph>(
    caller: Caller<'graph>,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let before = match caller.kind {
        CallerKind::ItemGetter => "operator.itemgetter(",
        CallerKind::AttrGetter => "operator.attrgetter(",
        CallerKind::MethodCaller => "operator.methodcaller(",
    };
    let args = paid(caller.args, budget)?;
    let named = attributes_of(caller.kwargs, budget)?;
    Parts::new(before, ")").unlabelled(caller.name).unlabelled(args).named(named).spelled()
}

fn iteration_of(iteration: Iteration) -> Result<Option<Spelling>, Exceeded> {
    let kind = match iteration {
        Iteration::Count { start, step } => {
            let Some(start) = start else { return text("count(0)") };
            let step = step.filter(|step| step.as_int() != Some(1));
            return Parts::new("count(", ")").unlabelled([start]).unlabelled(step).spelled();
        }
        Iteration::Repeat { object, times } => {
            let after = times.map_or(String::from(")"), |times| format!(", {times})"));
            return Parts::new("repeat(", after).unlabelled([object]).spelled();
        }
        Iteration::Iter { over, .. } => match over.value() {
            Value::List(_) => "list_iterator",
            Value::Tuple(_) => "tuple_iterator",
            Value::Text(text) if text.as_bytes().is_ascii() => "str_ascii_iterator",
            Value::Text(_) => "str_iterator",
            Value::Bytes(_) => "bytes_iterator",
            _ if functools::direct(over).is_some_and(|(kind, _)| kind == Kind::Range) => {
                "range_iterator"
            }
            _ => "bytes_iterator",
        },
        Iteration::Reversed { over, .. } => match over.value() {
            Value::List(_) => "list_reverseiterator",
            _ => "reversed",
        },
        Iteration::Enumerate { .. } => "enumerate",
        Iteration::Cycle { .. } => "itertools.cycle",
        Iteration::Chain { .. } => "itertools.chain",
    };
    Ok(Some(Spelling::Opaque(format!("<{kind} object>"))))
}

fn mapping_of<'graph>(
    mapping: Mapping<'graph>,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let mut pairs = mapping.pairs(budget)?;
    budget.memory((pairs.len() as u64).saturating_mul(160))?;
    let (before, after, bracket) = match mapping.kind {
        MappingKind::Dict => ("", "", Bracket::Dict),
        MappingKind::OrderedDict => ("OrderedDict(", ")", Bracket::Pairs),
        MappingKind::Counter => ("Counter(", ")", Bracket::Dict),
        MappingKind::DefaultDict => ("defaultdict(", ")", Bracket::Dict),
    };
    if pairs.is_empty() && matches!(mapping.kind, MappingKind::OrderedDict | MappingKind::Counter) {
        return text([before, after].concat());
    }
    if mapping.kind == MappingKind::Counter && pairs.iter().all(|(_, n)| n.as_int().is_some()) {
        pairs.sort_by_key(|(_, count)| std::cmp::Reverse(count.as_int()));
    }
    let mut parts = Parts::new(before, after).keyed(bracket, pairs);
    if mapping.kind == MappingKind::DefaultDict {
        let partial = |factory: Object| {
            functools::direct(factory).is_some_and(|(kind, _)| kind == Kind::Partial)
        };
        match mapping.factory {
            None => parts.before.push_str("None, "),
            factory => {
                parts.lead = factory;
                parts.lead_elided = factory.is_some_and(partial);
            }
        }
    }
    parts.attributes = attributes_of(mapping.attributes, budget)?;
    parts.cycle = if mapping.kind == MappingKind::OrderedDict { "..." } else { "{...}" };
    parts.spelled()
}

/// The names that `uuid.SafeUUID` gives its values; others keep theirs to themselves.
fn member_of<'graph>(
    class: Object<'graph>,
    value: Object<'graph>,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let name = match value.value() {
        Value::Int(0) => "safe",
        Value::Int(-1) => "unsafe",
        Value::None => "unknown",
        _ => return Ok(None),
    };
    let class = class.as_global().map_or(String::from("?"), short);
    Parts::new(format!("<{class}.{name}: "), ">").unlabelled([value]).spelled()
}

/// `3, 4` and, if there are any, seconds and microseconds, and the fold.
fn clock(Time { hour, minute, second, microsecond, fold }: Time) -> String {
    let mut out = format!("{hour}, {minute}");
    if (second, microsecond) != (0, 0) {
        out += &format!(", {second}");
    }
    if microsecond != 0 {
        out += &format!(", {microsecond}");
    }
    out + if fold { ", fold=1" } else { "" }
}

fn moment(before: String, tzinfo: Option<Object>) -> Result<Option<Spelling>, Exceeded> {
    match tzinfo {
        None => text(before + ")"),
        Some(zone) => Parts::new(before + ", tzinfo=", ")").unlabelled([zone]).spelled(),
    }
}

fn timedelta(TimeDelta { days, seconds, microseconds }: TimeDelta) -> String {
    let part = |name, value: i64| (value != 0).then(|| format!("{name}={value}"));
    let parts = [
        part("days", days),
        part("seconds", seconds.into()),
        part("microseconds", microseconds.into()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => String::from("datetime.timedelta(0)"),
        false => format!("datetime.timedelta({})", parts.join(", ")),
    }
}

fn timezone(TimeZone { offset, name }: TimeZone) -> String {
    let utc = offset == TimeDelta { days: 0, seconds: 0, microseconds: 0 };
    match name {
        None if utc => String::from("datetime.timezone.utc"),
        None => format!("datetime.timezone({})", timedelta(offset)),
        Some(name) => {
            let name = literal::text(name.as_bytes());
            format!("datetime.timezone({}, {name})", timedelta(offset))
        }
    }
}

/// `re.compile('…', re.IGNORECASE)`: 200 characters of the pattern.
fn pattern_of<'graph>(
    Pattern { pattern, flags }: Pattern,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    const FLAGS: &[(i64, &str)] = &[
        (1, "re.TEMPLATE"),
        (2, "re.IGNORECASE"),
        (4, "re.LOCALE"),
        (8, "re.MULTILINE"),
        (16, "re.DOTALL"),
        (32, "re.UNICODE"),
        (64, "re.VERBOSE"),
        (128, "re.DEBUG"),
        (256, "re.ASCII"),
    ];
    let (shown, is_text) = match pattern.value() {
        Value::Text(text) => {
            budget.memory(text.as_bytes().len() as u64)?;
            (literal::text(text.as_bytes()), true)
        }
        Value::Bytes(bytes) => (literal::bytes(&copy(Raw::Bytes(bytes), budget)?), false),
        _ => match View::of(pattern, budget) {
            Ok(Some(View::Bytes(raw))) => (literal::bytes(&copy(raw, budget)?), false),
            _ => (String::from("?"), false),
        },
    };
    let mut out = String::from("re.compile(");
    out.extend(shown.chars().take(200));
    // All texts are, unless they say otherwise.
    let mut left = if is_text && flags & (4 | 256) == 0 { flags & !32 } else { flags };
    let mut names: Vec<String> = Vec::new();
    for &(flag, name) in FLAGS {
        if left & flag != 0 {
            names.push(name.to_owned());
            left &= !flag;
        }
    }
    if left != 0 {
        names.push(format!("{left:#x}"));
    }
    if !names.is_empty() {
        out += ", ";
        out += &names.join("|");
    }
    text(out + ")")
}

fn array_of<'graph>(
    array: Array,
    budget: &mut Budget,
) -> Result<Option<Spelling<'graph>>, Exceeded> {
    let code = array.typecode;
    let elements = array.to_vec(budget)?;
    if elements.is_empty() {
        return text(format!("array('{code}')"));
    }
    budget.memory((elements.len() as u64).saturating_mul(64))?;
    let mut characters = String::new();
    let mut numbers: Vec<String> = Vec::new();
    for element in elements {
        match element {
            Element::Int(value) => numbers.push(value.to_string()),
            Element::Float(value) => numbers.push(literal::float(value)),
            Element::Char(code) => characters.push(char::from_u32(code).unwrap_or('\u{fffd}')),
        }
    }
    match characters.is_empty() {
        false => text(format!("array('{code}', {})", literal::text(characters.as_bytes()))),
        true => text(format!("array('{code}', [{}])", numbers.join(", "))),
    }
}
