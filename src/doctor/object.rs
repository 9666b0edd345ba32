//! What a checkpoint holds, and how Python gets at it.

use std::path::Path;

use super::python::{quoted, spelled};
use super::survey::{Survey, survey};
use super::weights::{self, WeightsOnly};
use super::words::{counted, few, human, short};
use super::{Diagnosis, Expected, Look, Report, versions};
use crate::base::{Budget, Category, Limit};
use crate::pickle::{Global, Object, Positions, Value};
use crate::python::{mapping, policy};
use crate::torch::{Checkpoint, Container, Error, Following, Kind, ObjectKind};

/// Opens a file, index or folder, and says what it holds.
pub(super) fn by_path(look: &Look<'_>, path: &Path, report: &mut Report) -> Result<(), Error> {
    match look.reading().open(path) {
        Ok(checkpoint) => describe(look, &checkpoint, State::Whole, report),
        Err(why) => {
            refused(&why, report);
            Ok(())
        }
    }
}

/// What kept a checkpoint from being opened.
pub(super) fn refused(why: &Error, report: &mut Report) {
    let (id, advice) = match why.kind() {
        Kind::NotACheckpoint(_) => ("not-pytorch", "get the right file from where it came"),
        Kind::Over(over) if over.limit == Limit::System => {
            ("over-limit", "free memory, or go where there is more")
        }
        Kind::Over(_) => ("over-limit", "raise --max-memory if you trust the file"),
        _ if why.category() == Category::Io => {
            return report.add(unreadable(why.kind().to_string()).at(why.offset()));
        }
        Kind::Outside(_) => ("outside", "move the file there if you trust it"),
        Kind::Pickle(_) => ("broken-pickle", "get the file again from where it came"),
        Kind::Safetensors(_) => ("broken-safetensors", "get the file again from where it came"),
        _ => ("damaged", "get the file again from where it came"),
    };
    report.add(Diagnosis::error(id, why.kind().to_string()).advice(advice).at(why.offset()));
}

/// What the system did not read.
pub(super) fn unreadable(why: impl Into<String>) -> Diagnosis {
    Diagnosis::error("unreadable", why).advice("look at the file's permissions and disk")
}

/// Says what a checkpoint holds; its tensors have been looked at then.
pub(super) fn describe(
    look: &Look<'_>,
    checkpoint: &Checkpoint,
    state: State,
    report: &mut Report,
) -> Result<(), Error> {
    let root = checkpoint.root();
    let kind = checkpoint.kind_of(root)?;
    report.container = Some(checkpoint.container());
    let found = survey(checkpoint, false)?;
    report.what(kind.name(), what(checkpoint, kind, &found));
    if state == State::Whole {
        tensors(checkpoint, &found, report)?;
    }
    let forbidden = forbidden(checkpoint, report);
    let refused = older_layout(checkpoint, report);
    notes(checkpoint, kind, report)?;
    following(checkpoint, report)?;
    report.requires = versions::of(checkpoint);
    if !forbidden && !refused && state == State::Whole {
        load(checkpoint, kind, report)?;
    }
    expected(look, checkpoint, kind, report);
    Ok(())
}

/// Whether the file itself is as it should be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Whole,
    /// What is wrong and what is lost has been said.
    Broken,
}

fn what(checkpoint: &Checkpoint, kind: ObjectKind, found: &Survey) -> String {
    let thing = match kind {
        ObjectKind::StateDict => "a state dict",
        ObjectKind::Module => "a whole model",
        ObjectKind::Checkpoint => "a checkpoint",
        ObjectKind::Tensor => "one tensor",
        _ => "an object",
    };
    let count = (found.whole.len() as u64).saturating_add(found.lost.len() as u64);
    let nbytes: u64 = checkpoint.storages().all().iter().map(crate::torch::Storage::nbytes).sum();
    let class = checkpoint.class_of(checkpoint.root()).filter(|_| kind == ObjectKind::Module);
    let class = class.map(|class| format!(" ({})", short(&class))).unwrap_or_default();
    let tensors = match (kind, count) {
        (ObjectKind::Tensor, _) => format!(", {}", human(nbytes)),
        (_, 0) => " without tensors".to_owned(),
        _ => format!(" of {}, {}", counted(count, "tensor", "tensors"), human(nbytes)),
    };
    format!("{thing}{class}{tensors}: {}", layout(checkpoint.container()))
}

