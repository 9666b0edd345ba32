//! `globals` and `doctor` on the command line: output, JSON, exit codes.
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

use common::cli::{depickle, said, text};
use common::fixture;
use serde_json::{Value, json};

/// Exit code, standard output and standard error of a run with these bytes on standard input.
fn fed(arguments: &[&str], bytes: &[u8]) -> (Option<i32>, String, String) {
    let (code, out, err) = said(&common::cli::fed(arguments, bytes));
    (Some(code), out, err)
}

#[test]
fn globals_tell_position_count_and_place() {
    let output = depickle(&["globals", "--json", "mlp_model.pth"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = found["globals"].as_array().unwrap();
    let of = |name: &str| all.iter().find(|it| it["global"] == name).unwrap();
    let linear = of("torch.nn.modules.linear.Linear");
    assert_eq!(linear["verdict"], "whitelisted");
    assert!(linear["positions"]["instance"].as_u64().unwrap() >= 2);
    assert_eq!(of("__main__.MLP")["verdict"], "unknown");
    assert_eq!(of("__main__.MLP")["count"], 1);
    let storage = of("torch.FloatStorage");
    assert_eq!(storage["positions"].as_object().unwrap().keys().collect::<Vec<_>>(), ["storage"]);
    assert!(of("torch._utils._rebuild_tensor_v2")["positions"]["call"].as_u64().unwrap() > 4);
    // The offset is absolute: the operation stands there.
    let at = usize::try_from(storage["offset"].as_u64().unwrap()).unwrap();
    let bytes = std::fs::read(fixture("mlp_model.pth")).unwrap();
    assert!(bytes[at..].starts_with(b"ctorch\nFloatStorage\n"));
    assert_eq!(storage["member"], "mlp_model/data.pkl");
    assert_eq!(found["broken"], json!([]));
}

#[test]
fn globals_as_a_table() {
    let (code, out, err) = fed(&["globals", "-"], b"cos\nsystem\n(S'id'\ntR.");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let mut lines = out.lines();
    assert_eq!(lines.next().unwrap(), "GLOBAL     VERDICT    COUNT  POSITION  FIRST AT");
    assert_eq!(lines.next().unwrap(), "os.system  FORBIDDEN  1      call      0");
    assert_eq!(lines.next().unwrap(), "1 globals in 1 pickles");
}

#[test]
fn globals_of_every_pickle_are_found() {
    let (_, out, _) = fed(&["globals", "--json", "-"], b"\x80\x02ca\nb\n.\x80\x02cc\nd\n.");
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["pickles"], 2);
    let names: Vec<_> =
        found["globals"].as_array().unwrap().iter().map(|it| &it["global"]).collect();
    assert_eq!(names, ["a.b", "c.d"]);
    // What stands before a break is told, and the exit code says so.
    let (code, out, err) = fed(&["globals", "--json", "-"], b"\x80\x02ca\nb\nRR.");
    assert_eq!(code, Some(2), "{err}");
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["globals"][0]["global"], "a.b");
    assert_eq!(found["broken"].as_array().unwrap().len(), 1);
}

