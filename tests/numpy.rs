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

/// A float as Python's `float.hex` writes it.
fn from_hex(text: &str) -> f64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    if digits == "nan" {
        return f64::NAN;
    }
    if digits == "inf" {
        return sign * f64::INFINITY;
    }
    let (mantissa, exponent) = digits.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let bits = u64::from_str_radix(fraction, 16).unwrap();
    let fraction = bits as f64 / 16_f64.powi(i32::try_from(fraction.len()).unwrap());
    let whole = whole.parse::<f64>().unwrap();
    // In two steps, for 2^-1074 times 2^52 does not overflow, but 2^-1074 alone would vanish.
    let exponent: i32 = exponent.parse().unwrap();
    sign * (whole + fraction) * 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2)
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
        let float = matches!(
            element,
            Element::Float16(_) | Element::Float32(_) | Element::Float64(_)
        );
        if float {
            let (found, said) = (element.as_f64().unwrap(), from_hex(said.as_str().unwrap()));
            assert!(found == said || found.is_nan() && said.is_nan(), "{found} {said} {}", name());
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
