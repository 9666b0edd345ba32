//! Arrays, scalars and dtypes of numpy 1 and 2, compared with what numpy says of them.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod streams;

use std::fs::File;
use std::io::Read;

use bytes::Bytes;
use depickle::pickle::{Graph, Policy, Value as Recorded, assemble, run, run_with_buffers};
use depickle::python::numpy::{DType, Element, Kind, MaskedArray, NumpyArray, NumpyScalar};
use depickle::{Budget, Category, FileOffset};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn graph(stream: &[u8]) -> Graph {
    let stream = stream.to_vec().into();
    let outcome = run(stream, FileOffset(0), &Policy::inspect(), &mut Budget::default());
    outcome.end.unwrap();
    outcome.graph
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// As `numpy_fixtures.py` spells elements.
fn spelled(element: &Element) -> Value {
    let float = |value: f64| depickle::python::literal::float(value);
    match element {
        Element::Bool(value) => json!(value),
        Element::Int(value) => json!(value),
        Element::UInt(value) => json!(value),
        Element::Float(value) => json!(float(*value)),
        Element::Complex(re, im) => json!([float(*re), float(*im)]),
        Element::Bytes(bytes) => json!(std::str::from_utf8(bytes).unwrap()),
        Element::Text(text) => json!(text),
        Element::Time(time) => json!(time),
        Element::Object(object) => {
            let [number, text] = object.as_tuple().unwrap().array().unwrap();
            json!([number.as_int().unwrap(), text.as_str().unwrap()])
        }
        _ => Value::Null,
    }
}

/// Compares one object with numpy's word on it.
fn compare(graph: &Graph, said: &Value) {
    let mut budget = Budget::default();
    let root = graph.root().unwrap();
    let told = said.to_string();
    if said["what"] == "scalar" {
        let scalar = NumpyScalar::view(root, &mut budget).unwrap().expect(&told);
        assert_eq!(json!(scalar.dtype().to_string()), said["dtype"], "{told}");
        if let Some(values) = said["values"].as_array() {
            assert_eq!(spelled(&scalar.value()), values[0], "{told}");
        }
        if let Element::Raw(bytes) = scalar.value() {
            assert_eq!(json!(bytes.len()), said["itemsize"], "{told}");
        }
        return;
    }
    let array = NumpyArray::view(root, &mut budget).unwrap().expect(&told);
    assert_eq!(json!(array.dtype().to_string()), said["dtype"], "{told}");
    assert_eq!(json!(array.dtype().width()), said["itemsize"], "{told}");
    assert_eq!(json!(array.shape()), said["shape"], "{told}");
    if let Kind::Struct(fields) = array.dtype().kind() {
        let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
        assert_eq!(json!(names), said["names"], "{told}");
    }
    if let Some(bytes) = array.to_bytes(&mut budget).unwrap() {
        assert_eq!(json!(sha256(&bytes)), said["sha256"], "{told}");
    }
    let elements: Vec<Element> = array.elements(&mut budget).unwrap().collect();
    assert_eq!(elements.len() as u64, array.len(), "{told}");
    if let Some(values) = said["values"].as_array() {
        let ours: Vec<Value> = elements.iter().map(spelled).collect();
        assert_eq!(&ours, values, "{told}");
    }
    if let Some(mask) = said["masked"].as_str() {
        let masked = MaskedArray::view(root, &mut budget).unwrap().expect(&told);
        assert_eq!(hex(masked.mask()), mask, "{told}");
    }
}

#[test]
fn arrays_are_what_numpy_says() {
    for version in ["1.26.4", "2.4.6"] {
        let path = streams::root().join(format!("tests/fixtures/numpy/numpy-{version}.zip"));
        let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
        let mut cases = Vec::new();
        archive.by_name("cases").unwrap().read_to_end(&mut cases).unwrap();
        let records = streams::records(&cases);
        assert!(records.len() > 900, "{}", records.len());
        for (stream, said) in records {
            compare(&graph(stream), &serde_json::from_str(said).unwrap());
        }
    }
}

const HEAD: &str = "GLOBAL numpy.core.multiarray _reconstruct\nGLOBAL numpy ndarray\nBININT1 0\n\
    TUPLE1\nSHORT_BINBYTES \"b\"\nTUPLE3\nREDUCE\nMARK\nBININT1 1\n";

/// A dtype by name with a state, or only with the changes that a case is about.
fn dtype(name: &str, order: &str, sub: &str, names: &str, fields: &str, itemsize: &str) -> String {
    format!(
        "GLOBAL numpy dtype\nSHORT_BINUNICODE \"{name}\"\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE\nMARK\n\
         BININT1 3\nSHORT_BINUNICODE \"{order}\"\n{sub}\n{names}\n{fields}\n{itemsize}\nBININT -1\n\
         BININT1 0\nTUPLE\nBUILD\n"
    )
}

fn plain(name: &str) -> String {
    dtype(name, "<", "NONE", "NONE", "NONE", "BININT -1")
}

fn array(shape: &str, dtype: &str, fortran: &str, data: &str) -> Graph {
    let text = format!("{HEAD}{shape}\n{dtype}{fortran}\n{data}\nTUPLE\nBUILD\nSTOP");
    graph(&assemble(&text).unwrap())
}

fn refused(graph: &Graph) -> String {
    let why = NumpyArray::view(graph.root().unwrap(), &mut Budget::default()).unwrap_err();
    assert!(matches!(why.category(), Category::Malformed | Category::OverLimit), "{why}");
    why.to_string()
}

#[test]
fn what_no_numpy_could_have_written_is_refused() {
    let four = "SHORT_BINBYTES \"abcd\"";
    let fields = |offset: &str| {
        let inner = plain("i4");
        format!("EMPTY_DICT\nMARK\nSHORT_BINUNICODE \"a\"\n{inner}{offset}\nTUPLE2\nSETITEMS")
    };
    let names = "SHORT_BINUNICODE \"a\"\nTUPLE1";
    let structure = |offset| dtype("V6", "|", "NONE", names, &fields(offset), "BININT1 6");
    let sub = format!("{}BININT1 2\nTUPLE1\nTUPLE2", plain("i4"));
    let cases = [
        ("BININT1 1\nTUPLE1", plain("i8"), "NEWFALSE", four, "4 bytes of data where 8 are needed"),
        ("BININT1 1\nTUPLE1", plain("i2"), "NEWFALSE", four, "4 bytes of data where 2 are needed"),
        ("BININT -1\nTUPLE1", plain("i4"), "NEWFALSE", four, "the size -1"),
        ("NONE\nTUPLE1", plain("i4"), "NEWFALSE", four, "an int wanted, None found"),
        ("BININT1 1\nTUPLE1", plain("i4"), "BININT1 2", four, "a bool wanted, int found"),
        (
            "LONG1 4294967296\nLONG1 4294967296\nTUPLE2",
            plain("i4"),
            "NEWFALSE",
            four,
            "a shape of over 2^63 bytes",
        ),
        (
            "LONG1 4294967296\nLONG1 4294967296\nBININT1 0\nTUPLE3",
            plain("i4"),
            "NEWFALSE",
            "SHORT_BINBYTES \"\"",
            "a shape of over 2^63 bytes",
        ),
        ("BININT1 1\nTUPLE1", structure("BININT1 3"), "NEWFALSE", four, "reaches past its element"),
        ("BININT1 1\nTUPLE1", structure("BININT -1"), "NEWFALSE", four, "the size -1"),
        (
            "BININT1 1\nTUPLE1",
            dtype("V9", "|", &sub, "NONE", "NONE", "BININT1 9"),
            "NEWFALSE",
            four,
            "a sub-array that does not fill its element",
        ),
        (
            "BININT1 2\nTUPLE1",
            plain("O8"),
            "NEWFALSE",
            "EMPTY_LIST",
            "0 objects where 2 are needed",
        ),
        ("BININT1 1\nTUPLE1", plain("O8"), "NEWFALSE", four, "bytes for Python objects"),
        ("BININT1 1\nTUPLE1", plain("i4"), "NEWFALSE", "EMPTY_LIST", "bytes wanted, list found"),
        ("BININT1 1\nTUPLE1", "NONE\n".to_owned(), "NEWFALSE", four, "a dtype wanted, None found"),
    ];
    for (shape, dtype, fortran, data, want) in cases {
        let why = refused(&array(shape, &dtype, fortran, data));
        assert!(why.contains(want), "{why}, not {want}");
    }
    // The place is that of the data.
    let graph = array("BININT1 1\nTUPLE1", &plain("i8"), "NEWFALSE", four);
    let why = NumpyArray::view(graph.root().unwrap(), &mut Budget::default()).unwrap_err();
    let data = graph
        .objects()
        .find(|object| matches!(object.value(), Recorded::Bytes(bytes) if bytes == b"abcd"));
    assert_eq!(why.offset(), data.unwrap().offset());
}

#[test]
fn elements_without_bytes_are_paid_for() {
    let nothing = plain("V0");
    let huge = array("LONG1 1099511627776\nTUPLE1", &nothing, "NEWFALSE", "SHORT_BINBYTES \"\"");
    let mut budget = Budget::default();
    let array = NumpyArray::view(huge.root().unwrap(), &mut budget).unwrap().unwrap();
    assert_eq!(array.len(), 1 << 40);
    let why = array.elements(&mut budget).map(Iterator::count).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit);
}

