//! `convert`: what is written is what was read, as the official converters write it, or nothing.
#![cfg(feature = "cli")]
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::{fixture, records};
use depickle::torch::{Checkpoint, DType, Scope};
use serde_json::Value;
use tempfile::TempDir;

/// A folder for outputs.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A fixture, copied here.
    fn copy(&self, name: &str) -> String {
        let to = self.path(Path::new(name).file_name().unwrap().to_str().unwrap());
        fs::copy(fixture(name), &to).unwrap();
        to.to_str().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_depickle"));
    command.arg("convert").args(arguments).current_dir(fixture("convert"));
    command
}

fn convert(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard error of a run that goes well.
fn well(arguments: &[&str]) -> String {
    let output = convert(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stderr(&output)
}

/// The JSON of a run that goes well.
fn report(arguments: &[&str]) -> Value {
    let output = convert(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Standard error of a run that fails, which must leave no file behind.
fn fails(folder: &Folder, arguments: &[&str]) -> String {
    let before = folder.names();
    let output = convert(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    assert_eq!(folder.names(), before, "{arguments:?}");
    stderr(&output)
}

#[test]
fn safetensors_are_the_official_converter_s_byte_for_byte() {
    let folder = Folder::new();
    for name in ["state", "tied"] {
        let out = folder.text(&format!("{name}.safetensors"));
        let told = well(&[&format!("{name}.pth"), &out, "--verify"]);
        assert!(told.contains("written once") || told.contains("is a part of"), "{told}");
        let official = fs::read(fixture(&format!("convert/{name}.safetensors"))).unwrap();
        assert!(fs::read(&out).unwrap() == official, "{name}");
    }
}

#[test]
fn shards_and_their_index_are_the_hub_s_byte_for_byte() {
    let folder = Folder::new();
    let out = folder.text("model.safetensors");
    let arguments = ["layers.pth", &out, "--max-shard-size", "400", "--verify"];
    let found = report(&arguments);
    let mut names = Vec::new();
    for entry in fs::read_dir(fixture("convert/shards")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let ours = fs::read(folder.path(&name)).unwrap();
        assert!(ours == fs::read(path).unwrap(), "{name}");
        names.push(name);
    }
    names.sort();
    assert_eq!(folder.names(), names);
    assert_eq!(found["files"].as_array().unwrap().len(), 4);
    assert_eq!(found["verified"], true);
    assert!(found["index"].as_str().unwrap().ends_with("model.safetensors.index.json"));
    // They are whole again.
    let merged = folder.text("merged.safetensors");
    well(&[&folder.text("model.safetensors.index.json"), &merged, "--verify"]);
    assert_eq!(Checkpoint::open(&merged).unwrap().tensors().unwrap().len(), 8);
}

#[test]
fn arrays_are_numpy_s() {
    let folder = Folder::new();
    let out = folder.text("arrays.npz");
    well(&["arrays.pth", &out, "--verify"]);
    let open = |path: PathBuf| zip::ZipArchive::new(Cursor::new(fs::read(path).unwrap())).unwrap();
    let (mut ours, mut theirs) = (open(PathBuf::from(&out)), open(fixture("convert/arrays.npz")));
    assert_eq!(ours.len(), theirs.len());
    for index in 0..ours.len() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let mut member = ours.by_index(index).unwrap();
        member.read_to_end(&mut one).unwrap();
        let mut wanted = theirs.by_index(index).unwrap();
        assert_eq!(member.name().unwrap(), wanted.name().unwrap());
        wanted.read_to_end(&mut other).unwrap();
        assert!(one == other, "{:?}", member.name());
    }
}

#[test]
fn state_dicts_become_pth_files_that_hold_nothing_else() {
    let folder = Folder::new();
    for (from, key) in
        [("state.pth", ""), ("tied.pth", "model"), ("shards", ""), ("layers.pth", "")]
    {
        let out = folder.text("out.pth");
        well(&[from, &out, "--force", "--verify"]);
        let pth = Checkpoint::open(fixture(&format!("convert/{from}"))).unwrap();
        let found = Checkpoint::open(&out).unwrap();
        let wanted = pth.tensors_in(pth.at(key).unwrap(), Scope::StateDict).unwrap();
        assert_eq!(found.tensors().unwrap().len(), wanted.len(), "{from}");
        for (entry, want) in found.tensors().unwrap().iter().zip(&wanted) {
            assert_eq!(entry.name(), want.name());
            let (one, other) = (entry.on(&found).unwrap(), want.on(&pth).unwrap());
            assert_eq!((one.dtype(), one.shape()), (other.dtype(), other.shape()));
            assert_eq!(one.to_bytes().unwrap(), other.to_bytes().unwrap(), "{from} {one:?}");
            assert_eq!((one.device(), one.requires_grad()), ("cpu", false));
        }
    }
    let shared = |path: &str, one: &str, other: &str| {
        let found = Checkpoint::open(path).unwrap();
        let storage = |name| found.tensor(name).unwrap().storage().unwrap();
        storage(one) == storage(other)
    };
    let out = folder.text("tied.pth");
    well(&["tied.pth", &out]);
    assert!(shared(&out, "wte.weight", "lm_head.weight"));
    well(&["tied.pth", &out, "--force", "--dtype", "f16"]);
    assert!(shared(&out, "wte.weight", "lm_head.weight"));
    well(&["tied.pth", &out, "--force", "--shared", "copy"]);
    assert!(!shared(&out, "wte.weight", "lm_head.weight"));
}

#[test]
fn all_of_a_checkpoint_is_kept_if_weights_only_loads_it() {
    let folder = Folder::new();
    let out = folder.text("all.pth");
    well(&["tied.pth", &out, "--keep-all", "--verify"]);
    let found = Checkpoint::open(&out).unwrap();
    assert_eq!(found.at("epoch").unwrap().as_int(), Some(3));
    let model = fixture("mlp_model.pth");
    let told = fails(&folder, &[model.to_str().unwrap(), &folder.text("b.pth"), "--keep-all"]);
    assert!(told.contains("weights_only=True") && told.contains("__main__.MLP"), "{told}");
    for arguments in [["--dtype", "f16"], ["--key", "model"], ["--rename", "a=b"]] {
        let out = folder.text("c.pth");
        let told = fails(&folder, &[&["tied.pth", &out, "--keep-all"], &arguments[..]].concat());
        assert!(told.contains("cannot be had together"), "{told}");
    }
}

#[test]
fn every_fixture_keeps_its_tensors() {
    let folder = Folder::new();
    let mut compared = 0;
    for record in records() {
        let out = folder.text(&format!("{}.safetensors", record.name));
        let file = record.path.to_str().unwrap();
        let arguments = [file, &out, "--key", "", "--shared", "copy", "--verify"];
        let output = convert(&arguments);
        let tensors = record.json["tensors"].as_array().unwrap();
        let dtypes = |tensor: &Value| {
            let dtype = DType::from_name(tensor["dtype"].as_str().unwrap()).unwrap();
            dtype.safetensors_name().is_some() && tensor["layout"] == "strided"
        };
        if !tensors.iter().all(dtypes) || tensors.is_empty() {
            assert_eq!(output.status.code(), Some(2), "{file}");
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{file}: {}", stderr(&output));
        let listed = Command::new(env!("CARGO_BIN_EXE_depickle"))
            .args(["ls", "--json", "--sha256", &out])
            .output()
            .unwrap();
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let found = listed["tensors"].as_array().unwrap();
        assert_eq!(found.len(), tensors.len(), "{file}");
        for want in tensors {
            let name = match want["name"].as_str().unwrap() {
                "" => "tensor",
                name => name,
            };
            let found = found.iter().find(|tensor| tensor["name"] == name).unwrap();
            for key in ["dtype", "shape", "nbytes", "sha256"] {
                assert_eq!(found[key], want[key], "{file} {name} {key}");
            }
            compared += 1;
        }
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn the_one_state_dict_of_a_checkpoint_is_taken_and_that_is_said() {
    let folder = Folder::new();
    let found = report(&["tied.pth", &folder.text("a.safetensors")]);
    assert_eq!(found["chosen"]["key"], "model");
    assert_eq!(found["chosen"]["automatic"], true);
    assert_eq!(found["left_out"], serde_json::json!(["epoch", "optimizer"]));
    assert_eq!(found["shared"][0]["kept"], "lm_head.weight");
    assert_eq!(found["shared"][0]["removed"][0]["name"], "wte.weight");
    assert_eq!(found["shared"][0]["removed"][0]["same"], true);
    let told = well(&["tied.pth", &folder.text("b.safetensors")]);
    for want in ["\"model\" was chosen", "left out: \"epoch\", \"optimizer\"", "--sidecar"] {
        assert!(told.contains(want), "{told}");
    }
    let whole = report(&["tied.pth", &folder.text("c.safetensors"), "--key", ""]);
    assert_eq!(whole["chosen"]["automatic"], false);
    assert_eq!(whole["tensors"][0]["name"], "model.h.0.weight");
}

#[test]
fn names_are_cut_chosen_and_replaced() {
    let folder = Folder::new();
    let out = folder.text("a.safetensors");
    let found = report(&[
        "layers.pth",
        &out,
        "--strip-prefix",
        "layer.",
        "--exclude",
        "block7*",
        "--include",
        "*_w",
        "--rename",
        r"^(\d)\.=block$1_",
        "--rename",
        "weight=w",
    ]);
    let names = |found: &Value| {
        let tensors = found["tensors"].as_array().unwrap().iter();
        tensors.map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let wanted: Vec<String> = (0..7).map(|index| format!("block{index}_w")).collect();
    assert_eq!(names(&found), wanted);
    assert_eq!(found["tensors"][0]["from"], "layer.0.weight");
    assert_eq!(found["not_taken"], 2);
    for (arguments, want) in [
        (vec!["--rename", r"\d=x"], "would both be called \"layer.x.weight\""),
        (vec!["--rename", ".*="], "nothing is left of its name"),
        (vec!["--include", "nothing"], "--include and --exclude leave none"),
        (vec!["--rename", "layer.0.weight=__metadata__"], "can be called `__metadata__`"),
        (vec!["--rename", "(x"], "REGEX=REPLACEMENT"),
        (vec!["--key", "no.such"], "nothing is at key \"no.such\""),
    ] {
        let out = folder.text("bad.safetensors");
        let told = fails(&folder, &[&["layers.pth", &out], &arguments[..]].concat());
        assert!(told.contains(want), "{arguments:?}: {told}");
    }
    let out = folder.text("bad.npz");
    let rename = "layer.1.weight=layer.0.weight.npy";
    let told = fails(&folder, &["layers.pth", &out, "--rename", rename]);
    assert!(told.contains("numpy cannot tell"), "{told}");
}

#[test]
fn floats_are_rounded_and_integers_stay() {
    let folder = Folder::new();
    let out = folder.text("a.safetensors");
    let state = fixture("convert/state.pth");
    let exclude = ["--exclude", "*float4*", "--exclude", "*complex*"];
    well(&[&["state.pth", &out, "--dtype", "bf16", "--verify"], &exclude[..]].concat());
    let (pth, found) = (Checkpoint::open(state).unwrap(), Checkpoint::open(&out).unwrap());
    let name = "torch.float32";
    let wanted = pth.tensor(name).unwrap().cast::<half::bf16>().unwrap();
    assert_eq!(found.tensor(name).unwrap().to_vec::<half::bf16>().unwrap(), wanted);
    for entry in found.tensors().unwrap() {
        let (new, old) = (entry.tensor().unwrap(), pth.tensor(entry.name()).unwrap());
        let float = old.dtype().name().starts_with("float") || old.dtype() == DType::BFloat16;
        assert_eq!(new.dtype(), if float { DType::BFloat16 } else { old.dtype() });
    }
    let told = fails(&folder, &["state.pth", &folder.text("b.npz")]);
    for want in ["numpy has no type for bfloat16", "--dtype f32 holds all its values"] {
        assert!(told.contains(want), "{told}");
    }
}

#[test]
fn what_the_format_cannot_hold_is_named() {
    let folder = Folder::new();
    let file = fixture("tensors/zip_p2.pth");
    let file = file.to_str().unwrap();
    let out = folder.text("odd.safetensors");
    let told = fails(&folder, &[file, &out]);
    for want in ["it is sparse (sparse_coo)", "--dense", "it is quantized (qint8)", "--dtype f32"] {
        assert!(told.contains(want), "{want}: {told}");
    }
    // With every decision made, and without what has no form.
    let found = report(&[
        file,
        &out,
        "--dense",
        "--dtype",
        "f32",
        "--skip-unreadable",
        "--verify",
        "--exclude",
        "*nested*",
        "--exclude",
        "dtype.q*",
        "--exclude",
        "*jagged*",
        "--exclude",
        "*meta*",
        "--exclude",
        "*complex128*",
        "--exclude",
        "*complex32*",
        "--exclude",
        "*bits*",
        "--exclude",
        "*wrapper*",
        "--exclude",
        "*float4*",
        "--shared",
        "copy",
    ]);
    assert!(found["tensors"].as_array().unwrap().len() > 20);
    let told = fails(&folder, &["arrays.pth", &folder.text("a.safetensors")]);
    assert!(told.contains("tensor \"complex128\": safetensors has no type"), "{told}");
    let told = fails(&folder, &["shards/model.safetensors.index.json", &folder.text("a.xyz")]);
    assert!(told.contains("its extension names no format"), "{told}");
    let told = fails(&folder, &["shards/model.safetensors.index.json", "-"]);
    assert!(told.contains("cannot be standard output"), "{told}");
}

#[test]
fn tensors_that_overlap_without_cover_are_refused() {
    let folder = Folder::new();
    let views = fixture("views.pth");
    let views = views.to_str().unwrap();
    let out = folder.text("a.safetensors");
    // The whole storage among them stands for all.
    let found = report(&[views, &out]);
    assert!(!found["shared"].as_array().unwrap().is_empty());
    let kept = found["shared"][0]["kept"].as_str().unwrap().to_owned();
    // Neither it nor the one that has all of it in another order.
    let parts =
        [views, &folder.text("b.safetensors"), "--exclude", &kept, "--exclude", "transposed"];
    let told = fails(&folder, &parts);
    assert!(told.contains("none of them covers all of it"), "{told}");
    assert!(told.contains("--shared copy"), "{told}");
    let out = folder.text("c.safetensors");
    let only = [views, &out, "--exclude", &kept, "--exclude", "transposed"];
    well(&[&only[..], &["--shared", "copy", "--verify"]].concat());
    let told = fails(&folder, &["tied.pth", &folder.text("d.safetensors"), "--shared", "refuse"]);
    assert!(told.contains("these share memory: \"lm_head.weight\", \"wte.weight\""), "{told}");
}

#[test]
fn nothing_is_written_by_a_dry_run() {
    let folder = Folder::new();
    let out = folder.text("model.safetensors");
    let output = convert(&["layers.pth", &out, "--max-shard-size", "400", "--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("layer.0.weight  float32  [30]   120 B"), "{text}");
    assert!(text.contains("would be written: "), "{text}");
    assert!(text.contains("model-00004-of-00004.safetensors: 2 tensors, 364 B"), "{text}");
    let found = report(&["layers.pth", &out, "--dry-run"]);
    assert_eq!(found["dry_run"], true);
    assert!(folder.names().is_empty());
}

#[test]
fn outputs_have_the_input_s_name_unless_told() {
    let folder = Folder::new();
    let file = folder.copy("convert/layers.pth");
    well(&[&file]);
    well(&[&file, "--to", "npz"]);
    well(&[&file, "-o", &folder.text("named.safetensors")]);
    let below = Folder::new();
    well(&[&file, below.0.path().to_str().unwrap()]);
    assert_eq!(below.names(), ["layers.safetensors"]);
    let names = ["layers.npz", "layers.pth", "layers.safetensors", "named.safetensors"];
    assert_eq!(folder.names(), names);
    let told = fails(&folder, &[&folder.text("layers.safetensors")]);
    assert!(told.contains("say with --to"), "{told}");
}

#[test]
fn standard_input_is_converted() {
    let folder = Folder::new();
    let out = folder.text("a.safetensors");
    let input = fs::File::open(fixture("convert/layers.pth")).unwrap();
    let output = command(&["-", &out, "--verify"]).stdin(Stdio::from(input)).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let input = fs::File::open(fixture("convert/layers.pth")).unwrap();
    let output = command(&["-"]).stdin(Stdio::from(input)).output().unwrap();
    assert!(stderr(&output).contains("name the output"), "{}", stderr(&output));
}

#[test]
fn what_is_there_is_replaced_only_when_told() {
    let folder = Folder::new();
    let out = folder.text("a.safetensors");
    fs::write(&out, "mine").unwrap();
    let told = fails(&folder, &["layers.pth", &out]);
    assert!(told.contains("exists already") && told.contains("--force"), "{told}");
    assert_eq!(fs::read(&out).unwrap(), b"mine");
    // Of several files one is there: none is written.
    fs::write(folder.path("b-00003-of-00004.safetensors"), "mine").unwrap();
    let shards = ["layers.pth", &folder.text("b.safetensors"), "--max-shard-size", "400"];
    fails(&folder, &shards);
    well(&["layers.pth", &out, "--force"]);
    assert_eq!(Checkpoint::open(&out).unwrap().tensors().unwrap().len(), 8);
    let sidecar = folder.text("side.json");
    fs::write(&sidecar, "mine").unwrap();
    fails(&folder, &["layers.pth", &folder.text("c.safetensors"), "--sidecar", &sidecar]);
    assert_eq!(fs::read(&sidecar).unwrap(), b"mine");
}

#[test]
#[cfg(unix)]
fn the_input_is_never_the_output_by_whatever_name() {
    let folder = Folder::new();
    let file = folder.copy("convert/tied.safetensors");
    std::os::unix::fs::symlink(&file, folder.path("soft.safetensors")).unwrap();
    fs::hard_link(&file, folder.path("hard.safetensors")).unwrap();
    let before = fs::read(&file).unwrap();
    for name in ["tied.safetensors", "soft.safetensors", "hard.safetensors"] {
        let told = fails(&folder, &[&file, &folder.text(name), "--force"]);
        assert!(told.contains("this is the file that is read"), "{told}");
        let (other, side) = (folder.text("x.safetensors"), folder.text(name));
        fails(&folder, &[&file, &other, "--force", "--sidecar", &side]);
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn folders_that_are_none_are_said_to_be() {
    let folder = Folder::new();
    let told = fails(&folder, &["layers.pth", &folder.text("no/such/a.safetensors")]);
    assert!(told.contains("No such file or directory"), "{told}");
    fs::write(folder.path("file"), "").unwrap();
    let told = fails(&folder, &["layers.pth", &folder.text("file/a.safetensors")]);
    assert!(told.contains("Not a directory"), "{told}");
}

#[test]
fn damaged_data_are_found_by_their_checksum() {
    let folder = Folder::new();
    let file = folder.copy("convert/layers.pth");
    let mut bytes = fs::read(&file).unwrap();
    let checkpoint = Checkpoint::open(&file).unwrap();
    let needle = checkpoint.tensor("layer.2.weight").unwrap().to_bytes().unwrap().into_owned();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + 100] ^= 1;
    fs::write(&file, bytes).unwrap();
    let out = folder.text("a.safetensors");
    let told = fails(&folder, &[&file, &out]);
    assert!(told.contains("\"layer.2.weight\"") && told.contains("checksum"), "{told}");
    assert!(told.contains("--no-checksums"), "{told}");
    // Those that are not damaged are not held up.
    well(&[&file, &out, "--exclude", "layer.2.*"]);
    well(&[&file, &folder.text("b.safetensors"), "--no-checksums", "--verify"]);
}

#[test]
fn tensors_that_cannot_be_read_are_named_and_may_be_left_out() {
    let folder = Folder::new();
    let whole = fs::read(fixture("convert/state.safetensors")).unwrap();
    let file = folder.text("cut.safetensors");
    fs::write(&file, &whole[..whole.len() - 100]).unwrap();
    let out = folder.text("a.safetensors");
    let told = fails(&folder, &[&file, &out]);
    assert!(told.contains("torch.uint8") && told.contains("--skip-unreadable"), "{told}");
    let found = report(&[&file, &out, "--skip-unreadable", "--verify"]);
    assert!(!found["unreadable"].as_array().unwrap().is_empty());
    let output = convert(&[&file, &folder.text("b.safetensors"), "--json"]);
    let failed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!failed["unreadable"].as_array().unwrap().is_empty());
    assert_eq!(failed["path"], file);
}

#[test]
fn the_sidecar_keeps_what_is_no_tensor() {
    let folder = Folder::new();
    let (out, side) = (folder.text("a.safetensors"), folder.text("a.json"));
    well(&["tied.pth", &out, "--sidecar", &side]);
    let kept: Value = serde_json::from_slice(&fs::read(&side).unwrap()).unwrap();
    assert_eq!(kept["epoch"], 3);
    assert!(kept["optimizer"]["param_groups"].as_array().unwrap().is_empty());
    assert_eq!(folder.names(), ["a.json", "a.safetensors"]);
}

/// A file of so many bytes of one tensor, zeros, that takes no room on the disk.
fn sparse_file(folder: &Folder, name: &str, bytes: u64) -> String {
    let header =
        format!(r#"{{"x":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut head = (header.len() as u64).to_le_bytes().to_vec();
    head.extend_from_slice(header.as_bytes());
    fs::write(folder.path(name), &head).unwrap();
    let file = fs::OpenOptions::new().write(true).open(folder.path(name)).unwrap();
    file.set_len(head.len() as u64 + bytes).unwrap();
    folder.text(name)
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_nothing_behind() {
    let folder = Folder::new();
    let file = sparse_file(&folder, "big.safetensors", 8 << 20);
    let before = folder.names();
    // A file may have 4 MiB; the signal that says so is ignored.
    let script = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" convert \"$@\"";
    for name in ["out.safetensors", "out.npz"] {
        let output = Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_depickle"), &file, &folder.text(name)])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("File too large"), "{}", stderr(&output));
        assert_eq!(folder.names(), before);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn killed_in_the_middle_the_old_file_is_whole() {
    let folder = Folder::new();
    let file = sparse_file(&folder, "big.safetensors", 4 << 30);
    let out = folder.text("out.npz");
    fs::write(&out, "mine").unwrap();
    let mut child = command(&[&file, &out, "--force"]).stderr(Stdio::null()).spawn().unwrap();
    // Until much of the output is written.
    while written(&child) < 8 << 20 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "it ended before it was killed");
    assert_eq!(fs::read(&out).unwrap(), b"mine");
    only_named(&folder);
}

/// Bytes that a process has written so far.
#[cfg(target_os = "linux")]
fn written(child: &Child) -> u64 {
    let told = fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap_or("0");
    line.parse().unwrap()
}

/// What else is left, where files must have names at once, says whose it was.
#[cfg(target_os = "linux")]
fn only_named(folder: &Folder) {
    for name in folder.names() {
        let expected = name == "big.safetensors" || name == "out.npz";
        assert!(expected || (name.starts_with(".out.npz") && name.ends_with(".part")), "{name}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn killed_at_any_moment_the_file_is_the_old_one_or_the_new() {
    let folder = Folder::new();
    let len = 16 << 20;
    let file = sparse_file(&folder, "big.safetensors", len);
    let out = folder.text("out.npz");
    well(&[&file, &out]);
    let new = fs::read(&out).unwrap();
    let mut old = 0;
    // From before the first byte to the moment at which it gets its name.
    for step in 0..=20 {
        fs::write(&out, "mine").unwrap();
        let mut child = command(&[&file, &out, "--force"]).stderr(Stdio::null()).spawn().unwrap();
        while written(&child) < len / 20 * step && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
        let found = fs::read(&out).unwrap();
        assert!(found == b"mine" || found == new, "{} bytes after step {step}", found.len());
        old += usize::from(found == b"mine");
        only_named(&folder);
    }
    assert!(old > 0, "it was never killed in time");
    well(&[&file, &out, "--force"]);
    assert_eq!(fs::read(&out).unwrap(), new);
}

#[test]
fn large_views_out_of_order_are_put_in_order() {
    let folder = Folder::new();
    // 5,000 × 1,500 and its transpose in place, 30 MB.
    let (rows, columns) = (1500_u64, 5000_u64);
    let numbers: Vec<u8> =
        (0..rows * columns).flat_map(|n| u32::try_from(n).unwrap().to_le_bytes()).collect();
    let path = folder.path("big.pth");
    let pickle = pickle_of_view(rows * columns, &[columns, rows], &[1, columns]);
    write_pth(&path, &pickle, &numbers);
    let out = folder.text("out.safetensors");
    well(&[path.to_str().unwrap(), &out]);
    let found = Checkpoint::open(&out).unwrap().tensor("t").unwrap().to_vec::<i32>().unwrap();
    let mut index = 0;
    for column in 0..columns {
        for row in 0..rows {
            assert_eq!(found[index], i32::try_from(row * columns + column).unwrap());
            index += 1;
        }
    }
}

/// A dict with one `int32` tensor over the storage `0`.
fn pickle_of_view(numel: u64, shape: &[u64], stride: &[u64]) -> Vec<u8> {
    let tuple = |items: &[u64]| {
        let lines: Vec<String> = items.iter().map(|item| format!("INT {item}\n")).collect();
        format!("MARK\n{}TUPLE\n", lines.concat())
    };
    let text = format!(
        "PROTO 2\nEMPTY_DICT\nBINUNICODE \"t\"\nGLOBAL torch._utils _rebuild_tensor_v2\nMARK\nMARK\n\
         BINUNICODE \"storage\"\nGLOBAL torch IntStorage\nBINUNICODE \"0\"\nBINUNICODE \"cpu\"\n\
         INT {numel}\nTUPLE\nBINPERSID\nINT 0\n{}{}NEWFALSE\nGLOBAL collections OrderedDict\n\
         EMPTY_TUPLE\nREDUCE\nTUPLE\nREDUCE\nSETITEM\nSTOP\n",
        tuple(shape),
        tuple(stride)
    );
    depickle::pickle::assemble(&text).unwrap()
}

fn write_pth(path: &Path, pickle: &[u8], data: &[u8]) {
    let mut zip = depickle::container::ZipWriter::new(Vec::new());
    zip.add("a/data.pkl", pickle).unwrap();
    zip.add("a/version", b"3\n").unwrap();
    zip.add("a/data/0", data).unwrap();
    fs::write(path, zip.finish().unwrap()).unwrap();
}

#[test]
fn views_that_repeat_elements_do_not_fill_the_disk() {
    let folder = Folder::new();
    let path = folder.path("bomb.pth");
    write_pth(&path, &pickle_of_view(1, &[1 << 36], &[0]), &[1, 0, 0, 0]);
    let told = fails(&folder, &[path.to_str().unwrap(), &folder.text("a.safetensors")]);
    assert!(told.contains("over the limit"), "{told}");
}
