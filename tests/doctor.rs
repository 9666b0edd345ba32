//! `doctor` as a library: what is said of whole, cut, damaged and foreign files, and what is saved.
#![cfg(feature = "doctor")]
#![allow(
    clippy::manual_let_else,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{fixture, records, rezip};
use depickle::Limits;
use depickle::base::Existing;
use depickle::doctor::{Expected, Options, Report, Severity, examine, salvage};
use depickle::torch::Checkpoint;

fn of(bytes: &[u8]) -> Report {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    Options::default().examine_source(bytes, "test").unwrap()
}

fn ids(report: &Report) -> Vec<&'static str> {
    report.diagnosis.iter().map(|found| found.id).collect()
}

/// The ids of what is wrong.
fn wrong(report: &Report) -> Vec<&'static str> {
    let wrong = report.diagnosis.iter().filter(|found| found.severity != Severity::Note);
    wrong.map(|found| found.id).collect()
}

fn message<'report>(report: &'report Report, id: &str) -> &'report str {
    let found = report.diagnosis.iter().find(|found| found.id == id);
    &found.unwrap_or_else(|| panic!("no {id} in {:?}", report.diagnosis)).message
}

fn read(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap()
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("depickle-doctor-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_pytorch_wrote_is_healthy_and_has_a_line_that_loads_it() {
    for record in records() {
        let report = examine(&record.path).unwrap();
        assert!(report.is_healthy(), "{}: {:?}", record.name, report.diagnosis);
        assert_eq!(report.kind, record.json["kind"].as_str().unwrap(), "{}", record.name);
        assert!(!report.load.is_empty(), "{}", record.name);
        assert_eq!(report.nbytes, fs::metadata(&record.path).unwrap().len());
    }
}

/// Files by `torch.save` of 2.15: their length is known from what is left of them.
#[test]
fn an_archive_cut_anywhere_says_how_much_is_missing() {
    for name in ["mlp_state_dict.pth", "views.pth", "checkpoint.pth", "tensor.pth"] {
        let whole = read(name);
        let pickle = pickle_end(&whole);
        for len in (4..whole.len()).step_by(31).chain([whole.len() - 1]) {
            let report = of(&whole[..len]);
            assert!(!report.is_healthy(), "{name} at {len}");
            let said = message(&report, "truncated");
            // All that stands before the storages must be there to tell.
            if len > pickle {
                let missing = whole.len() - len;
                assert!(
                    said.contains(&format!("of {} bytes", whole.len())),
                    "{name} at {len}: {said}"
                );
                assert!(
                    said.contains(&format!("({missing} bytes) are missing")),
                    "{name} at {len}: {said}"
                );
            }
            assert!(report.load.is_empty(), "{name} at {len}");
        }
    }
}

/// Where the members end that come before the storages.
fn pickle_end(whole: &[u8]) -> usize {
    let at = whole.windows(9).position(|bytes| bytes == b"byteorder").unwrap();
    let data = whole[at..].windows(6).position(|bytes| bytes == b"little").unwrap();
    at + data + 6 + 16
}

#[test]
fn a_legacy_file_cut_anywhere_says_how_much_is_missing() {
    for name in ["legacy_mlp_state_dict.pth", "legacy_views.pth"] {
        let whole = read(name);
        let mut told = 0;
        for len in 20..whole.len() {
            let report = of(&whole[..len]);
            let said = message(&report, "truncated");
            if said.contains(&format!("of {} bytes", whole.len())) {
                told += 1;
                assert!(
                    said.contains(&format!("({} bytes) are missing", whole.len() - len)),
                    "{said}"
                );
            } else {
                assert!(said.contains("cannot be told"), "{name} at {len}: {said}");
                assert_eq!(told, 0, "{name} at {len}: known before, unknown now");
            }
        }
        assert!(told > 100, "{told}");
        assert!(of(&whole).is_healthy());
        assert_eq!(wrong(&of(&[&whole[..], b"junk"].concat())), ["trailing-bytes"]);
    }
}

#[test]
fn a_tar_archive_cut_is_read_as_far_as_it_goes() {
    let whole = read("containers/tar.pth");
    assert!(of(&whole).is_healthy(), "{:?}", of(&whole).diagnosis);
    let mut survivors = 0;
    // Zeros fill its last blocks.
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap();
    for len in (600..end).step_by(100) {
        let report = of(&whole[..len]);
        assert!(!report.is_healthy(), "{len}: {:?}", report.diagnosis);
        survivors += usize::from(report.diagnosis.iter().any(|found| {
            found.advice.as_deref().is_some_and(|advice| advice.contains("tensors are whole"))
        }));
    }
    assert!(survivors > 0);
}

#[test]
fn cut_safetensors_say_how_much_is_missing() {
    let header = br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}}"#;
    let whole = [&(header.len() as u64).to_le_bytes()[..], header, &[1; 12]].concat();
    let report = of(&whole);
    assert!(report.is_healthy(), "{:?}", report.diagnosis);
    assert!(report.load.iter().any(|line| line.contains("load_file")), "{:?}", report.load);
    let report = of(&whole[..whole.len() - 3]);
    assert_eq!(wrong(&report), ["truncated", "lost-tensors"]);
    assert!(message(&report, "truncated").contains("(3 bytes) are missing"));
    assert!(message(&report, "lost-tensors").contains("1 tensor cannot be had: b"));
    assert_eq!(wrong(&of(&whole[..40])), ["broken-safetensors"]);
}

