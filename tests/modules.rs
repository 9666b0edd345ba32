//! Whole models against what PyTorch said of them: `tests/python/modules.py` writes the cases.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "torch")]

#[path = "common/deep.rs"]
mod deep;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use depickle::pickle::{Graph, Object, Policy, Value, run};
use depickle::torch::module::{
    FromGraph, Module, Style, TensorSummary, Tensors, Values, counts, find_modules, headline,
    kinds, named_buffers, named_modules, named_parameters, print, print_with, state_dict, tallies,
};
use depickle::{Budget, FileOffset};
use serde_json::Value as Json;

/// The tensors of a case: small storages by key.
struct Small(HashMap<String, Vec<u8>>);

impl<'graph> Tensors<'graph> for Small {
    fn describe(&self, object: Object<'graph>) -> Option<TensorSummary> {
        FromGraph.describe(object)
    }

    fn values(&self, object: Object<'graph>) -> Option<Values> {
        let tensor = self.describe(object)?;
        let numel = usize::try_from(tensor.numel()?).ok()?;
        let recipe = object.as_recipe()?;
        let args = recipe.args().items()?;
        let Value::Persistent(id) = args.get(0)?.value() else { return None };
        let bytes = self.0.get(id.as_tuple()?.get(2)?.as_str()?)?;
        let offset = usize::try_from(args.get(1)?.as_int()?).ok()?;
        macro_rules! read {
            ($kind:ident, $type:ty, $width:literal) => {{
                let all = bytes.chunks_exact($width).skip(offset).take(numel);
                Values::$kind(
                    all.map(|b| <$type>::from_le_bytes(b.try_into().unwrap()).into()).collect(),
                )
            }};
        }
        Some(match &*tensor.dtype {
            "float32" => read!(Floats, f32, 4),
            "float64" => read!(Floats, f64, 8),
            "int64" => read!(Ints, i64, 8),
            "int32" => read!(Ints, i32, 4),
            "uint8" => read!(Ints, u8, 1),
            "bool" => {
                Values::Bools(bytes[offset..offset + numel].iter().map(|b| *b != 0).collect())
            }
            _ => return None,
        })
    }
}

fn graph(path: &Path) -> Graph {
    let bytes = std::fs::read(path).unwrap();
    let outcome = run(bytes.into(), FileOffset(0), &Policy::inspect(), &mut Budget::default());
    assert!(outcome.end.is_ok(), "{}: {:?}", path.display(), outcome.end);
    outcome.graph
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn strings(json: &Json) -> Vec<String> {
    json.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// What differs from PyTorch, a line each.
fn differences(pkl: &Path) -> Vec<String> {
    let record: Json =
        serde_json::from_slice(&std::fs::read(pkl.with_extension("json")).unwrap()).unwrap();
    let graph = graph(pkl);
    let Some(module) = graph.root().and_then(Module::view) else {
        return vec![String::from("not recognised as a module")];
    };
    let storages = record["storages"].as_object().into_iter().flatten();
    let tensors =
        Small(storages.map(|(key, text)| (key.clone(), hex(text.as_str().unwrap()))).collect());
    let budget = &mut Budget::default();
    let mut out = Vec::new();

    let text = print(module, Style::default(), &tensors, budget).unwrap();
    let want = record["str"].as_str().unwrap();
    if text != want {
        let (mut ours, mut theirs) = (text.lines(), want.lines());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => break,
                (a, b) if a == b => {}
                (a, b) => {
                    let show = |line: Option<&str>| line.unwrap_or("(end)").trim().to_owned();
                    out.push(format!("print: {} | want: {}", show(a), show(b)));
                    break;
                }
            }
        }
        if out.is_empty() {
            out.push(String::from("print: differs in newlines"));
        }
    }
    let dict = state_dict(module, budget).unwrap();
    let names: Vec<&str> = dict.entries.iter().map(|entry| &*entry.name).collect();
    let want: Vec<&str> =
        record["state_dict"].as_array().unwrap().iter().map(|e| e[0].as_str().unwrap()).collect();
    if names == want {
        for (entry, want) in dict.entries.iter().zip(record["state_dict"].as_array().unwrap()) {
            let Some(ours) = tensors.describe(entry.object) else { continue };
            let shape = ours.shape.map_or(Json::Null, Json::from);
            let dtype = if shape.is_null() { "lazy" } else { &ours.dtype };
            if want[1] != *dtype || want[2] != shape {
                out.push(format!("{}: {} {shape} | want: {want}", entry.name, ours.dtype));
            }
        }
    } else {
        let at = names.iter().zip(&want).position(|(a, b)| a != b);
        let at = at.unwrap_or(names.len().min(want.len()));
        out.push(format!("state_dict: {:?} | want: {:?}", names.get(at), want.get(at)));
    }
    let mut compare = |what: &str, ours: Vec<String>| {
        if ours != strings(&record[what]) {
            out.push(format!("{what} differ"));
        }
    };
    let names = |all: Vec<(String, Object)>| all.into_iter().map(|(name, _)| name).collect();
    let modules = named_modules(module, budget).unwrap();
    compare("modules", modules.into_iter().map(|(name, _)| name).collect());
    compare("parameters", names(named_parameters(module, budget).unwrap()));
    let counts = counts(module, &tensors, budget).unwrap();
    let wanted = &record["counts"];
    let same = wanted[0] == counts.parameters && wanted[1] == counts.trainable;
    compare("buffers", names(named_buffers(module, budget).unwrap()));
    if !same && !wanted.is_null() {
        out.push(format!("{counts:?} | want: {wanted}"));
    }
    out
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|it| it == "pkl")).collect();
    cases.sort();
    cases
}

