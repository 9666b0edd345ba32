//! What depickle reads is what PyTorch itself said of the same files.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(all(feature = "torch", feature = "mmap"))]

mod common;

use std::collections::HashMap;

use depickle::torch::{Checkpoint, Error, List, Scope, TensorRef};
use serde_json::Value;
use sha2::{Digest, Sha256};

use common::{Record, records};

fn hex(hash: impl AsRef<[u8]>) -> String {
    hash.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// The file opened in each way there is.
fn each_way(record: &Record) -> [(&'static str, Checkpoint); 4] {
    let bytes = std::fs::read(&record.path).unwrap();
    let file = std::fs::File::open(&record.path).unwrap();
    [
        ("by position", Checkpoint::open(&record.path).unwrap()),
        ("mapped", Checkpoint::open_mapped(&record.path).unwrap()),
        ("bytes", Checkpoint::from_bytes(bytes).unwrap()),
        ("reader", Checkpoint::from_reader(file).unwrap()),
    ]
}

#[test]
fn tensors_are_what_pytorch_says() {
    for record in records() {
        for (way, checkpoint) in each_way(&record) {
            let at = format!("{} {way}", record.name);
            let list = checkpoint.tensors().unwrap();
            compare(&at, &checkpoint, list, record.json["tensors"].as_array().unwrap());
            let all = checkpoint.tensors_in(checkpoint.root(), Scope::All).unwrap();
            let extra = record.json["extra_tensors"].as_array().unwrap();
            for want in extra {
                let entry = all.find(want["name"].as_str().unwrap()).unwrap();
                compare_tensor(&at, entry.on(&checkpoint).unwrap(), want);
            }
        }
    }
}

fn compare(at: &str, checkpoint: &Checkpoint, list: &List, wanted: &[Value]) {
    let names: Vec<&str> = list.into_iter().map(depickle::torch::Entry::name).collect();
    let wanted_names: Vec<&str> =
        wanted.iter().map(|want| want["name"].as_str().unwrap()).collect();
    assert_eq!(names, wanted_names, "{at}");
    let mut first_on_storage = HashMap::new();
    for (entry, want) in list.into_iter().zip(wanted) {
        let tensor = entry.on(checkpoint).unwrap();
        compare_tensor(at, tensor, want);
        let role = entry.role().map(depickle::torch::Role::name);
        assert_eq!(role, want["role"].as_str(), "{at} {}", entry.name());
        // Empty storages may be shared by number, but there is nothing to share.
        if tensor.backing().nbytes() > 0 {
            let first = *first_on_storage.entry(tensor.storage()).or_insert(entry.name());
            let shared = (first != entry.name()).then_some(first);
            assert_eq!(shared, want["shares_storage_with"].as_str(), "{at} {}", entry.name());
        }
    }
}

fn compare_tensor(at: &str, tensor: TensorRef, want: &Value) {
    let at = format!("{at} {}", tensor.name());
    let numbers = |key: &str| -> Vec<u64> {
        want[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
    };
    assert_eq!(tensor.dtype().name(), want["dtype"].as_str().unwrap(), "{at}");
    assert_eq!(tensor.shape(), numbers("shape"), "{at}");
    assert_eq!(tensor.stride(), numbers("stride"), "{at}");
    assert_eq!(tensor.storage_offset(), want["storage_offset"].as_u64().unwrap(), "{at}");
    assert_eq!(tensor.requires_grad(), want["requires_grad"].as_bool().unwrap(), "{at}");
    assert_eq!(tensor.nbytes(), want["nbytes"].as_u64().unwrap(), "{at}");
    assert_eq!(tensor.device(), want["device"].as_str().unwrap(), "{at}");
    let sha256 = want["sha256"].as_str().unwrap();
    assert_eq!(hex(Sha256::digest(tensor.to_bytes().unwrap())), sha256, "{at}");
    let mut streamed = Sha256::new();
    tensor
        .for_each_chunk(|chunk| -> Result<(), Error> {
            streamed.update(chunk);
            Ok(())
        })
        .unwrap();
    assert_eq!(hex(streamed.finalize()), sha256, "{at}");
}

#[test]
fn kinds_and_classes_are_what_pytorch_says() {
    for record in records() {
        let checkpoint = Checkpoint::open(&record.path).unwrap();
        let root = checkpoint.root();
        assert_eq!(
            checkpoint.kind_of(root).unwrap().name(),
            record.json["kind"],
            "{}",
            record.name
        );
        let class = record.json["root_class"].as_str();
        assert_eq!(checkpoint.class_of(root).as_deref(), class, "{}", record.name);
        assert_eq!(checkpoint.findings(), [], "{}", record.name);
    }
}

#[test]
fn modules_print_as_in_python() {
    let mut modules = 0;
    for record in records() {
        let checkpoint = Checkpoint::open(&record.path).unwrap();
        if let Some(want) = record.json["repr"].as_str() {
            let module = checkpoint.module().unwrap();
            assert_eq!(module.to_string(), want, "{}", record.name);
            modules += 1;
        }
        for (key, want) in record.json["modules"].as_object().into_iter().flatten() {
            let module = checkpoint.module_in(checkpoint.at(key).unwrap()).unwrap();
            assert_eq!(module.to_string(), want.as_str().unwrap(), "{} {key}", record.name);
            modules += 1;
        }
    }
    assert!(modules >= 5, "only {modules} modules");
}

#[test]
fn tensors_are_lent_where_they_lie_in_order() {
    let record = records().into_iter().find(|record| record.name == "views").unwrap();
    for (way, checkpoint) in each_way(&record) {
        let in_memory = matches!(way, "mapped" | "bytes");
        // Elements of several bytes are little-endian in the file.
        let in_order = in_memory && cfg!(target_endian = "little");
        let lent = |name: &str| checkpoint.tensor(name).unwrap().as_slice::<f32>();
        if in_order && way == "mapped" {
            // Maps begin on pages, and storages on 64 bytes of the file.
            let base = lent("base").unwrap();
            assert_eq!(base, (0..24_u8).map(f32::from).collect::<Vec<_>>());
            assert_eq!(lent("scalar"), Some(&[7.5][..]));
        } else if !in_order {
            assert_eq!(lent("base"), None, "{way}");
        }
        for strided in ["offset", "stepped", "transposed", "expanded", "negated"] {
            assert_eq!(lent(strided), None, "{way} {strided}");
        }
        let base = checkpoint.tensor("base").unwrap();
        assert_eq!(base.as_slice::<i32>(), None, "another dtype");
        assert!(base.to_vec::<i32>().unwrap_err().to_string().contains("float32"));
        assert_eq!(
            checkpoint.tensor("offset").unwrap().to_vec::<f32>().unwrap(),
            [8.0, 9.0, 10.0, 14.0, 15.0, 16.0]
        );
        assert_eq!(
            checkpoint.tensor("expanded").unwrap().to_vec::<f32>().unwrap(),
            [[1.0; 5], [2.0; 5]].concat()
        );
        assert_eq!(
            checkpoint.tensor("conjugated").unwrap().to_vec::<[f32; 2]>().unwrap(),
            [[1.0, -2.0], [-3.0, -0.5]]
        );
        assert_eq!(checkpoint.tensor("negated").unwrap().to_vec::<f32>().unwrap(), [-2.0, -0.5]);
    }
}

#[test]
fn elements_of_each_width_are_read_as_their_type() {
    let checkpoint = Checkpoint::open_mapped(common::fixture("dtypes.pth")).unwrap();
    let halves = checkpoint.tensor("torch.float16").unwrap();
    assert_eq!(halves.to_vec::<half::f16>().unwrap()[2], half::f16::from_f32(1.5));
    assert!(halves.to_vec::<half::f16>().unwrap()[6].is_nan());
    let lent = halves.as_slice::<half::f16>().map(|lent| lent[6].is_nan());
    assert_eq!(lent, cfg!(target_endian = "little").then_some(true));
    let brain = checkpoint.tensor("torch.bfloat16").unwrap().to_vec::<half::bf16>().unwrap();
    assert_eq!(brain[3], half::bf16::from_f32(-2.25));
    let unsigned = checkpoint.tensor("torch.uint64").unwrap().to_vec::<u64>().unwrap();
    assert_eq!(unsigned, [0, 0, 1, u64::MAX]);
    assert_eq!(checkpoint.tensor("torch.bool").unwrap().to_vec::<u8>().unwrap(), [1, 0, 1]);
}

#[test]
fn names_that_are_not_there_are_said() {
    let checkpoint = Checkpoint::open(common::fixture("mlp_model.pth")).unwrap();
    let why = checkpoint.tensor("first.wait").map(drop).unwrap_err();
    assert!(why.to_string().contains("no tensor is named \"first.wait\""), "{why}");
    let why = checkpoint.at("first.no").map(drop).unwrap_err();
    assert!(why.to_string().contains("nothing is at key \"first.no\""), "{why}");
    assert_eq!(checkpoint.at("hidden").unwrap().as_int(), Some(10));
    let state_dict = Checkpoint::open(common::fixture("mlp_state_dict.pth")).unwrap();
    assert!(state_dict.module().map(drop).unwrap_err().to_string().contains("no module here"));
}