/// Every tensor as it is, by name.
fn tensors(path: &Path) -> Vec<(String, Vec<u8>)> {
    let checkpoint = Checkpoint::open(path).unwrap();
    let list = checkpoint.tensors().unwrap();
    let bytes = |entry: &depickle::torch::Entry| {
        let tensor = entry.on(&checkpoint).unwrap();
        (entry.name().to_owned(), tensor.to_bytes().unwrap().into_owned())
    };
    list.iter().map(bytes).collect()
}

#[test]
fn what_is_salvaged_is_what_was_saved() {
    let folder = Folder::new("salvage");
    for name in ["mlp_state_dict.pth", "legacy_mlp_state_dict.pth", "containers/tar.pth"] {
        let whole = read(name);
        let all = tensors(&fixture(name));
        let mut counts = Vec::new();
        for len in (600..whole.len()).step_by(97) {
            let cut = folder.file("cut", &whole[..len]);
            for out in ["out.pth", "out.safetensors"] {
                let out = folder.0.join(out);
                let saved = match salvage(&cut, &out, Existing::Replace, &Limits::default()) {
                    Ok(saved) => saved,
                    // The pickle itself is not there.
                    Err(_) => {
                        assert!(counts.iter().all(|&count| count == 0), "{name} at {len}");
                        continue;
                    }
                };
                counts.push(saved.written.len());
                if saved.written.is_empty() {
                    continue;
                }
                let mut found = tensors(&out);
                for (name, bytes) in &found {
                    let (_, want) = all.iter().find(|(known, _)| known == name).unwrap();
                    assert_eq!(bytes, want, "{name}");
                }
                found.sort();
                let mut names = saved.written.clone();
                names.sort();
                assert_eq!(found.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
                assert_eq!(saved.written.len() + saved.lost.len(), all.len(), "{name} at {len}");
                fs::remove_file(&out).unwrap();
            }
        }
        assert!(counts.iter().any(|&count| count > 0 && count < all.len()), "{name}: {counts:?}");
    }
    // Nothing is left behind.
    let left: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["cut"]);
}

