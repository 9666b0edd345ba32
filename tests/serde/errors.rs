//! What errors say: what is wrong, at which place in the data, at which byte, what to do.

use std::collections::BTreeMap;
use std::io;

use depickle::python::serde::{self as pickle, DeOptions, Kind, SerOptions};
use depickle::{Category, FileOffset};
use serde::{Deserialize, Serialize};

use super::fail;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "never read")]
struct Layer {
    name: String,
    size: u8,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "never read")]
enum Choice {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: u8 },
}

type Layers = BTreeMap<String, Vec<Layer>>;

/// Text, path, offset, category.
#[track_caller]
fn says(why: &pickle::Error, text: &str, path: &str, at: Option<u64>, category: Category) {
    assert_eq!(why.to_string(), text);
    assert_eq!(why.path(), path);
    assert_eq!(why.offset(), at.map(FileOffset));
    assert_eq!(why.category(), category);
}

fn layers(pairs: &str) -> pickle::Error {
    fail::<Layers>(&format!(
        "EMPTY_DICT / UNICODE layers / EMPTY_LIST / MARK / {pairs} / DICT / APPEND / SETITEM"
    ))
}

#[test]
fn wrong_types_and_values() {
    let malformed = Category::Malformed;
    says(
        &layers("UNICODE name / UNICODE a / UNICODE size / UNICODE big"),
        "invalid type: string \"big\", expected u8 at ['layers'][0]['size'], byte 26 (0x1a)",
        "['layers'][0]['size']",
        Some(26),
        malformed,
    );
    says(
        &layers("UNICODE name / UNICODE a / UNICODE size / BININT2 300"),
        "invalid value: integer `300`, expected u8 at ['layers'][0]['size'], byte 29 (0x1d)",
        "['layers'][0]['size']",
        Some(29),
        malformed,
    );
    says(
        &layers("UNICODE name / UNICODE a"),
        "missing field `size` at ['layers'][0], byte 20 (0x14)",
        "['layers'][0]",
        Some(20),
        Category::Missing,
    );
    says(
        &layers("UNICODE names / UNICODE a"),
        "unknown field `names`, expected `name` or `size` at ['layers'][0].keys()[0], byte 11 (0xb)",
        "['layers'][0].keys()[0]",
        Some(11),
        malformed,
    );
    // The number of a field is not its name.
    says(
        &layers("BININT1 0 / UNICODE a / BININT1 1 / BININT1 2"),
        "invalid type: integer `0`, expected field identifier at ['layers'][0].keys()[0], byte 20 (0x14)",
        "['layers'][0].keys()[0]",
        Some(20),
        malformed,
    );
    let attribute = fail::<Layer>(
        "GLOBAL m Layer / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / UNICODE name / NONE / SETITEM / BUILD",
    );
    says(
        &attribute,
        "invalid type: unit value, expected a string at .name, byte 10 (0xa)",
        ".name",
        Some(10),
        malformed,
    );
    says(&fail::<u8>("NONE"), "invalid type: unit value, expected u8", "", None, malformed);
    says(
        &fail::<(u8, u8)>("BININT1 1 / BININT1 2 / BININT1 3 / TUPLE3"),
        "invalid length 3, expected 2 items at byte 6 (0x6)",
        "",
        Some(6),
        malformed,
    );
    let text = fail::<[u8; 2]>("SHORT_BINBYTES \"abc\"").to_string();
    assert_eq!(text, "invalid length 3, expected 2 elements in sequence at byte 0 (0x0)");
    let text = fail::<String>("BINUNICODE \"a\\xed\\xa0\\x80\"").to_string();
    let expected = "invalid value: a str with lone surrogates, which are no UTF-8, expected a string at byte 0 (0x0)";
    assert_eq!(text, expected);
}