/// All cases of the fixtures, or of the folder that `DEPICKLE_MODULES` names.
#[test]
fn modules_are_as_pytorch_says() {
    let folder = std::env::var_os("DEPICKLE_MODULES")
        .map_or_else(|| PathBuf::from("tests/fixtures/modules"), PathBuf::from);
    let cases = cases(&folder);
    assert!(!cases.is_empty());
    let mut wrong = 0;
    for case in &cases {
        let differences = differences(case);
        wrong += usize::from(!differences.is_empty());
        for difference in differences {
            println!("{}: {difference}", case.file_stem().unwrap().display());
        }
    }
    assert_eq!(wrong, 0, "of {} cases", cases.len());
}

/// A fixture's module, and what `work` makes of it.
fn with_fixture<T>(name: &str, work: impl FnOnce(Module) -> T) -> T {
    let graph = graph(&Path::new("tests/fixtures/modules").join(name));
    work(graph.root().and_then(Module::view).unwrap())
}

#[test]
fn remarks_and_depth() {
    with_fixture("mlp.pkl", |module| {
        let budget = &mut Budget::default();
        let style = Style::default().with_depth(Some(0));
        assert_eq!(print(module, style, &FromGraph, budget).unwrap(), "MLP(\n  ...\n)");
        let remark = |module: Module| {
            let parameters = counts(module, &FromGraph, &mut Budget::default()).unwrap().parameters;
            (parameters > 0).then(|| format!("# {parameters}"))
        };
        let text = print_with(module, Style::default(), &FromGraph, &remark, budget).unwrap();
        let want = "MLP(  # 31\n  \
            (fc1): Linear(in_features=4, out_features=4, bias=True)  # 20\n  \
            (act): ReLU()\n  \
            (fc2): Linear(in_features=4, out_features=2, bias=True)  # 10\n)";
        assert_eq!(text, want);
    });
}

