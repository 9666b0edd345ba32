//! Folders: unpacked archives, repositories, checkpoints of several files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use super::python::quoted;
use super::words::{counted, few};
use super::{Diagnosis, Look, Options, Report, object};
use crate::base::{FileSource, Source};
use crate::torch::Error;

/// Names that are looked at in one folder.
const MOST: usize = 100_000;

/// Says what a folder is.
pub(super) fn examine(path: &Path, options: &Options) -> Result<Report, Error> {
    let look = Look { path: Some(path), packed: false, options, progress: &|_| {} };
    let mut report = Report::new(&look.label(), 0);
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(path).map_err(|why| Error::from(why).in_file(path))?.take(MOST) {
        let entry = entry.map_err(|why| Error::from(why).in_file(path))?;
        names.extend(entry.file_name().into_string().ok());
    }
    let has = |name: &str| names.contains(name);
    let ending = |suffix: &str| names.iter().filter(move |name| name.ends_with(suffix)).count();
    if has(".metadata") || ending(".bin.index.json") == 1 || ending(".safetensors.index.json") == 1
    {
        object::by_path(&look, path, &mut report)?;
        shards(&look, path, &names, &mut report)?;
        if report.container.is_some() {
            return Ok(report);
        }
        report.diagnosis.clear();
    }
    if has("data.pkl") && (has("data") || has("version") || has("constants.pkl")) {
        unpacked(path, &mut report);
    } else if has("saved_model.pb") || has("saved_model.pbtxt") {
        other(
            &mut report,
            "tf-saved-model",
            "a TensorFlow SavedModel",
            "TensorFlow opens it",
            "import tensorflow\nobj = tensorflow.saved_model.load(PATH)",
        );
    } else if has("Manifest.json") && has("Data") {
        other(
            &mut report,
            "coreml",
            "a Core ML package",
            "coremltools open it",
            "import coremltools\nobj = coremltools.models.MLModel(PATH)",
        );
    } else if has("_CHECKPOINT_METADATA") || has("_METADATA") || has("ocdbt.process_0") {
        other(
            &mut report,
            "orbax",
            "an Orbax checkpoint (JAX)",
            "orbax opens it",
            "import orbax.checkpoint\nobj = orbax.checkpoint.PyTreeCheckpointer().restore(PATH)",
        );
    } else if has("HEAD") && has("objects") && has("refs") {
        other(
            &mut report,
            "git",
            "the inside of a Git repository",
            "check it out: `git clone`",
            "",
        );
    } else if has("refs") && has("blobs") && has("snapshots") {
        other(
            &mut report,
            "hub-cache",
            "a repository in the cache of Hugging Face",
            "the files are in the folders below `snapshots`",
            "",
        );
    } else if has("config.json") || has("model_index.json") || has("adapter_config.json") {
        repository(&look, path, &names, &mut report)?;
    } else {
        files(&names, &mut report);
    }
    Ok(report)
}

fn other(report: &mut Report, kind: &'static str, thing: &str, advice: &str, python: &str) {
    report.what(kind, thing);
    let message = format!("this is {thing}, not a PyTorch file");
    report.add(Diagnosis::error("wrong-format", message).advice(advice));
    let python = python.replace("PATH", &quoted(&report.path));
    report.load = python.lines().map(str::to_owned).collect();
}

/// An archive of `torch.save` that a program unpacked, as browsers on macOS do.
fn unpacked(path: &Path, report: &mut Report) {
    report.what("unpacked", "a checkpoint's archive, unpacked to a folder");
    let name = path.file_name().map_or("m".into(), std::ffi::OsStr::to_string_lossy);
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let message = "this is what is inside of a .pth file: a program has unpacked it";
    report.add(Diagnosis::error("unpacked-archive", message).advice(format!(
        "pack it again, without compression: `cd {} && zip -0 -r -D {} {}`",
        quoted(&parent.display().to_string()),
        quoted(&format!("{name}.pth")),
        quoted(&name)
    )));
}

/// Files that hold weights.
const WEIGHTS: &[&str] = &[".safetensors", ".bin", ".pth", ".pt", ".ckpt"];