const fn layout(container: Container) -> &'static str {
    match container {
        Container::Zip => "a zip archive of torch.save",
        Container::Legacy => "written by torch.save in the layout before 1.6",
        Container::TorchScript => "a TorchScript archive",
        Container::Package => "an archive of torch.package",
        Container::Export => "an archive of torch.export",
        Container::Tar => "a tar archive of torch.save before 0.1.10",
        Container::Sharded => "an index of several files",
        Container::Distributed => "a folder of torch.distributed.checkpoint",
        Container::Safetensors => "a safetensors file",
        _ => "a plain pickle",
    }
}

/// Tensors that cannot be had though the file is whole.
fn tensors(checkpoint: &Checkpoint, found: &Survey, report: &mut Report) -> Result<(), Error> {
    let Some(first) = found.lost.first() else { return Ok(()) };
    let lazy = first.why.contains("lazy module");
    let names = few(found.lost.iter().map(|lost| &*lost.name));
    let count = counted(found.lost.len() as u64, "tensor", "tensors");
    let message = format!("{count} cannot be read: {names}: {}", short(&first.why));
    let offset = checkpoint.tensors()?.iter().find_map(|entry| entry.tensor().err()?.offset());
    if lazy {
        report.add(
            Diagnosis::note("lazy-tensors", message).advice(
                "the model was saved before its first use: run it once, then save it again",
            ),
        );
    } else if checkpoint.container() == Container::Sharded {
        report.add(
            Diagnosis::error("missing-shard", message)
                .at(offset)
                .advice("get the missing files of the index, and put them beside it"),
        );
    } else {
        report.add(
            Diagnosis::error("unreadable-tensor", message).at(offset).advice(
                "get the file again from where it came; `depickle convert` takes the others",
            ),
        );
    }
    Ok(())
}

fn reached(checkpoint: &Checkpoint) -> impl Iterator<Item = (Object<'_>, Global<'_>)> {
    let objects = checkpoint.graph().objects();
    objects.filter_map(|object| Some((object, object.as_global()?)))
}

/// Names what loading the file in Python would reach; whether there is any.
fn forbidden(checkpoint: &Checkpoint, report: &mut Report) -> bool {
    let mut names: Vec<String> = Vec::new();
    let mut first = None;
    for (object, global) in reached(checkpoint) {
        if policy::models().admits(global) == Positions::NONE {
            first = first.or(object.offset());
            let name = global.to_string();
            if names.len() < 64 && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return false;
    }
    let message =
        format!("loading it in Python would reach {}", few(names.iter().map(|name| &**name)));
    report.add(Diagnosis::error("dangerous", message).at(first).advice(
        "do not load it with weights_only=False or pickle; `depickle scan` says what it would do, \
         and `depickle convert` takes the tensors without running anything",
    ));
    true
}

/// Whether a file of the layout before 1.6 holds what `torch.save` writes so and `torch.load` does
/// not read (`_legacy_load` of torch/serialization.py, 2.15): it asks storages for their dtype, and
/// builds nested tensors of sizes whose bytes it has not read yet.
fn older_layout(checkpoint: &Checkpoint, report: &mut Report) -> bool {
    if checkpoint.container() != Container::Legacy {
        return false;
    }
    let what = |object: Object<'_>| match object.value() {
        Value::Persistent(id) => {
            let class = id.as_tuple()?.get(1)?.as_global()?;
            (class.name == b"UntypedStorage").then_some("an UntypedStorage")
        }
        _ => {
            let called = object.as_recipe()?.callable().as_global()?;
            called.is("torch._utils", "_rebuild_nested_tensor").then_some("a nested tensor")
        }
    };
    let mut objects = checkpoint.graph().objects();
    let Some((object, what)) = objects.find_map(|object| Some((object, what(object)?))) else {
        return false;
    };
    let message = format!("it holds {what}, which torch.load cannot read in the layout before 1.6");
    report.add(Diagnosis::error("older-layout", message).at(object.offset()).advice(
        "save it again without _use_new_zipfile_serialization=False; `depickle convert` takes the \
         tensors, with --skip-unreadable those that can be read",
    ));
    true
}

