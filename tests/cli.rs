//! The command line: its output, its JSON, its exit codes.
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

use std::process::Output;

use common::cli::{depickle, fed, unread};
use common::{fixture, records};
use serde_json::{Value, json};

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Standard output of a run that must go well and say nothing else.
fn well(arguments: &[&str]) -> String {
    let output = depickle(arguments);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""), "{arguments:?}");
    stdout(&output).to_owned()
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&well(arguments)).unwrap()
}

#[test]
fn ls_json_has_the_fields_of_the_contract_in_order() {
    for record in records() {
        let file = record.json["file"].as_str().unwrap();
        let text = well(&["ls", "--json", "--sha256", file]);
        let found: Value = serde_json::from_str(&text).unwrap();
        let keys = ["path", "container", "kind", "root_class", "chosen", "tensors", "unreadable"];
        let places: Vec<usize> =
            keys.iter().map(|key| text.find(&format!("\n  \"{key}\"")).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
        assert_eq!(found.as_object().unwrap().len(), keys.len());
        let container = if file.starts_with("legacy_") { "legacy" } else { "zip" };
        assert_eq!(found["container"], container);
        for key in ["kind", "root_class"] {
            assert_eq!(found[key], record.json[key], "{file}");
        }
        let tensors = found["tensors"].as_array().unwrap();
        let wanted = record.json["tensors"].as_array().unwrap();
        assert_eq!(tensors.len(), wanted.len());
        for (tensor, want) in tensors.iter().zip(wanted) {
            for key in [
                "name",
                "dtype",
                "shape",
                "stride",
                "storage_offset",
                "layout",
                "device",
                "requires_grad",
                "role",
                "nbytes",
                "sha256",
            ] {
                assert_eq!(tensor[key], want[key], "{file} {key}");
            }
            assert!(tensor["storage"]["key"].is_string());
            assert_eq!(tensor["storage"]["nbytes"], want["storage_nbytes"]);
        }
        assert_eq!(found["unreadable"], json!([]));
    }
}

#[test]
fn ls_json_has_the_parts_of_other_layouts() {
    let found = json_of(&["ls", "--json", "--sha256", "tensors/zip_p2.pth"]);
    let record = std::fs::read(fixture("tensors/tensors.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let tensors = found["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), record["tensors"].as_object().unwrap().len());
    for tensor in tensors {
        let name = tensor["name"].as_str().unwrap();
        let want = &record["tensors"][name];
        assert_eq!(tensor["layout"], want["layout"], "{name}");
        // The hash of a layout of several parts is that of the parts.
        assert_eq!(tensor["sha256"], want["sha256"], "{name}");
        for (part, want) in want["parts"].as_object().into_iter().flatten() {
            let found = &tensor["parts"][part];
            assert_eq!(found["sha256"], want["sha256"], "{name}.{part}");
            assert_eq!(found["shape"], want["shape"], "{name}.{part}");
        }
        assert_eq!(tensor["quantizer"], want["quantizer"], "{name}");
    }
    let nested = tensors.iter().find(|tensor| tensor["name"] == "nested").unwrap();
    assert_eq!(nested["shape"], json!([2, null, null]));
    assert_eq!(nested["storage"], Value::Null);
}

#[test]
fn tree_prints_what_python_prints() {
    for record in records() {
        if let Some(want) = record.json["repr"].as_str() {
            let text = well(&["tree", record.json["file"].as_str().unwrap()]);
            assert_eq!(text, format!("{want}\n"), "{}", record.name);
        }
    }
}

#[test]
fn tree_of_a_checkpoint_chooses_its_only_module_and_says_so() {
    let output = depickle(&["tree", "detector_checkpoint.pth"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("MLP(\n"));
    assert_eq!(
        stderr(&output),
        "note: the model at key \"model\" is shown; --key chooses another object\n"
    );
    assert!(well(&["tree", "detector_checkpoint.pth", "--key", "model"]).starts_with("MLP(\n"));
}

#[test]
fn tree_of_a_state_dict_is_what_its_names_imply() {
    let text = well(&["tree", "mlp_state_dict.pth"]);
    assert!(
        text.starts_with(
            "first\n  weight  float32 [10, 6]\n  bias  float32 [10]\nbody\n  2\n    0\n"
        )
    );
    assert!(
        well(&["tree", "--depth", "0", "mlp_state_dict.pth"]).starts_with("first.weight  float32")
    );
}

#[test]
fn tree_json_names_shared_modules_once() {
    let tree = json_of(&["tree", "--json", "tied.pth"]);
    let root = &tree["root"];
    assert_eq!(root["class"], "__main__.Tied");
    assert_eq!(root["training"], true);
    let children = root["children"].as_array().unwrap();
    let find = |name: &str| children.iter().find(|child| child["name"] == name).unwrap();
    assert_eq!(find("again"), &json!({ "name": "again", "same_as": "inner" }));
    assert_eq!(find("head")["parameters"][1], json!({ "name": "bias", "tensor": null }));
    let buffers = root["buffers"].as_array().unwrap();
    let persistent: Vec<_> = buffers.iter().map(|buffer| &buffer["persistent"]).collect();
    assert_eq!(persistent, [true, false]);
    assert_eq!(find("embed")["attributes"]["num_embeddings"], 7);
}

#[test]
fn tree_adds_parameters_and_attributes_when_asked() {
    let text = well(&["tree", "tied.pth", "--params"]);
    let want = "\
Tied(  # 47 parameters, 44 trainable, 188 B; buffers 24 B
  (embed): Embedding(7, 4)  # 28 parameters, 112 B
  (inner): Linear(in_features=4, out_features=4, bias=False)  # 16 parameters, 64 B
  (head): Linear(in_features=4, out_features=7, bias=False)  # 28 parameters, 112 B
  (again): Linear(in_features=4, out_features=4, bias=False)  # 16 parameters, 64 B
  (absent): None
)
";
    assert_eq!(text, want);
    let text = well(&["tree", "mlp_model.pth", "--attrs", "--depth", "1"]);
    let want = "\
MLP(
  .hidden = 10
  .names = ['a', 'b', 'c']
  (first): Linear(in_features=6, out_features=10, bias=True)
    .in_features = 6
    .out_features = 10
  (body): Sequential(
    ...
  )
";
    assert!(text.starts_with(want), "{text}");
    let tree = json_of(&["tree", "tied.pth", "--params", "--json"]);
    assert_eq!(
        tree["root"]["totals"],
        json!({ "parameters": 47, "trainable": 44, "parameter_bytes": 188, "buffers": 2,
                "buffer_bytes": 24, "unknown": 0 })
    );
    let text = well(&["tree", "mlp_state_dict.pth", "--params"]);
    assert!(text.starts_with("# 5 tensors, 210 elements, 840 B\nfirst  # 2 tensors, 70 elements"));
    let tree = json_of(&["tree", "mlp_state_dict.pth", "--json"]);
    let first = &tree["root"]["children"][0];
    assert_eq!((&first["name"], &first["children"][1]["name"]), (&json!("first"), &json!("bias")));
    assert_eq!(first["children"][1]["tensor"]["shape"], json!([10]));
}

#[test]
fn show_prints_text_and_tagged_json() {
    let text = well(&["show", "detector_checkpoint.pth", "--key", "train_args"]);
    let want = "Namespace(\n  batch=16\n  lr=0.01\n  names={\n    0: 'cat'\n    1: 'dog'\n  }\n  data='data.yaml'\n)\n";
    assert_eq!(text, want);
    let json = json_of(&["show", "--json", "detector_checkpoint.pth", "--key", "train_args"]);
    let state = json!({ "batch": 16, "lr": 0.01, "names": { "$dict": [[0, "cat"], [1, "dog"]] }, "data": "data.yaml" });
    assert_eq!(json, json!({ "$object": "argparse.Namespace", "state": state }));
    let json = json_of(&["show", "--json", "nested_state.pth"]);
    let pairs = json["$dict"].as_array().unwrap();
    assert_eq!(pairs[0][1]["$id"], pairs[1][1]["$ref"], "one dict under two names");
    let weight = &pairs[0][1]["value"]["items"][0];
    assert_eq!(weight[0], "weight");
    assert_eq!(weight[1]["$tensor"]["shape"], json!([2, 3]));
}

#[test]
fn info_tells_what_a_file_holds() {
    let text = well(&["info", "resnet18_tiny.pth"]);
    assert!(
        text.contains("holds       a whole model: torchvision.models.resnet.ResNet\n"),
        "{text}"
    );
    assert!(text.contains("tensors     122 (62 parameters, 60 buffers)"), "{text}");
    assert!(text.contains("globals     15, all whitelisted"), "{text}");
    let info = json_of(&["info", "--json", "tied.pth"]);
    assert_eq!(info["kind"], "module");
    assert_eq!(
        info["tensors"]["names"].as_u64().unwrap() - 2,
        info["tensors"]["distinct"].as_u64().unwrap()
    );
    assert_eq!(info["globals"]["unknown"], json!(["__main__.Tied"]));
}

#[test]
fn names_are_selected_and_shortened() {
    let list = json_of(&[
        "ls",
        "--json",
        "checkpoint.pth",
        "--key",
        "model_state_dict",
        "--include",
        "*.weight",
        "--exclude",
        "body.*",
    ]);
    let names: Vec<_> =
        list["tensors"].as_array().unwrap().iter().map(|tensor| &tensor["name"]).collect();
    assert_eq!(names, ["first.weight", "last.weight"]);
    assert_eq!(list["chosen"]["key"], "model_state_dict");
    let text = well(&[
        "ls",
        "checkpoint.pth",
        "--strip-prefix",
        "model_state_dict.",
        "--include",
        "last*",
    ]);
    assert_eq!(text, "last.weight  float32  [3, 10]  120 B\n");
}

#[test]
fn names_are_renamed_after_prefixes_are_gone() {
    let arguments = [
        "ls",
        "--json",
        "checkpoint.pth",
        "--strip-prefix",
        "model_state_dict.",
        "--rename",
        r"^(first|last)\.=ends.$1.",
        "--rename",
        "weight$=w",
        "--include",
        "ends.*",
    ];
    let list = json_of(&arguments);
    let tensors = list["tensors"].as_array().unwrap();
    let names: Vec<_> = tensors.iter().map(|tensor| &tensor["name"]).collect();
    assert_eq!(names, ["ends.first.w", "ends.first.bias", "ends.last.w"]);
    assert_eq!(list["chosen"]["rename"], json!([r"^(first|last)\.=ends.$1.", "weight$=w"]));
    let wrong = depickle(&["ls", "checkpoint.pth", "--rename", "(=x"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("unclosed group"), "{}", stderr(&wrong));
}

#[test]
fn several_files_are_listed_whatever_becomes_of_one() {
    let output = depickle(&["ls", "--jsonl", "tensor.pth", "no_such.pth", "tied.pth"]);
    assert_eq!(output.status.code(), Some(2));
    let documents: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 3);
    assert_eq!(documents[0]["kind"], "tensor");
    assert_eq!(documents[1]["category"], "i/o");
    assert_eq!(documents[2]["kind"], "module");
    assert!(stderr(&output).starts_with("error: no_such.pth: "));
    let both = json_of(&["info", "--json", "tensor.pth", "tied.pth"]);
    assert_eq!(both.as_array().unwrap().len(), 2);
}

#[test]
fn verify_answers_no_where_a_byte_differs() {
    let json = json_of(&["verify", "--json", "containers/zip_comment.pth"]);
    assert_eq!(json["sound"], true);
    assert_eq!((&json["members"], &json["tensors"]), (&11.into(), &6.into()));
    assert_eq!(json["problems"], serde_json::json!([]));
    let mut bytes = std::fs::read(fixture("containers/zip_comment.pth")).unwrap();
    let storage = [1.0_f32, 2.0, 3.0].map(f32::to_le_bytes).concat();
    let at = bytes.windows(12).position(|window| window == storage).unwrap();
    bytes[at] ^= 1;
    let path = std::env::temp_dir().join(format!("depickle-verify-{}.pth", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let output = depickle(&["verify", "--json", path.to_str().unwrap()]);
    let text = depickle(&["verify", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(json["sound"], false);
    assert_eq!(json["problems"][0]["member"], "archive/data/0");
    assert_eq!(text.status.code(), Some(1));
    assert!(stdout(&text).contains("not sound: problems 1"), "{}", stdout(&text));
    assert_eq!(depickle(&["verify", "no_such.pth"]).status.code(), Some(2));
}

#[test]
fn folders_are_files_too() {
    let json = json_of(&["ls", "--json", "containers/dcp_two"]);
    assert_eq!(json["container"], "distributed");
    let json = json_of(&["ls", "--json", "containers/sharded"]);
    assert_eq!(json["container"], "sharded");
    assert_eq!(json["tensors"].as_array().unwrap().len(), 4);
}

#[test]
fn standard_input_is_a_file() {
    let output = fed(&["ls", "-"], &std::fs::read(fixture("tensor.pth")).unwrap());
    assert_eq!(stdout(&output), "  float32  [2, 3]  24 B\n");
}

#[test]
fn policies_refuse_with_the_way_to_admit() {
    let output = depickle(&["ls", "--policy", "weights-only", "detector_checkpoint.pth"]);
    assert_eq!(output.status.code(), Some(2));
    let why = stderr(&output);
    assert!(
        why.starts_with(
            "error: detector_checkpoint.pth: __main__.MLP is refused as a value at byte "
        ),
        "{why}"
    );
    assert!(why.contains("in GLOBAL") && why.contains("--allow"), "{why}");
    assert_eq!(stdout(&output), "");
    well(&["ls", "--policy", "weights-only", "mlp_state_dict.pth"]);
    well(&["ls", "--policy", "weights-only", "--allow", "*", "detector_checkpoint.pth"]);
    let output = depickle(&["ls", "--forbid", "argparse.*", "detector_checkpoint.pth"]);
    assert_eq!(output.status.code(), Some(2));
    for record in records() {
        let output =
            depickle(&["ls", "--policy", "weights-only", record.json["file"].as_str().unwrap()]);
        let accepts = record.json["weights_only_loads"].as_bool().unwrap();
        assert_eq!(output.status.success(), accepts, "{}: {}", record.name, stderr(&output));
    }
}

#[test]
fn bad_files_get_one_line_that_names_them() {
    for (name, content, what) in [
        ("empty.pth", &b""[..], "the file is empty"),
        ("text.pth", b"hello\n", "this is a text file"),
        ("cut.pth", b"PK\x03\x04\0\0\0\0", "download or copy it again"),
    ] {
        let path = std::env::temp_dir().join(format!("depickle-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let path_text = path.to_str().unwrap();
        for verb in ["info", "ls", "tree", "show"] {
            let output = depickle(&[verb, path_text]);
            assert_eq!(output.status.code(), Some(2), "{verb} {name}");
            let why = stderr(&output);
            assert!(
                why.starts_with(&format!("error: {path_text}: ")) && why.contains(what),
                "{why}"
            );
            assert_eq!(why.lines().count(), 1, "{why}");
            assert_eq!(stdout(&output), "");
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn an_unreadable_tensor_is_listed_and_exits_with_2() {
    let whole = std::fs::read(fixture("mlp_state_dict.pth")).unwrap();
    let bytes = common::rezip(&whole, |name, data| (!name.ends_with("/data/1")).then_some(data));
    let path = std::env::temp_dir().join(format!("depickle-{}-part.pth", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let output = depickle(&["ls", "--json", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let list: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(list["tensors"].as_array().unwrap().len(), 4);
    assert_eq!(list["unreadable"][0]["name"], "first.bias");
    assert!(list["unreadable"][0]["offset"].is_u64());
    let why = stderr(&output);
    assert!(
        why.contains("\"first.bias\"") && why.contains("data.pkl") && why.contains("at byte"),
        "{why}"
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let output = unread(&["show", "--json", "module_zoo.pth"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}

#[test]
fn completions_and_the_manual_are_written() {
    assert!(well(&["completions", "bash"]).contains("_depickle()"));
    assert!(well(&["man"]).contains(".TH depickle"));
}

#[test]
fn names_from_files_cannot_write_to_the_terminal() {
    let whole = std::fs::read(fixture("mlp_state_dict.pth")).unwrap();
    let bytes = common::rezip(&whole, |name, data| {
        if !name.ends_with("/data.pkl") {
            return Some(data);
        }
        // `first.weight` becomes a name that would clear the screen.
        let at = data.windows(12).position(|window| window == b"first.weight").unwrap();
        let mut data = data;
        data[at..at + 12].copy_from_slice(b"\x1b[2J\x07 weight");
        Some(data)
    });
    let path = std::env::temp_dir().join(format!("depickle-{}-escape.pth", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    for verb in ["ls", "tree", "show", "info"] {
        let output = depickle(&[verb, path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{verb}");
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{verb}");
    }
    std::fs::remove_file(&path).unwrap();
}
