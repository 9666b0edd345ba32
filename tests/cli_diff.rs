//! `depickle diff`: what is different, whether weights fit, and the exit codes.
#![cfg(feature = "cli")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::path::PathBuf;
use std::process::Output;

use common::{cli, fixture};
use serde_json::{Value, json};

fn diff(arguments: &[&str]) -> Output {
    cli::depickle(&[&["diff"], arguments].concat())
}

/// Exit code, standard output, standard error.
fn said(arguments: &[&str]) -> (i32, String, String) {
    cli::said(&diff(arguments))
}

fn document(arguments: &[&str]) -> (i32, Value) {
    let (code, out, err) = said(&[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?}: {out}{err}")))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

/// A checkpoint with some bytes of its members replaced, where they stand once.
fn changed(from: &str, name: &str, old: &[u8], new: &[u8]) -> PathBuf {
    assert_eq!(old.len(), new.len());
    let mut found = 0;
    let bytes = common::rezip(&std::fs::read(fixture(from)).unwrap(), |_, mut data| {
        if let Some(at) = data.windows(old.len()).position(|window| window == old) {
            data[at..at + new.len()].copy_from_slice(new);
            found += 1;
        }
        Some(data)
    });
    assert_eq!(found, 1, "{from}");
    let path = std::env::temp_dir().join(format!("depickle-diff-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_same_in_another_container_is_the_same() {
    for (left, right) in [
        ("mlp_state_dict.pth", "mlp_state_dict.pth"),
        ("mlp_state_dict.pth", "legacy_mlp_state_dict.pth"),
        ("legacy_views.pth", "views.pth"),
        ("dtypes.pth", "dtypes.pth"),
        ("mlp_model.pth", "mlp_model.pth"),
    ] {
        for flags in [&["--values"][..], &["--bitwise"], &["--rtol", "1e-6"], &[]] {
            let (code, out, err) = said(&[&[left, right], flags].concat());
            assert_eq!((code, err.as_str()), (0, ""), "{left} {right} {flags:?}: {out}");
            assert!(out.contains("the same: names, shapes, dtypes"), "{out}");
            assert!(out.contains("not values") == flags.is_empty(), "{out}");
        }
        assert_eq!(said(&[left, right, "--quiet"]), (0, String::new(), String::new()));
    }
}

#[test]
fn what_load_state_dict_says_is_said() {
    let cases = std::fs::read(fixture("fit/cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
    for case in cases.iter().filter(|case| case["strict"] == true && case["weights"] != "a_list") {
        let file = |key: &str| format!("fit/{}.pth", case[key].as_str().unwrap());
        let (model, weights) = (file("model"), file("weights"));
        // A nested state dict is found by itself otherwise.
        let (code, out, _) = said(&[&model, &weights, "--message", "--right-key", ""]);
        let wanted = case["error"].as_str();
        assert_eq!(out.trim_end_matches('\n'), wanted.unwrap_or_default(), "{weights}");
        assert_eq!(code, i32::from(wanted.is_some()), "{weights}");
        let (code, json) = document(&[&model, &weights, "--right-key", ""]);
        assert_eq!(json["load_state_dict"], case["error"], "{weights}");
        assert_eq!((code == 0, &json["mode"]), (wanted.is_none(), &json!("fit")));
    }
    let (code, _, err) = said(&["fit/net_model.pth", "fit/a_list.pth"]);
    assert_eq!(code, 2);
    assert!(err.contains("Expected state_dict to be dict-like, got <class 'list'>."), "{err}");
}

#[test]
fn weights_that_fit_do_and_others_get_advice() {
    let (code, out, err) = said(&["mlp_model.pth", "mlp_state_dict.pth"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("mlp_state_dict.pth fits MLP\n"), "{out}");

    let (code, out, _) = said(&["fit/net_model.pth", "fit/wrapped.pth"]);
    assert_eq!(code, 1);
    assert!(out.contains("\n- conv.weight"), "{out}");
    assert!(out.contains("+ module.conv.weight"), "{out}");
    assert!(out.ends_with("all 20 keys match with --strip-prefix module.\n"), "{out}");
    let (code, out, _) =
        said(&["fit/net_model.pth", "fit/wrapped.pth", "--strip-prefix", "module."]);
    assert_eq!(code, 0, "{out}");

    // The other way round: the model has the prefix.
    let (code, json) = document(&["fit/wrapped.pth", "fit/same.pth", "--mode", "fit"]);
    assert_eq!(code, 1);
    assert_eq!(json["advice"][0]["flags"], "--rename '^=module.'");
    let (code, out, _) =
        said(&["fit/wrapped.pth", "fit/same.pth", "--mode", "fit", "--rename", "^=module."]);
    assert_eq!(code, 0, "{out}");

    // Without what does not fit.
    let (code, _, _) =
        said(&["fit/net_model.pth", "fit/sizes.pth", "--include", "bn.*", "--exclude", "*.weird"]);
    assert_eq!(code, 0);
}

#[test]
fn a_state_dict_in_a_checkpoint_is_found_and_said() {
    let (code, out, err) = said(&["fit/net_model.pth", "fit/nested.pth"]);
    assert_eq!(code, 0, "{out}");
    assert_eq!(err, "note: fit/nested.pth: compared is what is at key \"model\"\n");
    let (code, json) = document(&["checkpoint.pth", "mlp_state_dict.pth"]);
    assert_eq!(code, 0, "{json}");
    assert_eq!(json["left"]["chosen"]["key"], "model_state_dict");
    assert_eq!(
        (&json["left"]["automatic"], &json["right"]["automatic"]),
        (&json!(true), &json!(false))
    );
    // Not where the user has said what is compared.
    let (code, json) = document(&["checkpoint.pth", "mlp_state_dict.pth", "--mode", "diff"]);
    assert_eq!((code, &json["left"]["chosen"]["key"]), (1, &Value::Null));
    let (code, _, err) = said(&["checkpoint.pth", "mlp_state_dict.pth", "--left-key", "no_such"]);
    assert_eq!(code, 2);
    assert!(err.contains("nothing is at key \"no_such\""), "{err}");
}

#[test]
fn shapes_and_dtypes_are_told_apart() {
    let (code, json) = document(&["fit/same.pth", "fit/sizes.pth"]);
    assert_eq!((code, &json["mode"], &json["same"]), (1, &json!("diff"), &json!(false)));
    assert_eq!(names(&json["missing"]), ["blocks.0.weight"]);
    assert_eq!(
        json["unexpected"],
        json!([{ "name": "bn.weird", "dtype": "float32", "shape": [0, 3] }])
    );
    let found: Vec<_> = json["differences"].as_array().unwrap().iter().collect();
    assert!(found.contains(&&json!({
        "name": "conv.weight", "what": "shape", "left": [3, 2, 1, 1], "right": [3, 2, 1]
    })));
    let (code, json) = document(&["fit/same.pth", "fit/number.pth"]);
    assert_eq!(code, 1);
    assert_eq!(
        json["differences"][1],
        json!({ "name": "steps", "what": "dtype", "left": "int64", "right": "float64" })
    );
    // Loading casts, and PyTorch 0.3 saved numbers as vectors.
    let (code, out, _) = said(&["fit/net_model.pth", "fit/number.pth"]);
    assert_eq!(code, 0);
    assert!(out.contains("= steps  dtype int64 → float64, cast on loading"), "{out}");
}

#[test]
fn elements_are_compared_and_placed() {
    // Of 1.0, 2.0, 3.0 the second.
    let bytes = |values: [f32; 3]| values.map(f32::to_le_bytes).concat();
    let path = changed(
        "containers/zip_comment.pth",
        "values.pth",
        &bytes([1., 2., 3.]),
        &bytes([1., 2.5, 3.]),
    );
    let files = ["containers/zip_comment.pth", path.to_str().unwrap()];
    let (code, out, _) = said(&files);
    assert_eq!(code, 0, "values were not asked for: {out}");
    let (code, json) = document(&[&files[..], &["--values"]].concat());
    assert_eq!(code, 1);
    let found = &json["differences"][0];
    assert_eq!((&found["what"], &found["differing"]), (&json!("values"), &json!(1)));
    assert_eq!(found["max_abs"], json!({ "size": 0.5, "at": 2 }));
    assert_eq!(found["max_rel"], json!({ "size": 0.25, "at": 2 }));
    let (code, out, _) = said(&[&files[..], &["--values"]].concat());
    assert_eq!(code, 1);
    assert!(out.contains("1 of 6 differ, max abs 0.5 at [0, 2], max rel 0.25 at [0, 2]"), "{out}");
    let within = [&files[..], &["--rtol", "0.1", "--atol", "0.3"]].concat();
    let (code, out, _) = said(&within);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("differs within the tolerance"), "{out}");
    let (code, _, _) = said(&[&files[..], &["--rtol", "0.1"]].concat());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(code, 1);
    for wrong in [["--rtol", "-1"], ["--atol", "nan"], ["--rtol", "x"]] {
        assert_eq!(said(&[&["tensor.pth", "tensor.pth"][..], &wrong].concat()).0, 2, "{wrong:?}");
    }
}

#[test]
fn zeros_and_nans_differ_only_by_their_bits() {
    let bytes = |values: [f32; 3]| values.map(f32::to_le_bytes).concat();
    let left = changed(
        "containers/zip_comment.pth",
        "zero.pth",
        &bytes([1., 2., 3.]),
        &bytes([0., f32::NAN, 3.]),
    );
    let nan = f32::from_bits(f32::NAN.to_bits() ^ 1);
    let right = changed(
        "containers/zip_comment.pth",
        "minus.pth",
        &bytes([1., 2., 3.]),
        &bytes([-0., nan, 3.]),
    );
    let files = [left.to_str().unwrap(), right.to_str().unwrap()];
    let numbers = said(&[&files[..], &["--values"]].concat());
    let bits = said(&[&files[..], &["--bitwise"]].concat());
    std::fs::remove_file(&left).unwrap();
    std::fs::remove_file(&right).unwrap();
    assert_eq!(numbers.0, 0, "{}", numbers.1);
    assert!(numbers.1.contains("equal as numbers, 2 differ in bits only"), "{}", numbers.1);
    assert_eq!(bits.0, 1);
}

#[test]
fn epochs_and_settings_are_compared_on_request() {
    let key = b"X\x05\x00\x00\x00epochq";
    let bytes = std::fs::read(fixture("checkpoint.pth")).unwrap();
    let mut epoch = None;
    common::rezip(&bytes, |name, data| {
        if name.ends_with("data.pkl") {
            let at = data.windows(key.len()).position(|window| window == key).unwrap();
            // The key, its place in the memo, then BININT1.
            epoch = Some(data[at..at + key.len() + 3].to_vec());
        }
        Some(data)
    });
    let old = epoch.unwrap();
    assert_eq!(old[old.len() - 2], b'K');
    let mut new = old.clone();
    *new.last_mut().unwrap() += 1;
    let path = changed("checkpoint.pth", "epoch.pth", &old, &new);
    let files = ["checkpoint.pth", path.to_str().unwrap()];
    let plain = said(&files);
    let (code, json) = document(&[&files[..], &["--all"]].concat());
    let text = said(&[&files[..], &["--all"]].concat());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(plain.0, 0, "{}", plain.1);
    assert_eq!(code, 1);
    let (left, right) = (old.last().unwrap().to_string(), new.last().unwrap().to_string());
    assert_eq!(json["objects"], json!([{ "path": "epoch", "left": left, "right": right }]));
    assert!(text.1.contains(&format!("~ epoch: {left} → {right}\n")), "{}", text.1);
}

#[test]
fn files_without_tensors_are_compared_as_values() {
    let folder = std::env::temp_dir();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(format!("depickle-diff-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        path
    };
    // {'a': [1, {2, 'x'}], 'b': b'…'} in two orders, with another second element.
    let one = write("one.pkl", b"(dp0\nVa\n(I1\n(lVx\nalsVb\nVtext\ns.");
    let other = write("other.pkl", b"(dp0\nVb\nVtext\nsVa\n(I2\n(lVx\nals.");
    let same = said(&[one.to_str().unwrap(), one.to_str().unwrap()]);
    let (code, json) = document(&[one.to_str().unwrap(), other.to_str().unwrap()]);
    for path in [one, other] {
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(same.0, 0, "{}{}", same.1, same.2);
    assert!(same.2.contains("no tensors in either"), "{}", same.2);
    assert!(same.1.ends_with("the same: all that is no tensor\n"), "{}", same.1);
    assert_eq!(code, 1);
    assert_eq!(json["objects"], json!([{ "path": "a.0", "left": "1", "right": "2" }]));
}

#[test]
fn one_that_cannot_be_read_hides_no_other_and_answers_2() {
    let bytes = std::fs::read(fixture("fit/sizes.pth")).unwrap();
    let broken = common::rezip(&bytes, |name, data| (!name.ends_with("/data/2")).then_some(data));
    let path =
        std::env::temp_dir().join(format!("depickle-diff-{}-broken.pth", std::process::id()));
    std::fs::write(&path, broken).unwrap();
    let (code, out, err) = said(&["fit/same.pth", path.to_str().unwrap(), "--values"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(code, 2);
    assert!(err.contains("no data for its storage"), "{err}");
    assert!(out.contains("- blocks.0.weight"), "{out}");
    assert!(out.contains("could not compare all"), "{out}");
    for files in [["no_such.pth", "tensor.pth"], ["tensor.pth", "fixtures.rs"], ["-", "-"]] {
        assert_eq!(said(&files).0, 2, "{files:?}");
    }
}

#[test]
fn names_that_would_clash_are_no_comparison() {
    let (code, _, err) =
        said(&["fit/same.pth", "fit/same.pth", "--rename", r"\.(weight|bias)$=.x"]);
    assert_eq!(code, 2);
    assert!(err.contains("would both be called"), "{err}");
}

#[test]
fn one_side_may_be_standard_input() {
    let bytes = std::fs::read(fixture("legacy_mlp_state_dict.pth")).unwrap();
    let output = cli::fed(&["diff", "-", "mlp_state_dict.pth", "--values"], &bytes);
    assert_eq!(output.status.code(), Some(0), "{}", cli::text(&output.stderr));
}