/// What is good to know.
fn notes(checkpoint: &Checkpoint, kind: ObjectKind, report: &mut Report) -> Result<(), Error> {
    match checkpoint.container() {
        Container::TorchScript => report.add(
            Diagnosis::note(
                "torchscript",
                "it holds a program besides its weights: torch.load refuses it",
            )
            .advice("torch.jit.load runs it; `depickle convert` takes the weights alone"),
        ),
        Container::Export => report.add(
            Diagnosis::note(
                "exported-program",
                "it holds a graph besides its weights: torch.load refuses it",
            )
            .advice("torch.export.load reads it; `depickle convert` takes the weights alone"),
        ),
        Container::Package => report.add(
            Diagnosis::note(
                "package",
                "it holds programs besides its weights: torch.load refuses it",
            )
            .advice("torch.package.PackageImporter reads it, and runs what is in it"),
        ),
        _ => {}
    }
    if checkpoint.is_big_endian() {
        report.add(
            Diagnosis::note("big-endian", "it was saved on a big-endian machine")
                .advice("PyTorch 2.1 and later swap the bytes"),
        );
    }
    if let Some(device) = device(checkpoint) {
        report.add(
            Diagnosis::note("device", format!("it was saved from {}", quoted(device)))
                .advice("without such a device, load it with map_location=\"cpu\""),
        );
    }
    if is_python2(checkpoint) {
        report.add(
            Diagnosis::note("python2", "it was written by Python 2: some of its texts are bytes")
                .advice("load it with encoding=\"latin1\" where texts are not ASCII"),
        );
    }
    if kind == ObjectKind::Checkpoint
        && let Some((key, what, count)) = nested(checkpoint)?
    {
        let place = match checkpoint.container() {
            Container::Package => quoted(&key.join(".")),
            _ => access(&key),
        };
        let message =
            format!("the {what} lies under {place}: {}", counted(count, "tensor", "tensors"));
        report.add(
            Diagnosis::note("nested-weights", message)
                .advice(format!("`--key {}` of depickle goes there", key.join("."))),
        );
    }
    if let Some((prefix, why)) = prefix(checkpoint)? {
        report.add(
            Diagnosis::note("prefix", format!("every name begins {}: {why}", quoted(prefix))).advice(
                format!(
                    "a model that is not wrapped wants them without: \
                     `{{name.removeprefix({}): value for name, value in obj.items()}}`, or `--strip-prefix \
                     {prefix}` of depickle",
                    quoted(prefix)
                ),
            ),
        );
    }
    Ok(())
}

/// A device other than the processor.
fn device(checkpoint: &Checkpoint) -> Option<&str> {
    let devices = checkpoint.storages().all().iter().map(crate::torch::Storage::device);
    devices.into_iter().find(|device| !matches!(*device, "cpu" | "" | "meta"))
}

pub(super) fn is_python2(checkpoint: &Checkpoint) -> bool {
    let mut objects = checkpoint.graph().objects();
    objects.any(|object| matches!(object.value(), Value::Text(text) if text.is_python2()))
}

/// Keys that are looked at.
const MOST_KEYS: usize = 256;

