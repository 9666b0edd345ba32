//! Views as Python's `repr` writes them, in pieces: what holds objects is taken apart, and the
//! printers go through the parts on stacks of their own.
//!
//! Source: `__repr__` of each class in CPython 3.11.

mod functions;
mod values;

use std::borrow::Cow;

use functions::{attribute_of, caller_of, partial_of, type_name};
use values::{array_of, clock, iteration_of, member_of, moment, pattern_of, timedelta, timezone};

use super::{
    Date, DateTime, Exception, Fraction, Generic, Int, Kind, Mapping, MappingKind, Range, Raw,
    Scalar, Singleton, View, functools,
};
use crate::base::{Budget, Exceeded};
use crate::pickle::{Dict, Global, Items, Object, Pair, Value};
use crate::python::{literal, mapping};

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
    pub items: Vec<(Label<'graph>, Object<'graph>)>,
    pub after: String,
    /// What else was set on it, of which `repr` says nothing.
    pub attributes: Vec<Pair<'graph>>,
    /// What stands for it inside itself.
    pub cycle: &'static str,
    /// Whether it is written around one object, of which its own lines would say more.
    pub wraps: bool,
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
            items: Vec::new(),
            after: after.into(),
            cycle: "...",
            wraps: false,
            lines: false,
        }
    }

    fn unlabelled(mut self, parts: impl IntoIterator<Item = Object<'graph>>) -> Self {
        self.items.extend(parts.into_iter().map(|part| (Label::None, part)));
        self
    }

    fn named(mut self, names: Vec<Pair<'graph>>) -> Self {
        let label = |name: Object| match name.value() {
            Value::Text(text) => Label::Name(text.to_string_lossy().into_owned()),
            _ => Label::Name(String::from("?")),
        };
        self.items.extend(names.into_iter().map(|(name, value)| (label(name), value)));
        self
    }

    fn keyed(mut self, bracket: Bracket, pairs: Vec<Pair<'graph>>) -> Self {
        self.bracket = bracket;
        self.items.extend(pairs.into_iter().map(|(key, value)| (Label::Key(key), value)));
        self.container()
    }

    const fn wrapper(mut self) -> Self {
        self.wraps = true;
        self
    }

    const fn container(mut self) -> Self {
        self.lines = true;
        self
    }

    #[expect(clippy::unnecessary_wraps, reason = "as what its callers give")]
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
        let written = !self.items.is_empty();
        for (label, part) in self.items {
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

#[expect(clippy::unnecessary_wraps, reason = "as what its callers give")]
fn text<'graph>(text: impl Into<String>) -> Result<Option<Spelling<'graph>>, Exceeded> {
    Ok(Some(Spelling::Text(text.into())))
}

/// How Python writes what a view stands for; none for instances of classes with a `repr` of
/// their own.
#[expect(clippy::too_many_lines, reason = "an arm for each view")]
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
        View::User(data) => Parts::new("", "").unlabelled([*data]).wrapper().spelled(),
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
        View::Random(_) => Ok(Some(Spelling::Opaque(String::from("<random.Random object>")))),
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
        View::Zone(key) => {
            text(format!("zoneinfo.ZoneInfo(key={})", literal::text(key.as_bytes())))
        }
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
fn paid<'graph>(
    items: Items<'graph>,
    budget: &mut Budget,
) -> Result<Vec<Object<'graph>>, Exceeded> {
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

fn attributes_of<'graph>(
    attributes: Option<Dict<'graph>>,
    budget: &mut Budget,
) -> Result<Vec<Pair<'graph>>, Exceeded> {
    attributes.map_or(Ok(Vec::new()), |dict| mapping::distinct(dict.iter(), budget))
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