fn weights(names: &BTreeSet<String>) -> Vec<&str> {
    let weights = names.iter().filter(|name| WEIGHTS.iter().any(|suffix| name.ends_with(suffix)));
    // These hold no weights.
    let beside =
        ["training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "scaler.pt"];
    weights.map(|name| &**name).filter(|name| !beside.contains(name)).collect()
}

/// A folder as `save_pretrained` writes it.
fn repository(
    look: &Look<'_>,
    path: &Path,
    names: &BTreeSet<String>,
    report: &mut Report,
) -> Result<(), Error> {
    report.what("repository", "a model's folder (Hugging Face)");
    let weights = weights(names);
    if weights.is_empty() {
        let message = "no file of weights is in it";
        report.add(
            Diagnosis::error("no-weights", message).advice(
                "only a part of the repository was downloaded: `hf download` gets all of it",
            ),
        );
    }
    shards(look, path, names, report)?;
    let class = if names.contains("model_index.json") {
        "from diffusers import DiffusionPipeline\nobj = DiffusionPipeline.from_pretrained(PATH)"
    } else if names.contains("adapter_config.json") && !names.contains("config.json") {
        "from peft import AutoPeftModel\nobj = AutoPeftModel.from_pretrained(PATH)"
    } else {
        "from transformers import AutoModel\nobj = AutoModel.from_pretrained(PATH)"
    };
    let python = class.replace("PATH", &quoted(&report.path));
    report.load = python.lines().map(str::to_owned).collect();
    Ok(())
}

/// Looks for shards that are missing, and at every file of weights for what it is.
fn shards(
    look: &Look<'_>,
    path: &Path,
    names: &BTreeSet<String>,
    report: &mut Report,
) -> Result<(), Error> {
    for index in names.iter().filter(|name| name.ends_with(".index.json")) {
        let Ok(source) = File::open(path.join(index)).and_then(FileSource::new) else { continue };
        if source.len() > MOST_INDEX {
            continue;
        }
        let text = source.fetch(0, source.len())?;
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&text) else { continue };
        let map = json.get("weight_map").and_then(serde_json::Value::as_object);
        let listed = map.into_iter().flat_map(|map| map.values());
        let listed: BTreeSet<&str> = listed.filter_map(serde_json::Value::as_str).collect();
        let missing: Vec<&str> =
            listed.iter().copied().filter(|name| !names.contains(*name)).collect();
        if !missing.is_empty() {
            let message = format!(
                "{index} names {}, of which {} missing: {}",
                counted(listed.len() as u64, "file", "files"),
                counted(missing.len() as u64, "is", "are"),
                few(missing.iter().copied())
            );
            // What its tensors say is said.
            report.diagnosis.retain(|found| found.id != "missing-shard");
            report.add(
                Diagnosis::error("missing-shard", message).advice(
                    "download the missing files to the same folder: `hf download` gets all",
                ),
            );
        }
    }
    for name in weights(names) {
        let inner = Options { quick: true, expected: None, limits: look.options.limits.clone() };
        let Ok(found) = inner.examine(path.join(name)) else { continue };
        report.nbytes = report.nbytes.saturating_add(found.nbytes);
        for mut worse in found.diagnosis {
            if worse.severity == super::Severity::Note || worse.id == "extension" {
                continue;
            }
            worse.message = format!("{name}: {}", worse.message);
            worse.offset = None;
            report.add(worse);
        }
    }
    Ok(())
}

/// Bytes of an index that is looked at.
const MOST_INDEX: u64 = 16 << 20;

/// Any other folder.
fn files(names: &BTreeSet<String>, report: &mut Report) {
    report.what("folder", "a folder");
    let weights = weights(names);
    let (message, advice) = if weights.is_empty() {
        ("a folder without a checkpoint in it".to_owned(), "name a file".to_owned())
    } else {
        let many = counted(weights.len() as u64, "file", "files");
        (
            format!("a folder with {many} of weights: {}", few(weights.iter().copied())),
            "name one of them".to_owned(),
        )
    };
    report.add(Diagnosis::error("folder", message).advice(advice));
}