#[test]
fn dtypes_in_each_other_end() {
    std::thread::Builder::new().stack_size(256 << 10).spawn(nested).unwrap().join().unwrap();
}

fn nested() {
    // A sub-array of a sub-array, and so on; and a dtype that is its own base.
    let open = "GLOBAL numpy dtype\nSHORT_BINUNICODE \"V4\"\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE\n\
        MARK\nBININT1 3\nSHORT_BINUNICODE \"|\"\n";
    let close =
        "BININT1 1\nTUPLE1\nTUPLE2\nNONE\nNONE\nBININT1 4\nBININT -1\nBININT1 0\nTUPLE\nBUILD\n";
    let deep = [open.repeat(100_000), plain("i4"), close.repeat(100_000), "STOP".into()].concat();
    let graph = graph(&assemble(&deep).unwrap());
    let why = DType::view(graph.root().unwrap(), &mut Budget::default()).unwrap_err();
    assert!(why.to_string().contains("32 levels deep"), "{why}");
    let own = "GLOBAL numpy dtype\nSHORT_BINUNICODE \"V4\"\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE\nMEMOIZE\n\
        MARK\nBININT1 3\nSHORT_BINUNICODE \"|\"\nBINGET 0\n";
    let graph = self::graph(&assemble(&format!("{own}{close}STOP")).unwrap());
    let why = DType::view(graph.root().unwrap(), &mut Budget::default()).unwrap_err();
    assert!(why.to_string().contains("32 levels deep"), "{why}");
    // Each a structure of the one before, twice.
    let mut shared = plain("i4") + "PUT 0\n";
    for level in 0..20 {
        let field =
            |name, offset| format!("SHORT_BINUNICODE \"{name}\"\nGET {level}\n{offset}\nTUPLE2\n");
        let width = 4_u64 << level;
        let (a, b) = (field("a", "BININT1 0".to_owned()), field("b", format!("LONG1 {width}")));
        let fields = format!("EMPTY_DICT\nMARK\n{a}{b}SETITEMS");
        let names = "SHORT_BINUNICODE \"a\"\nSHORT_BINUNICODE \"b\"\nTUPLE2";
        let whole = format!("LONG1 {}", 2 * width);
        shared += &dtype("V0", "|", "NONE", names, &fields, &whole);
        shared = format!("{shared}PUT {}\n", level + 1);
    }
    let graph = self::graph(&assemble(&(shared + "STOP")).unwrap());
    let why = DType::view(graph.root().unwrap(), &mut Budget::default()).unwrap_err();
    assert!(why.to_string().contains("over 65536 parts"), "{why}");
    let twelve = [open.repeat(12), plain("i4"), close.repeat(12), "STOP".into()].concat();
    let graph = self::graph(&assemble(&twelve).unwrap());
    assert!(DType::view(graph.root().unwrap(), &mut Budget::default()).unwrap().is_some());
}

#[test]
fn buffers_out_of_band_are_read_where_they_were_given() {
    let text = format!(
        "PROTO 5\nGLOBAL numpy.core.numeric _frombuffer\nMARK\nNEXT_BUFFER\n{}BININT1 2\nTUPLE1\n\
         SHORT_BINUNICODE \"C\"\nTUPLE\nREDUCE\nSTOP",
        plain("u2")
    );
    let stream = assemble(&text).unwrap();
    let mut budget = Budget::default();
    let missing = graph(&stream);
    let why = NumpyArray::view(missing.root().unwrap(), &mut budget).unwrap_err();
    assert_eq!(why.category(), Category::Unsupported);
    let buffers = vec![Bytes::from_static(&[1, 0, 0, 1])];
    let policy = Policy::inspect();
    let graph = run_with_buffers(stream.into(), FileOffset(0), &policy, &mut budget, buffers).graph;
    let array = NumpyArray::view(graph.root().unwrap(), &mut budget).unwrap().unwrap();
    let elements: Vec<Element> = array.elements(&mut budget).unwrap().collect();
    assert_eq!(elements, [Element::UInt(1), Element::UInt(256)]);
}
