//! What was read is saved as it was: files of PyTorch byte for byte, and what lies in any other
//! container as PyTorch would have saved it.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use depickle::Budget;
use depickle::pickle::difference;
use depickle::torch::{Checkpoint, Container, DType, Error, Form, Kind, Scope};

use crate::common::fixture;
use crate::resaved;

/// Every fixture that is a checkpoint with data.
fn fixtures() -> Vec<(PathBuf, Checkpoint)> {
    let mut found = Vec::new();
    for folder in ["", "save", "tensors", "containers"] {
        for entry in fs::read_dir(fixture(folder)).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            let wanted = matches!(extension, Some("pth" | "pt" | "pt2" | "pkl"));
            let folder = path.is_dir() && path.parent() == Some(&fixture("containers"));
            if wanted || folder {
                found.push((path.clone(), Checkpoint::open(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "only {} fixtures", found.len());
    found
}

/// Each tensor by name: what it is, and its bytes.
fn tensors(checkpoint: &Checkpoint) -> HashMap<String, (String, Option<Vec<u8>>)> {
    let list = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
    // What stands beside the root is no part of it.
    let beside: Vec<String> = checkpoint.others().map(|(name, _)| format!("{name}.")).collect();
    let mut found = HashMap::new();
    for entry in &list {
        if beside.iter().any(|name| entry.name().starts_with(name)) {
            continue;
        }
        let facts = match entry.on(checkpoint) {
            Ok(tensor) => {
                let bytes = tensor.to_bytes().ok().map(std::borrow::Cow::into_owned);
                let parts: Vec<_> = (checkpoint.parts(&tensor).iter())
                    .map(|part| {
                        let view = part.tensor.as_ref().unwrap();
                        let bytes =
                            tensor.part(view).to_bytes().ok().map(std::borrow::Cow::into_owned);
                        (part.name.clone(), view.dtype(), view.shape().to_vec(), bytes)
                    })
                    .collect();
                let facts = format!(
                    "{} {:?} {:?} {} {:?} {} {} {} {parts:?}",
                    tensor.dtype(),
                    tensor.shape(),
                    tensor.stride(),
                    tensor.layout().name(),
                    tensor.device(),
                    tensor.requires_grad(),
                    tensor.is_parameter(),
                    tensor.is_buffer(),
                );
                (facts, bytes)
            }
            Err(why) => (format!("{:?}", why.kind()), None),
        };
        found.insert(entry.name().to_owned(), facts);
    }
    found
}

#[test]
fn files_of_todays_pytorch_are_saved_byte_for_byte() {
    let mut same = 0;
    for (path, checkpoint) in fixtures() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let by_pytorch = !path.starts_with(fixture("containers"));
        let zip = checkpoint.container() == Container::Zip && !checkpoint.is_big_endian();
        if !(by_pytorch && zip && checkpoint.graph().protocol() <= 2) {
            continue;
        }
        let ours = resaved(&checkpoint, Form::Zip, &name).unwrap();
        assert!(ours == fs::read(&path).unwrap(), "{name} differs");
        same += 1;
    }
    assert!(same >= 20, "only {same} files were compared");
}

#[test]
fn every_container_is_saved_with_all_its_tensors() {
    for (path, checkpoint) in fixtures() {
        for form in [Form::Zip, Form::Legacy] {
            let at = format!("{} as {form:?}", path.display());
            let file = match resaved(&checkpoint, form, "archive") {
                Ok(file) => file,
                Err(why) => {
                    may_fail(&checkpoint, form, &why, &at);
                    continue;
                }
            };
            let again = Checkpoint::from_bytes(file.clone()).unwrap();
            assert_eq!(again.container() == Container::Legacy, form == Form::Legacy, "{at}");
            // Parameters without a shape are told of in both.
            let problems = |it: &Checkpoint| it.verify().unwrap().problems.len();
            assert!(problems(&again) <= problems(&checkpoint), "{at}");
            let (before, after) = (tensors(&checkpoint), tensors(&again));
            let names = |all: &HashMap<String, _>| -> Vec<String> {
                let mut names: Vec<_> = all.keys().cloned().collect();
                names.sort();
                names
            };
            assert_eq!(names(&before), names(&after), "{at}");
            for (name, facts) in &before {
                assert!(after.get(name) == Some(facts), "{at}: {name} is another tensor");
            }
            // Once saved, nothing changes any more.
            assert!(resaved(&again, form, "archive").unwrap() == file, "{at}: not stable");
            if form == Form::Zip && checkpoint.container() == Container::Zip {
                let mut budget = Budget::default();
                let found = difference(checkpoint.root(), again.root(), &mut budget).unwrap();
                // Protocol 2 has other names for what is built in.
                let newer = checkpoint.graph().protocol() > 2;
                assert!(found.is_none() || newer || checkpoint.is_big_endian(), "{at}: {found:?}");
            }
        }
    }
}

/// What cannot be saved says why, and is what is known not to work.
fn may_fail(checkpoint: &Checkpoint, form: Form, why: &Error, at: &str) {
    let text = why.to_string();
    let untyped = |dtype: DType| dtype.storage_class().is_none();
    let list = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
    let known = match why.kind() {
        Kind::Unwritable(_) if checkpoint.container() == Container::TorchScript => true,
        Kind::Unwritable(_) if form == Form::Legacy => {
            list.iter().any(|entry| match entry.tensor() {
                Ok(tensor) => untyped(tensor.dtype()) || tensor.layout().name() == "nested",
                Err(_) => true,
            }) || text.contains("without a type")
                || (text.contains("before it has read") && at.contains("quantized"))
        }
        // Some tensor of the file cannot be read in the first place.
        Kind::BadTensor(_) => list.iter().any(|entry| entry.tensor().is_err()),
        _ => false,
    };
    assert!(known, "{at}: {text}");
}

#[test]
fn sharing_is_kept() {
    for name in ["views.pth", "tied.pth", "legacy_views.pth"] {
        let before = Checkpoint::open(fixture(name)).unwrap();
        let file = resaved(&before, Form::Zip, "archive").unwrap();
        let after = Checkpoint::from_bytes(file).unwrap();
        assert_eq!(before.storages().all().len(), after.storages().all().len(), "{name}");
        let storages = |checkpoint: &Checkpoint| -> Vec<usize> {
            let list = checkpoint.tensors().unwrap();
            let ids = list.iter().filter_map(|entry| entry.tensor().ok()?.storage());
            ids.map(depickle::torch::StorageId::index).collect()
        };
        assert_eq!(storages(&before), storages(&after), "{name}");
    }
}
