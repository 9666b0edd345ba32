//! Objects of the standard library as CPython 2.7 to 3.13 pickled them, in every protocol: each
//! view says what CPython says of the object, its repr and its parts. Then calls that no Python
//! would carry out.
//!
//! `tests/python/views.py` writes the fixtures.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use depickle::pickle::{Dict, Graph, Items, Object, Policy, Value as Plain, assemble, run};
use depickle::python::repr::repr;
use depickle::python::show::{Extent, show};
use depickle::python::views::{
    Array, Attribute, CallerKind, DateTime, Element, Error, Int, Iteration, Kind, Raw, Scalar,
    Singleton, Time, TimeDelta, TimeZone, View,
};
use depickle::python::whitelist::{self, Known};
use depickle::{Budget, Category, FileOffset, Limits};
use serde_json::{Value, json};

fn graph(stream: &[u8]) -> Graph {
    let bytes = stream.to_vec().into();
    let outcome = run(bytes, FileOffset(0), &Policy::inspect(), &mut Budget::default());
    outcome.end.unwrap();
    outcome.graph
}

fn said(object: Object) -> String {
    let mut out = String::new();
    repr(object, &|_| None, &mut out, &mut Budget::default()).unwrap();
    out
}

fn said_all(items: Items) -> Value {
    items.iter().map(said).collect()
}

fn view(object: Object<'_>) -> Result<Option<View<'_>>, Error> {
    View::of(object, &mut Budget::default())
}

struct Case {
    python: String,
    kind: String,
    expression: String,
    stream: Vec<u8>,
    repr: String,
    parts: Value,
}

impl Case {
    fn name(&self) -> String {
        let Self { python, kind, expression, stream, .. } = self;
        format!("{kind} {expression} by {python}:\n{}", depickle::pickle::disassemble(stream))
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/views");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        for row in file["rows"].as_array().unwrap() {
            let text = |index: usize| row[index].as_str().unwrap().to_owned();
            cases.push(Case {
                python: file["python"].as_str().unwrap().to_owned(),
                kind: text(0),
                expression: text(1),
                stream: BASE64.decode(text(3)).unwrap(),
                repr: text(4),
                parts: row[5].clone(),
            });
        }
    }
    assert!(cases.len() > 1_000);
    cases
}

fn pairs<'graph>(pairs: impl IntoIterator<Item = (Object<'graph>, Object<'graph>)>) -> Value {
    pairs.into_iter().map(|(key, value)| json!([said(key), said(value)])).collect()
}

fn dict(dict: Option<Dict>) -> Value {
    pairs(dict.into_iter().flat_map(|dict| dict.iter().collect::<Vec<_>>()))
}

fn clock(Time { hour, minute, second, microsecond, fold }: Time) -> [u32; 5] {
    [hour.into(), minute.into(), second.into(), microsecond, fold.into()]
}

fn float(value: f64) -> String {
    depickle::python::literal::float(value)
}