#[test]
fn a_tensor_whose_checksum_is_wrong_is_not_salvaged() {
    let folder = Folder::new("checksum");
    let mut bytes = read("mlp_state_dict.pth");
    // In the data of the second storage, `first.bias`.
    bytes[1536] ^= 1;
    let damaged = folder.file("damaged.pth", &bytes);
    let report = examine(&damaged).unwrap();
    assert_eq!(wrong(&report), ["checksum"]);
    assert!(message(&report, "checksum").contains("data/1"), "{:?}", report.diagnosis);
    assert!(Options::default().quick(true).examine(&damaged).unwrap().is_healthy());
    for cut in [bytes.len(), bytes.len() - 300] {
        let cut = folder.file("cut.pth", &bytes[..cut]);
        let saved = salvage(&cut, folder.0.join("out.pth"), Existing::Replace, &Limits::default());
        let saved = saved.unwrap();
        assert_eq!(saved.lost.iter().map(|lost| &*lost.name).collect::<Vec<_>>(), ["first.bias"]);
        assert_eq!(saved.checked, saved.written.len() as u64);
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = Folder::new("overwrite");
    let path = folder.file("model.pth", &read("mlp_state_dict.pth"));
    let out = folder.file("out.pth", b"mine");
    let limits = Limits::default();
    assert!(salvage(&path, &out, Existing::Refuse, &limits).is_err());
    assert_eq!(fs::read(&out).unwrap(), b"mine");
    assert!(salvage(&path, &path, Existing::Replace, &limits).is_err(), "the input itself");
    assert_eq!(fs::read(&path).unwrap(), read("mlp_state_dict.pth"));
    salvage(&path, &out, Existing::Replace, &limits).unwrap();
    assert_eq!(tensors(&out), tensors(&path));
}

#[test]
fn text_in_place_of_a_file() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345678\n";
    let report = of(pointer);
    assert_eq!((report.kind, wrong(&report)), ("git-lfs", vec!["git-lfs-pointer"]));
    let said = message(&report, "git-lfs-pointer");
    assert!(said.contains("12345678 bytes") && said.contains("sha256:4d7a21"), "{said}");
    let cases: [(&[u8], &str, &str, &str); 13] = [
        (b"", "empty", "empty", "no bytes"),
        (b"<!DOCTYPE html><html><head><title>Sign  in</title>", "html", "web-page", "\"Sign in\""),
        (b"<html><body>Google Drive - Virus scan warning", "html", "web-page", "web page"),
        (
            b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code>",
            "xml",
            "web-page",
            "AccessDenied",
        ),
        (b"{\"error\":\"Repository not found\"}", "json", "error-page", "Repository not found"),
        (b"{\"model_type\":\"bert\"}", "json", "not-pytorch", "configuration"),
        (b"{\"a\":1}", "json", "not-pytorch", "JSON text"),
        (b"{\"a\":", "json", "not-pytorch", "is none"),
        (b"Entry not found", "text", "error-page", "Entry not found"),
        (b"Invalid username or password.", "text", "error-page", "Invalid username"),
        (
            b"import torch\n\nclass Net(torch.nn.Module):\n",
            "python",
            "not-pytorch",
            "program in Python",
        ),
        (b"hello, world\n", "text", "not-pytorch", "hello, world"),
        (&[0; 5000], "zeros", "zero-bytes", "all 4.9 KiB"),
    ];
    for (bytes, kind, id, said) in cases {
        let report = of(bytes);
        assert_eq!((report.kind, wrong(&report)), (kind, vec![id]), "{:?}", report.diagnosis);
        assert!(message(&report, id).contains(said), "{:?}", report.diagnosis);
        assert!(report.diagnosis[0].advice.is_some() || id == "not-pytorch", "{said}");
    }
    let mut zeros = vec![0; 3000];
    zeros.extend(b"end");
    assert!(message(&of(&zeros), "zero-bytes").contains("its first 2.9 KiB"));
}

