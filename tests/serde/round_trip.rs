//! Every type of serde's data model, written and read in every protocol.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use depickle::python::serde::{self as pickle, SerOptions};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::everywhere;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(Vec<u8>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tuple(u8, String, Unit);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Empty {}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Struct {
    empty: Empty,
    unit: Unit,
    newtype: Newtype,
    tuple: Tuple,
    r#type: Option<Box<Struct>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Enum {
    Unit,
    Newtype(u64),
    Optional(Option<u8>),
    Tuple(i8, bool),
    NoItems(),
    Struct { a: char, b: Vec<Enum> },
    Nested(Box<Enum>),
    Map(BTreeMap<String, Enum>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    A { x: u8 },
    B,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    A(u8, u8),
    B { y: String },
    C,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Int(i64),
    Float(f64),
    Text(String),
    Many(Vec<Untagged>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

#[test]
fn numbers() {
    everywhere(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    everywhere(&(i8::MAX, i16::MAX, i32::MAX, i64::MAX, i128::MAX));
    everywhere(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    everywhere(&(-1_i128, 0_u128, i128::from(i64::MIN) - 1, u128::from(u64::MAX) + 1));
    everywhere(&vec![
        0_i64,
        -1,
        127,
        128,
        255,
        256,
        -128,
        -129,
        65_535,
        65_536,
        1 << 31,
        -(1 << 31),
    ]);
    everywhere(&(f32::MIN, f32::MIN_POSITIVE, 0.1_f32, f32::INFINITY));
    everywhere(&(f64::MIN, f64::MIN_POSITIVE, 0.1, f64::NEG_INFINITY, 5e-324));
    everywhere(&(true, false));
    let bits = |value: f64| pickle::from_slice::<f64>(&pickle::to_vec(&value).unwrap()).unwrap();
    assert_eq!(bits(-0.0).to_bits(), (-0.0_f64).to_bits());
    assert!(bits(f64::NAN).is_nan());
}

#[test]
fn texts_and_bytes() {
    everywhere(&('a', 'é', '\u{10ffff}', '\0'));
    for text in ["", "a", "\\u0041\n\r\0\x1a'\"", "é€😀", &"long ".repeat(70_000)] {
        everywhere(&text.to_owned());
        everywhere(&ByteBuf::from(text.as_bytes()));
    }
    everywhere(&ByteBuf::from((0..=255).collect::<Vec<u8>>()));
    everywhere(&vec![ByteBuf::from([1]), ByteBuf::from([2]), ByteBuf::new()]);
}

#[test]
fn options_and_units() {
    everywhere(&((), Unit, None::<u8>, Some(1), Some(vec![Some("a".to_owned()), None])));
    // As in other formats, one level of options is all that None can tell.
    let lost: Option<Option<u8>> =
        pickle::from_slice(&pickle::to_vec(&Some(None::<u8>)).unwrap()).unwrap();
    assert_eq!(lost, None);
}

#[test]
fn sequences_and_maps() {
    everywhere(&Vec::<u8>::new());
    for len in [1, 2, 999, 1000, 1001, 2000, 2001] {
        everywhere(&(0..len).collect::<Vec<u32>>());
        everywhere(&(0..len).map(|n| (n, n.to_string())).collect::<BTreeMap<_, _>>());
    }
    everywhere(&[[1_u8; 3]; 2]);
    everywhere(&(1, (2, (3, (4, (5, 6, 7, 8))))));
    everywhere(&HashSet::from([(1, 'a'), (2, 'b')]));
    everywhere(&HashMap::from([(false, vec![1]), (true, vec![])]));
    everywhere(&BTreeMap::from([(None, 1), (Some(2), 2)]));
    everywhere(&BTreeMap::from([((1, "a".to_owned()), ()), ((2, String::new()), ())]));
    // Lists cannot be keys in Python, so they are tuples there.
    everywhere(&BTreeMap::from([(vec![], 0), (vec![1], 1), (vec![1, 2, 3, 4], 4)]));
}

#[test]
fn structs() {
    let small = |left_out: Vec<u8>, r#type| Struct {
        empty: Empty {},
        unit: Unit,
        newtype: Newtype(vec![1, 2]),
        tuple: Tuple(1, "a".into(), Unit),
        r#type,
        left_out,
    };
    everywhere(&vec![small(vec![], Some(Box::new(small(vec![7], None)))), small(vec![8], None)]);
    let rest =
        BTreeMap::from([("a".into(), Untagged::Float(0.5)), ("b".into(), Untagged::Int(-3))]);
    everywhere(&Flat { own: 1, rest });
}

#[test]
fn variants() {
    let map = BTreeMap::from([("m".into(), Enum::Unit), ("n".into(), Enum::Newtype(1))]);
    everywhere(&vec![
        Enum::Unit,
        Enum::Newtype(u64::MAX),
        Enum::Optional(None),
        Enum::Optional(Some(1)),
        Enum::Tuple(-1, true),
        Enum::NoItems(),
        Enum::Struct { a: 'x', b: vec![Enum::Unit, Enum::Tuple(0, false)] },
        Enum::Nested(Box::new(Enum::Nested(Box::new(Enum::Unit)))),
        Enum::Map(map),
    ]);
    everywhere(&vec![Internal::A { x: 1 }, Internal::B]);
    everywhere(&vec![Adjacent::A(1, 2), Adjacent::B { y: "b".into() }, Adjacent::C]);
    let many = vec![Untagged::Text("a".into()), Untagged::Many(vec![Untagged::Int(1)])];
    everywhere(&Untagged::Many(many));
    everywhere(&Ok::<u8, String>(1));
    everywhere(&(IpAddr::V4(Ipv4Addr::LOCALHOST), Duration::from_millis(1500)));
}

#[test]
fn as_python_writes_them() {
    let two = SerOptions::default().protocol(2);
    let written = |value: &Enum| pickle::to_vec_with(value, &two).unwrap();
    assert_eq!(written(&Enum::Unit), b"\x80\x02X\x04\0\0\0Unitq\0.");
    assert_eq!(written(&Enum::Newtype(5)), b"\x80\x02}X\x07\0\0\0Newtypeq\0K\x05s.");
    assert_eq!(written(&Enum::Tuple(1, true)), b"\x80\x02}X\x05\0\0\0Tupleq\0](K\x01\x88es.");
    let tuples = two.tuple_variants(true);
    let written = pickle::to_vec_with(&Enum::Tuple(1, true), &tuples).unwrap();
    assert_eq!(written, b"\x80\x02X\x05\0\0\0Tupleq\0](K\x01\x88e\x86.");
}

#[test]
fn names_are_written_once() {
    #[derive(Serialize)]
    struct Point {
        horizontal: u8,
        vertical: u8,
    }
    let point = || Point { horizontal: 1, vertical: 2 };
    for protocol in 0..=5 {
        let options = SerOptions::default().protocol(protocol);
        let many: Vec<Point> = (0..1000).map(|_| point()).collect();
        let bytes = pickle::to_vec_with(&many, &options).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("horizontal").count(), 1, "protocol {protocol}");
        assert_eq!(text.matches("vertical").count(), 1, "protocol {protocol}");
    }
}

#[test]
fn a_lying_length_does_no_harm() {
    struct Liar(Option<usize>, usize);
    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut seq = serializer.serialize_seq(self.0)?;
            for n in 0..self.1 {
                seq.serialize_element(&n)?;
            }
            seq.end()
        }
    }
    for protocol in 0..=5 {
        for said in [None, Some(0), Some(1), Some(2), Some(5000)] {
            for real in [0, 1, 2, 3, 1000, 1002] {
                let options = SerOptions::default().protocol(protocol);
                let bytes = pickle::to_vec_with(&Liar(said, real), &options).unwrap();
                let read: Vec<usize> = pickle::from_slice(&bytes).unwrap();
                assert!(read.into_iter().eq(0..real), "{said:?} {real}");
            }
        }
    }
}
