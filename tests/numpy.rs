//! Arrays, scalars and dtypes as numpy 1.26 and 2.4 pickled them in every protocol: each view
//! says what numpy says. Then what no numpy would write, which ends in errors.
//!
//! `tests/python/numpy_fixtures.py` writes the fixtures.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use depickle::pickle::{Graph, Object, Policy, Value as Plain, assemble, run, run_with_buffers};
use depickle::python::numpy::{
    DType, Element, Fault, Kind, MaskedArray, Numpy, NumpyArray, NumpyScalar, Order, Views,
};
use depickle::python::views::{Raw, View};
use depickle::{Budget, Category, FileOffset, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

struct Case {
    numpy: String,
    said: Value,
    stream: Vec<u8>,
    buffers: Vec<Bytes>,
}

impl Case {
    fn name(&self) -> String {
        let Self { numpy, said, stream, .. } = self;
        format!("{numpy}: {said}\n{}", depickle::pickle::disassemble(stream))
    }

    fn graph(&self) -> Graph {
        let (stream, buffers) = (self.stream.clone().into(), self.buffers.clone());
        let mut budget = Budget::default();
        let outcome =
            run_with_buffers(stream, FileOffset(0), &Policy::inspect(), &mut budget, buffers);
        outcome.end.unwrap();
        outcome.graph
    }
}

/// Parts, each behind its length.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at(u32::from_le_bytes(*len) as usize);
        bytes = rest;
        Some(part.to_vec())
    })
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/numpy");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
        let mut bytes = Vec::new();
        archive.by_name("records").unwrap().read_to_end(&mut bytes).unwrap();
        let numpy = path.file_stem().unwrap().to_str().unwrap();
        let mut parts = records(&bytes);
        while let Some(said) = parts.next() {
            let said: Value = serde_json::from_slice(&said).unwrap();
            let stream = parts.next().unwrap();
            let count = usize::try_from(said["buffers"].as_u64().unwrap()).unwrap();
            let buffers = parts.by_ref().take(count).map(Bytes::from).collect();
            cases.push(Case { numpy: numpy.to_owned(), said, stream, buffers });
        }
    }
    assert!(cases.len() > 5_000, "{}", cases.len());
    cases
}

fn dtype(of: &DType) -> Value {
    let mut said = json!({
        "str": of.to_string(), "itemsize": of.itemsize(), "objects": of.has_objects(),
    });
    if of.is_aligned_struct() {
        said["aligned"] = true.into();
    }
    match of.kind() {
        Kind::SubArray { base, shape } => {
            said["base"] = dtype(base);
            said["shape"] = json!(shape);
        }
        Kind::Struct(fields) => {
            let field = |field: &depickle::python::numpy::Field| {
                let title = field.title().map(|title| title.as_str().unwrap().to_owned());
                let name = field.name().as_str().unwrap();
                json!([name, field.offset(), title, dtype(field.dtype())])
            };
            said["fields"] = fields.iter().map(field).collect();
        }
        // As numpy has it: it says that texts of any length are objects.
        Kind::String { coerce, na_object } => {
            said["objects"] = true.into();
            said["coerce"] = (*coerce).into();
            said["na"] = na_object.is_some().into();
        }
        _ => {}
    }
    said
}

fn has_big(dtype: &Value) -> bool {
    dtype.to_string().contains("\">")
}

fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn of_object(object: Object) -> Value {
    match object.value() {
        Plain::None => Value::Null,
        Plain::Bool(value) => value.into(),
        Plain::Int(value) => value.into(),
        Plain::Float(value) => depickle::python::literal::float(value).into(),
        Plain::Text(text) => text.as_str().unwrap().into(),
        Plain::Bytes(bytes) => json!({"bytes": hex(bytes)}),
        Plain::Tuple(items) => json!({"tuple": items.iter().map(of_object).collect::<Vec<_>>()}),
        _ => match View::of(object, &mut Budget::default()) {
            Ok(Some(View::Bytes(Raw::Latin1(text)))) => {
                json!({"bytes": hex(&Raw::Latin1(text).to_vec())})
            }
            other => panic!("{other:?}"),
        },
    }
}