#[test]
fn integers_out_of_range() {
    let text = |why: pickle::Error| why.to_string();
    let two_to_the_64 = "LONG 18446744073709551616";
    let expected =
        "invalid type: integer `18446744073709551616` as u128, expected u64 at byte 0 (0x0)";
    assert_eq!(text(fail::<u64>(two_to_the_64)), expected);
    assert_eq!(super::read::<u128>(two_to_the_64), 1 << 64);
    assert!(text(fail::<i64>("LONG 9223372036854775808")).contains("expected i64"));
    assert!(text(fail::<u8>("BININT -1")).contains("integer `-1`, expected u8"));
    let two_to_the_128 = "LONG 340282366920938463463374607431768211456";
    let expected = "invalid value: an integer of about 136 bits, expected u128 at byte 0 (0x0)";
    assert_eq!(text(fail::<u128>(two_to_the_128)), expected);
    let below = "LONG -170141183460469231731687303715884105729";
    assert!(text(fail::<i128>(below)).contains("an integer of about 136 bits, expected i128"));
}

#[test]
fn wrong_variants() {
    let text = |ops: &str| fail::<Choice>(ops).to_string();
    assert_eq!(
        text("UNICODE Other"),
        "unknown variant `Other`, expected one of `Unit`, `Newtype`, `Tuple`, `Struct` at byte 0 (0x0)"
    );
    let nothing = "invalid type: unit variant, expected newtype variant at byte 0 (0x0)";
    assert_eq!(text("UNICODE Newtype"), nothing);
    assert!(text("UNICODE Tuple").contains("expected tuple variant"));
    assert!(text("UNICODE Struct").contains("expected struct variant"));
    let form = "expected a variant: 'name', {'name': value} or ('name', value) at byte 0 (0x0)";
    assert_eq!(text("EMPTY_DICT"), format!("invalid type: map of 0, {form}"));
    assert_eq!(text("EMPTY_LIST"), format!("invalid type: a sequence of 0, {form}"));
    assert!(text("BININT1 0").starts_with("invalid type: int, expected a variant"));
    // The number of a variant is not its name.
    let number = text("BININT1 0 / BININT1 1 / TUPLE2");
    assert!(number.contains("invalid type: integer `0`, expected variant identifier"), "{number}");
    let inner = fail::<Choice>("EMPTY_DICT / UNICODE Newtype / UNICODE x / SETITEM");
    assert_eq!(inner.path(), "['Newtype']");
    let data = fail::<Choice>("EMPTY_DICT / UNICODE Unit / BININT1 1 / SETITEM").to_string();
    assert_eq!(data, "invalid type: integer `1`, expected unit at ['Unit'], byte 0 (0x0)");
}

#[test]
fn what_is_no_plain_value() {
    let text = |ops: &str| fail::<serde_json::Value>(ops).to_string();
    let rest =
        "is no plain value at byte 0 (0x0); skip it (serde::de::IgnoredAny), or read the graph";
    assert_eq!(text("GLOBAL torch float32"), format!("the global torch.float32 {rest}"));
    let date = text("GLOBAL datetime date / BINBYTES \"\\x07\\xe6\\x01\\x01\" / TUPLE1 / REDUCE");
    assert!(date.starts_with("an object of datetime.date is no plain value at byte "), "{date}");
    let call = text("GLOBAL m factory / EMPTY_TUPLE / REDUCE");
    assert!(call.starts_with("a call of m.factory is no plain value"), "{call}");
    let persistent = text("UNICODE storage / BINPERSID");
    assert!(persistent.starts_with("a persistent object is no plain value"), "{persistent}");
    let why = fail::<Vec<serde_json::Value>>("MARK / NONE / GLOBAL m C / LIST");
    assert_eq!((why.path().as_str(), why.category()), ("[1]", Category::Unsupported));
    // A state that was changed after it was set, or set twice, is nobody's guess.
    let object = "GLOBAL m C / EMPTY_TUPLE / NEWOBJ / EMPTY_DICT / BINPUT 0 / BUILD";
    let later = text(&format!("MARK / {object} / BINGET 0 / UNICODE a / NONE / SETITEM / TUPLE"));
    assert!(later.starts_with("an object of m.C is no plain value at [0], "), "{later}");
    assert!(text(&format!("{object} / BINGET 0 / BUILD")).starts_with("an object of m.C"));
}