#[test]
fn files_of_other_programs_are_named() {
    let cases: [(&[u8], &str); 21] = [
        (b"GGUF\x03\0\0\0", "gguf"),
        (b"\x89HDF\r\n\x1a\n\0", "hdf5"),
        (b"\x93NUMPY\x01\0v\0{'descr': '<f8'", "numpy"),
        (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0:", "onnx"),
        (b"\x08\x01\x12\xd4\x07\n\x90\x01\x2a", "tf-saved-model"),
        (b"PACK\0\0\0\x02\0\0\0\x03", "git-pack"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7z"),
        (b"Rar!\x1a\x07\x01\0", "rar"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b"\xfd7zXZ\0\0\x04", "xz"),
        (b"BZh91AY&SY\0", "bzip2"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"\x7fELF\x02\x01\x01", "elf"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "pdf"),
        (b"\x89PNG\r\n\x1a\n\0\0", "png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "jpeg"),
        (b"\x1c\0\0\0TFL3\0\0\0\0", "tflite"),
        (b"\x12\x01\0\0\0\0\0\0\0\0", "mxnet"),
        (b"\x82\xa6params\x81\xa5Dense\x81", "flax"),
        (b"SQLite format 3\0", "sqlite"),
        (b"lmgg\0\0\0\0", "ggml"),
    ];
    for (bytes, kind) in cases {
        let report = of(bytes);
        assert_eq!(report.kind, kind, "{:?}", report.diagnosis);
        // Nothing can be unpacked of these few bytes.
        let expected = 1 + usize::from(report.has("unpacking"));
        assert_eq!(report.diagnosis.len(), expected, "{kind}: {:?}", report.diagnosis);
        let advised = report.diagnosis.iter().all(|found| found.advice.is_some());
        assert!(!report.is_healthy() && advised, "{kind}");
    }
    let report = of(b"\xf0\xf1\xf2\xf3 what is this");
    assert_eq!(wrong(&report), ["unknown-format"]);
}

#[test]
fn archives_that_were_packed_again() {
    let whole = read("mlp_state_dict.pth");
    let root = "mlp_state_dict";
    let renamed = |rename: &dyn Fn(&str) -> String, more: &[&str]| {
        let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        let mut add = |name: &str, data: &[u8]| {
            out.start_file(name, options).unwrap();
            std::io::Write::write_all(&mut out, data).unwrap();
        };
        rezip(&whole, |name, data| {
            add(&rename(name), &data);
            None
        });
        for name in more {
            add(name, b"x");
        }
        out.finish().unwrap().into_inner()
    };
    let same = |name: &str| name.to_owned();
    assert_eq!(wrong(&of(&renamed(&same, &[]))), <[&str; 0]>::default());
    let junk = of(&renamed(&same, &[&format!("{root}/.DS_Store")]));
    assert_eq!(wrong(&junk), ["foreign-members"]);
    assert!(!junk.load.is_empty(), "PyTorch loads it");
    let mac = of(&renamed(&same, &[&format!("__MACOSX/{root}/._data.pkl")]));
    assert_eq!((wrong(&mac), mac.load.is_empty()), (vec!["foreign-members"], true));
    let deep = of(&renamed(&|name| format!("outer/{name}"), &[]));
    assert_eq!(wrong(&deep), ["wrong-root"]);
    assert!(
        deep.diagnosis[0].advice.as_ref().unwrap().contains("cd \"outer\""),
        "{:?}",
        deep.diagnosis
    );
    let none = of(&renamed(&|name| name.strip_prefix("mlp_state_dict/").unwrap().to_owned(), &[]));
    assert_eq!(wrong(&none), ["wrong-root"]);
    assert_eq!(wrong(&of(&renamed(&same, &["other/file"]))), ["several-roots"]);
    assert_eq!(ids(&of(&read("containers/zip_deflated.pth"))), ["repacked"]);
    let npz = of(&renamed(&|name| format!("{}.npy", name.replace('/', "_")), &[]));
    assert_eq!(npz.kind, "npz");
    let empty = rezip(&whole, |_, _| None);
    assert_eq!(wrong(&of(&empty)), ["wrong-format"], "an empty archive");
    let leading = of(&[b"junk", &whole[..]].concat());
    assert_eq!(wrong(&leading), ["leading-bytes"]);
    assert!(leading.load.is_empty());
}

#[test]
fn tricks_of_archives() {
    let whole = read("mlp_state_dict.pth");
    assert_eq!(wrong(&of(&[&whole[..], b"junk"].concat())), ["trailing-bytes"]);
    // The flag of encryption in the entry of the last member.
    let entry = whole.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut encrypted = whole.clone();
    encrypted[entry + 8] |= 1;
    assert!(wrong(&of(&encrypted)).contains(&"encrypted"));
    // Another name for the last member: one that is there.
    let directory = of(&whole);
    assert!(directory.is_healthy());
    // The directory overwritten, the end intact.
    let first = whole.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut damaged = whole.clone();
    damaged[first..first + 4].copy_from_slice(b"junk");
    let report = of(&damaged);
    assert_eq!(wrong(&report), ["damaged-directory"]);
    assert!(
        report.diagnosis[0].advice.as_ref().unwrap().contains("5 of 5"),
        "{:?}",
        report.diagnosis
    );
}

#[test]
fn what_a_checkpoint_holds_is_told() {
    let report = examine(fixture("checkpoint.pth")).unwrap();
    assert!(message(&report, "nested-weights").contains("obj[\"model_state_dict\"]"));
    assert!(
        report.load.iter().any(|line| line.contains("load_state_dict(obj[\"model_state_dict\"])"))
    );
    let report = examine(fixture("dtypes.pth")).unwrap();
    let requires = report.requires.unwrap();
    assert_eq!(requires.torch, "2.8", "{requires:?}");
    let report = examine(fixture("mlp_model.pth")).unwrap();
    assert!(report.has("needs-safe-globals"), "{:?}", report.diagnosis);
    assert!(report.load.iter().any(|line| line.contains("# this program must define MLP")));
    let report = examine(fixture("containers/script.pt")).unwrap();
    assert!(
        report.has("torchscript") && report.load.iter().any(|line| line.contains("torch.jit.load"))
    );
    let report = examine(fixture("containers/zip_big_endian.pth")).unwrap();
    assert!(report.has("big-endian"));
}

#[test]
fn what_was_expected_is_compared() {
    let expecting = |what, name: &str| {
        wrong(&Options::default().expected(Some(what)).examine(fixture(name)).unwrap())
    };
    assert_eq!(expecting(Expected::Weights, "mlp_state_dict.pth"), <[&str; 0]>::default());
    assert_eq!(expecting(Expected::Weights, "checkpoint.pth"), <[&str; 0]>::default());
    assert_eq!(expecting(Expected::Model, "mlp_state_dict.pth"), ["unexpected"]);
    assert_eq!(expecting(Expected::Weights, "mlp_model.pth"), ["unexpected"]);
    assert_eq!(expecting(Expected::Model, "mlp_model.pth"), <[&str; 0]>::default());
    assert_eq!(expecting(Expected::Weights, "containers/script.pt"), ["unexpected"]);
    assert_eq!(expecting(Expected::TorchScript, "containers/script.pt"), <[&str; 0]>::default());
}

#[test]
fn what_loading_would_reach_is_said_and_no_line_loads_it() {
    let report = of(b"cos\nsystem\n(S'id'\ntR.");
    assert!(wrong(&report).contains(&"dangerous"), "{:?}", report.diagnosis);
    assert!(message(&report, "dangerous").contains("os.system"));
    assert!(report.load.is_empty());
}

#[test]
fn folders() {
    let folder = Folder::new("folders");
    // An archive that was unpacked.
    for name in ["data.pkl", "version", "data/0"] {
        folder.file(&format!("unpacked/{name}"), b"x");
    }
    let report = examine(folder.0.join("unpacked")).unwrap();
    assert_eq!(wrong(&report), ["unpacked-archive"]);
    assert!(
        report.diagnosis[0]
            .advice
            .as_ref()
            .unwrap()
            .contains("zip -0 -r -D \"unpacked.pth\" \"unpacked\"")
    );
    // A repository of which a pointer and one of two shards came.
    folder.file("repo/config.json", b"{}");
    folder.file(
        "repo/pytorch_model-00001-of-00002.bin",
        b"version https://git-lfs.github.com/spec/v1\nsize 3\n",
    );
    let index = br#"{"weight_map":{"a":"pytorch_model-00001-of-00002.bin","b":"pytorch_model-00002-of-00002.bin"}}"#;
    folder.file("repo/pytorch_model.bin.index.json", index);
    let report = examine(folder.0.join("repo")).unwrap();
    let found = wrong(&report);
    assert!(
        found.contains(&"missing-shard") && found.contains(&"git-lfs-pointer"),
        "{:?}",
        report.diagnosis
    );
    assert!(message(&report, "missing-shard").contains("00002-of-00002"));
    assert_eq!(wrong(&examine(fixture("containers/sharded")).unwrap()), <[&str; 0]>::default());
    assert_eq!(wrong(&examine(fixture("containers/dcp_two")).unwrap()), <[&str; 0]>::default());
    folder.file("plain/notes.txt", b"x");
    assert_eq!(wrong(&examine(folder.0.join("plain")).unwrap()), ["folder"]);
}

#[test]
fn names_that_lie() {
    let folder = Folder::new("names");
    let report = examine(folder.file("model.safetensors", &read("mlp_state_dict.pth"))).unwrap();
    assert_eq!(wrong(&report), ["extension"]);
    let report = examine(folder.file("model.pth", b"GGUF\x03\0\0\0")).unwrap();
    assert_eq!(wrong(&report), ["wrong-format", "extension"]);
    let report = examine(folder.file("model.PTH", &read("mlp_state_dict.pth"))).unwrap();
    assert!(report.is_healthy());
}

/// Whatever the bytes, something is said, and nothing panics.
#[test]
fn any_byte_changed_is_looked_at() {
    for name in
        ["tensor.pth", "legacy_views.pth", "containers/embedded_2.pkl", "containers/tar.pth"]
    {
        let whole = read(name);
        let step = (whole.len() / 150).max(1);
        for at in (0..whole.len()).step_by(step) {
            for value in [0, 0xff, whole[at].wrapping_add(1)] {
                let mut changed = whole.clone();
                changed[at] = value;
                let report = of(&changed);
                assert!(!report.what.is_empty());
            }
            of(&whole[at..]);
        }
    }
}

/// `torch.load` of 2.15 asks an untyped storage for its dtype, and builds nested tensors before their
/// sizes are there, in this layout only.
#[test]
fn what_torch_load_cannot_read_in_the_older_layout_is_said() {
    for name in
        ["storages_legacy", "legacy_p2", "legacy_p3", "legacy_p4", "legacy_p5", "legacy_big"]
    {
        let report = examine(fixture(&format!("tensors/{name}.pth"))).unwrap();
        assert_eq!(wrong(&report), ["older-layout"], "{name}");
        assert!(report.load.is_empty(), "{name}");
    }
    assert!(examine(fixture("tensors/zip_p2.pth")).unwrap().is_healthy());
}

/// `torch.nn.utils.weight_norm` is a function, and the module of that name lies behind it.
#[test]
fn classes_in_hidden_modules_are_imported_by_name() {
    let lines = examine(fixture("module_zoo.pth")).unwrap().load;
    let line = r#"importlib.import_module("torch.nn.utils.weight_norm").WeightNorm"#;
    assert!(lines.iter().any(|it| it.contains(line)), "{lines:?}");
    assert!(lines.iter().any(|it| it == "import importlib"), "{lines:?}");
}

/// What `load_pickle` returns is the model itself.
#[test]
fn lines_for_a_package_end_with_its_pickle() {
    let report = examine(fixture("containers/package.pt")).unwrap();
    assert_eq!(report.load.last().unwrap(), r#"obj = importer.load_pickle("model", "model.pkl")"#);
    assert!(!message(&report, "nested-weights").contains("obj["));
}

/// Every id that the code can say stands in the page that lists them.
#[test]
fn ids_are_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/doctor.md")).unwrap();
    let mut found = 0;
    for file in fs::read_dir(root.join("src/doctor")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for kind in ["note", "warning", "error"] {
            for rest in text.split(&format!("Diagnosis::{kind}(")).skip(1) {
                let rest = rest.trim_start();
                let Some(id) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next())
                else {
                    continue;
                };
                assert!(page.contains(&format!("`{id}`")), "{id} is not in docs/doctor.md");
                found += 1;
            }
        }
    }
    assert!(found > 40, "{found}");
}

/// A file compressed as `gzip` does.
fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[test]
fn a_compressed_file_is_looked_into() {
    let whole = read("mlp_state_dict.pth");
    let plain = of(&whole);
    let report = of(&gzipped(&whole));
    assert_eq!((report.kind, wrong(&report)), ("gzip", vec!["compressed"]));
    assert!(report.what.ends_with(&plain.what), "{}", report.what);
    assert_eq!(report.load[0], "import gzip, io");
    let unpacked = "torch.load(io.BytesIO(gzip.open(\"-\").read()), ";
    assert!(report.load.iter().any(|line| line.contains(unpacked)), "{:?}", report.load);
    assert_eq!(report.requires, plain.requires);

    // How far it is, is told in bytes of the file.
    let folder = Folder::new("packed");
    let path = folder.file("whole.pth.gz", &gzipped(&whole));
    let told = std::cell::Cell::new(0);
    Options::default().examine_with(&path, &|bytes| told.set(told.get() + bytes)).unwrap();
    assert_eq!(told.get(), fs::metadata(&path).unwrap().len());

    // What is wrong inside is said, in the words that it has unpacked.
    let cut = &whole[..whole.len() - 700];
    let report = of(&gzipped(cut));
    let inside = of(cut);
    let said: Vec<_> = inside.diagnosis.iter().map(|found| found.id).collect();
    assert!(said.contains(&"truncated"), "{said:?}");
    assert!(said.iter().all(|id| report.has(id)), "{:?} {said:?}", ids(&report));
    assert!(message(&report, "truncated").starts_with("unpacked: "));

    // A stream that breaks: what came out is looked at nevertheless.
    let mut broken = gzipped(&whole);
    let len = broken.len();
    broken.truncate(len * 3 / 4);
    let report = of(&broken);
    assert!(report.has("unpacking") && report.has("truncated"), "{:?}", report.diagnosis);

    // One level: what is compressed twice is said to be.
    let report = of(&gzipped(&gzipped(&whole)));
    assert_eq!(ids(&report), ["compressed", "compressed"]);
}

#[test]
fn unpacking_keeps_to_the_memory_granted() {
    let limits = Limits::default().with_memory(1 << 20);
    let bomb = bytes::Bytes::from(gzipped(&vec![0; 64 << 20]));
    let report = Options::default().limits(limits).examine_source(bomb, "bomb").unwrap();
    assert!(report.has("unpacking"), "{:?}", report.diagnosis);
    assert!(message(&report, "unpacking").contains("memory"), "{}", message(&report, "unpacking"));
}