/// Elements as the script writes them; floats apart, which are compared as such.
fn value(element: Element) -> Option<Value> {
    Some(match element {
        Element::Bool(value) => value.into(),
        Element::Int(value) => value.into(),
        Element::UInt(value) => value.into(),
        Element::Bytes(bytes) => json!({"bytes": hex(bytes)}),
        Element::Text(text) => text.to_text()?.into(),
        Element::DateTime(moment) => match moment.iso() {
            Some(iso) if moment.unit().to_string() != "" => iso.into(),
            _ => moment.raw().into(),
        },
        Element::TimeDelta(moment) => moment.raw().into(),
        Element::Object(object) => of_object(object),
        _ => return None,
    })
}

/// A float by its 64 bits.
fn from_hex(text: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(text, 16).unwrap())
}

fn check_values<'a>(
    elements: impl Iterator<Item = Element<'a>>,
    said: &Value,
    name: &dyn Fn() -> String,
) -> bool {
    let Some(said) = said["values"].as_array() else { return false };
    let elements: Vec<_> = elements.collect();
    assert_eq!(elements.len(), said.len(), "{}", name());
    for (element, said) in elements.into_iter().zip(said) {
        let float =
            matches!(element, Element::Float16(_) | Element::Float32(_) | Element::Float64(_));
        if float {
            let (found, said) = (element.as_f64().unwrap(), from_hex(said.as_str().unwrap()));
            assert!(
                found.to_bits() == said.to_bits() || found.is_nan() && said.is_nan(),
                "{found} {said} {}",
                name()
            );
        } else {
            assert_eq!(value(element).as_ref(), Some(said), "{}", name());
        }
    }
    true
}

fn check_array(array: &NumpyArray, said: &Value, name: &dyn Fn() -> String) {
    assert_eq!(dtype(array.dtype()), said["dtype"], "{}", name());
    assert_eq!(json!(array.shape()), said["shape"], "{}", name());
    if let Some(sum) = said["sha256"].as_str() {
        let bytes = match array.little_endian_bytes() {
            Ok(bytes) => bytes,
            Err(why) => panic!("{why} {}", name()),
        };
        assert_eq!(sha256(&bytes), sum, "{}", name());
        let needs = array.len() as u64 * array.dtype().itemsize();
        assert_eq!(array.bytes().unwrap().len() as u64, needs);
    } else {
        assert!(array.little_endian_bytes().is_err());
        assert_eq!(array.objects().unwrap().len(), array.len());
    }
    assert_eq!(array.iter().count(), array.len());
}

#[test]
fn views_say_what_numpy_says() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases() {
        let (graph, said) = (case.graph(), &case.said);
        let root = graph.root().unwrap();
        let name = || case.name();
        let kind = said["kind"].as_str().unwrap();
        let mut checked = false;
        match Views::default().any(root).unwrap_or_else(|| panic!("{}", name())) {
            Ok(Numpy::DType(found)) => {
                assert_eq!(kind, "dtype", "{}", name());
                assert_eq!(dtype(&found), said["dtype"], "{}", name());
            }
            Ok(Numpy::Array(array)) => {
                assert_eq!(kind, "array", "{}", name());
                check_array(&array, said, &name);
                checked = check_values(array.iter(), said, &name);
                let class = array.class().map_or("ndarray".into(), |class| {
                    String::from_utf8_lossy(class.as_global().unwrap().name).into_owned()
                });
                assert_eq!(said["class"], class, "{}", name());
                // Of nothing every order is the same.
                if array.nbytes() > 0 {
                    let order = array.order() == Order::F;
                    assert_eq!(said["order"] == "F", order, "{}", name());
                }
            }
            Ok(Numpy::Masked(masked)) => {
                assert_eq!(kind, "masked", "{}", name());
                check_array(masked.data(), said, &name);
                checked = check_values(masked.data().iter(), said, &name);
                assert_eq!(dtype(masked.mask().dtype()), said["mask_dtype"], "{}", name());
                let mask = masked.mask().row_major_bytes().unwrap();
                assert_eq!(said["mask"], hex(&mask), "{}", name());
            }
            Ok(Numpy::Scalar(scalar)) => {
                assert_eq!(kind, "scalar", "{}", name());
                assert_eq!(dtype(scalar.dtype()), said["dtype"], "{}", name());
                if let (Some(sum), false) = (said["sha256"].as_str(), has_big(&said["dtype"])) {
                    assert_eq!(sha256(scalar.bytes().unwrap()), sum, "{}", name());
                }
                checked = check_values(std::iter::once(scalar.value()), said, &name);
            }
            Ok(other) => panic!("{other:?}"),
            Err(why) => panic!("{why} {}", name()),
        }
        let values = if checked { "values" } else { "bytes" };
        *seen.entry(format!("{} {kind} {values}", case.numpy)).or_default() += 1;
    }
    // Two numpys; arrays, scalars and masked arrays by values and by bytes; dtypes.
    println!("{seen:#?}");
    assert!(seen.len() >= 14, "{seen:?}");
}