#[test]
fn of_the_stream() {
    let why = pickle::from_slice::<u8>(b"](K\x01").unwrap_err();
    assert!(matches!(why.kind(), Kind::Pickle(_)));
    assert_eq!((why.category(), why.offset()), (Category::Malformed, Some(FileOffset(4))));
    assert!(why.to_string().contains("truncated"), "{why}");
    let why = pickle::from_slice::<u8>(b"cos\nsystem\nX\x02\0\0\0ls\x85R.").unwrap_err();
    assert_eq!((why.category(), why.offset()), (Category::Forbidden, Some(FileOffset(0))));
    assert!(why.to_string().starts_with("os.system is refused"), "{why}");
    says(
        &pickle::from_slice::<u8>(b"K\x01.K\x02.").unwrap_err(),
        "3 bytes behind the pickle; allow them (DeOptions::trailing), or read all (serde::iter)",
        "",
        None,
        Category::Malformed,
    );
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is out"))
        }
    }
    let why = pickle::from_reader::<u8>(Broken).unwrap_err();
    assert_eq!(why.category(), Category::Io);
    assert_eq!(io::Error::from(why).to_string(), "the cable is out");
}

#[derive(Serialize)]
enum Written {
    Newtype(BTreeMap<BTreeMap<u8, u8>, u8>),
    Struct { part: Vec<Refuses> },
}

struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not this"))
    }
}

struct LyingTuple;

impl Serialize for LyingTuple {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&1)?;
        tuple.end()
    }
}

struct Ignores;

impl Serialize for Ignores {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let mut seq = serializer.serialize_seq(None)?;
        let _ = seq.serialize_element(&Refuses);
        seq.end()
    }
}

#[test]
fn of_writing() {
    let key = BTreeMap::from([(BTreeMap::from([(1, 2)]), 3)]);
    says(
        &pickle::to_vec(&(1, Written::Newtype(key))).unwrap_err(),
        "a dict cannot be a key in Python at [1]['Newtype'].keys()[0]; make it a list of pairs",
        "[1]['Newtype'].keys()[0]",
        None,
        Category::Unsupported,
    );
    let why = pickle::to_vec(&Written::Struct { part: vec![Refuses] }).unwrap_err();
    says(&why, "not this at ['Struct'].part[0]", "['Struct'].part[0]", None, Category::Malformed);
    let why = pickle::to_vec(
        &BTreeMap::from([(1, 0.5), (2, 1.5)]).into_values().map(|_| LyingTuple).collect::<Vec<_>>(),
    );
    assert_eq!(why.unwrap_err().to_string(), "a tuple of 2 was given 1 items at [0]");
    let why = pickle::to_vec(&Ignores).unwrap_err().to_string();
    assert_eq!(why, "a part failed, and the value went on as if it had not");
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let why = pickle::to_writer(Full, &1).unwrap_err();
    assert_eq!(why.category(), Category::Io);
    assert_eq!(why.to_string(), "could not write: the disk is full");
}

#[test]
fn of_depth() {
    let options = DeOptions::default().depth(1);
    let why = pickle::from_slice_with::<Vec<Vec<u8>>>(b"]](K\x01ea.", &options).unwrap_err();
    says(
        &why,
        "over 1 values in each other at [0], byte 1 (0x1); raise DeOptions::depth if the stack is large enough",
        "[0]",
        Some(1),
        Category::OverLimit,
    );
    let options = SerOptions::default().depth(1);
    says(
        &pickle::to_vec_with(&[[1]], &options).unwrap_err(),
        "over 1 values in each other at [0]; raise SerOptions::depth if the stack is large enough",
        "[0]",
        None,
        Category::OverLimit,
    );
    pickle::to_vec_with(&[1], &options).unwrap();
}
