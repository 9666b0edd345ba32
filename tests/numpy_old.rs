//! What numpy 1.16 pickled on Python 2, and the long doubles, masked arrays and random generators
//! of newer ones: read here, they are what numpy itself says of them.
//!
//! `tests/python/numpy_old.py` writes the fixture.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::format_collect,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use depickle::pickle::{Graph, Object, Policy, Value as PickleValue, run};
use depickle::python::numpy::{
    DType, Element, Fault, Kind, MaskedArray, Numpy, NumpyArray, NumpyScalar, Random, Views,
};
use depickle::python::{literal, policy};
use depickle::{Budget, FileOffset};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn values() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/numpy_old/values.zip");
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut values = Vec::new();
    archive.by_name("values").unwrap().read_to_end(&mut values).unwrap();
    values
}

/// What numpy said, and its streams.
fn records(mut values: &[u8]) -> Vec<(Value, Vec<&[u8]>)> {
    let mut next = || {
        let (len, rest) = values.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at(u32::from_le_bytes(*len) as usize);
        values = rest;
        Some(part)
    };
    let mut records = Vec::new();
    while let Some(facts) = next() {
        let facts: Value = serde_json::from_slice(facts).unwrap();
        let count = facts["streams"].as_u64().unwrap();
        let streams = (0..count).map(|_| next().unwrap()).collect();
        records.push((facts, streams));
    }
    records
}

fn graph(stream: &[u8]) -> Graph {
    let mut budget = Budget::default();
    let outcome = run(stream.to_vec().into(), FileOffset(0), &Policy::inspect(), &mut budget);
    assert_eq!(outcome.end, Ok(stream.len() as u64));
    outcome.graph
}

/// Calls `each` with the facts and the root of every stream of a kind; returns how many.
fn each(kind: &str, mut each: impl FnMut(&Value, Object)) -> usize {
    let values = values();
    let mut count = 0;
    for (facts, streams) in records(&values) {
        for stream in streams.iter().filter(|_| facts["kind"] == kind) {
            let graph = graph(stream);
            each(&facts, graph.root().unwrap());
            count += 1;
        }
    }
    count
}

fn compare_dtype(dtype: &DType, facts: &Value) {
    let theirs = facts["code"].as_str().unwrap();
    if !matches!(dtype.kind(), Kind::User(_)) {
        assert_eq!(dtype.to_string(), theirs);
    }
    assert_eq!(json!(dtype.itemsize()), facts["itemsize"], "{theirs}");
    if let Some(offsets) = facts["offsets"].as_array() {
        let ours: Vec<Value> = dtype.fields().iter().map(|field| json!(field.offset())).collect();
        assert_eq!(&ours, offsets, "{theirs}");
    }
}