/// A dtype of one code, in assembly.
fn plain(code: &str, order: char, itemsize: i64) -> String {
    format!(
        "GLOBAL numpy dtype\nUNICODE {code}\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE\nMARK\nBININT1 3\n\
         UNICODE {order}\nNONE\nNONE\nNONE\nINT {itemsize}\nBININT 1\nBININT1 0\nTUPLE\nBUILD\n"
    )
}

fn structure(itemsize: i64, fields: &[(&str, String, i64)]) -> String {
    let names: Vec<_> = fields.iter().map(|(name, ..)| format!("UNICODE {name}\n")).collect();
    let field = |(name, dtype, offset): &(&str, String, i64)| {
        format!("UNICODE {name}\n{dtype}INT {offset}\nTUPLE2\nSETITEM\n")
    };
    let (names, fields) = (names.concat(), fields.iter().map(field).collect::<Vec<_>>().concat());
    format!(
        "GLOBAL numpy dtype\nUNICODE V8\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE\nMARK\nBININT1 3\n\
         UNICODE |\nNONE\nMARK\n{names}TUPLE\nEMPTY_DICT\n{fields}INT {itemsize}\nBININT 1\n\
         BININT1 0\nTUPLE\nBUILD\n"
    )
}

fn sub_array(base: &str, shape: &[i64], itemsize: i64) -> String {
    format!(
        "GLOBAL numpy dtype\nUNICODE V8\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE\nMARK\nBININT1 3\n\
         UNICODE |\n{base}{}TUPLE2\nNONE\nNONE\nINT {itemsize}\nBININT 1\nBININT1 0\nTUPLE\nBUILD\n",
        sizes(shape)
    )
}

fn sizes(shape: &[i64]) -> String {
    let items = shape.iter().map(|size| format!("INT {size}\n")).collect::<Vec<_>>().concat();
    format!("MARK\n{items}TUPLE\n")
}

/// An array of this dtype; `data` pushes its bytes or list.
fn array(shape: &[i64], dtype: &str, data: &str) -> String {
    format!(
        "GLOBAL numpy.core.multiarray _reconstruct\nGLOBAL numpy ndarray\nBININT1 0\nTUPLE1\n\
         SHORT_BINBYTES \"b\"\nTUPLE3\nREDUCE\nMARK\nBININT1 1\n{}{dtype}NEWFALSE\n{data}\nTUPLE\n\
         BUILD\n",
        sizes(shape)
    )
}

fn graph(text: &str) -> Graph {
    let stream = assemble(&format!("{text}STOP\n")).unwrap();
    let outcome = run(stream.into(), FileOffset(100), &Policy::inspect(), &mut Budget::default());
    outcome.end.unwrap();
    outcome.graph
}

