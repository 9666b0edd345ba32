//! Numpy objects that no numpy writes are refused with their reason and place, at a bounded cost;
//! and conversions of elements agree with each other. `numpy.rs` has more.
#![cfg(feature = "python")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use depickle::pickle::{Graph, Policy, assemble, run};
use depickle::python::numpy::{
    DType, Element, Error, Fault, MaskedArray, Numpy, NumpyArray, NumpyScalar, Order, Random, Views,
};
use depickle::{Budget, Category, FileOffset, Limits};
use proptest::prelude::*;

fn graph(stream: Vec<u8>) -> Graph {
    let outcome = run(stream.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
    outcome.end.unwrap();
    outcome.graph
}

fn assembled(text: &str) -> Graph {
    graph(assemble(&format!("PROTO 4\n{text}\nSTOP")).unwrap())
}

/// `numpy.dtype(code, False, True)`.
fn called(code: &str) -> String {
    format!("GLOBAL numpy dtype\nUNICODE {code}\nNEWFALSE\nNEWTRUE\nTUPLE3\nREDUCE\n")
}

/// A dtype with a state of version 3: byte order, sub-array, names, fields, size, alignment.
fn dtype(code: &str, state: &str) -> String {
    format!("{}MARK\nBININT1 3\n{state}\nBININT1 0\nTUPLE\nBUILD\n", called(code))
}

fn plain(code: &str) -> String {
    dtype(code, "UNICODE <\nNONE\nNONE\nNONE\nBININT -1\nBININT -1")
}

/// A dtype of one field.
fn one_field(itemsize: i64, field: &str, offset: i64) -> String {
    let field = format!("EMPTY_DICT\nUNICODE a\n{field}BININT {offset}\nTUPLE2\nSETITEM");
    let names = "UNICODE a\nTUPLE1";
    let state = format!("UNICODE |\nNONE\n{names}\n{field}\nBININT {itemsize}\nBININT1 1");
    dtype("V", &state)
}

/// A dtype that is a sub-array.
fn sub_array(itemsize: i64, base: &str, shape: &str) -> String {
    let state = format!("UNICODE |\n{base}{shape}TUPLE2\nNONE\nNONE\nBININT {itemsize}\nBININT1 1");
    dtype("V", &state)
}

fn sizes(shape: &[i64]) -> String {
    let items: String = shape.iter().map(|size| format!("LONG {size}\n")).collect();
    format!("MARK\n{items}TUPLE\n")
}

fn array_with(shape: &str, dtype: &str, fortran: &str, data: &str) -> String {
    format!(
        "GLOBAL numpy.core.multiarray _reconstruct\nGLOBAL numpy ndarray\nBININT1 0\nTUPLE1\n\
         SHORT_BINBYTES \"b\"\nTUPLE3\nREDUCE\nMARK\nBININT1 1\n{shape}{dtype}{fortran}\n{data}\n\
         TUPLE\nBUILD\n"
    )
}

fn array(shape: &[i64], dtype: &str, data: &str) -> String {
    array_with(&sizes(shape), dtype, "NEWFALSE", data)
}

fn bytes(len: usize) -> String {
    format!("BINBYTES \"{}\"", "x".repeat(len))
}

fn refused(text: &str) -> Error {
    let graph = assembled(text);
    let root = graph.root().unwrap();
    let why = Views::default().any(root).expect("made by numpy").unwrap_err();
    assert_eq!(why.to_string(), Views::default().any(root).unwrap().unwrap_err().to_string());
    assert!(why.offset().is_some(), "{why}");
    why
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let f8 = &plain("f8");
    let negative = array(&[-1], f8, &bytes(8));
    for (text, want, category) in [
        (
            array(&[1 << 62, 1 << 62], f8, &bytes(8)),
            "its size exceeds 63 bits",
            Category::Malformed,
        ),
        (array(&[1 << 60], f8, &bytes(8)), "its size exceeds 63 bits", Category::Malformed),
        (array(&[1 << 40, 1 << 40, 0], f8, &bytes(0)), "exceeds 63 bits", Category::Malformed),
        (negative, "count of -1", Category::Malformed),
        (array(&[3], f8, &bytes(23)), "need 24 bytes, but its data has 23", Category::Malformed),
        (array(&[3], f8, &bytes(25)), "need 24 bytes, but its data has 25", Category::Malformed),
        (array(&[], f8, &bytes(0)), "need 8 bytes, but its data has 0", Category::Malformed),
        (array(&[0], f8, &bytes(8)), "need 0 bytes, but its data has 8", Category::Malformed),
        (array(&[1; 65], f8, &bytes(8)), "65 dimensions", Category::Malformed),
        (array(&[3], &plain("O8"), "EMPTY_LIST"), "needs 3 objects", Category::Malformed),
        (
            array(&[0], &plain("O8"), "EMPTY_LIST\nNONE\nAPPEND"),
            "needs 0 objects, but its list has 1",
            Category::Malformed,
        ),
        (array(&[1 << 62], &plain("O8"), "EMPTY_LIST"), "exceeds 63 bits", Category::Malformed),
    ] {
        let why = refused(&text);
        assert!(why.to_string().contains(want), "{why}");
        assert_eq!(why.category(), category, "{why}");
    }
}

#[test]
fn elements_of_no_bytes_are_not_believed_in_any_number() {
    let empty = dtype("V0", "UNICODE |\nNONE\nNONE\nNONE\nBININT1 0\nBININT1 1");
    let why = refused(&array(&[1 << 40], &empty, &bytes(0)));
    assert_eq!(why.fault(), &Fault::EmptyElements(1 << 40));
    assert_eq!(why.category(), Category::OverLimit);
    let graph = assembled(&array(&[3, 5], &empty, &bytes(0)));
    let found = NumpyArray::view(graph.root().unwrap()).unwrap();
    assert_eq!((found.len(), found.nbytes(), found.iter().count()), (15, 0, 15));
    let inner = sub_array(0, &empty, &sizes(&[1 << 40]));
    assert_eq!(refused(&inner).fault(), &Fault::EmptyElements(1 << 40));
}

#[test]
fn parts_of_another_kind_are_refused() {
    let f8 = &plain("f8");
    let shape = &sizes(&[1]);
    for (text, want) in [
        (array_with(shape, f8, "NONE", &bytes(8)), "a bool wanted, None found"),
        (array_with(shape, f8, "BININT1 2", &bytes(8)), "a bool wanted, int found"),
        (array_with("EMPTY_LIST\n", f8, "NEWFALSE", &bytes(8)), "a tuple of sizes wanted"),
        (array_with("UNICODE a\nTUPLE1\n", f8, "NEWFALSE", &bytes(8)), "an int wanted"),
        (array(&[1], "NONE\n", &bytes(8)), "a numpy.dtype wanted, None found"),
        (array(&[1], "GLOBAL numpy float64\n", &bytes(8)), "a numpy.dtype wanted, global found"),
        (array(&[1], "GLOBAL os system\nEMPTY_TUPLE\nREDUCE\n", &bytes(8)), "a numpy.dtype wanted"),
        (array(&[1], f8, "EMPTY_LIST"), "bytes wanted, list found"),
        (array(&[1], f8, "UNICODE \\u0100"), "bytes wanted, str found"),
        (array(&[1], &plain("O8"), &bytes(8)), "a list of objects wanted, bytes found"),
        (array(&[1], &called("f8"), &bytes(8)), "in which byte order"),
        (array(&[1], &f8.replace('<', "|"), &bytes(8)), "in which byte order"),
        (f8.replace('<', "~"), "a byte order that is none"),
        (f8.replace("BININT1 3", "BININT1 9"), "a state of version 9"),
        (called("f7"), "\"f7\" is no type of numpy"),
        (called("f99999999999999999999"), "is no type of numpy"),
        (called("U9999999999999999999"), "is no type of numpy"),
        (dtype("U1", "UNICODE <\nNONE\nNONE\nNONE\nBININT1 6\nBININT1 4"), "elements of 6 bytes"),
        (dtype("S1", "UNICODE |\nNONE\nNONE\nNONE\nBININT -1\nBININT1 1"), "count of -1"),
        (plain("M8"), "a datetime dtype without its unit"),
        (format!("{f8}NONE\nBUILD"), "more was done to it"),
        (format!("{}NONE\nBUILD", called("f8")), "a tuple wanted, None found"),
        (format!("{}NONE\nAPPEND", called("f8")), "more was done to it"),
    ] {
        let why = refused(&text);
        assert!(why.to_string().contains(want), "{why}\nnot\n{want}");
    }
}

#[test]
fn fields_and_sub_arrays_lie_inside_their_element() {
    let f8 = &plain("f8");
    let why = refused(&one_field(8, f8, 1));
    let want = Fault::FieldOutside { name: "a".into(), end: 9, itemsize: 8 };
    assert_eq!(why.fault(), &want);
    assert!(refused(&one_field(8, f8, -1)).to_string().contains("of -1"));
    assert!(DType::view(assembled(&one_field(8, f8, 0)).root().unwrap()).is_ok());
    let why = refused(&sub_array(8, f8, &sizes(&[2])));
    assert_eq!(why.fault(), &Fault::SubArraySize { needs: 16, itemsize: 8 });
    assert!(refused(&sub_array(8, f8, &sizes(&[1 << 62]))).to_string().contains("63 bits"));
    assert!(refused(&sub_array(8, f8, &sizes(&[-1]))).to_string().contains("of -1"));
    assert!(
        refused(&sub_array(8, f8, &sizes(&[1])).replace("UNICODE V", "UNICODE f8"))
            .to_string()
            .contains("not `V`")
    );
    let names = "UNICODE a\nUNICODE b\nTUPLE2";
    let missing = one_field(8, f8, 0).replacen("UNICODE a\nTUPLE1", names, 1);
    assert_eq!(refused(&missing).fault(), &Fault::NoField("b".into()));
    let unnamed = one_field(8, f8, 0).replacen("UNICODE a\nTUPLE1", "NONE", 1);
    assert!(refused(&unnamed).to_string().contains("fields without names"));
}

#[test]
fn what_was_changed_after_its_use_is_refused() {
    let late = "MARK\nBININT1 3\nUNICODE >\nNONE\nNONE\nNONE\nBININT -1\nBININT -1\nBININT1 0\n\
                TUPLE\nBUILD\nPOP\n";
    let scalar = format!(
        "GLOBAL numpy.core.multiarray scalar\n{}MEMOIZE\nSHORT_BINBYTES \"xxxxxxxx\"\nTUPLE2\n\
         REDUCE\nBINGET 0\n{late}",
        plain("f8").replace("MARK", "MEMOIZE\nMARK")
    );
    let why = refused(&scalar);
    assert!(matches!(why.fault(), Fault::ChangedLater | Fault::Form(_)), "{why}");
    let list = array(&[1], &plain("O8"), "EMPTY_LIST\nMEMOIZE\nNONE\nAPPEND");
    let why = refused(&format!("{list}BINGET 0\nNONE\nAPPEND\nPOP\n"));
    assert_eq!(why.fault(), &Fault::ChangedLater);
}

#[test]
fn an_error_points_at_the_place() {
    let graph = graph(b"cnumpy\ndtype\n(Vf8\nI00\nI01\ntR(I3\nV~\nNNNI-1\nI-1\nI0\ntb.".to_vec());
    let why = DType::view(graph.root().unwrap()).unwrap_err();
    let want = "numpy: a byte order that is none of < > | = at byte 32 (0x20)";
    assert_eq!(why.to_string(), want);
}

#[test]
fn more_names_than_are_followed() {
    let names: String = (0..70_000).map(|n| format!("UNICODE n{n}\n")).collect();
    let state = format!("UNICODE |\nNONE\nMARK\n{names}TUPLE\nEMPTY_DICT\nBININT1 1\nBININT1 1");
    assert_eq!(refused(&dtype("V", &state)).fault(), &Fault::TooManyFields(1 << 16));
}

#[test]
fn many_dtypes_of_the_same_fields_meet_the_budget() {
    // 200 dtypes share a dict of 20,000 fields: 4 million fields from some 600 KB.
    let f8 = format!("{}MEMOIZE\n", plain("f8"));
    let fields: String =
        (0..20_000).map(|n| format!("UNICODE n{n}\nBINGET 0\nBININT1 0\nTUPLE2\n")).collect();
    let names: String = (0..20_000).map(|n| format!("UNICODE n{n}\n")).collect();
    let state = "UNICODE |\nNONE\nBINGET 1\nBINGET 2\nBININT1 8\nBININT1 8";
    let text = format!(
        "{f8}POP\nMARK\n{names}TUPLE\nMEMOIZE\nPOP\nEMPTY_DICT\nMARK\n{fields}SETITEMS\nMEMOIZE\nPOP\n\
         MARK\n{}LIST",
        dtype("V", state).repeat(200)
    );
    let graph = assembled(&text);
    let limits = Limits::default().with_memory(64 << 20);
    let mut views = Views::new(Budget::new(limits));
    let items = graph.root().unwrap().items().unwrap();
    let (made, refused): (Vec<_>, Vec<_>) =
        items.iter().map(|object| views.dtype(object)).partition(Result::is_ok);
    assert!((10..30).contains(&made.len()), "{}", made.len());
    assert!(refused.iter().all(|why| why.as_ref().unwrap_err().category() == Category::OverLimit));
}

#[test]
fn text_that_stands_for_bytes_is_decoded_once() {
    // 64 arrays over one text of 64 KiB, under a limit of 100 KiB.
    let data = format!(
        "GLOBAL _codecs encode\nUNICODE {}\nUNICODE latin1\nTUPLE2\nREDUCE\n",
        "\\u00e9".repeat(1 << 16)
    );
    let each = array(&[1 << 16], "BINGET 0\n", "BINGET 1");
    let text =
        format!("{}MEMOIZE\nPOP\n{data}MEMOIZE\nPOP\nMARK\n{}LIST", plain("u1"), each.repeat(64));
    let graph = assembled(&text);
    let mut views = Views::new(Budget::new(Limits::default().with_memory(100 << 10)));
    for object in graph.root().unwrap().items().unwrap().iter() {
        let array = views.array(object).unwrap();
        assert_eq!(array.element(5).unwrap().as_i64(), Some(0xe9));
    }
}

#[test]
fn other_objects_are_told_apart() {
    let graph = assembled("GLOBAL collections OrderedDict\nEMPTY_TUPLE\nREDUCE");
    let root = graph.root().unwrap();
    assert!(Views::default().any(root).is_none());
    assert!(NumpyArray::view(root).is_err());
    assert!(NumpyScalar::view(root).is_err());
    assert!(MaskedArray::view(root).is_err());
    assert!(Random::view(root).is_err());
    assert!(DType::view(root).is_err());
}

/// A stream of an array by protocol 5.
fn frombuffer(dtype: &str, shape: &[i64], order: &str, data: &[u8]) -> String {
    let data: String = data.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!(
        "GLOBAL numpy._core.numeric _frombuffer\nMARK\nBINBYTES \"{data}\"\n{dtype}{}{order}TUPLE\nREDUCE",
        sizes(shape)
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every order holds the elements its indices name, and conversions agree with each other.
    #[test]
    fn elements_are_where_their_indices_say(
        shape in prop::collection::vec(0_i64..4, 0..4),
        seed in any::<u64>(),
        order in 0_usize..3,
        big in any::<bool>(),
    ) {
        let sizes_of: Vec<usize> = shape.iter().map(|&size| usize::try_from(size).unwrap()).collect();
        let count: usize = sizes_of.iter().product();
        let values: Vec<i16> = (0..count as u64)
            .map(|n| i16::from_le_bytes([(seed.wrapping_mul(n * 2 + 1) >> 13).to_le_bytes()[0], n.to_le_bytes()[0]]))
            .collect();
        let axes: Vec<usize> = match order {
            0 => (0..shape.len()).collect(),
            1 => (0..shape.len()).rev().collect(),
            _ => (0..shape.len()).map(|axis| (axis + 1) % shape.len().max(1)).collect(),
        };
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| if big { value.to_be_bytes() } else { value.to_le_bytes() })
            .collect();
        let dtype = plain("i2").replace('<', if big { ">" } else { "<" });
        // What was row-major of `stored` sizes has its axes exchanged.
        let seen: Vec<i64> = axes.iter().map(|&axis| shape[axis]).collect();
        let axes_of: Vec<i64> = axes.iter().map(|&axis| i64::try_from(axis).unwrap()).collect();
        let text = match order {
            0 => frombuffer(&dtype, &seen, "UNICODE C\n", &raw),
            1 => frombuffer(&dtype, &seen, "UNICODE F\n", &raw),
            _ => frombuffer(&dtype, &shape, &format!("UNICODE K\n{}", sizes(&axes_of)), &raw),
        };
        let graph = assembled(&text);
        let array = NumpyArray::view(graph.root().unwrap()).unwrap();
        let shape_seen: Vec<u64> = seen.iter().map(|&size| size.cast_unsigned()).collect();
        prop_assert_eq!(array.shape(), &shape_seen[..]);
        let mut rows = Vec::new();
        for index in 0..count {
            // Indices of the `index`th element in row-major order.
            let mut left = index as u64;
            let mut at: Vec<u64> = shape_seen.iter().rev().map(|&size| {
                let digit = left % size;
                left /= size;
                digit
            }).collect();
            at.reverse();
            let mut place = 0;
            for (axis, &size) in sizes_of.iter().enumerate() {
                let from = axes.iter().position(|&other| other == axis).unwrap();
                place = place * size + usize::try_from(at[from]).unwrap();
            }
            let element = array.at(&at).unwrap();
            prop_assert!(matches!(element, Element::Int(value) if value == i64::from(values[place])));
            rows.push(values[place]);
        }
        prop_assert!(array.at(&shape_seen).is_none() || shape_seen.is_empty());
        prop_assert_eq!(&array.to_vec::<i16>().unwrap(), &rows);
        let wide: Vec<i64> = rows.iter().map(|&value| value.into()).collect();
        prop_assert_eq!(array.to_vec::<i64>().unwrap(), wide);
        let doubles: Vec<f64> = rows.iter().map(|&value| value.into()).collect();
        prop_assert_eq!(array.to_vec::<f64>().unwrap(), doubles);
        let little: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
        prop_assert_eq!(&array.little_endian_bytes().unwrap()[..], &little[..]);
        let slice = array.as_slice::<i16>();
        prop_assert!(slice.is_none_or(|slice| slice == rows));
        let aligned = array.bytes().unwrap().as_ptr().addr().is_multiple_of(2);
        let lent = array.order() == Order::C && big == cfg!(target_endian = "big") && aligned;
        prop_assert_eq!(slice.is_some(), lent);
        let narrow = array.to_vec::<u8>();
        prop_assert_eq!(narrow.is_ok(), rows.iter().all(|&value| u8::try_from(value).is_ok()));
    }

    /// No bytes in the place of a dtype or array are a panic.
    #[test]
    fn damaged_streams_are_read_or_refused(
        at in 0_usize..400,
        with in any::<u8>(),
        which in 0_usize..4,
    ) {
        let text = match which {
            0 => array(&[2, 2], &plain("f8"), &bytes(32)),
            1 => array(&[2], &one_field(24, &sub_array(16, &plain("c8"), &sizes(&[2])), 8), &bytes(48)),
            2 => array(&[2], &plain("O8"), "EMPTY_LIST\nMARK\nNONE\nBININT1 7\nAPPENDS"),
            _ => frombuffer(&plain("u2"), &[2, 2], "UNICODE F\n", &[1; 8]),
        };
        let mut stream = assemble(&format!("PROTO 4\n{text}\nSTOP")).unwrap();
        let len = stream.len();
        stream[at % len] = with;
        let policy = Policy::inspect();
        let outcome = run(stream.into(), FileOffset(0), &policy, &mut Budget::default());
        let mut views = Views::default();
        for object in outcome.graph.objects() {
            let Some(Ok(found)) = views.any(object) else { continue };
            let _ = found.to_string();
            if let Numpy::Array(array) = found {
                prop_assert_eq!(array.iter().count(), array.len());
                let _ = array.to_vec::<f64>();
                if let Some(bytes) = array.bytes() {
                    prop_assert_eq!(bytes.len() as u64, array.nbytes());
                }
            }
        }
    }
}