/// What an iterator would still give, up to seven.
fn rest(iteration: Iteration) -> Vec<String> {
    let items = |object: Object| match object.value() {
        Plain::List(items) | Plain::Tuple(items) => items.iter().map(said).collect::<Vec<_>>(),
        Plain::Text(text) => {
            text.as_str().unwrap().chars().map(|it| format!("'{it}'")).collect()
        }
        Plain::Bytes(bytes) => bytes.iter().map(u8::to_string).collect(),
        _ => match view(object).unwrap().unwrap() {
            View::Range(range) => {
                let [start, stop, step] =
                    [range.start, range.stop, range.step].map(|it| it.to_i128().unwrap());
                let all = (start..stop).step_by(usize::try_from(step).unwrap());
                all.map(|it| it.to_string()).collect()
            }
            View::Iteration(inner) => rest(inner),
            View::Bytes(raw) => raw.to_vec().iter().map(u8::to_string).collect(),
            other => panic!("{other:?}"),
        },
    };
    let all: Vec<String> = match iteration {
        Iteration::Iter { over, next } => {
            items(over).into_iter().skip(usize::try_from(next).unwrap()).collect()
        }
        Iteration::Reversed { over, next } => {
            let all = items(over);
            let len = next.map_or(all.len(), |next| usize::try_from(next + 1).unwrap());
            all.into_iter().take(len).rev().collect()
        }
        Iteration::Enumerate { over, next: Int::Small(next) } => {
            let each = |(index, item)| format!("({}, {item})", next + i64::from(index));
            (0_i32..).zip(items(over)).map(each).collect()
        }
        Iteration::Cycle { over, saved, again } => {
            let saved = saved.map(items).unwrap_or_default();
            let first = items(over);
            let whole = if again { saved } else { [&saved[..], &first[..]].concat() };
            first.into_iter().chain(whole.into_iter().cycle()).take(7).collect()
        }
        Iteration::Chain { sources, active, .. } => {
            let active = active.map(items).unwrap_or_default();
            let sources = sources.map(|sources| match view(sources).unwrap().unwrap() {
                View::Iteration(Iteration::Iter { over, next }) => {
                    let skip = usize::try_from(next).unwrap();
                    over.items().unwrap().iter().skip(skip).flat_map(items).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            });
            active.into_iter().chain(sources.unwrap_or_default()).collect()
        }
        other => panic!("{other:?}"),
    };
    all.into_iter().take(7).collect()
}

/// The parts of a view in the form in which `views.py` writes them.
fn parts(view: &View) -> Value {
    let mut budget = Budget::default();
    match view {
        View::Set(items) | View::FrozenSet(items) | View::ChainMap(items) => said_all(*items),
        View::Bytes(raw) | View::ByteArray(raw) => json!(BASE64.encode(raw.to_vec())),
        View::Complex(re, im) => json!([float(*re), float(*im)]),
        View::Range(it) => {
            json!([it.start.to_string(), it.stop.to_string(), it.step.to_string()])
        }
        View::Slice(parts) => parts.iter().map(|&part| said(part)).collect(),
        View::Attribute(Attribute { owner, name }) => json!([said(*owner), name]),
        View::Iteration(Iteration::Count { start, step }) => {
            let or = |it: Option<Object>, other: &str| it.map_or(other.to_owned(), said);
            json!([or(*start, "0"), or(*step, "1")])
        }
        View::Iteration(Iteration::Repeat { object, times }) => {
            let times = times.map(|times| times.to_string());
            std::iter::once(said(*object)).chain(times).collect()
        }
        View::Iteration(iteration) => json!(rest(*iteration)),
        View::Mapping(mapping) => {
            let factory = mapping.factory.map_or(String::from("None"), said);
            json!([factory, pairs(mapping.pairs(&mut budget).unwrap()), dict(mapping.attributes)])
        }
        View::Deque(deque) => {
            let items: Value = deque.items().map(said).collect();
            json!([items, deque.maxlen])
        }
        View::User(data) => json!(said(*data)),
        View::Partial(it) => {
            json!([said(it.func), said_all(it.args), dict(it.kwargs), dict(it.attributes)])
        }
        View::Caller(caller) => match (caller.kind, caller.name, caller.kwargs) {
            // Python says `(partial(…), args)` of these.
            (CallerKind::MethodCaller, _, Some(_)) => said_all(caller.args),
            (_, name, _) => name.into_iter().chain(caller.args.iter()).map(said).collect(),
        },
        View::Generic(generic) => match generic.parameters.as_tuple() {
            Some(all) => said_all(all),
            None => json!([said(generic.parameters)]),
        },
        View::SimpleNamespace(attributes) | View::Namespace(attributes) => {
            let dict = attributes.unwrap_or_else(|| panic!("attributes"));
            dict.iter().map(|(name, value)| json!([name.as_str(), said(value)])).collect()
        }
        View::Fraction(it) => json!([it.numerator.to_string(), it.denominator.to_string()]),
        View::Decimal(decimal) => json!(decimal.to_string()),
        View::DateTime(DateTime { date, time, tzinfo }) => {
            let mut numbers = vec![u32::from(date.year), date.month.into(), date.day.into()];
            numbers.extend(clock(*time));
            json!([numbers, tzinfo.map(said)])
        }
        View::Date(date) => {
            json!([[date.year, u16::from(date.month), u16::from(date.day)], null])
        }
        View::Time(time, tzinfo) => json!([clock(*time), tzinfo.map(said)]),
        View::TimeDelta(TimeDelta { days, seconds, microseconds }) => {
            json!([days, seconds, microseconds])
        }
        View::TimeZone(TimeZone { offset, name }) => {
            let TimeDelta { days, seconds, microseconds } = offset;
            json!([days, seconds, microseconds, name.map(|name| name.as_str().unwrap())])
        }
        View::Zone(key) => json!(key),
        View::Uuid(uuid) => json!([uuid.int.to_string(), uuid.is_safe]),
        View::Path(path) => {
            let class = String::from_utf8(path.class.name.to_vec()).unwrap();
            json!([class, path.as_posix(&mut budget).unwrap()])
        }
        View::Random(random) => {
            let sum: i64 = random.words.iter().map(|word| word.as_int().unwrap()).sum();
            json!([random.version, sum, said(random.gauss)])
        }
        View::Pattern(pattern) => json!([said(pattern.pattern), pattern.flags & !32]),
        View::Logger(name) => json!(name.unwrap_or("root")),
        View::Array(array) => {
            let shown = |element: &Element| match element {
                Element::Int(value) => value.to_string(),
                Element::Float(value) => float(*value),
                Element::Char(code) => format!("'{}'", char::from_u32(*code).unwrap()),
            };
            let elements = array.to_vec(&mut budget).unwrap();
            assert_eq!(elements.len(), array.len());
            json!([array.typecode.to_string(), elements.iter().map(shown).collect::<Vec<_>>()])
        }
        View::Ip(ip) => json!(ip.to_string()),
        View::Exception(exception) => {
            let class = String::from_utf8(exception.class.name.to_vec()).unwrap();
            json!([class, said_all(exception.args)])
        }
        _ => Value::Null,
    }
}

#[test]
fn views_say_what_cpython_says() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in cases() {
        let graph = graph(&case.stream);
        let root = graph.root().unwrap();
        let viewed = view(root).unwrap_or_else(|why| panic!("{}\n{why}", case.name()));
        *kinds.entry(case.kind.clone()).or_default() += 1;
        // Plain values, and classes by a dotted name, have no view.
        let plain = matches!(
            root.value(),
            Plain::Bytes(_) | Plain::ByteArray(_) | Plain::Set(_) | Plain::FrozenSet(_) | Plain::Global(_)
        );
        let Some(viewed) = viewed else {
            if !plain || said(root) != case.repr {
                wrong.push(format!("no view, {}: {}", said(root), case.name()));
            }
            continue;
        };
        if case.kind == "instance" {
            assert!(matches!(viewed, View::Instance(_)), "{viewed:?}: {}", case.name());
            continue;
        }
        let ours = (parts(&viewed), said(root));
        // The level of a logger is not in the stream.
        let repr = if case.kind == "logger" { ours.1.clone() } else { case.repr.clone() };
        if ours != (case.parts.clone(), repr) {
            wrong.push(format!("{ours:?}, not {} {}\n{}", case.repr, case.parts, case.name()));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(kinds.len() > 30, "{kinds:?}");
}

#[test]
fn instances_by_whatever_way() {
    let mut seen = BTreeSet::new();
    for case in cases().iter().filter(|case| case.kind == "instance") {
        let graph = graph(&case.stream);
        let Some(View::Instance(instance)) = view(graph.root().unwrap()).unwrap() else { panic!() };
        let class = instance.class.as_global().unwrap().to_string();
        let args: Vec<String> = instance.args.iter().map(said).collect();
        let base = instance.base.map(said).unwrap_or_default();
        let kwargs = dict(instance.kwargs).to_string();
        let member = instance.member_value().map(said).unwrap_or_default();
        seen.insert(format!("{class} ({}) {kwargs} {base} {member}", args.join(", ")));
    }
    let want = [
        "__main__.Bag () []  ",
        "__main__.Bag () [] [1, 2] ",
        "__main__.Color ('g') []  'g'",
        "__main__.Color (1) []  1",
        "__main__.KeywordOnly () []  ",
        "__main__.KeywordOnly (1) [[\"'k'\",\"2\"]]  ",
        "__main__.Outer () []  ",
        "__main__.Perm (4) []  4",
        "__main__.Perm (6) []  6",
        "__main__.Point () [] (1, 'b') ",
        "__main__.Point (1, 'b') []  ",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), want);
}

#[test]
fn the_table_and_the_views_are_one() {
    let kinds: BTreeSet<String> = Kind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
    let mut rows = BTreeSet::new();
    for row in whitelist::rows() {
        let made = row.positions.iter().any(|at| {
            matches!(at, depickle::pickle::Position::Call | depickle::pickle::Position::Instance)
        });
        let above = ["torch", "torchvision", "numpy"].contains(&row.module.split('.').next().unwrap());
        match row.known {
            Known::View(kind) => {
                assert!(made && !above, "{} {}", row.module, row.names);
                rows.insert(format!("{kind:?}"));
            }
            Known::Opaque => assert!(made && !above, "{} {}", row.module, row.names),
            Known::Elsewhere => {
                assert!(above || !made, "{} {} has neither view nor opaque", row.module, row.names);
            }
        }
    }
    assert_eq!(kinds, rows);
}