#[test]
fn a_model_is_described() {
    with_fixture("mlp.pkl", |module| {
        let budget = &mut Budget::default();
        assert_eq!(module.class().to_string(), "__main__.MLP");
        assert_eq!(module.training(), Some(true));
        let names = |named: Vec<(std::borrow::Cow<str>, Object)>| {
            named.into_iter().map(|(name, _)| name.into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(module.parameters(budget).unwrap()), ["absent", "scale"]);
        assert_eq!(names(module.attributes(budget).unwrap()), ["config"]);
        assert_eq!(names(module.buffers(budget).unwrap()), ["kept", "dropped", "none"]);
        let dict = state_dict(module, budget).unwrap();
        assert_eq!(dict.non_persistent[0].name, "dropped");
        assert!(dict.notes.is_empty());
        let kinds = kinds(module, &FromGraph, budget).unwrap();
        let float = kinds[&(String::from("float32"), String::from("cpu"))];
        assert_eq!((float.tensors, float.elements), (7, 36));
    });
}

/// Each module's tally is what counting its own named parameters and buffers gives.
#[test]
fn tallies_count_what_each_module_reaches() {
    let mut shared = 0;
    for case in cases(Path::new("tests/fixtures/modules")) {
        let graph = graph(&case);
        let Some(root) = graph.root().and_then(Module::view) else { continue };
        let budget = &mut Budget::default();
        let tallies = tallies(root, &FromGraph, budget).unwrap();
        let modules = named_modules(root, budget).unwrap();
        assert_eq!(tallies.len(), modules.len(), "{}", case.display());
        let mut sum = 0;
        for (path, module) in &modules {
            let tally = tallies[&module.id()];
            let alone = counts(*module, &FromGraph, budget).unwrap();
            let buffers = named_buffers(*module, budget).unwrap().len() as u64;
            let found = (tally.tensors, tally.parameters, tally.trainable, tally.buffers);
            let want = (alone.tensors, alone.parameters, alone.trainable, buffers);
            assert_eq!(found, want, "{} {path}", case.display());
            let own = module.parameters(budget).unwrap();
            sum += own.iter().filter(|(_, object)| !object.is_none()).count() as u64;
        }
        shared += sum - tallies[&root.id()].tensors;
    }
    assert!(shared > 0, "some fixture ties parameters");
}

#[test]
fn a_headline_is_what_a_module_says_of_itself() {
    with_fixture("mlp.pkl", |module| {
        let budget = &mut Budget::default();
        assert_eq!(headline(module, &FromGraph, budget).unwrap(), "MLP()");
        let (_, fc1) = named_modules(module, budget).unwrap().swap_remove(1);
        let want = "Linear(in_features=4, out_features=4, bias=True)";
        assert_eq!(headline(fc1, &FromGraph, budget).unwrap(), want);
    });
}

#[test]
fn modules_are_found_in_checkpoints() {
    let model = "c__main__\nNet\n)\u{81}}(V_parameters\n}V_buffers\n}V_modules\n}ub";
    let model: Vec<u8> = model.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
    // {"epoch": 3, "models": [model, model2], "ema": Ema with attribute "ema", "again": model}
    let stream = [
        b"\x80\x02}(Vepoch\nK\x03Vmodels\n(" as &[u8],
        &model,
        b"q\x01",
        &model,
        b"lVema\nc__main__\nEma\n)\x81}Vema\n",
        &model,
        b"sbVagain\nh\x01u.",
    ]
    .concat();
    let budget = &mut Budget::default();
    let graph = run(stream.into(), FileOffset(0), &Policy::inspect(), budget).graph;
    let found = find_modules(graph.root().unwrap(), budget).unwrap();
    let paths: Vec<&str> = found.iter().map(|(path, _)| &**path).collect();
    assert_eq!(paths, ["models.0", "models.1", "ema.ema"]);
}

/// Streams of hostile modules, by hand.
mod hostile {
    use super::*;
    use depickle::Limits;
    use depickle::torch::module::Note;

    const MANY: usize = super::deep::DEEP;

    /// Keeps the names that every module needs in the memo.
    fn start() -> Vec<u8> {
        let names = ["_parameters", "_buffers", "_modules", "x"];
        let mut out = b"\x80\x02".to_vec();
        for (index, name) in names.iter().enumerate() {
            out.extend(format!("V{name}\nq").bytes());
            out.extend([u8::try_from(index).unwrap(), b'0']);
        }
        for (index, class) in [(4, "__main__\nNet"), (5, "torch.nn.modules.container\nModuleList")]
        {
            out.extend(format!("c{class}\nq").bytes());
            out.extend([index, b'0']);
        }
        out
    }

    /// A module of the class at `class`, up to its empty dict of children.
    fn open(class: u8) -> Vec<u8> {
        [b"h", &[class][..], b")\x81}(h\x00}h\x01}h\x02}"].concat()
    }

    /// Runs on a stack that no recursion over the input would fit.
    fn on_small_stack(stream: Vec<u8>, work: impl FnOnce(Module) + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
            let policy = Policy::inspect();
            let outcome = run(stream.into(), FileOffset(0), &policy, &mut Budget::default());
            assert!(outcome.end.is_ok(), "{:?}", outcome.end);
            work(outcome.graph.root().and_then(Module::view).unwrap());
        });
        thread.unwrap().join().unwrap();
    }

    fn budget() -> Budget {
        Budget::new(Limits::default().with_visits(1 << 20).with_memory(256 << 20))
    }

    fn printed(module: Module, budget: &mut Budget) -> Option<String> {
        print(module, Style::default(), &FromGraph, budget).ok()
    }

    /// Fixtures with bytes changed: whatever still runs is looked at in every way.
    #[test]
    fn damaged_models_cost_no_more_than_their_budget() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap()
        };
        let mut looked_at = 0;
        for case in cases(Path::new("tests/fixtures/modules")) {
            let whole = std::fs::read(&case).unwrap();
            for _ in 0..if whole.len() > 20_000 { 4 } else { 60 } {
                let mut bytes = whole.clone();
                for _ in 0..=random(6) {
                    let at = random(bytes.len());
                    bytes[at] = match random(3) {
                        0 => bytes[random(whole.len())],
                        1 => bytes[at].wrapping_add(1),
                        _ => u8::try_from(random(256)).unwrap(),
                    };
                }
                let limits = Limits::default().with_visits(1 << 18).with_memory(64 << 20);
                let mut budget = Budget::new(limits.clone());
                let graph = run(bytes.into(), FileOffset(0), &Policy::inspect(), &mut budget).graph;
                for object in graph.objects().take(8) {
                    let _ = find_modules(object, &mut Budget::new(limits.clone()));
                }
                for module in graph.objects().filter_map(Module::view).take(16) {
                    looked_at += 1;
                    let budget = &mut Budget::new(limits.clone());
                    let _ = print(module, Style::default(), &FromGraph, budget);
                    let _ = state_dict(module, budget).map(|dict| format!("{:?}", dict.notes));
                    let _ = named_modules(module, budget);
                    let _ = counts(module, &FromGraph, budget);
                    let _ = kinds(module, &FromGraph, budget);
                }
            }
        }
        assert!(looked_at > 1_000, "{looked_at}");
    }

    #[test]
    fn a_million_modules_deep() {
        let level = [open(4), b"h\x03".to_vec()].concat();
        let stream = [start(), level.repeat(MANY), b"N".to_vec(), b"sub".repeat(MANY)];
        on_small_stack([&stream.concat()[..], b"."].concat(), |module| {
            assert_eq!(printed(module, &mut budget()), None);
            assert!(named_modules(module, &mut budget()).is_err());
            let mut budget = Budget::default();
            assert!(state_dict(module, &mut budget).unwrap().entries.is_empty());
            let shallow = Style::default().with_depth(Some(1));
            let text = print(module, shallow, &FromGraph, &mut budget).unwrap();
            assert_eq!(text, "Net(\n  (x): Net(\n    ...\n  )\n)");
        });
    }

    #[test]
    fn a_million_modules_wide() {
        let mut stream = [start(), open(5), b"(".to_vec()].concat();
        for index in 0..MANY {
            stream.extend(format!("V{index}\n").bytes());
            stream.extend([open(4), b"ub".to_vec()].concat());
        }
        stream.extend(b"uub.");
        on_small_stack(stream, |module| {
            let text = printed(module, &mut Budget::default()).unwrap();
            let want = format!("ModuleList(\n  (0-{}): {MANY} x Net()\n)", MANY - 1);
            assert_eq!(text, want);
            assert_eq!(named_modules(module, &mut Budget::default()).unwrap().len(), MANY + 1);
        });
    }

    #[test]
    fn a_module_in_itself() {
        let stream = [start(), open(4), b"h\x03".to_vec()].concat();
        // The module goes to the memo before its state refers to it.
        let at = stream.len() - b"}(h\x00}h\x01}h\x02}h\x03".len();
        let stream = [&stream[..at], b"q\x09", &stream[at..], b"h\x09sub."].concat();
        on_small_stack(stream, |module| {
            let budget = &mut budget();
            assert_eq!(printed(module, budget).unwrap(), "Net(\n  (x): Net(<cycle>)\n)");
            assert_eq!(named_modules(module, budget).unwrap().len(), 1);
            let notes = state_dict(module, budget).unwrap().notes;
            assert!(matches!(&notes[..], [Note::Cycle { path }] if path == "x"));
        });
    }

    #[test]
    fn sharing_that_unfolds_without_end() {
        for class in [4, 5] {
            // Each of sixty modules holds the next under two names.
            let level = [open(class), b"(h\x03".to_vec()].concat();
            let again = b"q\x08h\x00h\x08uub".to_vec();
            let stream =
                [start(), level.repeat(60), b"N".to_vec(), again.repeat(60), b".".to_vec()];
            on_small_stack(stream.concat(), |module| {
                assert_eq!(printed(module, &mut budget()), None);
                assert!(state_dict(module, &mut budget()).is_err());
                assert_eq!(named_modules(module, &mut budget()).unwrap().len(), 60);
            });
        }
    }

    #[test]
    fn one_large_state_under_many_modules() {
        // A dict of 100,000 attributes, then 100,000 modules with it as their state.
        let mut stream = [start(), open(4), b"(".to_vec()].concat();
        stream.extend(b"(h\x00}h\x01}h\x02}");
        for index in 0..100_000 {
            stream.extend(format!("Va{index}\nN").bytes());
        }
        stream.extend(b"dq\x0800");
        // Only now the children.
        stream.extend(b"(");
        for index in 0..100_000 {
            stream.extend(format!("V{index}\n").bytes());
            stream.extend(b"h\x04)\x81h\x08b");
        }
        stream.extend(b"uub.");
        on_small_stack(stream, |module| {
            // Each look into each state would be 10¹⁰ steps: the budget ends it.
            assert_eq!(printed(module, &mut budget()), None);
            assert!(state_dict(module, &mut budget()).is_err());
        });
    }
}