/// Why the object is no array, scalar or dtype. Where, is said too.
fn refused(text: &str) -> Fault {
    let graph = graph(text);
    let found = Views::default().any(graph.root().unwrap()).unwrap();
    let why = found.err().unwrap_or_else(|| panic!("{text}"));
    assert!(why.offset().unwrap() >= FileOffset(100), "{why}");
    assert!(why.to_string().starts_with("numpy: "), "{why}");
    why.fault().clone()
}

const EIGHT: &str = "SHORT_BINBYTES \"12345678\"";
const NOTHING: &str = "SHORT_BINBYTES \"\"";

#[test]
fn data_must_have_what_the_shape_needs() {
    let i2 = plain("i2", '<', -1);
    let graph = graph(&array(&[4], &i2, EIGHT));
    assert_eq!(NumpyArray::view(graph.root().unwrap()).unwrap().len(), 4);
    for (shape, needs) in [(&[3][..], 6), (&[5], 10), (&[2, 1, 3], 12), (&[], 2), (&[9, 0], 0)] {
        let fault = refused(&array(shape, &i2, EIGHT));
        assert_eq!(fault, Fault::DataLength { needs, has: 8 });
    }
    let fault = refused(&array(&[4], &i2, NOTHING));
    assert_eq!(fault, Fault::DataLength { needs: 8, has: 0 });
    let scalar = format!("GLOBAL numpy.core.multiarray scalar\n{i2}{EIGHT}\nTUPLE2\nREDUCE\n");
    assert_eq!(refused(&scalar), Fault::DataLength { needs: 2, has: 8 });
    let class = "GLOBAL numpy._core.numeric _frombuffer\nMARK\n";
    let buffer = format!("{class}{EIGHT}\n{i2}{}UNICODE C\nTUPLE\nREDUCE\n", sizes(&[3]));
    assert_eq!(refused(&buffer), Fault::DataLength { needs: 6, has: 8 });
    let beside = format!("{class}NEXT_BUFFER\n{i2}{}UNICODE C\nTUPLE\nREDUCE\n", sizes(&[3]));
    assert_eq!(refused(&beside), Fault::NoBuffer(0));
}

#[test]
fn lists_must_have_as_many_objects_as_the_shape_needs() {
    let object = plain("O8", '|', -1);
    for (list, has) in [("EMPTY_LIST", 0), ("EMPTY_LIST\nNONE\nAPPEND", 1)] {
        let fault = refused(&array(&[2], &object, list));
        assert_eq!(fault, Fault::ItemCount { needs: 2, has });
    }
    assert!(matches!(refused(&array(&[2], &object, EIGHT)), Fault::NotA { .. }));
    let number = refused(&array(&[1], &plain("i8", '<', -1), "EMPTY_LIST\nNONE\nAPPEND"));
    assert!(matches!(number, Fault::NotA { wanted: "bytes", .. }), "{number}");
}

#[test]
fn no_product_of_sizes_wraps() {
    let i2 = plain("i2", '<', -1);
    for shape in [
        &[1 << 32, 1 << 32][..],
        &[1 << 31, 1 << 31, 4],
        &[i64::MAX],
        &[1 << 62],
        // Their product with the empty one is 0, their own exceeds all memory.
        &[0, 1 << 40, 1 << 40],
        &[2; 64],
    ] {
        assert_eq!(refused(&array(shape, &i2, NOTHING)), Fault::Overflow, "{shape:?}");
    }
    assert_eq!(refused(&array(&[1; 65], &i2, NOTHING)), Fault::Dimensions(65));
    assert_eq!(refused(&array(&[-1], &i2, NOTHING)), Fault::Negative(-1));
    assert_eq!(refused(&array(&[2, i64::MIN], &i2, NOTHING)), Fault::Negative(i64::MIN));
    let huge = refused(&sub_array(&plain("i8", '<', -1), &[1 << 61], i64::MAX));
    assert_eq!(huge, Fault::Overflow);
    let long = array(&[1], &plain("S5", '|', i64::MAX), EIGHT);
    assert_eq!(refused(&long), Fault::DataLength { needs: i64::MAX.cast_unsigned(), has: 8 });
    assert_eq!(refused(&array(&[1], &plain("S5", '|', -3), EIGHT)), Fault::Negative(-3));
    assert_eq!(refused(&array(&[2], &plain("U5", '<', 6), NOTHING)), Fault::Width(6));
}

