//! `scan` as a user calls it: output, exit codes, folders.
#![cfg(feature = "cli")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const HOSTILE: &[u8] = b"cos\nsystem\n(S'id'\ntR.";
const UNKNOWN: &[u8] = b"\x80\x02cmy.models\nNet\n)\x81.";
const CLEAN: &[u8] = b"\x80\x02}X\x01\x00\x00\x00aK\x01s.";
const CUT: &[u8] = b"\x80\x02}X\x01\x00\x00\x00aK\x01";

fn depickle(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_depickle"));
    command.args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder of files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn exit_codes_are_those_of_the_worst_file() {
    let all = folder(&[
        ("clean.pkl", CLEAN),
        ("unknown.pkl", UNKNOWN),
        ("hostile.pkl", HOSTILE),
        ("cut.pkl", CUT),
        ("notes.txt", b"some words\n"),
    ]);
    let code = |args: &[&str]| {
        let output = depickle(&[&["scan"], args].concat(), all.path());
        output.status.code().unwrap()
    };
    assert_eq!(code(&["clean.pkl"]), 0);
    assert_eq!(code(&["notes.txt", "clean.pkl"]), 0);
    assert_eq!(code(&["unknown.pkl"]), 1);
    assert_eq!(code(&["--fail-on", "dangerous", "unknown.pkl"]), 0);
    assert_eq!(code(&["hostile.pkl"]), 1);
    assert_eq!(code(&["--fail-on", "dangerous", "hostile.pkl", "cut.pkl"]), 1);
    assert_eq!(code(&["--fail-on", "never", "hostile.pkl", "cut.pkl"]), 0);
    assert_eq!(code(&["cut.pkl", "unknown.pkl"]), 2);
    assert_eq!(code(&["missing.pkl", "clean.pkl"]), 2);
    assert_eq!(code(&["missing.pkl", "hostile.pkl"]), 1);
    assert_eq!(code(&["."]), 1);
    assert_eq!(code(&["--include", "*.txt", "."]), 0);
    assert_eq!(code(&["--include", "nothing*", "."]), 2);
    assert_eq!(code(&["--exclude", "hostile*", "--exclude", "cut*", "--allow", "my.*", "."]), 0);
    assert_eq!(code(&["--forbid", "my.models.*", "--fail-on", "dangerous", "unknown.pkl"]), 1);
}

#[test]
fn text_names_what_would_have_happened() {
    let one = folder(&[("model.pth", HOSTILE)]);
    let output = depickle(&["scan", "model.pth"], one.path());
    let text = text(&output.stdout);
    assert!(text.starts_with("dangerous  model.pth"), "{text}");
    assert!(text.contains(">>> os.system(\"id\")"), "{text}");
    assert!(text.contains("forbidden-call"), "{text}");
}

#[test]
fn standard_input_is_scanned() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_depickle"))
        .args(["scan", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(HOSTILE).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["path"], "-");
    assert_eq!(document["verdict"], "dangerous");
    assert_eq!(document["globals"]["forbidden"], 1);
    assert_eq!(document["complete"], true);
    let finding = &document["findings"][0];
    assert_eq!(finding["rule"], "forbidden-call");
    assert_eq!(finding["severity"], "critical");
    assert_eq!(finding["global"], "os.system");
    assert_eq!(finding["position"], "call");
    assert_eq!(finding["offset"], 0);
}

#[test]
fn folders_are_walked_in_order_and_one_bad_file_stops_nothing() {
    let many: Vec<(String, &[u8])> = (0..200)
        .map(|n| (format!("{}/{n:03}.pkl", n % 7), if n == 13 { CUT } else { CLEAN }))
        .collect();
    let files: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (&**name, *bytes)).collect();
    let all = folder(&files);
    #[cfg(unix)]
    std::os::unix::fs::symlink(all.path(), all.path().join("3/loop")).unwrap();
    let lines = |jobs: &str| {
        let output = depickle(&["scan", "--jsonl", "--jobs", jobs, "."], all.path());
        assert_eq!(output.status.code(), Some(2));
        text(&output.stdout)
    };
    let first = lines("1");
    assert_eq!(first.lines().count(), 200);
    assert_eq!(first, lines("4"), "the order does not depend on threads");
    for line in first.lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        let cut = document["path"].as_str().unwrap().ends_with("013.pkl");
        assert_eq!(document["verdict"], if cut { "error" } else { "clean" }, "{line}");
        assert_eq!(document["complete"], !cut);
    }
}

#[test]
fn sarif_has_what_the_standard_asks_for() {
    let all = folder(&[("a b.pkl", HOSTILE), ("x/unknown.pkl", UNKNOWN), ("clean.pkl", CLEAN)]);
    let output = depickle(&["scan", "--sarif", "."], all.path());
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(run["tool"]["driver"]["name"], "depickle");
    assert!(rules.iter().all(|rule| rule["shortDescription"]["text"].is_string()));
    let artifacts = run["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 3);
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].is_string());
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        let index = place["index"].as_u64().unwrap() as usize;
        assert_eq!(artifacts[index]["location"]["uri"], place["uri"]);
        assert!(!place["uri"].as_str().unwrap().contains(' '));
    }
}