fn hex(bytes: &[u8]) -> Value {
    json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// An element as the script writes it.
fn element_json(element: Element) -> Value {
    let float = |value: f64| json!(literal::float(value));
    match element {
        Element::Bool(value) => json!(value),
        Element::Int(value) => json!(value.to_string()),
        Element::UInt(value) => json!(value.to_string()),
        Element::Float16(value) => float(value.into()),
        Element::Float32(value) => float(value.into()),
        Element::Float64(value) => float(value),
        Element::LongDouble(value) => value.x87().map_or(Value::Null, float),
        Element::Complex64([re, im]) => json!([float(re.into()), float(im.into())]),
        Element::Complex128([re, im]) => json!([float(re), float(im)]),
        Element::ComplexLong([re, im]) => {
            json!([re, im].map(|part| part.x87().map_or(Value::Null, float)))
        }
        Element::Bytes(bytes) | Element::Void(bytes) => hex(bytes),
        Element::Text(text) => json!(text.code_points().collect::<Vec<_>>()),
        Element::DateTime(moment) => json!([moment.raw().to_string(), moment.iso()]),
        Element::TimeDelta(moment) => json!([moment.raw().to_string(), null]),
        Element::Record(record) => record.fields().map(|(_, value)| element_json(value)).collect(),
        Element::SubArray(array) => array.iter().map(element_json).collect(),
        Element::Object(object) => object_json(object),
        _ => panic!("a new kind of element"),
    }
}

fn object_json(object: Object) -> Value {
    match object.value() {
        PickleValue::None => json!("None"),
        PickleValue::Bool(true) => json!("True"),
        PickleValue::Bool(false) => json!("False"),
        PickleValue::Int(value) => json!(value.to_string()),
        PickleValue::Float(value) => json!(literal::float(value)),
        PickleValue::Text(text) => json!(format!("str:{}", text.to_string_lossy())),
        _ => panic!("no plain object: {object:?}"),
    }
}

/// Tuples of structures with objects hold Python's values, which the script writes by dtype.
fn tuple_json(tuple: Object, dtype: &DType) -> Value {
    let items = tuple.as_tuple().unwrap();
    assert_eq!(items.len(), dtype.fields().len());
    items.iter().map(object_json).collect()
}

fn compare_array(array: &NumpyArray, facts: &Value, note: &str) {
    compare_dtype(array.dtype(), &facts["dtype"]);
    let note = format!("{note} {} {:?}", array.dtype(), array.shape());
    assert_eq!(json!(array.shape()), facts["shape"], "{note}");
    let values = facts["values"].as_array().unwrap();
    assert_eq!(array.len(), values.len(), "{note}");
    for (element, theirs) in array.iter().zip(values) {
        let ours = match element {
            Element::Object(object) if !array.dtype().fields().is_empty() => {
                tuple_json(object, array.dtype())
            }
            Element::Object(object) if object.is_none() && theirs.is_null() => Value::Null,
            element => element_json(element),
        };
        assert_eq!(&ours, theirs, "{note}");
    }
    match facts["sha256"].as_str() {
        Some(sha256) => {
            let mut bytes = array.little_endian_bytes().unwrap();
            clear_padding(array.dtype(), &mut bytes);
            assert_eq!(bytes.len() as u64, array.nbytes(), "{note}");
            assert_eq!(hex(&Sha256::digest(&bytes)), sha256, "{note}");
        }
        None => assert!(array.bytes().is_none() && array.objects().is_some(), "{note}"),
    }
}

/// Zeros what lies between the fields of structures: numpy leaves there whatever was.
fn clear_padding(dtype: &DType, bytes: &mut Cow<[u8]>) {
    if dtype.fields().is_empty() {
        return;
    }
    let itemsize = usize::try_from(dtype.itemsize()).unwrap();
    let mut used = vec![false; itemsize];
    mark(dtype, &mut used);
    for element in bytes.to_mut().chunks_exact_mut(itemsize.max(1)) {
        element.iter_mut().zip(&used).filter(|(_, used)| !**used).for_each(|(byte, _)| *byte = 0);
    }
}

fn mark(dtype: &DType, used: &mut [bool]) {
    match dtype.kind() {
        Kind::Struct(fields) => fields.iter().for_each(|field| {
            let start = usize::try_from(field.offset()).unwrap();
            let len = usize::try_from(field.dtype().itemsize()).unwrap();
            mark(field.dtype(), &mut used[start..start + len]);
        }),
        Kind::SubArray { base, .. } => {
            let step = usize::try_from(base.itemsize()).unwrap().max(1);
            used.chunks_mut(step).for_each(|element| mark(base, element));
        }
        _ => used.fill(true),
    }
}

#[test]
fn arrays_are_what_numpy_says_they_are() {
    let count = each("array", |facts, root| {
        let array = NumpyArray::view(root).unwrap();
        compare_array(&array, facts, &facts["numpy"].to_string());
        let class = array.class().map(|class| class.as_global().unwrap().to_string());
        let class = class.unwrap_or_else(|| "numpy.ndarray".to_owned());
        let name = facts["name"].as_str().unwrap_or("ndarray");
        assert!(class.ends_with(&format!(".{name}")), "{class}");
    });
    assert!(count > 2_000, "{count}");
}

#[test]
fn numbers_are_converted_exactly_or_not_at_all() {
    let (mut exact, mut refused) = (0, 0);
    each("array", |facts, root| {
        let array = NumpyArray::view(root).unwrap();
        let said = facts["values"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match array.dtype().kind() {
            Kind::Int | Kind::UInt => {
                let theirs: Result<Vec<i32>, _> =
                    said.iter().map(|value| text(value).parse::<i32>()).collect();
                assert_eq!(array.to_vec::<i32>().ok(), theirs.ok());
                let theirs: Vec<i128> =
                    said.iter().map(|value| text(value).parse().unwrap()).collect();
                #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
                let fits = theirs.iter().all(|&value| (value as f64) as i128 == value);
                let why = array.to_vec::<f64>();
                assert_eq!(why.is_ok(), fits, "{}", array.dtype());
                if why.is_err() { refused += 1 } else { exact += 1 }
            }
            Kind::Float => {
                let bits = |text: &str| text.parse::<f64>().unwrap().to_bits();
                let ours = array
                    .to_vec::<f64>()
                    .map(|all| all.iter().map(|&value| literal::float(value)).collect::<Vec<_>>());
                if said.iter().any(Value::is_null) {
                    assert!(matches!(ours.unwrap_err().fault(), Fault::Inexact { .. }));
                    refused += 1;
                    return;
                }
                for (ours, theirs) in ours.unwrap().iter().zip(said) {
                    assert_eq!(bits(ours), bits(&text(theirs)));
                }
                exact += 1;
            }
            Kind::Unicode => {
                let ours = array.to_vec::<String>().unwrap();
                let points = |text: &String| json!(text.chars().map(u32::from).collect::<Vec<_>>());
                assert_eq!(ours.iter().map(points).collect::<Vec<_>>(), *said);
                let why = array.to_vec::<f64>().unwrap_err();
                assert!(matches!(why.fault(), Fault::WrongType { wanted: "f64", .. }), "{why}");
                assert!(array.as_slice::<f64>().is_none());
            }
            _ => {}
        }
    });
    assert!(exact > 400 && refused > 20, "{exact}, {refused}");
}

#[test]
fn masked_arrays_have_data_and_mask() {
    let count = each("masked", |facts, root| {
        let masked = MaskedArray::view(root).unwrap();
        compare_array(masked.data(), facts, "data");
        compare_array(masked.mask(), &facts["mask"], "mask");
        assert!(NumpyArray::view(root).is_err(), "no plain array");
        if let Some(fill) = masked.fill_value() {
            let mut views = Views::default();
            let fill = views.any(fill).unwrap().unwrap();
            assert!(matches!(fill, Numpy::Array(_) | Numpy::Scalar(_)), "{fill:?}");
        }
    });
    assert!(count > 60, "{count}");
}

#[test]
fn scalars_have_numpys_value() {
    let count = each("scalar", |facts, root| {
        let scalar = match NumpyScalar::view(root) {
            Ok(scalar) => scalar,
            Err(why) => {
                // numpy 1.16 wrote memory addresses here.
                assert_eq!(facts["numpy"], "1.16.6", "{why}");
                assert!(why.to_string().contains("addresses"), "{why}");
                return;
            }
        };
        compare_dtype(scalar.dtype(), &facts["dtype"]);
        let ours = match scalar.value() {
            Element::Object(object) => tuple_json(object, scalar.dtype()),
            element => element_json(element),
        };
        let note = format!("{} {}", facts["numpy"], scalar.dtype());
        assert_eq!(ours, facts["values"][0], "{note}");
    });
    assert!(count > 500, "{count}");
}

#[test]
fn dtypes_are_what_numpy_says_they_are() {
    let mut count = each("dtype", |facts, root| {
        let dtype = DType::view(root).unwrap();
        compare_dtype(&dtype, &facts["dtype"]);
        assert_eq!(json!(dtype.is_aligned_struct()), facts["dtype"]["aligned"], "{dtype}");
    });
    count += each("class", |facts, root| {
        let dtype = DType::view(root).unwrap();
        assert_eq!(json!(dtype.to_string().replace('=', "<")), facts["dtype"]["code"]);
    });
    assert!(count > 500, "{count}");
}

#[test]
fn random_states_are_named() {
    let count = each("random", |facts, root| {
        let random = Random::view(root).unwrap();
        assert_eq!(json!(random.kind().name()), facts["class"]);
        assert_eq!(json!(random.bit_generator()), facts["bits"]);
        let is_seed = facts["class"] == "SeedSequence";
        let state = random.state();
        assert!(state.as_dict().is_some() || is_seed || state.as_tuple().is_some());
    });
    assert!(count > 60, "{count}");
}

#[test]
fn every_global_that_numpy_writes_is_on_the_whitelist() {
    let values = values();
    let mut missing = BTreeMap::new();
    for (facts, streams) in records(&values) {
        for stream in streams {
            let bytes = Bytes::copy_from_slice(stream);
            let outcome = run(bytes, FileOffset(0), policy::strict(), &mut Budget::default());
            if let Err(why) = outcome.end {
                missing.insert(why.to_string(), facts["kind"].to_string());
            }
            for object in graph(stream).objects() {
                let global = object.as_global().filter(|global| !policy::is_whitelisted(*global));
                if let Some(global) = global {
                    missing.insert(global.to_string(), facts["kind"].to_string());
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn no_prefix_of_a_stream_is_read_as_something_else() {
    // Whatever a broken stream leaves in the graph is viewed or refused, never a panic.
    let values = values();
    let mut kinds = BTreeMap::new();
    for (index, (_, streams)) in records(&values).into_iter().enumerate().step_by(37) {
        let stream = streams[index % streams.len()];
        for end in 0..stream.len().min(400) {
            let bytes = Bytes::copy_from_slice(&stream[..end]);
            let policy = Policy::inspect();
            let outcome = run(bytes, FileOffset(0), &policy, &mut Budget::default());
            let mut views = Views::default();
            for object in outcome.graph.objects() {
                if let Some(found) = views.any(object) {
                    *kinds.entry(found.is_ok()).or_insert(0) += 1;
                }
            }
        }
    }
    assert!(kinds[&true] > 1_000 && kinds[&false] > 1_000, "{kinds:?}");
}