#[test]
fn lines_of_python_hold_what_is_needed_and_nothing_else() {
    let output = depickle(&["globals", "--python", "mlp_state_dict.pth"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    let output = depickle(&["globals", "--python", "mlp_model.pth"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    assert!(lines.starts_with("import torch\nimport torch.nn.modules.activation\n"), "{lines}");
    assert!(lines.contains("# this program must define MLP, Scale\n"), "{lines}");
    assert!(
        lines.contains("    MLP,\n") && lines.contains("    torch.nn.modules.linear.Linear,\n")
    );
    assert!(!lines.contains("_rebuild_tensor_v2"), "{lines}");
    // Names that would add lines to a program.
    let hostile = b"\x80\x04\x8c\x11a\nimport os\nos.xx\x8c\x01b\x93.";
    let (code, out, err) = fed(&["globals", "--python", "-"], hostile);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("left out"), "{err}");
    let (code, out, err) = fed(&["globals", "--python", "-"], b"cbuiltins\neval\n.");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("builtins.eval is left out: it can reach code"), "{err}");
}

#[test]
fn older_names_are_given_in_pairs() {
    let pickle = b"\x80\x02cnumpy.core.multiarray\nscalar\n.";
    let (code, out, _) = fed(&["globals", "--python", "-"], pickle);
    assert_eq!(code, Some(0));
    let want = "import numpy._core.multiarray\nimport torch\ntorch.serialization.add_safe_globals([\n    \
        (numpy._core.multiarray.scalar, \"numpy.core.multiarray.scalar\"),\n])\n";
    assert_eq!(out, want);
}

#[test]
fn doctor_json_has_the_fields_of_the_contract_in_order() {
    let output = depickle(&["doctor", "--json", "mlp_state_dict.pth"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<_> = found.as_object().unwrap().keys().collect();
    let want = [
        "path",
        "healthy",
        "kind",
        "container",
        "nbytes",
        "what",
        "diagnosis",
        "load",
        "requires",
        "salvage",
    ];
    assert_eq!(keys, want);
    assert_eq!((&found["healthy"], &found["kind"]), (&json!(true), &json!("state_dict")));
    assert_eq!(found["requires"], json!({ "torch": "1.6", "because": "its zip layout" }));
    let (code, out, _) = fed(&["doctor", "--json", "-"], b"GGUF\x03\0\0\0");
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &found["healthy"]), (Some(1), &json!(false)));
    let first = found["diagnosis"][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["id", "severity", "message", "advice", "offset"]);
}

#[test]
fn doctor_says_in_text_what_to_do() {
    let output = depickle(&["doctor", "mlp_state_dict.pth"]);
    let want = "\
mlp_state_dict.pth: a state dict of 5 tensors, 840 B: a zip archive of torch.save, 3.5 KiB
  healthy
  needs PyTorch 1.6 or later (its zip layout)
  in Python:
    import torch
    obj = torch.load(\"mlp_state_dict.pth\", map_location=\"cpu\", weights_only=True)
    # then build the model, and: model.load_state_dict(obj)
";
    assert_eq!(text(&output.stdout), want);
}

#[test]
fn exit_codes() {
    assert_eq!(depickle(&["doctor", "no-such-file"]).status.code(), Some(2));
    assert_eq!(depickle(&["doctor", "mlp_state_dict.pth", "no-such-file"]).status.code(), Some(2));
    assert_eq!(depickle(&["doctor", "make.py"]).status.code(), Some(1));
    assert_eq!(
        depickle(&["doctor", "--jsonl", "mlp_state_dict.pth", "tied.pth"]).status.code(),
        Some(0)
    );
    assert_eq!(
        depickle(&["doctor", "--expect", "model", "mlp_state_dict.pth"]).status.code(),
        Some(1)
    );
    assert_eq!(depickle(&["globals", "no-such-file"]).status.code(), Some(2));
    assert_eq!(depickle(&["globals", "make.py"]).status.code(), Some(2));
}

#[test]
fn doctor_salvages() {
    let folder = std::env::temp_dir().join(format!("depickle-cli-salvage-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cut, out) = (folder.join("cut.pth"), folder.join("out.pth"));
    let whole = std::fs::read(fixture("mlp_state_dict.pth")).unwrap();
    std::fs::write(&cut, &whole[..1700]).unwrap();
    let arguments = ["doctor", cut.to_str().unwrap(), "--salvage", out.to_str().unwrap()];
    let output = depickle(&arguments);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("it has 1700 of 3558 bytes (47 %): 1.8 KiB (1858 bytes) are missing"),
        "{said}"
    );
    assert!(
        said.contains("salvaged 2 of 5 tensors to ") && said.contains(", 2 of them by checksum"),
        "{said}"
    );
    assert!(said.contains("    lost: last.weight: "), "{said}");
    let again = depickle(&arguments);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stdout));
    assert!(text(&again.stderr).contains("out.pth"), "{}", text(&again.stderr));
    let forced = depickle(&[&arguments[..], &["--force", "--json"]].concat());
    let found: Value = serde_json::from_slice(&forced.stdout).unwrap();
    assert_eq!(found["salvage"]["written"], json!(["first.weight", "first.bias"]));
    assert_eq!(found["salvage"]["lost"].as_array().unwrap().len(), 3);
    std::fs::remove_dir_all(&folder).unwrap();
}