#[test]
fn elements_of_no_bytes_are_counted_as_well() {
    let none = plain("V0", '|', 0);
    let some = graph(&array(&[1 << 20], &none, NOTHING));
    assert_eq!(NumpyArray::view(some.root().unwrap()).unwrap().iter().count(), 1 << 20);
    let fault = refused(&array(&[1 << 20, 2], &none, NOTHING));
    assert_eq!(fault, Fault::EmptyElements(1 << 21));
    let fault = refused(&sub_array(&none, &[1 << 20], 0));
    assert_eq!(fault, Fault::EmptyElements(1 << 20));
    let empty = structure(0, &[]);
    assert_eq!(
        refused(&array(&[i64::MAX], &empty, NOTHING)),
        Fault::EmptyElements(i64::MAX.cast_unsigned())
    );
}

#[test]
fn fields_lie_inside_their_element() {
    let i4 = || plain("i4", '<', -1);
    let fault = refused(&structure(8, &[("a", i4(), 0), ("b", i4(), 5)]));
    assert_eq!(fault, Fault::FieldOutside { name: "b".into(), end: 9, itemsize: 8 });
    let fault = refused(&structure(8, &[("a", i4(), i64::MAX)]));
    assert!(matches!(fault, Fault::FieldOutside { end, .. } if end > 1 << 62), "{fault}");
    assert_eq!(refused(&structure(8, &[("a", i4(), -1)])), Fault::Negative(-1));
    for (shape, itemsize) in [(&[2][..], 7), (&[2], 9), (&[0], 8), (&[], 8)] {
        let fault = refused(&sub_array(&i4(), shape, itemsize));
        assert!(matches!(fault, Fault::SubArraySize { .. }), "{fault}");
    }
    let without =
        structure(8, &[("a", i4(), 0)]).replacen("UNICODE a\nTUPLE", "UNICODE b\nTUPLE", 1);
    assert_eq!(refused(&without), Fault::NoField("b".into()));
}

#[test]
fn numbers_without_a_byte_order_are_refused() {
    let unstated = plain("i4", '|', -1);
    assert_eq!(refused(&array(&[2], &unstated, EIGHT)), Fault::NoByteOrder);
    let inside = structure(4, &[("a", unstated, 0)]);
    assert_eq!(refused(&array(&[2], &inside, EIGHT)), Fault::NoByteOrder);
    assert!(matches!(refused(&plain("i4", '!', -1)), Fault::Form(_)));
    assert!(matches!(refused(&plain("i3", '<', -1)), Fault::UnknownType(_)));
}

#[test]
fn big_endian_fields_over_one_another_are_not_turned_around() {
    let i8 = || plain("i8", '>', -1);
    let text = array(&[1], &structure(8, &[("a", i8(), 0), ("b", i8(), 0)]), EIGHT);
    let graph = graph(&text);
    let array = NumpyArray::view(graph.root().unwrap()).unwrap();
    let why = array.little_endian_bytes().unwrap_err();
    assert_eq!(why.category(), Category::Unsupported);
    assert_eq!(&*array.row_major_bytes().unwrap(), b"12345678");
}

#[test]
fn a_dtype_that_holds_itself_is_refused() {
    let inner = "GET 0\n".to_owned();
    let text = structure(8, &[("a", inner, 0)]).replacen("REDUCE\n", "REDUCE\nPUT 0\n", 1);
    assert_eq!(refused(&text), Fault::HoldsItself);
    assert_eq!(refused(&array(&[1], &text, EIGHT)), Fault::HoldsItself);
}