/// Keys that lead to weights, what these are, and how many.
type Nested = (Vec<String>, &'static str, u64);

/// Where in a checkpoint the weights are.
fn nested(checkpoint: &Checkpoint) -> Result<Option<Nested>, Error> {
    let mut budget = Budget::new(checkpoint.limits().clone());
    let mut best: Option<Nested> = None;
    let mut todo = vec![(Vec::new(), checkpoint.root())];
    while let Some((path, object)) = todo.pop() {
        let Some(pairs) = mapping::pairs(object, &mut budget)? else { continue };
        for (key, value) in pairs.into_iter().take(MOST_KEYS) {
            let Some(key) = key.as_str() else { continue };
            let mut inner: Vec<String> = path.clone();
            inner.push(key.to_owned());
            let (what, count) = match checkpoint.kind_of(value)? {
                ObjectKind::StateDict => {
                    let pairs = mapping::pairs(value, &mut budget)?.unwrap_or_default();
                    ("state dict", pairs.len() as u64)
                }
                ObjectKind::Module => {
                    let scope = crate::torch::Scope::StateDict;
                    ("model", checkpoint.tensors_in(value, scope)?.len() as u64)
                }
                ObjectKind::Checkpoint if inner.len() < 3 && todo.len() < MOST_KEYS => {
                    todo.push((inner, value));
                    continue;
                }
                _ => continue,
            };
            // Of equals, such as a model and its average, the first one, and the outermost.
            let better = best.as_ref().is_none_or(|(path, _, most)| {
                count > *most || (count == *most && inner.len() < path.len())
            });
            if better {
                best = Some((inner, what, count));
            }
        }
    }
    Ok(best)
}

/// `obj["a"]["b"]`
fn access(keys: &[String]) -> String {
    let mut out = String::from("obj");
    for key in keys {
        out.extend(["[", &quoted(key), "]"]);
    }
    out
}

/// What wrappers put before names.
const PREFIXES: &[(&str, &str)] = &[
    ("module.", "DataParallel or DistributedDataParallel was around the model"),
    ("_orig_mod.", "torch.compile was around the model"),
    ("_fsdp_wrapped_module.", "FullyShardedDataParallel was around the model"),
    ("_forward_module.", "a wrapper of Lightning or DeepSpeed was around the model"),
];

fn prefix(checkpoint: &Checkpoint) -> Result<Option<(&'static str, &'static str)>, Error> {
    let list = checkpoint.tensors()?;
    let of = |prefix: &str| {
        // In a checkpoint, below the key of the weights.
        let has = list.iter().filter(|entry| {
            let name = entry.name();
            name.starts_with(prefix) || name.contains(&format!(".{prefix}"))
        });
        list.len() > 1 && has.count().saturating_mul(2) >= list.len()
    };
    Ok(PREFIXES.iter().copied().find(|(prefix, _)| of(prefix)))
}

/// What follows a plain pickle.
fn following(checkpoint: &Checkpoint, report: &mut Report) -> Result<(), Error> {
    match checkpoint.following()? {
        Following::Pickle(at) => report.add(
            Diagnosis::note("several-pickles", "another pickle follows the first").at(at).advice(
                "Python reads the next with another pickle.load from the same open file; `depickle \
                 show --stream 1` shows it",
            ),
        ),
        Following::Bytes(len) => {
            let at = crate::FileOffset(report.nbytes.saturating_sub(len));
            let message = format!("{len} bytes follow the pickle that are none");
            report.add(
                Diagnosis::warning("trailing-bytes", message)
                    .at(at)
                    .advice("pickle.load ignores them; look at where they come from"),
            );
        }
        Following::Nothing => {}
    }
    Ok(())
}

/// Lines of Python that load it.
fn load(checkpoint: &Checkpoint, kind: ObjectKind, report: &mut Report) -> Result<(), Error> {
    let path = quoted(&report.path);
    let line = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    report.load = match checkpoint.container() {
        Container::TorchScript => {
            line(format!("import torch\nobj = torch.jit.load({path}, map_location=\"cpu\")"))
        }
        Container::Export => line(format!("import torch\nobj = torch.export.load({path})")),
        Container::Package => package(checkpoint, &path),
        Container::Distributed => line(format!(
            "import torch\nfrom torch.distributed.checkpoint.format_utils import dcp_to_torch_save\n\
             dcp_to_torch_save({path}, \"whole.pth\")\n\
             obj = torch.load(\"whole.pth\", map_location=\"cpu\", weights_only=True)"
        )),
        Container::Sharded => sharded(&path),
        Container::Safetensors => {
            line(format!("from safetensors.torch import load_file\nobj = load_file({path})"))
        }
        Container::Pickle => {
            let encoding = if is_python2(checkpoint) { ", encoding=\"latin1\"" } else { "" };
            report.add(Diagnosis::note("plain-pickle", "it is a plain pickle: pickle.load reads it, torch.load does not").advice(
                "pickle.load runs what it names: `depickle scan` first; `depickle show` shows it without \
                 running anything",
            ));
            line(format!("import pickle\nobj = pickle.load(open({path}, \"rb\"){encoding})"))
        }
        _ => torch_load(checkpoint, kind, &path, report)?,
    };
    if kind == ObjectKind::StateDict {
        report.load.push("# then build the model, and: model.load_state_dict(obj)".to_owned());
    }
    // What is loaded of a package is one of its pickles, not all of them by name.
    if kind == ObjectKind::Checkpoint
        && checkpoint.container() != Container::Package
        && let Some((key, what, _)) = nested(checkpoint)?
    {
        let keys = access(&key);
        report.load.push(if what == "model" {
            format!("model = {keys}")
        } else {
            format!("# then build the model, and: model.load_state_dict({keys})")
        });
    }
    Ok(())
}

/// By `torch.load`, with as little trust as possible.
fn torch_load(
    checkpoint: &Checkpoint,
    kind: ObjectKind,
    path: &str,
    report: &mut Report,
) -> Result<Vec<String>, Error> {
    let encoding = if needs_latin1(checkpoint) { ", encoding=\"latin1\"" } else { "" };
    let call = |weights_only: &str| {
        format!(
            "obj = torch.load({path}, map_location=\"cpu\", weights_only={weights_only}{encoding})"
        )
    };
    match weights::of(checkpoint)? {
        WeightsOnly::Loads => Ok(vec!["import torch".to_owned(), call("True")]),
        WeightsOnly::With(python) => {
            let message =
                "weights_only=True refuses it until its classes and functions are named safe";
            report.add(
                Diagnosis::note("needs-safe-globals", message)
                    .advice("the lines below name them: look whether you trust each"),
            );
            versions::raise(
                &mut report.requires,
                python.torch,
                "torch.serialization.add_safe_globals",
            );
            let mut lines = python.lines;
            if !lines.iter().any(|line| line == "import torch") {
                lines.insert(0, "import torch".to_owned());
            }
            lines.push(call("True"));
            Ok(lines)
        }
        WeightsOnly::Never(why) => {
            let message = format!("weights_only=True cannot load it: {why}");
            let advice = "weights_only=False runs what the file names: `depickle scan` first; `depickle \
                convert` takes the tensors without running anything";
            report.add(Diagnosis::note("needs-trust", message).advice(advice));
            let mut lines = vec!["import torch".to_owned()];
            if kind == ObjectKind::Module || kind == ObjectKind::Checkpoint {
                lines.extend(classes(checkpoint));
            }
            lines.push(call("False"));
            Ok(lines)
        }
    }
}

/// Names the classes that must be there, as a comment.
fn classes(checkpoint: &Checkpoint) -> Option<String> {
    let (mut main, mut modules) = (Vec::new(), Vec::new());
    for (_, global) in reached(checkpoint) {
        let Some((module, name)) = spelled(global) else { continue };
        let package = module.split('.').next().unwrap_or(module);
        if module == "__main__" {
            if main.len() < 64 && !main.contains(&name) {
                main.push(name);
            }
        } else if !policy::is_whitelisted(global)
            && modules.len() < 64
            && !modules.contains(&package)
        {
            modules.push(package);
        }
    }
    match (main.is_empty(), modules.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!("# needs the packages {}", few(modules))),
        (false, true) => Some(format!("# needs in this program: {}", few(main))),
        (false, false) => Some(format!(
            "# needs in this program: {}; and the packages {}",
            few(main),
            few(modules)
        )),
    }
}

