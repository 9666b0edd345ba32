//! What was read is changed before it is saved, and tensors of several files are put together.

use depickle::Budget;
use depickle::pickle::Value;
use depickle::torch::{Checkpoint, Draft, Form, Take};

use crate::common::fixture;
use crate::{resaved, saved, written};

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(fixture(name)).unwrap()
}

#[test]
fn keys_are_renamed_tensors_replaced_and_parts_dropped() {
    let before = open("checkpoint.pth");
    let ones = [1_f32; 10];
    let mut budget = Budget::default();
    let mut draft = Draft::of(&before, &mut budget).unwrap();
    let root = draft.root();
    let new = draft.tensor(&[10], &ones).unwrap();
    let list = before.tensors().unwrap();
    let entry = list.find("model_state_dict.first.bias").unwrap();
    draft.replace(entry.object(), new);
    let pairs: Vec<_> = before.root().as_dict().unwrap().iter().collect();
    let mut kept = Vec::new();
    for (key, value) in pairs {
        match key.as_str() {
            Some("optimizer_state_dict") => {}
            Some("model_state_dict") => kept.push((draft.text("model").unwrap(), value.id())),
            _ => kept.push((key.id(), value.id())),
        }
    }
    draft.replace_pairs(root, &kept).unwrap();
    let after = Checkpoint::from_bytes(written(draft, root, Form::Zip, "x").unwrap()).unwrap();
    assert!(after.at("optimizer_state_dict").is_err());
    assert_eq!(after.tensor("model.first.bias").unwrap().to_vec::<f32>().unwrap(), ones);
    let weight = |checkpoint: &Checkpoint, name: &str| {
        checkpoint.tensor(name).unwrap().to_vec::<f32>().unwrap()
    };
    assert_eq!(
        weight(&after, "model.first.weight"),
        weight(&before, "model_state_dict.first.weight")
    );
    // The optimizer's storages are gone, and numbers have no gaps.
    let keys: Vec<&str> =
        after.storages().all().iter().map(depickle::torch::Storage::key).collect();
    let count = after.tensors().unwrap().len();
    assert_eq!(keys, (0..count).map(|key| key.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_tensor_is_replaced_in_the_middle_of_a_module() {
    let before = open("mlp_model.pth");
    let zeros = [0_f32; 60];
    let mut budget = Budget::default();
    let mut draft = Draft::of(&before, &mut budget).unwrap();
    let root = draft.root();
    let tensor = draft.tensor(&[10, 6], &zeros).unwrap();
    let parameter = draft.parameter(tensor, true).unwrap();
    let list = before.tensors().unwrap();
    draft.replace(list.find("first.weight").unwrap().object(), parameter);
    let after = Checkpoint::from_bytes(written(draft, root, Form::Zip, "x").unwrap()).unwrap();
    assert_eq!(after.module().unwrap().to_string(), before.module().unwrap().to_string());
    let weight = after.tensor("first.weight").unwrap();
    assert!(weight.is_parameter() && weight.requires_grad());
    assert_eq!(weight.to_vec::<f32>().unwrap(), zeros);
}

#[test]
fn tensors_of_several_files_are_one_checkpoint() {
    let (views, tied, quantized) =
        (open("views.pth"), open("tied.pth"), open("tensors/zip_p4.pth"));
    let mut budget = Budget::default();
    let file = saved(Form::Zip, "x", &mut budget, |draft| {
        let first = draft.take_all(&views, views.tensors()?, Take::default())?;
        let second = draft.take_all(&tied, tied.tensors()?, Take::default().detach())?;
        let third = draft.adopt(&quantized, quantized.root())?;
        draft.mapping(&[("first", first), ("second", second), ("third", third)])
    });
    let file = Checkpoint::from_bytes(file.unwrap()).unwrap();
    assert!(file.verify().unwrap().is_sound());
    for (prefix, from) in [("first", &views), ("second", &tied)] {
        for entry in from.tensors().unwrap() {
            let (want, got) = (entry.on(from).unwrap(), format!("{prefix}.{}", entry.name()));
            let got = file.tensor(&got).unwrap();
            assert_eq!((want.shape(), want.stride()), (got.shape(), got.stride()));
            assert_eq!(want.to_bytes().unwrap(), got.to_bytes().unwrap());
            assert!(prefix == "first" || !got.is_parameter());
        }
    }
    let own = |name: &str| file.tensor(name).unwrap().storage().unwrap();
    assert_eq!(own("second.embed.weight"), own("second.head.weight"), "tied as before");
    let all = [&views, &tied, &quantized].map(|it| it.storages().all().len());
    assert!(file.storages().all().len() <= all.iter().sum());
}

#[test]
fn compact_tensors_hold_nothing_else() {
    let views = open("views.pth");
    let mut budget = Budget::default();
    let file = saved(Form::Zip, "x", &mut budget, |draft| {
        draft.take_all(&views, views.tensors()?, Take::default().compact())
    });
    let file = Checkpoint::from_bytes(file.unwrap()).unwrap();
    for entry in views.tensors().unwrap() {
        let (want, got) = (entry.on(&views).unwrap(), file.tensor(entry.name()).unwrap());
        assert_eq!(want.to_bytes().unwrap(), got.to_bytes().unwrap(), "{}", entry.name());
        assert!(got.is_contiguous());
        assert_eq!(got.backing().nbytes(), got.nbytes());
    }
}

#[test]
fn big_endian_files_are_turned_around() {
    let before = open("containers/zip_big_endian.pth");
    assert!(before.is_big_endian());
    let after = Checkpoint::from_bytes(resaved(&before, Form::Zip, "x").unwrap()).unwrap();
    assert!(!after.is_big_endian());
    for entry in before.tensors().unwrap() {
        let (want, got) = (entry.on(&before).unwrap(), after.tensor(entry.name()).unwrap());
        assert_eq!(want.to_bytes().ok(), got.to_bytes().ok(), "{}", entry.name());
    }
}

#[test]
fn pieces_of_storages_are_storages() {
    let before = open("containers/pieces.pth");
    let after = Checkpoint::from_bytes(resaved(&before, Form::Zip, "x").unwrap()).unwrap();
    for object in after.graph().objects() {
        if let Value::Persistent(id) = object.value() {
            assert_eq!(id.as_tuple().unwrap().len(), 5);
        }
    }
    assert!(!before.tensors().unwrap().is_empty());
}
