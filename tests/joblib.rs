//! Files that joblib wrote: read as joblib reads them, by every feature.
#![cfg(feature = "cli")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use depickle::pickle::{Kind, Policy, Reading, Value, assemble, run};
use depickle::python::numpy::Views;
use depickle::python::policy;
use depickle::scan::{Scanner, Verdict};
use depickle::{Budget, FileOffset, Limits};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/joblib")
}

/// Files of this folder with what joblib said of them.
fn files() -> Vec<(PathBuf, serde_json::Value)> {
    let mut found: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "joblib"))
        .map(|path| {
            let told = fs::read(format!("{}.json", path.display())).unwrap();
            (path, serde_json::from_slice(&told).unwrap())
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(found.len() > 10, "{}", found.len());
    found
}

fn is_packed(path: &Path) -> bool {
    path.file_stem().unwrap().to_str().unwrap().contains('.')
        && !path.to_str().unwrap().contains("1.1")
}

fn outcome(bytes: Vec<u8>, policy: &Policy) -> depickle::pickle::Outcome {
    run(bytes.into(), FileOffset(0), policy, &mut Budget::default())
}

#[test]
fn all_of_it_is_read_and_clean() {
    for (path, _) in files() {
        let report = Scanner::new().scan_path(&path);
        assert_eq!(report.verdict, Verdict::Clean, "{}: {:?}", path.display(), report.findings);
        assert!(report.complete);
    }
    // Arrays in files beside are not looked into; with compression there are none.
    for (name, want) in [("files_0.9.pkl", Verdict::Unknown), ("zfile_0.9.pkl", Verdict::Clean)] {
        let report = Scanner::new().scan_path(&folder().join(name));
        assert_eq!(report.verdict, want, "{name}: {:?}", report.findings);
    }
}

/// The bytes of arrays, as they are in the graph, compared with what joblib read.
#[test]
fn arrays_are_those_that_joblib_reads() {
    let mut arrays = 0;
    for (path, told) in files().into_iter().filter(|(path, _)| !is_packed(path)) {
        for policy in [&Policy::inspect(), policy::strict(), policy::models()] {
            let outcome = outcome(fs::read(&path).unwrap(), policy);
            assert!(outcome.end.is_ok(), "{}: {:?}", path.display(), outcome.end);
            let root = outcome.graph.root().unwrap();
            let mut views = Views::default();
            let Some(dict) = root.as_dict() else { continue };
            for (key, value) in dict.iter() {
                let want = &told[key.as_str().unwrap()];
                let Some(shape) = want.get("shape") else { continue };
                let array = views.array(value).unwrap();
                let found: Vec<u64> = array.shape().to_vec();
                let shape: Vec<u64> =
                    shape.as_array().unwrap().iter().map(|size| size.as_u64().unwrap()).collect();
                assert_eq!(found, shape, "{}", path.display());
                arrays += 1;
            }
        }
    }
    assert!(arrays > 100, "{arrays}");
}

fn depickle(arguments: &[&str], path: &Path) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_depickle")).args(arguments).arg(path).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?} {}: {err}", path.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_verb_gets_past_arrays() {
    for name in ["values_p2", "values_p4", "objects", "values_1.1", "objects_1.1"] {
        let path = folder().join(format!("{name}.joblib"));
        let shown = depickle(&["show"], &path);
        assert!(shown.contains("end") || shown.contains("after"), "{name}: {shown}");
        let listed = depickle(&["dis"], &path);
        assert!(listed.contains("bytes of an array"), "{name}: {listed}");
        assert!(listed.trim_end().lines().last().unwrap().contains("STOP"), "{name}: {listed}");
        depickle(&["info"], &path);
        depickle(&["globals"], &path);
        // What is disassembled can be assembled again.
        let text = depickle(&["dis", "--asm"], &path);
        assert!(assemble(&text).unwrap() == fs::read(&path).unwrap(), "{name}");
    }
    let shown = depickle(&["show"], &folder().join("values_p4.joblib"));
    assert!(shown.contains("'floats': numpy.ndarray(<f8, [3, 4])"), "{shown}");
}

#[test]
fn whoever_reads_by_pickle_sees_operations() {
    let bytes = fs::read(folder().join("values_p2.joblib")).unwrap();
    let plain = Policy::inspect().with_reading(Reading::Plain);
    assert!(outcome(bytes, &plain).end.is_err());
}

#[test]
fn cut_anywhere_it_is_never_clean() {
    for name in ["values_p4", "objects"] {
        let bytes = fs::read(folder().join(format!("{name}.joblib"))).unwrap();
        for len in (0..bytes.len()).step_by(7) {
            let report = Scanner::new().scan_bytes(bytes[..len].to_vec());
            assert!(report.verdict != Verdict::Clean, "{name} cut at {len}");
        }
    }
}

/// A pickle of one array of so many bytes, then the number 7.
fn one(len: u32) -> Vec<u8> {
    let text = format!(
        r#"PROTO 2
GLOBAL joblib.numpy_pickle NumpyArrayWrapper
EMPTY_TUPLE
NEWOBJ
EMPTY_DICT
MARK
BINUNICODE "subclass"
GLOBAL numpy ndarray
BINUNICODE "shape"
BININT {len}
TUPLE1
BINUNICODE "order"
BINUNICODE "C"
BINUNICODE "dtype"
GLOBAL numpy dtype
BINUNICODE "u1"
NEWFALSE
NEWTRUE
TUPLE3
REDUCE
MARK
BININT1 3
BINUNICODE "|"
NONE
NONE
NONE
BININT -1
BININT -1
BININT1 0
TUPLE
BUILD
SETITEMS
BUILD
"#
    );
    assemble(&text).unwrap()
}

/// A file of these bytes, which goes away.
fn on_disk(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn arrays_longer_than_what_is_read_at_once() {
    for filler in [0_u8, b'.', b'N', 0xff] {
        let mut bytes = one(300_000);
        bytes.extend(vec![filler; 300_000]);
        bytes.extend(b"K\x07\x86.");
        let file = on_disk(&bytes);
        let report = Scanner::new().scan_path(file.path());
        assert_eq!(report.verdict, Verdict::Clean, "{filler}: {:?}", report.findings);
        assert!(depickle(&["show"], file.path()).contains('7'));
    }
}

#[test]
fn what_pickle_load_would_reach_far_behind_is_found() {
    // An array of five bytes, which are BINBYTES to pickle.load; what joblib reads ends behind it.
    const FAR: u32 = 3 << 20;
    let mut bytes = one(5);
    bytes.push(b'B');
    bytes.extend(FAR.to_le_bytes());
    let start = bytes.len();
    bytes.extend(b"K\x07\x86.");
    bytes.resize(start + FAR as usize, b'.');
    bytes.extend(b"0cos\nsystem\n(S'id'\ntR.");
    let report = Scanner::new().scan_path(on_disk(&bytes).path());
    assert_eq!(report.verdict, Verdict::Dangerous, "{:?}", report.findings);
}

#[test]
fn nothing_is_taken_for_what_is_not_there() {
    let bytes = one(2_000_000_000);
    let mut budget = Budget::new(Limits::default().with_memory(1 << 16));
    let outcome = run(bytes.into(), FileOffset(0), &Policy::inspect(), &mut budget);
    assert!(matches!(outcome.end.unwrap_err().kind(), Kind::Ended(_)));
}

#[test]
fn what_cannot_be_known_is_not_read_further() {
    let mut bytes = one(2);
    // The shape says one size more than numpy could count.
    let at = bytes.windows(5).position(|it| it == b"J\x02\0\0\0").unwrap();
    bytes.splice(at..at + 5, *b"J\xff\xff\xff\xff");
    let outcome = outcome(bytes, &Policy::inspect());
    assert!(matches!(outcome.end.unwrap_err().kind(), Kind::InlineArray(_)));
    // What was built before is there.
    assert!(outcome.graph.objects().any(|object| matches!(object.value(), Value::Recipe(_))));
}
