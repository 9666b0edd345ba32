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

#[path = "common/deep.rs"]
mod deep;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use depickle::pickle::{Dict, Graph, Items, Object, Policy, Value as Plain, assemble, run};
use depickle::python::repr::repr;
use depickle::python::show::{Extent, show};
use depickle::python::views::{
    Attribute, CallerKind, DateTime, Element, Error, Int, Iteration, Kind, Scalar, Time, TimeDelta,
    TimeZone, View,
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
        Plain::Text(text) => text.as_str().unwrap().chars().map(|it| format!("'{it}'")).collect(),
        Plain::Bytes(bytes) => bytes.iter().map(u8::to_string).collect(),
        _ => match view(object).unwrap().unwrap() {
            View::Range(range) => {
                let [start, stop, by] =
                    [range.start, range.stop, range.step].map(|it| it.to_i128().unwrap());
                let all = (start..stop).step_by(usize::try_from(by).unwrap());
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
            Plain::Bytes(_)
                | Plain::ByteArray(_)
                | Plain::Set(_)
                | Plain::FrozenSet(_)
                | Plain::Global(_)
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
        let above =
            ["torch", "torchvision", "numpy"].contains(&row.module.split('.').next().unwrap());
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

/// The stream of operations in one line, apart by ` / `.
fn ops(text: &str) -> Vec<u8> {
    assemble(&format!("{}\nSTOP", text.replace(" / ", "\n"))).unwrap()
}

/// What is wrong with an object, without where and what to do.
fn refusal(text: &str) -> Option<String> {
    let graph = graph(&ops(text));
    let why = view(graph.root().unwrap()).err()?;
    assert_eq!(why.category(), Category::Malformed);
    assert!(why.offset().is_some(), "{why}");
    let text = why.to_string();
    assert!(text.contains("; the file is damaged or was made by hand"), "{text}");
    let (what, _) = text.split_once(", at ").unwrap();
    Some(what.split_once(" would not take this: ").unwrap().1.to_owned())
}

/// Operations, and why Python would not carry out the call. Tried with CPython 3.11, which
/// refuses all but an hour of 25, a million microseconds, the 29th of a February of 28 days, the
/// year 0, and identifiers beyond 128 bits: of these it makes objects that are none.
const REFUSED: &[(&str, &str)] = &[
    ("GLOBAL builtins set / BININT1 5 / TUPLE1 / REDUCE", "one list wanted, (int) given"),
    (
        "GLOBAL builtins set / EMPTY_LIST / EMPTY_LIST / TUPLE2 / REDUCE",
        "one list wanted, (list, list) given",
    ),
    (
        "GLOBAL builtins range / BININT1 0 / BININT1 9 / BININT1 0 / TUPLE3 / REDUCE",
        "the step is 0",
    ),
    (
        "GLOBAL builtins range / BINFLOAT 1.5 / TUPLE1 / REDUCE",
        "one to three integers wanted, (float) given",
    ),
    ("GLOBAL builtins slice / EMPTY_TUPLE / REDUCE", "one to three objects wanted, () given"),
    ("GLOBAL builtins object / BININT1 0 / TUPLE1 / REDUCE", "nothing wanted, (int) given"),
    (
        "GLOBAL builtins getattr / NONE / BININT1 0 / TUPLE2 / REDUCE",
        "an object and a name wanted, (None, int) given",
    ),
    (
        "GLOBAL builtins complex / MARK / BINFLOAT 1 / BINFLOAT 1 / BINFLOAT 1 / TUPLE / REDUCE",
        "real and imaginary part wanted, (float, float, float) given",
    ),
    (
        "GLOBAL builtins iter / EMPTY_LIST / TUPLE1 / REDUCE / NEWTRUE / TUPLE1 / BUILD",
        "a state of one index wanted, tuple given",
    ),
    (
        "GLOBAL builtins enumerate / EMPTY_LIST / NONE / TUPLE2 / REDUCE",
        "an iterable and a number wanted, (list, None) given",
    ),
    (
        "GLOBAL _codecs encode / BINUNICODE \"\\xe2\\x82\\xac\" / BINUNICODE \"latin1\" / TUPLE2 / REDUCE",
        "'€' is no character of latin1",
    ),
    (
        "GLOBAL datetime datetime / SHORT_BINBYTES \"\\x07\\xe8\\x0d\\x01\\x00\\x00\\x00\\x00\\x00\\x00\" / TUPLE1 / REDUCE",
        "month 13 is not in 1 to 12",
    ),
    (
        "GLOBAL datetime datetime / SHORT_BINBYTES \"\\x07\\xe8\\x80\\x01\\x00\\x00\\x00\\x00\\x00\\x00\" / TUPLE1 / REDUCE",
        "month 0 is not in 1 to 12",
    ),
    (
        "GLOBAL datetime datetime / SHORT_BINBYTES \"\\x07\\xe8\\x01\\x01\\x19\\x00\\x00\\x00\\x00\\x00\" / TUPLE1 / REDUCE",
        "hour 25 is not in 0 to 23",
    ),
    (
        "GLOBAL datetime datetime / SHORT_BINBYTES \"\\x07\\xe8\\x01\\x01\\x00\\x00\\x00\\x0f\\x42\\x40\" / TUPLE1 / REDUCE",
        "microsecond 1000000 is not in 0 to 999999",
    ),
    (
        "GLOBAL datetime datetime / SHORT_BINBYTES \"\\x07\\xe8\\x01\" / TUPLE1 / REDUCE",
        "a state of 10 bytes, or numbers wanted, (bytes) given",
    ),
    (
        "GLOBAL datetime datetime / SHORT_BINSTRING \"\\x07\\xe8\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\" / BININT1 5 / TUPLE2 / REDUCE",
        "a time zone wanted, int given",
    ),
    (
        "GLOBAL datetime date / SHORT_BINBYTES \"\\x07\\xe7\\x02\\x1d\" / TUPLE1 / REDUCE",
        "day 29 is not in 1 to 28",
    ),
    (
        "GLOBAL datetime date / SHORT_BINBYTES \"\\x00\\x00\\x02\\x01\" / TUPLE1 / REDUCE",
        "year 0 is not in 1 to 9999",
    ),
    (
        "GLOBAL datetime time / SHORT_BINBYTES \"\\x98\\x00\\x00\\x00\\x00\\x00\" / TUPLE1 / REDUCE",
        "hour 24 is not in 0 to 23",
    ),
    (
        "GLOBAL datetime timedelta / BININT 1000000000 / TUPLE1 / REDUCE",
        "days 1000000000 is not in -999999999 to 999999999",
    ),
    (
        "GLOBAL datetime timezone / GLOBAL datetime timedelta / BININT1 1 / TUPLE1 / REDUCE / TUPLE1 / REDUCE",
        "an offset of a day or more",
    ),
    (
        "GLOBAL datetime timezone / BININT1 1 / TUPLE1 / REDUCE",
        "an offset and a name wanted, (int) given",
    ),
    ("GLOBAL fractions Fraction / BINUNICODE \"1/0\" / TUPLE1 / REDUCE", "the denominator is 0"),
    ("GLOBAL fractions Fraction / BININT1 1 / BININT1 0 / TUPLE2 / REDUCE", "the denominator is 0"),
    (
        "GLOBAL decimal Decimal / BINUNICODE \"1.2.3\" / TUPLE1 / REDUCE",
        "\"1.2.3\" is no decimal number",
    ),
    (
        "GLOBAL decimal Decimal / BINUNICODE \"1e99999999999999999999\" / TUPLE1 / REDUCE",
        "\"1e99999999999999999999\" is no decimal number",
    ),
    ("GLOBAL collections deque / EMPTY_TUPLE / BININT -1 / TUPLE2 / REDUCE", "a maxlen of -1"),
    (
        "GLOBAL collections deque / EMPTY_TUPLE / REDUCE / EMPTY_DICT / BUILD",
        "it has no state to set",
    ),
    (
        "GLOBAL collections OrderedDict / EMPTY_LIST / BININT1 1 / APPEND / TUPLE1 / REDUCE",
        "pairs wanted, a int found among them",
    ),
    (
        "GLOBAL collections OrderedDict / EMPTY_TUPLE / REDUCE / NONE / APPEND",
        "nothing can be appended to it",
    ),
    (
        "GLOBAL collections defaultdict / EMPTY_LIST / TUPLE1 / REDUCE",
        "a function that makes values wanted, (list) given",
    ),
    ("GLOBAL functools partial / BININT1 1 / TUPLE1 / REDUCE", "a function wanted, (int) given"),
    (
        "GLOBAL functools partial / GLOBAL m f / TUPLE1 / REDUCE / EMPTY_DICT / BUILD",
        "a state of (function, arguments, keywords, attributes) wanted",
    ),
    ("GLOBAL operator itemgetter / EMPTY_TUPLE / REDUCE", "at least one item wanted, () given"),
    (
        "GLOBAL operator attrgetter / BININT1 1 / TUPLE1 / REDUCE",
        "names of attributes wanted, (int) given",
    ),
    ("GLOBAL copyreg __newobj__ / GLOBAL copyreg __newobj__ / TUPLE1 / REDUCE", "a class wanted"),
    (
        "GLOBAL uuid UUID / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / BINUNICODE \"int\" / LONG 340282366920938463463374607431768211456 / SETITEM / BUILD",
        "int is not in 0 to 2^128 - 1",
    ),
    (
        "GLOBAL uuid UUID / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / BINUNICODE \"int\" / BININT -1 / SETITEM / BUILD",
        "int is not in 0 to 2^128 - 1",
    ),
    ("GLOBAL uuid UUID / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / BUILD", "a state without int"),
    ("GLOBAL pathlib PosixPath / BININT1 1 / TUPLE1 / REDUCE", "parts of text wanted, (int) given"),
    (
        "GLOBAL random Random / EMPTY_TUPLE / REDUCE / BININT1 3 / EMPTY_TUPLE / NONE / TUPLE3 / BUILD",
        "625 words wanted",
    ),
    (
        "GLOBAL re _compile / BINUNICODE \"a\" / BINUNICODE \"b\" / TUPLE2 / REDUCE",
        "a pattern and flags wanted, (str, str) given",
    ),
    (
        "GLOBAL ipaddress IPv4Address / BINUNICODE \"1.2.3.256\" / TUPLE1 / REDUCE",
        "no address of version 4",
    ),
    (
        "GLOBAL ipaddress IPv4Network / BINUNICODE \"10.0.0.1/8\" / TUPLE1 / REDUCE",
        "a network with bits of a host set",
    ),
    (
        "GLOBAL ipaddress IPv6Network / BINUNICODE \"::/129\" / TUPLE1 / REDUCE",
        "no address of version 6",
    ),
    (
        "GLOBAL array _array_reconstructor / MARK / GLOBAL array array / BINUNICODE \"i\" / BININT1 8 / SHORT_BINBYTES \"abc\" / TUPLE / REDUCE",
        "3 bytes are no whole number of 4",
    ),
    (
        "GLOBAL array _array_reconstructor / MARK / GLOBAL array array / BINUNICODE \"i\" / BININT1 22 / SHORT_BINBYTES \"abc\" / TUPLE / REDUCE",
        "the code of a format, 0 to 21, wanted",
    ),
    (
        "GLOBAL array _array_reconstructor / MARK / GLOBAL array array / BINUNICODE \"x\" / BININT1 8 / SHORT_BINBYTES \"abcd\" / TUPLE / REDUCE",
        "the letter of a type wanted",
    ),
    (
        "GLOBAL array array / BINUNICODE \"b\" / EMPTY_LIST / BININT2 200 / APPEND / TUPLE2 / REDUCE",
        "a int that is no 'b'",
    ),
];

#[test]
fn arguments_that_python_would_not_take() {
    for (text, why) in REFUSED {
        assert_eq!(refusal(text).as_deref(), Some(*why), "{text}");
    }
}

#[test]
fn what_is_not_certain_has_no_view() {
    for text in [
        // A set of a list that was changed after the call.
        "EMPTY_LIST / MEMOIZE / POP / GLOBAL builtins set / BINGET 0 / TUPLE1 / REDUCE / BINGET 0 / BININT1 1 / APPEND / POP",
        "EMPTY_LIST / MEMOIZE / POP / GLOBAL collections deque / BINGET 0 / TUPLE1 / REDUCE / BINGET 0 / BININT1 1 / APPEND / POP",
        "EMPTY_DICT / MEMOIZE / POP / GLOBAL collections Counter / BINGET 0 / TUPLE1 / REDUCE / BINGET 0 / BININT1 1 / BININT1 1 / SETITEM / POP",
        // A pair that was filled after the call that copied it.
        "MARK / BININT1 1 / BININT1 2 / LIST / MEMOIZE / POP / GLOBAL collections OrderedDict / EMPTY_LIST / BINGET 0 / APPEND / TUPLE1 / REDUCE / BINGET 0 / BININT1 1 / APPEND / POP",
        // A state that was changed after BUILD.
        "EMPTY_DICT / MEMOIZE / POP / GLOBAL argparse Namespace / EMPTY_TUPLE / NEWOBJ / BINGET 0 / BUILD / BINGET 0 / BININT1 1 / BININT1 1 / SETITEM / POP",
        // `set.__new__` ignores what it is given.
        "GLOBAL builtins set / EMPTY_LIST / TUPLE1 / NEWOBJ",
        "GLOBAL collections deque / EMPTY_LIST / TUPLE1 / NEWOBJ",
        // Control goes to an argument.
        "GLOBAL builtins iter / GLOBAL m f / NONE / TUPLE2 / REDUCE",
        // Functions that nothing is known of.
        "GLOBAL m f / EMPTY_TUPLE / REDUCE",
        "GLOBAL m f / EMPTY_TUPLE / REDUCE / EMPTY_TUPLE / REDUCE",
        "GLOBAL _operator getitem / EMPTY_LIST / BININT1 0 / TUPLE2 / REDUCE",
        "GLOBAL builtins type / BININT1 1 / TUPLE1 / REDUCE",
        "BININT1 1",
        "GLOBAL m C",
    ] {
        let graph = graph(&ops(text));
        let viewed = view(graph.root().unwrap()).unwrap();
        assert!(viewed.is_none(), "{viewed:?}: {text}");
    }
}

#[test]
fn forms_that_no_pickler_writes_but_python_reads() {
    for (text, want) in [
        ("GLOBAL builtins int / EMPTY_TUPLE / REDUCE", "0"),
        ("GLOBAL __builtin__ long / BININT1 5 / TUPLE1 / REDUCE", "5"),
        ("GLOBAL builtins str / EMPTY_TUPLE / REDUCE", "''"),
        ("GLOBAL builtins tuple / EMPTY_LIST / BININT1 1 / APPEND / TUPLE1 / REDUCE", "(1,)"),
        ("GLOBAL builtins list / BININT1 1 / TUPLE1 / TUPLE1 / REDUCE", "[1]"),
        (
            "GLOBAL builtins dict / EMPTY_DICT / BININT1 1 / NONE / SETITEM / TUPLE1 / REDUCE",
            "{1: None}",
        ),
        ("GLOBAL builtins slice / BININT1 7 / TUPLE1 / REDUCE", "slice(None, 7, None)"),
        ("GLOBAL fractions Fraction / BININT1 6 / BININT1 4 / TUPLE2 / REDUCE", "Fraction(3, 2)"),
        (
            "GLOBAL datetime datetime / MARK / BININT2 2024 / BININT1 2 / BININT1 29 / TUPLE / REDUCE",
            "datetime.datetime(2024, 2, 29, 0, 0)",
        ),
        (
            "GLOBAL datetime timedelta / BININT1 0 / BININT -1 / TUPLE2 / REDUCE",
            "datetime.timedelta(days=-1, seconds=86399)",
        ),
        ("GLOBAL copyreg __newobj__ / GLOBAL builtins object / TUPLE1 / REDUCE", "<object object>"),
        (
            "GLOBAL builtins getattr / GLOBAL m Color / BINUNICODE \"RED\" / TUPLE2 / REDUCE",
            "<Color.RED>",
        ),
        (
            "GLOBAL pathlib PurePosixPath / BINUNICODE \"a//./b\" / BINUNICODE \"/c\" / BINUNICODE \"d/\" / TUPLE3 / REDUCE",
            "PurePosixPath('/c/d')",
        ),
        (
            "GLOBAL collections OrderedDict / EMPTY_TUPLE / REDUCE / MEMOIZE / BININT1 1 / BINGET 0 / SETITEM",
            "OrderedDict([(1, ...)])",
        ),
        (
            "GLOBAL collections deque / EMPTY_TUPLE / REDUCE / MEMOIZE / BINGET 0 / APPEND",
            "deque([[...]])",
        ),
        (
            "GLOBAL collections defaultdict / GLOBAL builtins list / TUPLE1 / REDUCE / NONE / NONE / SETITEM",
            "defaultdict(<class 'list'>, {None: None})",
        ),
    ] {
        let graph = graph(&ops(text));
        let root = graph.root().unwrap();
        assert!(view(root).unwrap().is_some(), "{text}");
        assert_eq!(said(root), want, "{text}");
    }
    let graph = graph(&ops("GLOBAL builtins float / BINFLOAT 0.5 / TUPLE1 / REDUCE"));
    let viewed = view(graph.root().unwrap());
    assert!(matches!(viewed, Ok(Some(View::Scalar(Scalar::Float(0.5))))));
}

/// Thirty thousand of them in each other, `open` and `close` around nothing: a stack of 256 KiB has
/// nine bytes for each, and a call takes sixteen at least.
fn nested(open: &str, close: &str) -> Vec<u8> {
    const DEEP: usize = 30_000;
    let lines = |text: &str| match text {
        "" => Vec::new(),
        _ => assemble(&text.replace(" / ", "\n")).unwrap(),
    };
    [&lines(open).repeat(DEEP)[..], b"N", &lines(close).repeat(DEEP), b"."].concat()
}

#[test]
fn depth_and_cycles_cost_no_stack() {
    let deep = [
        ("GLOBAL builtins set", "TUPLE1 / TUPLE1 / REDUCE"),
        ("GLOBAL builtins bytes", "TUPLE1 / REDUCE"),
        ("GLOBAL builtins bytearray", "TUPLE1 / REDUCE"),
        ("GLOBAL builtins iter", "TUPLE1 / REDUCE"),
        ("GLOBAL builtins slice", "TUPLE1 / REDUCE"),
        ("GLOBAL builtins getattr", "BINUNICODE \"x\" / TUPLE2 / REDUCE"),
        ("GLOBAL functools partial", "TUPLE1 / REDUCE"),
        ("GLOBAL functools partial", "TUPLE1 / REDUCE / EMPTY_TUPLE / REDUCE"),
        ("GLOBAL copyreg __newobj__", "TUPLE1 / REDUCE"),
        ("GLOBAL copyreg _reconstructor", "DUP / NONE / TUPLE3 / REDUCE"),
        ("GLOBAL datetime timezone", "TUPLE1 / REDUCE"),
        ("GLOBAL types GenericAlias / GLOBAL builtins list", "TUPLE2 / REDUCE"),
        ("GLOBAL _operator getitem / GLOBAL typing List", "TUPLE2 / REDUCE"),
        ("GLOBAL collections deque / EMPTY_TUPLE / REDUCE", "APPEND"),
        ("GLOBAL collections OrderedDict / EMPTY_TUPLE / REDUCE / NONE", "SETITEM"),
        ("GLOBAL collections defaultdict", "TUPLE1 / REDUCE"),
        (
            "GLOBAL collections UserDict / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / BINUNICODE \"data\"",
            "SETITEM / BUILD",
        ),
        ("GLOBAL builtins ValueError", "TUPLE1 / REDUCE"),
        ("GLOBAL re _compile", "BININT1 0 / TUPLE2 / REDUCE"),
    ];
    let work = move || {
        for (open, close) in deep {
            everything(&nested(open, close));
        }
    };
    deep::on_a_small_stack(work);
}

/// Every object's view, and the root as text and JSON, in whatever part the limits grant.
fn everything(stream: &[u8]) {
    let graph = graph(stream);
    let mut budget = Budget::default();
    for object in graph.objects() {
        let _ = View::of(object, &mut budget).map(|view| format!("{view:?}").len());
    }
    let root = graph.root().unwrap();
    let mut out = String::new();
    let _ = repr(root, &|_| None, &mut out, &mut Budget::default());
    let _ = show(root, &|_| None, Extent::default(), &mut Budget::default());
    let mut out = Vec::new();
    depickle::python::json::write(
        root,
        &depickle::python::json::Nothing,
        &mut Budget::default(),
        &mut out,
    )
    .unwrap();
}

#[test]
fn a_partial_among_its_own_arguments() {
    let graph = graph(&ops("GLOBAL functools partial / GLOBAL m f / TUPLE1 / REDUCE / MEMOIZE / \
         MARK / GLOBAL m f / BINGET 0 / TUPLE1 / EMPTY_DICT / NONE / TUPLE / BUILD"));
    let root = graph.root().unwrap();
    assert!(matches!(view(root), Ok(Some(View::Partial(_)))));
    assert_eq!(said(root), "functools.partial(<function f>, ...)");
}

#[test]
fn what_many_calls_share_is_paid_for_by_each() {
    // A text of 64 KiB that a thousand calls would encode: a step for 64 bytes each time.
    let text = format!(
        "BINUNICODE \"{}\"\nMEMOIZE\nPOP\nMARK\n{}LIST\nSTOP",
        "x".repeat(1 << 16),
        "GLOBAL _codecs encode\nBINGET 0\nBINUNICODE \"latin1\"\nTUPLE2\nREDUCE\n".repeat(1_000)
    );
    let graph = graph(&assemble(&text).unwrap());
    let mut budget = Budget::new(Limits::default().with_visits(500_000));
    let views = graph.objects().map(|object| View::of(object, &mut budget));
    let over: Vec<Error> = views.filter_map(Result::err).collect();
    assert!(over.len() > 400, "{}", over.len());
    assert!(over.iter().all(|why| why.category() == Category::OverLimit));
}

#[test]
fn shown_as_python_would() {
    for (text, want) in [
        ("GLOBAL fractions Fraction / BININT1 3 / BININT1 4 / TUPLE2 / REDUCE", "Fraction(3, 4)"),
        (
            "GLOBAL builtins slice / NONE / BININT1 3 / NONE / TUPLE3 / REDUCE",
            "slice(None, 3, None)",
        ),
        (
            "GLOBAL datetime datetime / SHORT_BINBYTES \"\\x07\\xe8\\x01\\x02\\x03\\x04\\x00\\x00\\x00\\x00\" / GLOBAL datetime timezone / GLOBAL datetime timedelta / EMPTY_TUPLE / REDUCE / TUPLE1 / REDUCE / TUPLE2 / REDUCE",
            "datetime.datetime(2024, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)",
        ),
        (
            "GLOBAL collections defaultdict / GLOBAL builtins list / TUPLE1 / REDUCE / BININT1 1 / EMPTY_LIST / SETITEM",
            "defaultdict(<class 'list'>, {\n  1: []\n})",
        ),
        (
            "GLOBAL collections deque / EMPTY_TUPLE / BININT1 3 / TUPLE2 / REDUCE / MARK / BININT1 1 / BININT1 2 / APPENDS",
            "deque([\n  1\n  2\n], maxlen=3)",
        ),
        ("GLOBAL collections OrderedDict / EMPTY_TUPLE / REDUCE", "OrderedDict()"),
        (
            "GLOBAL collections OrderedDict / EMPTY_TUPLE / REDUCE / BINUNICODE \"a\" / BININT1 1 / SETITEM / EMPTY_DICT / BINUNICODE \"_metadata\" / BININT1 2 / SETITEM / BUILD",
            "OrderedDict({\n  'a': 1\n  _metadata=2\n})",
        ),
        (
            "GLOBAL functools partial / GLOBAL m f / TUPLE1 / REDUCE / MARK / GLOBAL m f / BININT1 1 / TUPLE1 / EMPTY_DICT / BINUNICODE \"a\" / BININT1 2 / SETITEM / NONE / TUPLE / BUILD",
            "functools.partial(<function f>, 1, a=2)",
        ),
        (
            "GLOBAL builtins iter / EMPTY_LIST / BININT1 7 / APPEND / TUPLE1 / REDUCE / BININT1 0 / BUILD",
            "builtins.iter(\n  [\n    7\n  ]\n  *0\n)",
        ),
        (
            "GLOBAL argparse Namespace / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / BINUNICODE \"lr\" / BINFLOAT 0.5 / SETITEM / BUILD",
            "Namespace(\n  lr=0.5\n)",
        ),
        (
            "GLOBAL copyreg _reconstructor / GLOBAL m Point / GLOBAL builtins tuple / BININT1 1 / TUPLE1 / TUPLE3 / REDUCE",
            "m.Point(\n  (\n    1\n  )\n)",
        ),
        (
            "GLOBAL collections UserList / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / BINUNICODE \"data\" / EMPTY_LIST / SETITEM / BUILD",
            "collections.UserList(\n  data=[]\n)",
        ),
        // One date in two places is no more than two equal ones.
        (
            "GLOBAL datetime date / SHORT_BINBYTES \"\\x07\\xe8\\x02\\x1d\" / TUPLE1 / REDUCE / DUP / TUPLE2",
            "(\n  datetime.date(2024, 2, 29)\n  datetime.date(2024, 2, 29)\n)",
        ),
        // What Python would refuse is shown as it stands.
        (
            "GLOBAL fractions Fraction / BININT1 3 / BININT1 0 / TUPLE2 / REDUCE",
            "fractions.Fraction(\n  3\n  0\n)",
        ),
    ] {
        let graph = graph(&ops(text));
        let root = graph.root().unwrap();
        let shown = show(root, &|_| None, Extent::default(), &mut Budget::default()).unwrap();
        assert_eq!(shown, want, "{text}");
    }
}

/// Bytes of honest streams changed at random: no panic, and no cost beyond the limits.
#[test]
fn changed_bytes_cost_an_error_at_most() {
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(random >> 33).unwrap() % below
    };
    let (mut views, mut errors) = (0, 0);
    for case in cases().iter().filter(|case| case.kind != "random") {
        for _ in 0..24 {
            let mut stream = case.stream.clone();
            for _ in 0..=next(3) {
                let at = next(stream.len());
                stream[at] = u8::try_from(next(256)).unwrap();
            }
            let mut budget = Budget::new(Limits::default().with_memory(1 << 24));
            let outcome = run(stream.into(), FileOffset(0), &Policy::inspect(), &mut budget);
            let graph = outcome.graph;
            for object in graph.objects() {
                match View::of(object, &mut budget) {
                    Ok(view) => views += usize::from(view.is_some()),
                    Err(_) => errors += 1,
                }
                let mut budget = Budget::new(Limits::default().with_visits(10_000));
                let _ = repr(object, &|_| None, &mut String::new(), &mut budget);
                let _ = show(object, &|_| None, Extent::default(), &mut budget);
            }
        }
    }
    assert!(views > 3_000 && errors > 200, "{views} views, {errors} errors");
}