/// Whether a text cannot be decoded as UTF-8.
fn needs_latin1(checkpoint: &Checkpoint) -> bool {
    let mut objects = checkpoint.graph().objects();
    objects.any(|object| match object.value() {
        Value::Text(text) => text.is_python2() && !text.as_bytes().is_ascii(),
        _ => false,
    })
}

fn package(checkpoint: &Checkpoint, path: &str) -> Vec<String> {
    let mut lines = vec![
        "import torch.package".to_owned(),
        format!("importer = torch.package.PackageImporter({path})"),
    ];
    let dict = checkpoint.root().as_dict();
    let first = dict.and_then(|dict| dict.iter().find_map(|(key, _)| key.as_str()));
    if let Some((package, resource)) = first.map(|name| name.rsplit_once('/').unwrap_or(("", name)))
    {
        let package = package.replace('/', ".");
        lines.push(format!(
            "obj = importer.load_pickle({}, {})",
            quoted(&package),
            quoted(resource)
        ));
    }
    lines
}

fn sharded(path: &str) -> Vec<String> {
    let lines = format!(
        "import json, os, torch\n\
         index = {path}\n\
         if os.path.isdir(index):\n    \
             index = next(os.path.join(index, name) for name in sorted(os.listdir(index)) if name.endswith(\".index.json\"))\n\
         obj = {{}}\n\
         for name in sorted(set(json.load(open(index))[\"weight_map\"].values())):\n    \
             shard = os.path.join(os.path.dirname(index), name)\n    \
             if name.endswith(\".safetensors\"):\n        \
                 import safetensors.torch\n        \
                 obj |= safetensors.torch.load_file(shard)\n    \
             else:\n        \
                 obj |= torch.load(shard, map_location=\"cpu\", weights_only=True)"
    );
    lines.lines().map(str::to_owned).collect()
}