#[test]
fn what_was_changed_after_it_was_used_is_refused() {
    let i2 = plain("i2", '<', -1).replacen("REDUCE\n", "REDUCE\nPUT 0\n", 1);
    let again = "GET 0\nMARK\nBININT1 3\nUNICODE >\nNONE\nNONE\nNONE\nINT -1\nINT -1\nBININT1 0\n\
                 TUPLE\nBUILD\nPOP\n";
    assert!(matches!(refused(&format!("{}{again}", array(&[4], &i2, EIGHT))), Fault::ChangedLater));
    let list = "EMPTY_LIST\nPUT 1\nNONE\nAPPEND";
    let later = format!("{}GET 1\nNONE\nAPPEND\nPOP\n", array(&[2], &plain("O8", '|', -1), list));
    assert!(matches!(refused(&later), Fault::ChangedLater));
}

#[test]
fn deep_dtypes_end_on_a_small_stack() {
    let test = || {
        let deep = 100_000;
        let one = structure(8, &[("a", "|".to_owned(), 0)]);
        let (before, after) = one.split_once("UNICODE a\n|").unwrap();
        let before = format!("{before}UNICODE a\n");
        let inner = plain("i8", '<', -1);
        for (deep, fine) in [(60, true), (64, true), (65, false), (deep, false)] {
            let text = format!("{}{inner}{}", before.repeat(deep), after.repeat(deep));
            let graph = graph(&array(&[1], &text, EIGHT));
            let mut views = Views::default();
            let array = views.array(graph.root().unwrap());
            assert_eq!(array.is_ok(), fine, "{deep}");
            if let Ok(array) = &array {
                array.little_endian_bytes().unwrap();
                let mut element = array.element(0).unwrap();
                while let Element::Record(record) = element {
                    element = record.get("a").unwrap();
                }
                assert!(matches!(element, Element::Int(_)));
            } else {
                assert_eq!(array.unwrap_err().fault(), &Fault::TooDeep(64));
            }
            // What is too deep in the outermost may be fine by itself, whatever came first.
            let parts: Vec<_> = graph.objects().filter(|it| it.as_recipe().is_some()).collect();
            let mut count = 0;
            for part in parts.into_iter().rev().take(2_000) {
                count += usize::from(matches!(views.any(part), Some(Ok(Numpy::DType(_)))));
            }
            assert!(count >= deep.min(64), "{count}");
        }
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(test).unwrap().join().unwrap();
}

#[test]
fn a_dtype_that_unfolds_without_end_is_refused() {
    // Each has two fields of the one before: 2^60 in all.
    let mut text = format!("{}PUT 0\nPOP\n", plain("i1", '|', -1));
    for level in 0..60 {
        let part = || format!("GET {level}\n");
        text += &structure(1, &[("a", part(), 0), ("b", part(), 0)]);
        write!(text, "PUT {}\nPOP\n", level + 1).unwrap();
    }
    text += "GET 60\n";
    assert!(matches!(refused(&text), Fault::TooManyFields(_)));
}

#[test]
fn views_pay_for_what_they_make() {
    let graph = graph(&structure(8, &[("a", plain("i8", '<', -1), 0)]));
    let root = graph.root().unwrap();
    let limits = Limits::default().with_memory(300);
    let why = Views::new(Budget::new(limits)).dtype(root).unwrap_err();
    assert_eq!(why.category(), Category::OverLimit);
    assert!(DType::view(root).is_ok());
}

#[test]
fn views_of_the_wrong_sort_say_so() {
    let graph = graph(&array(&[4], &plain("i2", '<', -1), EIGHT));
    let root = graph.root().unwrap();
    assert!(NumpyScalar::view(root).is_err());
    assert!(MaskedArray::view(root).is_err());
    assert!(DType::view(root).is_err());
    let array = NumpyArray::view(root).unwrap();
    assert!(array.at(&[3]).is_some() && array.at(&[4]).is_none() && array.at(&[]).is_none());
}

/// An array is as large as it says, whatever the stream.
fn proven(array: &NumpyArray) {
    let product = array.shape().iter().map(|&size| u128::from(size)).product::<u128>();
    assert_eq!(array.len() as u128, product);
    if let Some(bytes) = array.bytes() {
        assert_eq!(bytes.len() as u128, product * u128::from(array.dtype().itemsize()));
        assert_eq!(array.row_major_bytes().unwrap().len(), bytes.len());
        if let Ok(turned) = array.little_endian_bytes() {
            assert_eq!(turned.len(), bytes.len());
        }
    }
    assert_eq!(array.iter().count(), array.len());
}

proptest! {
    #[test]
    fn what_is_left_of_an_array_is_proven_or_refused(
        case in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        static CASES: std::sync::LazyLock<Vec<Case>> = std::sync::LazyLock::new(cases);
        let mut stream = case.get(&CASES).stream.clone();
        for (index, byte) in changes {
            *index.get_mut(&mut stream) = byte;
        }
        let mut budget = Budget::default();
        let graph = run(stream.into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
        let mut views = Views::default();
        for object in graph.objects() {
            match views.any(object) {
                Some(Ok(Numpy::Array(array))) => proven(&array),
                Some(Ok(Numpy::Masked(masked))) => {
                    proven(masked.data());
                    proven(masked.mask());
                }
                Some(Ok(Numpy::Scalar(scalar))) => {
                    let bytes = scalar.bytes().map(|bytes| bytes.len() as u64);
                    prop_assert!(bytes.is_none_or(|bytes| bytes == scalar.dtype().itemsize()));
                }
                Some(Err(why)) => prop_assert!(why.offset().is_some(), "{why}"),
                _ => {}
            }
        }
    }
}

#[test]
fn the_whitelist_knows_what_numpy_names() {
    for case in cases() {
        let policy = depickle::python::policy::strict();
        let (stream, buffers) = (case.stream.clone().into(), case.buffers.clone());
        let mut budget = Budget::default();
        let end = run_with_buffers(stream, FileOffset(0), policy, &mut budget, buffers).end;
        assert!(end.is_ok(), "{end:?} {}", case.name());
    }
}

#[test]
fn arrays_and_scalars_stand_in_a_line() {
    let i2 = plain("i2", '<', -1);
    let scalar = |dtype: &str, data: &str| {
        format!("GLOBAL numpy.core.multiarray scalar\n{dtype}{data}\nTUPLE2\nREDUCE\n")
    };
    let objects = plain("O8", '|', -1);
    for (text, line, parts) in [
        (array(&[2, 2], &i2, EIGHT), "numpy.ndarray(<i2, [2, 2])", false),
        (array(&[], &plain("i8", '>', -1), EIGHT), "numpy.ndarray(>i8, [])", false),
        (array(&[0], &objects, "EMPTY_LIST"), "numpy.ndarray(|O, [0])", true),
        (i2.clone(), "numpy.dtype(<i2)", false),
        (objects, "numpy.dtype(|O)", false),
        (structure(2, &[("a", i2.clone(), 0)]), "numpy.dtype(|V2)", true),
        (scalar(&i2, "SHORT_BINBYTES \"\\xff\\xff\""), "numpy.scalar(<i2, -1)", false),
        (
            scalar(&plain("f4", '>', -1), "SHORT_BINBYTES \"\\x3d\\xcc\\xcc\\xcd\""),
            "numpy.scalar(>f4, 0.1)",
            false,
        ),
        (
            scalar(&plain("U1", '>', 8), "SHORT_BINBYTES \"\\x00\\x00\\x00a\\x00\\x00\\x00\\x00\""),
            "numpy.scalar(>U2, \"a\")",
            false,
        ),
    ] {
        let graph = graph(&text);
        let found = Views::default().any(graph.root().unwrap()).unwrap().unwrap();
        assert_eq!((found.to_string().as_str(), found.has_parts()), (line, parts));
    }
}
