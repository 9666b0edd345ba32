//! What CPython pickled (`tests/python/serde_values.py`), read into Rust structs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use depickle::pickle::{Policy, run};
use depickle::python::serde::{self as pickle, DeOptions, Python2};
use depickle::{Budget, FileOffset};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_bytes::ByteBuf;

use super::read;

#[derive(Debug, PartialEq, Deserialize)]
struct Sized {
    name: String,
    size: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Both {
    name: String,
    size: u32,
    more: Vec<bool>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Data {
    name: String,
    size: u8,
    inner: Option<Box<Data>>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Namespace {
    lr: f32,
    layers: Vec<String>,
    resume: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Choice {
    Unit,
    Newtype(u8),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Color {
    Red,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged)]
enum IntOrText {
    Int(i64),
    Text(String),
}

/// What every Python has.
#[derive(Deserialize)]
struct Values {
    none: (),
    truth: (bool, bool),
    small: Vec<i32>,
    large: Vec<i64>,
    larger: Vec<u64>,
    huge: Vec<i128>,
    hugest: u128,
    floats: Vec<f64>,
    nan: f64,
    complex: (f64, f64),
    text: String,
    char: char,
    bytearray: ByteBuf,
    tuples: ((), (u8,), (u8, String), (u8, String, Option<u8>), [u8; 4]),
    many: Vec<u16>,
    shared: Vec<Vec<String>>,
    set: BTreeSet<u8>,
    frozenset: BTreeSet<String>,
    mixed_keys: BTreeMap<IntOrText, String>,
    pair_keys: BTreeMap<(u8, u8), char>,
    ordered: Vec2,
    counts: HashMap<String, u8>,
    counter: BTreeMap<char, usize>,
    deque: Vec<u8>,
    namespace: Namespace,
    old: Sized,
    /// Python cannot write them below protocol 2.
    slots: Option<Sized>,
    both: Option<Both>,
    named: Sized,
    tags: Vec<String>,
    table: BTreeMap<String, f32>,
    kept: (u8, String),
    unit: Choice,
    variant: Choice,
    old_variant: Choice,
    // What only newer ones have.
    bytes: Option<ByteBuf>,
    empty_bytes: Option<ByteBuf>,
    data: Option<Data>,
    frozen: Option<Sized>,
    simple: Option<Sized>,
    color: Option<Color>,
}

/// A map in its order.
#[derive(Debug, PartialEq)]
struct Vec2(Vec<(String, u8)>);

impl<'de> Deserialize<'de> for Vec2 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> serde::de::Visitor<'de> for Pairs {
            type Value = Vec2;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Vec2, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Vec2(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/serde");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
    };
    paths.filter(|path| path.extension().is_some_and(|ext| ext == "pkl")).map(read).collect()
}

fn sized(name: &str, size: u32) -> Sized {
    Sized { name: name.into(), size }
}

#[test]
fn what_cpython_pickled() {
    let fixtures = fixtures();
    assert_eq!(fixtures.len(), 3 + 6 + 6);
    for (name, bytes) in fixtures {
        let values: Values =
            pickle::from_slice(&bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        check(&name, values);
    }
}

fn check(name: &str, values: Values) {
    let () = values.none;
    assert_eq!(values.truth, (true, false));
    assert_eq!(values.small, [0, 1, -1, 255, 256, 65_535, 65_536, i32::MIN, i32::MAX]);
    assert_eq!(values.large, [1 << 31, i64::MAX, i64::MIN]);
    assert_eq!(values.larger, [1 << 63, u64::MAX]);
    assert_eq!(values.huge, [i128::MAX, i128::MIN]);
    assert_eq!(values.hugest, u128::MAX);
    let floats: Vec<u64> = values.floats.iter().map(|value| value.to_bits()).collect();
    let expected = [0.0, -0.0, 1.5, 1e300, f64::INFINITY, f64::NEG_INFINITY].map(f64::to_bits);
    assert_eq!(floats, expected);
    assert!(values.nan.is_nan());
    assert_eq!(values.complex, (1.5, -2.0));
    assert_eq!(values.text, "Zoë € 😀 \\ \n \r \0");
    assert_eq!(values.char, 'ë');
    assert_eq!(values.bytearray.as_ref(), b"\x00\xff");
    let tuples = ((), (1,), (1, "b".into()), (1, "b".into(), None), [1, 2, 3, 4]);
    assert_eq!(values.tuples, tuples);
    assert!(values.many.iter().copied().eq(0..1001));
    assert_eq!(values.shared, [["shared"], ["shared"]]);
    assert_eq!(values.set, [3].into());
    assert_eq!(values.frozenset, ["one".to_owned()].into());
    let mixed = [(IntOrText::Int(1), "int".into()), (IntOrText::Text("1".into()), "str".into())];
    assert_eq!(values.mixed_keys, mixed.into());
    assert_eq!(values.pair_keys, [((1, 2), 'a')].into());
    assert_eq!(values.ordered, Vec2(vec![("z".into(), 1), ("a".into(), 2)]));
    assert_eq!(values.counts, [("x".to_owned(), 2)].into());
    assert_eq!(values.counter, [('a', 2), ('b', 1)].into());
    assert_eq!(values.deque, [1, 2]);
    let namespace = Namespace { lr: 0.5, layers: vec!["a".into()], resume: None };
    assert_eq!(values.namespace, namespace);
    assert_eq!(values.old, sized("old", 1));
    let slots = !name.ends_with("-0.pkl") && !name.ends_with("-1.pkl");
    assert_eq!(values.slots, slots.then(|| sized("slots", 2)), "{name}");
    assert_eq!(values.named, sized("named", 4));
    assert_eq!(values.tags, ["p", "q"]);
    assert_eq!(values.table, [("k".to_owned(), 1.5)].into());
    assert_eq!(values.kept, (1, "b".into()));
    assert_eq!(values.unit, Choice::Unit);
    assert_eq!((values.variant, values.old_variant), (Choice::Newtype(5), Choice::Newtype(6)));
    let both = Both { name: "both".into(), size: 3, more: vec![true] };
    assert_eq!(values.both, slots.then_some(both));
    let new = !name.contains("python2");
    assert_eq!(values.bytes, new.then(|| ByteBuf::from(b"\x00\xff\n")));
    assert_eq!(values.empty_bytes, new.then(ByteBuf::new));
    let inner = Data { name: "inner".into(), size: 8, inner: None };
    let data = Data { name: "outer".into(), size: 7, inner: Some(inner.into()) };
    assert_eq!(values.data, new.then_some(data));
    assert_eq!(values.frozen, new.then(|| sized("frozen", 9)));
    assert_eq!(values.simple, new.then(|| sized("simple", 10)));
    assert_eq!(values.color, new.then_some(Color::Red));
}

#[test]
fn a_part_of_a_checkpoint_is_read_without_the_rest() {
    // What PyTorch saved; the arguments are an argparse.Namespace beside a whole model.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/detector_checkpoint.pth");
    let file = fs::File::open(path).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let names = archive.file_names().map(|name| name.unwrap().into_owned());
    let name = names.into_iter().find(|name| name.ends_with("data.pkl")).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut archive.by_name(&name).unwrap(), &mut bytes).unwrap();

    #[derive(Deserialize)]
    struct Args<'graph> {
        batch: u32,
        lr: f64,
        names: HashMap<u32, &'graph str>,
        data: &'graph str,
    }
    #[derive(Deserialize)]
    struct Checkpoint<'graph> {
        #[serde(borrow)]
        train_args: Args<'graph>,
        model: IgnoredAny,
    }
    let graph = run(bytes.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default()).graph;
    let Checkpoint { train_args, model: IgnoredAny } =
        pickle::from_object(graph.root().unwrap()).unwrap();
    assert_eq!((train_args.batch, train_args.lr, train_args.data), (16, 0.01, "data.yaml"));
    assert_eq!(train_args.names, [(0, "cat"), (1, "dog")].into());
}

#[test]
fn equal_keys_are_one() {
    let map: Vec2 =
        read("MARK / UNICODE a / BININT1 1 / UNICODE b / BININT1 2 / UNICODE a / BININT1 3 / DICT");
    assert_eq!(map, Vec2(vec![("a".into(), 3), ("b".into(), 2)]));
    // A derived struct would refuse a field twice.
    let map: Vec<String> =
        read("MARK / BININT1 1 / BINFLOAT 1 / NEWTRUE / LIST / POP / MARK / UNICODE x / LIST");
    assert_eq!(map, ["x"]);
    let sized: Sized = read(
        "MARK / UNICODE size / BININT1 1 / UNICODE name / UNICODE n / UNICODE size / BININT1 3 / DICT",
    );
    assert_eq!(sized, super::python::sized("n", 3));
    let set: Vec<f64> =
        read("EMPTY_SET / MARK / BININT1 1 / BINFLOAT 1 / BINFLOAT 1.5 / BINFLOAT 1.5 / ADDITEMS");
    assert_eq!(set, [1.0, 1.5]);
    // True == 1 == 1.0.
    let map: BTreeMap<bool, char> =
        read("MARK / NEWTRUE / UNICODE a / BINFLOAT 1 / UNICODE b / BININT1 1 / UNICODE c / DICT");
    assert_eq!(map, [(true, 'c')].into());
    let many = (0..50).map(|n| format!("UNICODE k{} / BININT1 {n}", n % 20));
    let many: Vec<String> = many.collect();
    let map: BTreeMap<String, u8> = read(&format!("MARK / {} / DICT", many.join(" / ")));
    assert_eq!(map.len(), 20);
    assert_eq!((map["k3"], map["k15"]), (43, 35));
}

#[test]
fn texts_of_python_2() {
    let stream = b"U\x03\xc3\xa9!."; // é! in UTF-8
    let guess = DeOptions::default();
    let with = |python2| DeOptions::default().python2(python2);
    assert_eq!(pickle::from_slice::<String>(stream).unwrap(), "é!");
    assert_eq!(pickle::from_slice::<ByteBuf>(stream).unwrap().as_ref(), b"\xc3\xa9!");
    let latin1 = pickle::from_slice_with::<String>(stream, &with(Python2::Latin1)).unwrap();
    assert_eq!(latin1, "Ã©!");
    let any: serde_json::Value = pickle::from_slice_with(stream, &guess).unwrap();
    assert_eq!(any, "é!");
    let why = pickle::from_slice_with::<serde_json::Value>(stream, &with(Python2::Bytes));
    assert!(why.unwrap_err().to_string().starts_with("invalid type: byte array"), "a JSON value");
    let why = pickle::from_slice::<String>(b"U\x01\xff.").unwrap_err();
    assert!(why.to_string().contains("invalid value: byte array, expected a string"), "{why}");
    let bytes = with(Python2::Bytes);
    let stream = b"}(U\x04nameX\x01\0\0\0nU\x04sizeK\x01u.";
    assert_eq!(pickle::from_slice_with::<Sized>(stream, &bytes).unwrap(), sized("n", 1));
    assert_eq!(pickle::from_slice_with::<Choice>(b"U\x04Unit.", &bytes).unwrap(), Choice::Unit);
}

#[test]
fn bytes_are_sequences_too() {
    assert_eq!(read::<Vec<u8>>("SHORT_BINBYTES \"a\\xff\""), [b'a', 255]);
    assert_eq!(read::<[u8; 2]>("SHORT_BINBYTES \"a\\xff\""), [b'a', 255]);
    let encoded = "GLOBAL _codecs encode / UNICODE a\\u00ff / UNICODE latin1 / TUPLE2 / REDUCE";
    assert_eq!(read::<Vec<u8>>(encoded), [b'a', 255]);
    assert_eq!(read::<ByteBuf>("MARK / BININT1 1 / LIST").as_ref(), [1]);
}

#[test]
fn several_pickles_in_a_stream() {
    let mut two = pickle::iter::<u8>(&b"K\x01.\x80\x02K\x02."[..], &DeOptions::default());
    assert_eq!(two.next().unwrap().unwrap(), 1);
    assert_eq!(two.next().unwrap().unwrap(), 2);
    assert!(two.next().is_none());
    let mut wrong = pickle::iter::<u8>(&b"K\x01.N.K\x02.K"[..], &DeOptions::default());
    assert_eq!(wrong.next().unwrap().unwrap(), 1);
    wrong.next().unwrap().unwrap_err();
    assert_eq!(wrong.next().unwrap().unwrap(), 2);
    assert_eq!(wrong.next().unwrap().unwrap_err().offset(), Some(FileOffset(8)));
    assert!(wrong.next().is_none());
}

/// Thousands of values by CPython, with what it says of them as tagged JSON: where that needs
/// no tags, a type that knows nothing of what is coming reads the same.
#[test]
fn as_cpython_says() {
    let values = super::streams::values();
    let (mut same, mut read, mut seen) = (0, 0, 0);
    let options = DeOptions::default().policy(super::streams::policy());
    for (stream, said) in super::streams::records(&values) {
        seen += 1;
        let value = pickle::from_slice_with::<serde_json::Value>(stream, &options);
        read += u32::from(value.is_ok());
        if said.contains("\"$") {
            continue;
        }
        let said: serde_json::Value = serde_json::from_str(said).unwrap();
        assert_eq!(value.unwrap(), said, "{}", stream.escape_ascii());
        same += 1;
    }
    assert!(same > 100 && read > same, "{same} the same, {read} read of {seen}");
}