/// Compares what was wanted with what there is.
fn expected(look: &Look<'_>, checkpoint: &Checkpoint, kind: ObjectKind, report: &mut Report) {
    let Some(expected) = look.options.expected else { return };
    let container = checkpoint.container();
    let program =
        matches!(container, Container::TorchScript | Container::Export | Container::Package);
    let (fits, wanted, advice) = match expected {
        Expected::Weights => (
            !program && matches!(kind, ObjectKind::StateDict | ObjectKind::Checkpoint),
            "weights",
            "`depickle convert FILE OUT.safetensors` takes the weights",
        ),
        Expected::Model => (
            !program && (kind == ObjectKind::Module || report_has_model(report)),
            "a whole model",
            "build the model in Python, then model.load_state_dict(obj): a state dict holds names and \
             numbers, no model",
        ),
        Expected::TorchScript => (
            container == Container::TorchScript,
            "TorchScript",
            "load the model in Python, then torch.jit.script(model).save(…)",
        ),
        Expected::Export => (
            container == Container::Export,
            "an exported program",
            "load the model in Python, then torch.export.save(torch.export.export(model, inputs), …)",
        ),
    };
    if !fits {
        let message = format!("{wanted} expected, but it is {}", report.what);
        report.add(Diagnosis::error("unexpected", message).advice(advice));
    }
}

/// A checkpoint that has a model in it.
fn report_has_model(report: &Report) -> bool {
    report
        .diagnosis
        .iter()
        .any(|it| it.id == "nested-weights" && it.message.starts_with("the model"))
}
